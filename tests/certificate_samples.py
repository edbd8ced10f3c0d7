"""Plausible certificates, made without a machine: for the tests of their pages and of JUnit, and to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.results.certificate import Certificate, CheckResult, Measurement, verdict_of

KIB, MIB = 1 << 10, 1 << 20
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"'&{{7*7}} ]]> \x00\x1b[31m\x7f\ufffe end"
IDENTITY = {
    "device": "Xilinx Alveo U50 (xcu50)",
    "driver": "xrt 2.16.204, xocl 2.16.204",
    "platform": "Xilinx, OpenCL 1.0",
    "bitstream": "gzip_pages.xclbin, sha256:9b1c4f0e7d2a5566b0e1d43f2c9a8877f1e0d3c2b5a49687ffee01234567abcd",
    "firmware": "SC 5.2.20",
    "pcie": "0000:af:00.0, 16 GT/s x8",
    "serial": "501211206V3J",
}
ENVIRONMENT = {
    "cpu_model": "AMD EPYC 7B13",
    "cores": 32,
    "memory_bytes": 137_438_953_472,
    "kernel": "6.1.0-18-amd64",
    "os": "Debian GNU/Linux 12 (bookworm)",
    "qemu": "7.2.22",
    "kvm": "can be opened",
    "python": "3.11.2",
    "pageferry": "0.1.0",
    "governor": None,
    "smt": True,
    "virtualised": "no",
    "date": "2026-11-22T21:08:50+00:00",
}
THRESHOLDS = {
    "compress_mib_per_s": {"least": 500.0},
    "decompress_mib_per_s": {"least": 100.0},
    "latency_p99_ms": {"most": 20.0},
    "latency_p999_ms": {"most": 100.0},
    "cpu_vs_isal_1": {"most": 0.5},
    "fallback_ms": {"most": 200.0},
    "pages_lost": {"most": 0.0},
    "soak_drift": {"least": 0.8},
    "soak_growth_mib": {"most": 64.0},
    "migration_unverified": {"most": 0.0},
    "share_accounted_for": {"least": 0.9, "most": 1.1},
}


def check(check_id: str, title: str, status: str = "pass", **over: Any) -> CheckResult:
    """A check with what every check has."""
    made: dict[str, Any] = {
        "reason": "a guest that wakes up with one wrong page is worse than a slow migration",
        "evidence": "4 096 pages of each of 7 classes went there and back; all came back as they were",
        "command": f"pageferry qualify opencl --profile full --only {check_id} --seed 20261122",
        "duration_s": 3.2,
    }
    return CheckResult(id=check_id, group=check_id.partition(".")[0], title=title, status=status, **(made | over))


def surface() -> dict[str, list[dict[str, Any]]]:
    """Rates over unit size and threads: they climb to a knee and stay."""
    rows = []
    for direction, best in (("compress", 1840.0), ("decompress", 2910.0)):
        for threads in (1, 2, 4, 8):
            for unit in (4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB):
                lanes = min(1.0, threads * 0.28)
                rate = best * lanes * unit / (unit + 60 * KIB) * (0.97 if threads == 8 else 1)
                rows.append(
                    {
                        "direction": direction,
                        "unit_bytes": unit,
                        "threads": threads,
                        "level": 1,
                        "mib_per_s": round(rate, 1),
                    }
                )
    knee = [
        {"direction": "compress", "unit_bytes": 256 * KIB, "threads": 4, "mib_per_s": 1490.7, "share_of_best": 0.82},
        {"direction": "decompress", "unit_bytes": 256 * KIB, "threads": 4, "mib_per_s": 2357.5, "share_of_best": 0.82},
    ]
    return {"surface": rows, "knee": knee}


def latency() -> dict[str, list[dict[str, Any]]]:
    """Curves with a tail, and the named percentiles."""
    curve, named = [], []
    for direction, unit, base in (("compress", 64 * KIB, 0.31), ("compress", MIB, 1.2), ("decompress", MIB, 0.7)):

        def ms(percentile: float, base: float = base) -> float:
            return round(base * (1 + 0.08 * (100 / (100 - percentile)) ** 0.62), 4)

        for percentile in (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99):
            curve.append({"direction": direction, "unit_bytes": unit, "percentile": percentile, "ms": ms(percentile)})
        curve.append({"direction": direction, "unit_bytes": unit, "percentile": 100.0, "ms": ms(99.995)})
        named.append({"direction": direction, "unit_bytes": unit, "n": 20_000, "p50_ms": ms(50), "p95_ms": ms(95),
                      "p99_ms": ms(99), "p999_ms": ms(99.9), "worst_ms": ms(99.995)})  # fmt: skip
    return {"curve": curve, "percentiles": named}


def cost() -> dict[str, list[dict[str, Any]]]:
    """CPU seconds of the device's path and of codecs on the CPU."""
    return {
        "cpu": [
            {"codec": "opencl", "cpu_s_per_gib": 0.21, "mib_per_s": 1612.0, "ratio": 2.94},
            {"codec": "isal 1", "cpu_s_per_gib": 1.47, "mib_per_s": 731.0, "ratio": 2.81},
            {"codec": "zstd 1", "cpu_s_per_gib": 1.32, "mib_per_s": 814.0, "ratio": 3.08},
            {"codec": "zlib 1", "cpu_s_per_gib": 9.8, "mib_per_s": 109.0, "ratio": 3.01},
        ]
    }


