"""A certificate's claim is made anew by what is shipped: every edit that betters it is named."""

from __future__ import annotations

import json
from dataclasses import replace

import certificate_samples
import pytest

from harness import cli
from harness.qualify.audit import audit
from harness.qualify.catalogue import CHECKS
from harness.qualify.thresholds import load_thresholds
from harness.results.certificate import Certificate, CheckResult, Measurement, dump_certificate
from reports.certificate.page import render_certificate

LIMITS = load_thresholds(None, "software")
LEAKS = ("leak_bytes_per_call", "leak_kib_per_instance", "leaked_descriptors", "leaked_threads", "leaked_processes")
MEASURED = {
    "speed.surface": {"compress_mib_per_s": 250.0, "decompress_mib_per_s": 400.0},
    "speed.latency": {"latency_p99_ms": 3.0, "latency_p999_ms": 4.0},
    "endurance.noisy-neighbour": {"noisy_share": 0.5, "noisy_failures": 0},
    "endurance.soak": {"soak_drift": 1.0, "soak_growth_mib": 0, "soak_failures": 0},
    "endurance.leaks": dict.fromkeys(LEAKS, 0),
}
ROWS = {
    "surface": [
        {"direction": direction, "unit_bytes": 65536, "threads": 1, "depth": 1, "level": 1, "mib_per_s": rate}
        for direction, rate in (("compress", 100.0), ("compress", 250.0), ("decompress", 400.0))
    ]
}
PERCENTILES = {
    "percentiles": [
        {"unit_bytes": 65536, "direction": "compress", "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "p999_ms": 4.0}
    ]
}


def whole() -> Certificate:
    """One of software that passes, with every check."""
    checks = tuple(
        CheckResult(
            check.id, check.group, check.title, check.reason,
            "n/a" if check.group in ("faults", "cost", "migration") else "pass", "e", "c", 1.0,
            tuple(Measurement(name, value, "", **LIMITS.get(name, {})) for name, value in MEASURED.get(check.id, {}).items()),
            {"speed.surface": ROWS, "speed.latency": PERCENTILES}.get(check.id, {}),
        )
        for check in CHECKS.values()
    )  # fmt: skip
    identity = {"device": "this host's CPU"}
    return Certificate(
        "zlib", "1", "software", "quick", "2026-11-24T12:00:00+00:00", 3.0, "pass", thresholds=LIMITS, checks=checks,
        identity=identity,
    )  # fmt: skip


def edited(check_id: str, **changes) -> Certificate:
    made = whole()
    return replace(made, checks=tuple(replace(c, **changes) if c.id == check_id else c for c in made.checks))


def test_a_certificate_as_it_was_made_has_nothing_to_say():
    assert audit(whole()) == ()


def _latency(value: float, **limits: float) -> tuple[Measurement, ...]:
    return (Measurement("latency_p99_ms", value, "ms", **limits), Measurement("latency_p999_ms", 1, "ms", most=150))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (replace(whole(), checks=whole().checks[5:]), "checks are not in it (left out, though it does not say"),
        (replace(whole(), checks=whole().checks[5:], partial=True), "checks are not in it (partial)"),
        (replace(whole(), checks=(*whole().checks, whole().checks[0])), "unknown, or there twice: contract."),
        (
            edited("speed.latency", measurements=_latency(500)),
            "latency_p99_ms is held to no limit; shipped: at most 100",
        ),
        (
            edited("speed.latency", measurements=_latency(500, most=float("inf"))),
            "said to pass, but latency_p99_ms is 500, and the shipped limit is at most 100",
        ),
        (edited("speed.latency", measurements=()), "passed without latency_p99_ms, which is held to at most 100"),
        (edited("hostile.bomb", status="n/a"), "hostile.bomb: said not to apply, but it applies to every backend"),
        (edited("speed.surface", status="n/a"), "said not to apply, but it measured something"),
        (edited("hostile.bomb", status="fail"), "the verdict says pass; by its checks it is fail"),
        (replace(whole(), thresholds={}), "threshold compress_mib_per_s: no limit; shipped: at least 5"),
        (
            edited("speed.surface", data={"surface": ROWS["surface"][::2]}),
            "compress_mib_per_s is said to be 250; its rows say 100",
        ),
        (
            edited("speed.surface", data={}),
            "compress_mib_per_s is said to be 250; the rows that bear it out are left out",
        ),
        (
            replace(whole(), backend_class="stand-in", identity={"device": "card"}),
            "held to the limits of class stand-in; by its device it is of class accelerator",
        ),
        (replace(whole(), backend_class="best"), "class 'best' is none of software, accelerator, stand-in"),
    ],
)
def test_each_edit_that_betters_a_certificate_is_named(made, says):
    assert says in "\n".join(audit(made))


def test_verify_says_what_was_changed_and_answers_by_its_status(tmp_path, capsys):
    path = tmp_path / "certificate.json"
    path.write_bytes(dump_certificate(whole()))
    assert cli.main(["qualify", "--verify", str(path)]) == 0
    assert "zlib passes by the shipped checks and limits" in capsys.readouterr().out
    path.write_bytes(dump_certificate(edited("hostile.bomb", status="n/a")))
    assert cli.main(["qualify", "--verify", str(path)]) == 1
    out = capsys.readouterr().out
    assert "hostile.bomb: said not to apply" in out
    assert "is no pass" in out
    path.write_text(json.dumps({"verdict": "pass"}))
    assert cli.main(["qualify", "--verify", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_infinite_limit_is_refused_with_its_file(tmp_path, capsys):
    text = dump_certificate(whole()).decode().replace('"most": 100.0', '"most": 1e999')
    (tmp_path / "certificate.json").write_text(text)
    assert cli.main(["qualify", "--verify", str(tmp_path)]) == 2
    assert "certificate.json: not a pageferry certificate: it has the number 1e999" in capsys.readouterr().err


def test_the_page_says_whose_thresholds_and_what_is_not_as_shipped():
    assert "as shipped" in render_certificate(certificate_samples.passing())
    lab = replace(whole(), thresholds={}, thresholds_from="lab.toml")
    page = render_certificate(lab, audit(lab))
    assert "<dt>Thresholds</dt><dd>lab.toml</dd>" in page
    assert "Not as shipped: threshold compress_mib_per_s: no limit; shipped: at least 5." in page
