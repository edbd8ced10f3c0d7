"""What a qualification means for whoever pays, in sentences. Reads results, measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.results.certificate import CheckResult
from harness.units import MIB, format_bandwidth


def findings(backend_class: str, results: Sequence[CheckResult]) -> Iterator[str]:
    """A sentence each for rate, CPU, and migration, as far as they were measured."""
    values = {m.name: m.value for result in results for m in result.measurements}
    if (rate := values.get("compress_mib_per_s")) is not None:
        yield (
            f"It compresses {rate:.0f} MiB/s of guest pages at best on this host, so links faster than "
            f"{format_bandwidth(rate * MIB)} carry pages sooner uncompressed."
        )
    if (share := values.get("cpu_vs_isal_1")) is not None:
        yield _against(share, "ISA-L level 1", backend_class)
    if (share := values.get("cpu_vs_zlib_1")) is not None:
        yield _against(share, "zlib level 1", backend_class)
    if (ratio := values.get("migration_vs_original")) is not None:
        words = "less time" if ratio < 1 else "more time"
        yield f"A live guest's migration at 1 Gbit/s took {abs(1 - ratio) * 100:.0f} % {words} than with QEMU alone."
    skipped = [result.id for result in results if result.status == "n/a"]
    if skipped:
        yield f"Not applicable here, and so not certified: {', '.join(skipped)}."


def _against(share: float, whom: str, backend_class: str) -> str:
    if share <= 1:
        return f"Compressing takes {(1 - share) * 100:.0f} % less of the host's CPU time than {whom}."
    doubt = ", for a CPU stands in for the device" if backend_class == "stand-in" else ""
    return f"Compressing takes {share:.2f} times the CPU time of {whom}{doubt}."