def parts() -> dict[str, list[dict[str, Any]]]:
    """Where a request's time goes."""
    each = (("slot wait", 0.05), ("host to device", 0.18), ("queued", 0.04), ("kernel", 0.52), ("device to host", 0.09),
            ("hand-over", 0.11))  # fmt: skip
    return {"parts": [{"part": part, "ms": ms} for part, ms in each]}


def soak() -> dict[str, list[dict[str, Any]]]:
    """Ten minutes in windows of ten seconds."""
    return {
        "windows": [
            {"t_s": 10.0 * n, "mib_per_s": 1600 + 11.0 * ((n * 7) % 5 - 2), "rss_mib": 212.0 + (n % 3)}
            for n in range(1, 61)
        ]
    }


def faults() -> dict[str, list[dict[str, Any]]]:
    """What was planted, and how soon it was noticed."""
    return {
        "faults": [
            {"fault": "device hangs", "detected_ms": 1004.0, "fallback_ms": 1011.5, "pages_lost": 0},
            {"fault": "worker is killed", "detected_ms": 3.1, "fallback_ms": 9.4, "pages_lost": 0},
            {"fault": "one bit of the answer flips", "detected_ms": 0.6, "fallback_ms": 4.0, "pages_lost": 0},
            {"fault": "device returns an error", "detected_ms": 0.2, "fallback_ms": 3.2, "pages_lost": 0},
        ]
    }


def runs() -> dict[str, list[dict[str, Any]]]:
    """Migrations over a throttled link."""
    each = (("original", 2832.0, 276.0, 354_418_688, 1.1), ("isal-1", 1361.0, 187.0, 109_051_904, 1.69),
            ("opencl", 1298.0, 181.0, 104_857_600, 0.74))  # fmt: skip
    return {
        "runs": [
            {"method": method, "total_ms": total + 9 * repeat, "downtime_ms": downtime + repeat, "wire_bytes": wire,
             "cpu_source_s": cpu, "verified": True}
            for repeat in range(3) for method, total, downtime, wire, cpu in each
        ]
    }  # fmt: skip


