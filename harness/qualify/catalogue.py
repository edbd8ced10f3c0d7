"""Every check, in the order in which they run: what is cheap and damning first, what takes time later."""

from __future__ import annotations

from collections.abc import Mapping

from harness.qualify.check import Check
from harness.qualify.checks.concurrency import CHECKS as CONCURRENCY
from harness.qualify.checks.contract import CHECKS as CONTRACT
from harness.qualify.checks.cost import CHECKS as COST
from harness.qualify.checks.crossing import CHECKS as CROSSING
from harness.qualify.checks.endurance import CHECKS as ENDURANCE
from harness.qualify.checks.faults import CHECKS as FAULTS
from harness.qualify.checks.hostile import CHECKS as HOSTILE
from harness.qualify.checks.migration import CHECKS as MIGRATION
from harness.qualify.checks.speed import CHECKS as SPEED

CHECKS: Mapping[str, Check] = {
    check.id: check
    for checks in (CONTRACT, CROSSING, HOSTILE, CONCURRENCY, SPEED, COST, FAULTS, ENDURANCE, MIGRATION)
    for check in checks
}
