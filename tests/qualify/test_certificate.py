"""A certificate comes back as it was saved, and none that says better than its checks is accepted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ResultError
from harness.qualify.findings import findings
from harness.results.certificate import (
    Certificate,
    CheckResult,
    Measurement,
    dump_certificate,
    load_certificate,
    save_certificate,
    verdict_of,
)


def result(check_id: str = "contract.round-trip", status: str = "pass", *measurements: Measurement) -> CheckResult:
    return CheckResult(
        check_id, check_id.partition(".")[0], "t", "r", status, "e", f"pageferry qualify x --only {check_id}", 0.5,
        measurements, {"surface": [{"unit_bytes": 4096, "mib_per_s": 1.5, "level": None}]},
    )  # fmt: skip


def certificate(*checks: CheckResult) -> Certificate:
    return Certificate(
        "x", "1", "software", "quick", "2026-11-24T12:00:00+00:00", 3.0, verdict_of(checks), checks=checks
    )


texts = st.text(max_size=20)
measurements = st.builds(
    Measurement, texts, st.floats(allow_nan=False, allow_infinity=False), texts, st.none() | st.just(-1e300), st.none()
)


@given(st.lists(st.builds(result, texts, st.sampled_from(["pass", "fail", "n/a"]), measurements), max_size=4))
def test_what_is_saved_is_what_is_loaded(tmp_path_factory, checks):
    made = certificate(*checks)
    path = tmp_path_factory.mktemp("c") / "certificate.json"
    save_certificate(made, path)
    if all(m.ok for check in checks for m in check.measurements):
        assert load_certificate(path) == made
        assert load_certificate(path.parent) == made


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        (("pass",), "pass"),
        (("pass", "n/a"), "pass"),
        (("pass", "fail"), "fail"),
        (("n/a",), "fail"),
        ((), "fail"),
    ],
)
def test_a_verdict_needs_something_that_passed_and_nothing_that_failed(states, verdict):
    assert verdict_of(tuple(result(status=state) for state in states)) == verdict


@pytest.mark.parametrize(
    ("value", "least", "most", "ok"),
    [(1, None, None, True), (1, 1, 1, True), (0.9, 1, None, False), (1.1, None, 1, False), (5, 1, 9, True)],
)
def test_a_measurement_is_held_to_both_limits(value, least, most, ok):
    assert Measurement("m", value, "", least, most).ok is ok


def _saved(tmp_path, made: Certificate, **changes):
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(json.loads(dump_certificate(made)) | changes))
    return path


def test_a_better_verdict_than_the_checks_is_refused(tmp_path):
    path = _saved(tmp_path, certificate(result(status="fail")), verdict="pass")
    with pytest.raises(ResultError, match=r"certificate\.json: verdict 'pass' is not what its checks say"):
        load_certificate(path)


def test_a_pass_with_a_value_outside_its_limits_is_refused(tmp_path):
    made = certificate(result("speed.latency", "pass", Measurement("latency_p99_ms", 500, "ms", most=100)))
    with pytest.raises(ResultError, match=r"check speed\.latency is said to pass, but a measurement is outside"):
        load_certificate(_saved(tmp_path, made))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"verdict": "perhaps"}, "not a pageferry certificate: verdict"),
        ({"schema": 2}, "schema 2 is newer than 1; upgrade pageferry"),
        ({"checks": [{"id": "x"}]}, "not a pageferry certificate: checks.0"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, changes, says):
    with pytest.raises(ResultError) as caught:
        load_certificate(_saved(tmp_path, certificate(result()), **changes))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ResultError, match=r"certificate\.json: cannot read the certificate: No such file"):
        load_certificate(tmp_path)


def test_findings_say_what_was_measured_and_what_was_not():
    checks = [
        result("speed.surface", "pass", Measurement("compress_mib_per_s", 2000, "MiB/s")),
        result("cost.cpu", "pass", Measurement("cpu_vs_isal_1", 0.25, ""), Measurement("cpu_vs_zlib_1", 2.0, "")),
        result("migration.throttled", "pass", Measurement("migration_vs_original", 0.4, "")),
        replace(result("faults.stall"), status="n/a"),
    ]
    text = "\n".join(findings("accelerator", checks))
    for words in (
        "2000 MiB/s",
        "faster than 16.8 Gbit/s carry pages sooner uncompressed",
        "75 % less of the host's CPU time than ISA-L level 1",
        "2.00 times the CPU time of zlib level 1.",
        "took 60 % less time than with QEMU alone",
        "not certified: faults.stall.",
    ):
        assert words in text, words
    assert list(findings("software", [])) == []


def test_a_certificate_with_a_byte_order_mark_is_read(tmp_path):
    saved = certificate(result())
    (tmp_path / "certificate.json").write_bytes(b"\xef\xbb\xbf" + dump_certificate(saved))
    assert load_certificate(tmp_path) == saved