def checks() -> tuple[CheckResult, ...]:
    """One of every kind that has data, and some without."""
    return (
        check("contract.round-trip", "every page comes back byte for byte",
              measurements=(Measurement("pages_that_differ", 0, "pages", most=0), Measurement("pages", 28_672, "pages"))),
        check("contract.levels", "every level that it offers works", "n/a",
              evidence="it has one level only", duration_s=0.0),
        check("crossing.decode", "what other implementations of the format compress, it restores", duration_s=1.04),
        check("hostile.bomb", "a few bytes never become gigabytes", duration_s=0.31,
              evidence="refused after 2 MiB: the batch claims 64 KiB"),
        check("faults.hang", "a device that hangs is noticed, and no page is lost", duration_s=11.2, data=faults(),
              measurements=(Measurement("fallback_ms", 104.2, "ms", most=200.0),
                            Measurement("pages_lost", 0, "pages", most=0))),
        check("endurance.soak", "its rate and its memory stay as they are", duration_s=600.3, data=soak(),
              measurements=(Measurement("soak_drift", 0.993, "", least=0.8), Measurement("soak_growth_mib", 2.0, "MiB", most=64))),
        check("speed.surface", "it reaches the rates asked for; how large and how many its batches must be for that",
              duration_s=96.4, data=surface(),
              measurements=(Measurement("compress_mib_per_s", 1840.2, "MiB/s", least=500.0),
                            Measurement("decompress_mib_per_s", 2910.4, "MiB/s", least=100.0))),
        check("speed.latency", "a batch is back in time, the slowest of a thousand too", duration_s=41.7, data=latency(),
              measurements=(Measurement("latency_p50_ms", 0.3457, "ms"), Measurement("latency_p99_ms", 0.7423, "ms", most=20.0),
                            Measurement("latency_p999_ms", 2.108, "ms", most=100.0))),
        check("cost.cpu", "it spares the host the CPU time that its class must spare", duration_s=18.9, data=cost(),
              measurements=(Measurement("cpu_vs_isal_1", 0.143, "", most=0.5),)),
        check("cost.offload", "its counters tell where a batch's time goes", duration_s=4.4, data=parts(),
              measurements=(Measurement("share_accounted_for", 0.98, "", least=0.9, most=1.1),)),
        check("migration.throttled", "a running guest crosses a link of 1 Gbit/s with it, and every byte of its memory arrives",
              duration_s=58.0, data=runs(), measurements=(Measurement("migration_unverified", 0, "runs", most=0),)),
        check("migration.postcopy", "a post-copy migration works", "n/a", duration_s=0.0,
              evidence="this kernel's userfaultfd is closed to us: vm.unprivileged_userfaultfd is 0"),
    )  # fmt: skip


def certificate(made: tuple[CheckResult, ...], **over: Any) -> Certificate:
    """A certificate of these checks, with the verdict that they bear."""
    fields: dict[str, Any] = {
        "backend": "opencl",
        "version": "1.2.0",
        "backend_class": "accelerator",
        "profile": "full",
        "started_at": "2026-11-22T21:08:50+00:00",
        "duration_s": 842.6,
        "level": 1,
        "options": {"device": "0", "depth": 8, "verify": True},
        "identity": IDENTITY,
        "environment": ENVIRONMENT,
        "thresholds": THRESHOLDS,
        "findings": (
            "Best rate: 1 840 MiB/s to compress at 4 MiB with 4 threads; 82 % of it at 256 KiB already.",
            "It takes 0.21 CPU seconds per GiB where ISA-L takes 1.47: six of seven are free for guests.",
            "Over 1 Gbit/s a 512 MiB guest arrives in 1.3 s instead of 2.8 s.",
        ),
    }
    return Certificate(verdict=verdict_of(made), checks=made, **(fields | over))


def passing() -> Certificate:
    """Everything passed or does not apply."""
    return certificate(checks())


