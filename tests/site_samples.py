"""Results of one night each, saved where a run would save them: what a site is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from small_results import small_result, small_run

from harness.results import stats
from harness.results.identity import Identity
from harness.results.result import save_result

__all__ = ["saved"]


def saved(folder: Path, result=None, *, night: int = 1, name: str = "mini", total_s: float = 1.0, **identity) -> Path:
    """The file of a result of that night."""
    result = result or small_result(small_run("original", total_s), small_run("zstd-1", total_s / 2), name=name)
    stamp = f"2026-01-{night:02d}T020000Z-{night:06x}"
    told = Identity(stamp, f"2026-01-{night:02d}T02:00:00+00:00", "ada", "0" * 16, "0.1.0", "c0ffee", ("nightly",))
    summary = stats.summarise(result.runs, "original")
    file = folder / stamp / name.replace("/", "_") / "result.json"
    save_result(replace(result, summary=summary, identity=replace(told, **identity)), file)
    return file
