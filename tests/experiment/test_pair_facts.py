"""What results keep of both halves' reports. Names of counters and parameters are a result's, and never change."""

from __future__ import annotations

import json

import pytest
import sample_streams
from pairs import Pair, carry
from sample_reports import received, sent, steered

from harness.errors import ResultError
from harness.experiment.halves import Half
from harness.experiment.pair_facts import (
    pair_counters,
    pair_decisions,
    pair_doubts,
    pair_parameters,
    pair_steering,
)
from harness.migrator.choose.method_policy import Decision as Choice
from harness.migrator.config import SendConfig
from harness.migrator.document import WrongDocumentError, dumped, from_document, parsed, to_document
from harness.migrator.report import PolicyReport, ReceiverReport, SenderReport
from harness.migrator.steering.switchover import Decision as Steer
from harness.migrator.transport.contract import Secured

ALWAYS = {
    "fallbacks", "receiver_batches", "receiver_channels", "receiver_codec_cpu_s", "receiver_cpu_s", "receiver_peak_rss_bytes",
    "receiver_stream_bytes", "receiver_threads", "receiver_threads_seen", "receiver_window_peak_bytes", "sender_batches",
    "sender_codec_cpu_s", "sender_cpu_s", "sender_elapsed_s", "sender_fallback_bytes", "sender_fallbacks",
    "sender_incompressible_batches", "sender_opaque_bytes", "sender_other_pages", "sender_peak_rss_bytes", "sender_raw_pages",
    "sender_round_trip_s", "sender_sent_before_bytes", "sender_sent_bytes", "sender_stored_batches", "sender_stream_bytes",
    "sender_threads", "sender_threads_seen", "sender_window_bytes", "sender_window_peak_bytes", "sender_zero_pages",
}  # fmt: skip
STEERED = {
    "sender_wanted_downtime_s", "sender_steer_changes", "sender_steer_taken_over", "sender_steer_failures",
}  # fmt: skip
PREPARED = {"sender_prepare_s", "sender_prepared_histories"}
CHOICE = Choice(0.1, "zstd:1", None, 2.0, 3.0, 4.0, 5.0)
STEER = Steer(0.2, "downtime-limit", 250, 1.0, 2, 3.0, 4)
STEERING = steered(steer_failures=1, decisions=(STEER,), ended_early="QEMU left", restored=False)
POLICY = PolicyReport((CHOICE,), {"none": 0.25, "zstd:1": 0.75})
FULL = sent(
    steering=STEERING, policy=POLICY, counters={"queue_full": 3}, prepare_s=0.1, prepared_histories=2, fallbacks=3,
    tls=Secured("TLSv1.3", "TLS_AES_256_GCM_SHA384", 0.01, ("node2",)),
    fallback="isal:1", backend="card", fallback_reason="device error -5", opaque_reason="a newer QEMU",
)  # fmt: skip


@pytest.mark.parametrize(
    ("backend", "more", "maybe"),
    [
        ("zlib", {"sender_level"}, set()),
        ("zstd-long", {"sender_level", *PREPARED}, set()),
        ("auto", set(), PREPARED),  # where it came to a codec that keeps a history
    ],
)
def test_the_names_of_what_real_halves_count_are_those_of_results(tmp_path, backend, more, maybe):
    data = sample_streams.small_stream()
    with Pair(tmp_path, backend) as pair:
        assert carry(pair, data, []) == data
    reports = {"sender": pair.sender.result, "receiver": pair.receiver.result}
    counters = pair_counters(reports)
    shares = {name for name in counters if name.startswith("sender_share_")}
    assert ALWAYS | more <= set(counters) - shares <= ALWAYS | more | maybe
    assert bool(shares) == (backend == "auto")
    assert pair_parameters(reports) == {
        "sender.backend": backend, "sender.level": pair.sender.result.level, "sender.threads": 2, "sender.fallback": None,
        "receiver.threads": 2,
    }  # fmt: skip
    assert pair.sender.result.receiver == pair.receiver.result
    assert len(pair_decisions(reports)) >= (backend == "auto")