BROKEN: Mapping[str, dict[str, Any]] = {
    "contract.round-trip": {
        "measurements": (Measurement("pages_that_differ", 3, "pages", most=0), Measurement("pages", 28_672, "pages")),
        "evidence": "page 1 207 of class text, level 1: byte 4 091 is 0x20, was 0x00\n"
        "sent     …6e 20 74 68 65 20 00 00 00 00 00\n"
        "received …6e 20 74 68 65 20 20 00 00 00 00",
    },
    "speed.latency": {
        "measurements": (
            Measurement("latency_p50_ms", 0.3457, "ms"),
            Measurement("latency_p99_ms", 20.0004, "ms", most=20.0),
            Measurement("latency_p999_ms", 612.3, "ms", most=100.0),
        ),
        "evidence": "latency_p999_ms is 612.3 ms, must be at most 100. 20 000 batches of 64 KiB, one at a time",
        "reason": "the last batches of a migration are compressed while the guest stands still: a slow tail is downtime",
    },
    "faults.hang": {
        "measurements": (
            Measurement("fallback_ms", 5003.0, "ms", most=200.0),
            Measurement("pages_lost", 0, "pages", most=0),
        ),
        "evidence": "device hangs: the fallback took over after 5 003 ms",
    },
    "endurance.soak": {"measurements": (), "evidence": "the worker ended with signal 11 after 318 s"},
}


def failing() -> Certificate:
    """Four failures of three kinds: wrong bytes, too slow, a crash without a measurement."""
    made = tuple(replace(c, status="fail", **BROKEN[c.id]) if c.id in BROKEN else c for c in checks())
    return certificate(made, version="1.2.1-rc1", duration_s=511.0, findings=())


def stand_in() -> Certificate:
    """The device's path on a CPU."""
    identity = {"device": "pthread-AMD EPYC 7B13", "platform": "Portable Computing Language 3.1", "driver": "3.1"}
    return certificate(checks(), backend_class="stand-in", identity=identity, thresholds_from="limits.toml")


def empty() -> Certificate:
    """One check was asked for, on a backend and a host that tell nothing."""
    made = (check("contract.round-trip", "every page comes back byte for byte", evidence="", duration_s=0.1),)
    bare = {"identity": {}, "environment": {}, "thresholds": {}, "options": {}, "findings": (), "level": None}
    return certificate(made, partial=True, profile="quick", backend="isal", backend_class="software", **bare)


def nothing() -> Certificate:
    """No check applied: nothing failed, and nothing is certified."""
    return certificate((check("contract.levels", "every level works", "n/a", evidence="no level"),), findings=())


def _spoilt(value: Any) -> Any:
    """Every text is hostile but a direction, without which a row is not drawn; numbers and fields' names stay."""
    if isinstance(value, str) and value not in ("compress", "decompress"):
        return f"{value} {HOSTILE}"
    if isinstance(value, list):
        return [{field: _spoilt(each) for field, each in row.items()} for row in value]
    return value


def _spoilt_check(each: CheckResult) -> CheckResult:
    data = {name: _spoilt(rows) for name, rows in each.data.items()}
    return replace(
        each,
        title=_spoilt(each.title), reason=_spoilt(each.reason), command=_spoilt(each.command),
        evidence=f"{HOSTILE}\n" + "long evidence, " * 4000,
        measurements=tuple(replace(m, name=_spoilt(m.name), unit=_spoilt(m.unit)) for m in each.measurements),
        data=data | {HOSTILE: [{HOSTILE: HOSTILE}]},
    )  # fmt: skip


def hostile() -> Certificate:
    """Markup, quotes, control characters and endless words wherever a plug-in or a device can put a text."""
    whole = failing()
    extra = replace(check("x", "a group of their own"), id=f"own.{HOSTILE}", group=HOSTILE, status="fail")
    made = (*map(_spoilt_check, whole.checks), _spoilt_check(extra))
    pairs = {HOSTILE: HOSTILE, "device": HOSTILE, "long": "x" * 4000, "worse": float("nan")}
    return replace(
        whole, checks=made, backend=f"b{HOSTILE}", version=HOSTILE, profile=HOSTILE, started_at=HOSTILE,
        options=pairs, identity=pairs, environment=pairs | {"cpu_model": HOSTILE}, findings=(HOSTILE, "x" * 4000),
        thresholds={HOSTILE: {HOSTILE: 1.0}}, thresholds_from=HOSTILE,
    )  # fmt: skip
