"""What something else compressed than a method's backend: batches of the configured fallback, calls of QATzip's own software.

Result -> counts and sentences, for the page, the comparison and the terminal. Knows no HTML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.results.result import Result, Run
from reports import facts
from reports.effects import counted_runs, method_names
from reports.numbers import amount, plural

Share = Literal["some", "most", "all"]


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """``fallen`` of ``total`` ``units`` in a method's counted runs were compressed by ``by``, not by ``backend``.

    ``total`` is 0 where the runs did not count it. ``where`` says in which runs, if not in all alike.
    """

    method: str
    backend: str
    fallen: int
    total: int
    units: str
    by: str
    where: str

    @property
    def share(self) -> Share:
        """``most`` from one half on: the medians are then more the stand-in's than the backend's."""
        if not self.total or 2 * self.fallen < self.total:
            return "some"
        return "all" if self.fallen >= self.total else "most"

    @property
    def text(self) -> str:
        """``12 of 340 batches fell back to isal 1, in 2 of 5 runs``."""
        of = f" of {amount(self.total)}" if self.total else ""
        return f"{amount(self.fallen)}{of} {self.units} fell back to {self.by}{self.where}"

    @property
    def alert(self) -> str:
        """A sentence for the top of a page; empty where the figures are still mostly the backend's."""
        if self.share == "some":
            return ""
        if self.share == "all":
            what = f"all {amount(self.total)} of its {self.units} fell back to {self.by}. Nothing was offloaded"
            return f"{self.method} is not a result of {self.backend}: {what}; its figures are those of {self.by}."
        return f"{self.method} is {self.by} more than {self.backend}: {self.text}. Do not read its figures as the device's."


def counted(run: Run, name: str) -> float:
    """A counter; 0 where the run has none, or one that is not finite."""
    value = float(run.counters.get(name, 0))
    return value if math.isfinite(value) else 0.0


def count(run: Run, name: str) -> int:
    """``counted`` as a whole number."""
    return round(counted(run, name))


def stand_in(run: Run) -> str:
    """The configured fallback as it is read: ``isal 1``."""
    named = run.parameters.get("sender.fallback")
    return str(named).replace(":", " ") if named else "another codec"


def _backend(result: Result, method: str) -> str:
    return str(facts.declared_methods(result).get(method, {}).get("backend") or "its backend")


def _where(counts: Sequence[tuple[Run, int, int]]) -> str:
    touched = [run for run, fallen, _ in counts if fallen]
    whole = [str(run.repeat) for run, fallen, total in counts if fallen and fallen >= total > 0]
    if len(touched) == len(counts):
        return "" if not whole or len(whole) == len(counts) else f", wholly in {_runs_text(whole)}"
    within = f", in {len(touched)} of {plural(len(counts), 'run')}"
    return f"{within}, wholly in {_runs_text(whole)}" if whole else within


def _runs_text(labels: Sequence[str]) -> str:
    return f"{'run' if len(labels) == 1 else 'runs'} {', '.join(labels)}"


def fallbacks_of(result: Result, method: str) -> tuple[Fallbacks, ...]:
    """None for most methods, one for a device that failed or was refused; QATzip may add its own."""
    runs = counted_runs(result, method)
    batches = [(run, count(run, "fallbacks"), count(run, "sender_batches")) for run in runs]
    software = [(run, count(run, "sender_qat_software_calls")) for run in runs]
    calls = [(run, soft, soft + count(run, "sender_qat_hardware_calls")) for run, soft in software]
    by = next((stand_in(run) for run, fallen, _ in batches if fallen), "")
    kinds = (("batches", by, batches), ("calls", "QATzip's software", calls))
    return tuple(
        Fallbacks(method, _backend(result, method), fallen, sum(c[2] for c in counts), units, by, _where(counts))
        for units, by, counts in kinds
        if (fallen := sum(c[1] for c in counts))
    )


def worst(found: Sequence[Fallbacks]) -> Share | None:
    """How far a method's figures are not its backend's."""
    shares = {each.share for each in found}
    return next((share for share in ("all", "most", "some") if share in shares), None)


def doubted_name(result: Result, method: str) -> str:
    """The method as a sentence may name it: ``opencl-1 (all by isal 1)`` where its name alone would mislead."""
    doubted = [each for each in fallbacks_of(result, method) if each.share != "some"]
    return f"{method} ({doubted[0].share} by {doubted[0].by})" if doubted else method


def alerts(result: Result) -> tuple[str, ...]:
    """What a reader must know before any figure: methods whose figures are not their device's."""
    return tuple(each.alert for name in method_names(result) for each in fallbacks_of(result, name) if each.alert)


def every_sentence(result: Result) -> tuple[str, ...]:
    """One sentence per method with fallbacks, the grave ones in their graver words."""
    found = [each for name in method_names(result) for each in fallbacks_of(result, name)]
    return tuple(each.alert or f"{each.method}: {each.text}." for each in found)
