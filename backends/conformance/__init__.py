"""What every backend must pass, ours and theirs: ``check(cls)`` tries the contract of ``backends.api`` rule by rule.

It knows the contract only: no backend, no harness. A rule's id is stable; its evidence says what was tried, or the first
case that broke it. Speed is not a rule (see ``pageferry qualify``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backends.api import Backend
from backends.conformance import company, hostile, ordinary
from backends.conformance.company import thread_queued_s
from backends.conformance.rig import Rig, Rule, Unjudged, Violation
from backends.conformance.samples import KINDS, sample

__all__ = ["KINDS", "RULES", "Finding", "Rig", "Rule", "Unjudged", "Violation", "check", "sample", "thread_queued_s"]

RULES: Mapping[str, Rule] = {rule.id: rule for rule in (*ordinary.RULES, *hostile.RULES, *company.RULES)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule and how the backend met it. Not ``judged``: there was nothing to break it with, and ``evidence`` says why."""

    id: str
    rule: str
    ok: bool
    evidence: str
    judged: bool = True


def check(
    cls: type[Backend],
    *,
    level: int | None = None,
    options: Mapping[str, object] | None = None,
    rules: Iterable[str] = tuple(RULES),
) -> list[Finding]:
    """Try ``rules`` on instances made with ``level`` and ``options``. A broken rule is a finding, not an exception.

    :raises BackendUnavailable: the backend cannot work on this machine, so there is nothing to find.
    """
    cls.probe()
    return [_find(Rig(cls, level, options or {}), RULES[rule_id]) for rule_id in rules]


def _find(rig: Rig, rule: Rule) -> Finding:
    try:
        try:
            evidence = rule.run(rig)
        finally:
            rig.close()
    except Unjudged as exc:
        return Finding(rule.id, rule.text, ok=True, evidence=str(exc), judged=False)
    except Violation as exc:
        return Finding(rule.id, rule.text, ok=False, evidence=str(exc))
    except Exception as exc:
        return Finding(rule.id, rule.text, ok=False, evidence=" ".join(f"{type(exc).__name__}: {exc}".split()))
    return Finding(rule.id, rule.text, ok=True, evidence=evidence)