def test_a_result_counts_what_devices_steering_and_auto_did():
    counters = pair_counters({"sender": FULL, "receiver": received()})
    shares = {"sender_share_none", "sender_share_zstd:1"}
    assert set(counters) == ALWAYS | STEERED | PREPARED | shares | {
        "sender_level", "sender_queue_full", "sender_tls_handshake_s",
    }  # fmt: skip
    assert (counters["fallbacks"], counters["sender_queue_full"], counters["sender_share_none"]) == (3, 3, 0.25)
    assert pair_steering({"sender": FULL}) == (
        {
            "at_s": 0.2, "parameter": "downtime-limit", "value": 250, "delivered_bytes_per_s": 1.0, "in_flight_bytes": 2,
            "believed_bytes_per_s": 3.0, "left_bytes": 4, "why": None, "passes": None, "predicted_downtime_s": None,
        },
    )  # fmt: skip
    assert pair_decisions({"sender": FULL}) == (
        {
            "t_s": 0.1, "choice": "zstd:1", "link_bytes_per_s": None, "predicted_bytes_per_s": 2.0,
            "compress_bytes_per_s": 3.0, "decompress_bytes_per_s": 4.0, "ratio": 5.0,
        },
    )  # fmt: skip
    assert [doubt.sentence for doubt in pair_doubts({"sender": FULL})] == [
        "steering ended before the migration did: QEMU left",
        "the stream was carried without knowing its pages: a newer QEMU",
        "3 of 4 batches were compressed by isal:1, not by card: device error -5",
    ]


def test_where_no_pair_was_nothing_fell_back():
    assert pair_counters({}) == {"fallbacks": 0}
    assert (pair_parameters({}), pair_decisions({}), pair_steering({}), list(pair_doubts({}))) == ({}, (), (), [])


@pytest.mark.parametrize("report", [FULL, sent(), received(sender_heard=False)])
def test_a_report_comes_out_as_it_went_in(report):
    assert parsed(type(report), dumped(report)) == report


@pytest.mark.parametrize("name", [name for name in to_document(received()) if name != "role"])
def test_a_report_without_one_of_its_facts_is_none(name):
    told = to_document(received())
    del told[name]
    with pytest.raises(WrongDocumentError, match=f"^{name}: is missing"):
        from_document(ReceiverReport, told)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"role": "receiver"}, "role = \"receiver\": must be 'sender'"),
        ({"outcome": "lost"}, "outcome = \"lost\": must be 'confirmed' or 'whole' or 'closed'"),
        ({"receiver": {"threads": 1}}, "receiver.cpu_s: is missing"),
        ({"policy": {"decisions": [3], "shares": {}}}, "policy.decisions[0] = 3: must be a table"),
        ({"policy": {"decisions": {}, "shares": {}}}, "policy.decisions = {}: must be a list"),
        ({"counters": {"a": "b"}}, 'counters.a = "b": must be a whole number or a number'),
        ({"steering": 1}, "steering = 1: must be a table"),
        ({"batches": 1.5}, "batches = 1.5: must be a whole number"),
        ({"surprise": 1}, "'surprise': unknown key"),
    ],
)
def test_a_wrong_report_is_one_line(wrong, line):
    with pytest.raises(WrongDocumentError) as caught:
        from_document(SenderReport, to_document(sent()) | wrong)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "{", json.dumps({"role": "sender"})])
def test_a_half_whose_statistics_are_none_is_told_in_a_line(tmp_path, monkeypatch, text):
    half = Half(SendConfig("unix:/s", "unix:/r", "zlib"), run_dir=tmp_path)
    monkeypatch.setattr(half, "wait_end", lambda _: "")
    if text is not None:
        (tmp_path / "sender.json").write_text(text)
    with pytest.raises(ResultError, match=r"^sender: its statistics cannot be read: "):
        half.finish()
