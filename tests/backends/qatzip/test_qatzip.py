"""The QATzip backend against a stand-in with the real library's ABI: each way in which the real one fails is told, none is used."""

from __future__ import annotations

import ctypes
import random
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends import conformance
from backends.api import MAX_BATCH_BYTES, BackendError, BackendUnavailable
from backends.qatzip import QatzipBackend
from backends.qatzip.library import ENVIRONMENT, DeflateParameters, SessionState

BATCH = b"".join(random.Random(5).randbytes(40) * 3 for _ in range(2000))


@pytest.fixture
def make(standin):
    made = []

    def build(**options) -> QatzipBackend:
        made.append(QatzipBackend(**options))
        return made[-1]

    yield build
    for backend in made:
        backend.close()


def test_a_healthy_card_keeps_the_contract(standin):
    broken = [finding for finding in conformance.check(QatzipBackend) if not finding.ok]
    assert broken == []


@given(data=st.binary(max_size=5000), times=st.integers(1, 60))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_is_one_raw_stream_that_any_host_inflates(standin, data, times):
    backend = QatzipBackend()
    packed = backend.compress(data * times)
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(packed) == data * times
    assert inflater.eof
    assert not inflater.unused_data
    backend.close()


def test_hardware_is_counted_and_what_is_too_short_for_it_is_not(make):
    backend = make(submission="128KiB")
    backend.compress(BATCH)
    backend.compress(b"short")
    counted = backend.counters()
    assert counted["qat_hardware_calls"] == 1
    assert counted["qat_software_calls"] == 0
    assert counted["qat_small_inputs"] == 1
    assert counted["qat_submissions"] == 2
    assert counted["qat_raw_bytes"] == len(BATCH)
    assert counted["qat_verified_batches"] == 1


@pytest.mark.parametrize(
    ("fault", "words", "counter"),
    [
        ("software-told", "in software, although that was forbidden", "qat_software_calls"),
        ("software-silent", "in software, although that was forbidden", "qat_software_calls"),
        ("unconsumed", f"took only {len(BATCH) // 2} bytes", "qat_errors"),
        ("short", "bytes that inflate to", "qat_mismatches"),
        ("wrong", "inflate to others from byte", "qat_mismatches"),
        ("empty", "0 bytes of output", "qat_errors"),
        ("over", "where there was room for", "qat_errors"),
        ("timeout", "QZ_TIMEOUT (-5)", "qat_errors"),
        ("fail", "QZ_FAIL (-2)", "qat_errors"),
        ("buf-error", "QZ_BUF_ERROR (-3)", "qat_errors"),
        ("lost", "QZ_NOSW_NO_INST_ATTACH (-103)", "qat_errors"),
    ],
)
def test_each_failure_of_a_call_is_one_line_counted_and_never_used(make, standin, fault, words, counter):
    standin(fault)
    backend = make()
    with pytest.raises(BackendError) as caught:
        backend.compress(BATCH)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(len(BATCH)) in str(caught.value)
    assert backend.counters()[counter] == 1


def test_a_card_lost_in_mid_run_fails_from_there_on_and_works_again_when_it_is_back(make, standin):
    backend = make()
    standin("lost@3")
    assert backend.compress(BATCH) == backend.compress(BATCH)
    for _ in range(2):
        with pytest.raises(BackendError, match="QZ_NOSW_NO_INST_ATTACH"):
            backend.compress(BATCH)
    standin("")
    assert zlib.decompress(backend.compress(BATCH), -15) == BATCH


def test_damage_that_the_sample_misses_is_found_when_every_batch_is_verified(make, standin):
    standin("wrong@2")
    every, some = make(verify_every=1), make()
    every.compress(BATCH)
    with pytest.raises(BackendError, match="it is not used again"):
        every.compress(BATCH)
    with pytest.raises(BackendError, match="it is not used again"):
        every.compress(BATCH)
    standin("wrong@4")
    some.compress(BATCH)
    assert zlib.decompress(some.compress(BATCH), -15) != BATCH, (
        "1 in 64 is a sample: the receiver's digest finds the rest"
    )


def test_a_call_that_hangs_is_given_up_in_time_and_the_session_with_it(make, standin):
    backend = make(timeout_ms=100)
    backend.open()
    standin("hang")
    with pytest.raises(BackendError, match="no answer within 100 ms"):
        backend.compress(BATCH)
    standin("")
    with pytest.raises(BackendError, match="given up"):
        backend.compress(BATCH)
    assert backend.counters()["qat_timeouts"] == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no-hw", "no QuickAssist device"),
        ("no-driver", "no memory driver"),
        ("no-instance", "no free instance"),
        ("old-layout", "lays its parameters out in another way"),
        ("bad-parameters", "QZ_PARAMS (-1)"),
        ("crash-at-init", "ended the process that tried it"),
    ],
)
def test_probe_names_the_missing_piece_and_survives_what_the_driver_does(standin, fault, words):
    standin(fault)
    with pytest.raises(BackendUnavailable) as caught:
        QatzipBackend.probe()
    assert words in caught.value.missing
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_probe_gives_up_on_a_driver_that_hangs(standin, monkeypatch):
    monkeypatch.setattr("backends.qatzip.backend._PROBE_LIMIT_S", 3.0)
    standin("hang-at-init")
    with pytest.raises(BackendUnavailable, match="did not answer within 3 s"):
        QatzipBackend.probe()


def test_probe_tells_the_library_that_works(standin, standin_path):
    assert QatzipBackend.probe() == f"QATzip ({standin_path}), on a card"


def test_without_the_library_the_remedy_says_where_to_name_it(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent/libqatzip.so")
    with pytest.raises(BackendUnavailable, match=f"libqatzip does not load.*{ENVIRONMENT}"):
        QatzipBackend.probe()
    assert QatzipBackend.probe_decoder()
    assert QatzipBackend().decompress(b"\x03\x00", 0) == b""


def test_a_missing_library_is_told_by_open_and_by_the_first_batch(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent/libqatzip.so")
    backend = QatzipBackend()
    with pytest.raises(BackendUnavailable):
        backend.open()
    with pytest.raises(BackendUnavailable):
        backend.compress(BATCH)
    backend.close()


@pytest.mark.parametrize(
    "options",
    [{"submission": "1MiB"}, {"submission": 70_000}, {"timeout_ms": 0}, {"verify_every": True}, {"level": 9}],
    ids=str,
)
def test_a_wrong_setting_is_one_line(options):
    with pytest.raises(BackendError, match="qatzip"):
        QatzipBackend(**options)


def test_more_than_a_batch_is_refused(make):
    with pytest.raises(BackendError, match=f"0..{MAX_BATCH_BYTES}"):
        make().compress(bytes(MAX_BATCH_BYTES + 1))


def test_python_declares_the_structures_as_the_compiler_lays_them_out(standin_path):
    """Of the same declarations: it finds slips of ours, not a version of QATzip that declares them otherwise."""
    layout = ctypes.CDLL(str(standin_path)).standin_layout
    state, parameters = SessionState, DeflateParameters
    ours = [
        ctypes.sizeof(state), state.thd_sess_stat.offset, state.internal.offset, state.total_out.offset,
        ctypes.sizeof(parameters), parameters.max_forks.offset, parameters.hw_buff_sz.offset,
        parameters.is_sensitive_mode.offset, parameters.data_fmt.offset,
    ]  # fmt: skip
    assert ours == [layout(which) for which in range(len(ours))]
