"""What a qualification found: plain data with units, and its JSON. Schema 1: fields are added, never renamed.

Knows nothing of how a check is made. A certificate holds no verdict that its checks do not bear out: a file that says otherwise
is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.errors import ResultError
from harness.results.document import Document, Scalar

__all__ = [
    "SCHEMA",
    "Certificate",
    "CheckResult",
    "Measurement",
    "Status",
    "dump_certificate",
    "load_certificate",
    "read_certificate",
    "save_certificate",
    "verdict_of",
]

SCHEMA = 1
Status = Literal["pass", "fail", "n/a"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value beside what it is held to. ``least`` and ``most`` are None where the thresholds say nothing of it."""

    name: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def ok(self) -> bool:
        """Within its limits."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check. ``title`` says what is true where it passes, ``reason`` why anybody should care.

    ``evidence`` is what was tried and seen, or the first thing that went wrong; of a check that does not apply, why not.
    ``command`` repeats it alone. ``data`` holds raw rows for charts, by name, each a list of flat mappings.
    """

    id: str
    group: str
    title: str
    reason: str
    status: Status
    evidence: str
    command: str
    duration_s: float
    measurements: tuple[Measurement, ...] = ()
    data: Mapping[str, list[dict[str, Scalar]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Everything about one backend on one machine.

    ``backend_class`` chooses the thresholds: "software", "accelerator", or "stand-in" (a device's path on a CPU).
    ``identity`` is of the device: its name, driver, firmware or bitstream digest, PCIe address, as far as its backend tells.
    ``environment`` is what ``pageferry doctor`` knows of the host. ``partial``: only some checks were asked for.
    ``findings`` are sentences on what it buys.
    """

    backend: str
    version: str
    backend_class: str
    profile: str
    started_at: str
    duration_s: float
    verdict: Literal["pass", "fail"]
    level: int | None = None
    options: Mapping[str, Scalar] = field(default_factory=dict)
    partial: bool = False
    identity: Mapping[str, Scalar] = field(default_factory=dict)
    environment: Mapping[str, Scalar] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    thresholds_from: str = "shipped"
    checks: tuple[CheckResult, ...] = ()
    findings: tuple[str, ...] = ()
    schema: int = SCHEMA


def verdict_of(checks: tuple[CheckResult, ...]) -> Literal["pass", "fail"]:
    """Pass: something was checked, nothing failed."""
    states = {check.status for check in checks}
    return "pass" if "pass" in states and "fail" not in states else "fail"


_DOCUMENT = Document(Certificate, "certificate", SCHEMA)
dump_certificate, save_certificate = _DOCUMENT.dump, _DOCUMENT.save
read_certificate = _DOCUMENT.read
"""Whatever it says. ``load_certificate`` takes only what its checks bear out."""


def load_certificate(path: Path) -> Certificate:
    """:raises ResultError: as ``read_certificate``, or a status or the verdict is better than what is under it."""
    certificate = read_certificate(path)
    _require_borne_out(certificate, _DOCUMENT.file_of(path))
    return certificate


def _require_borne_out(certificate: Certificate, file: Path) -> None:
    """:raises ResultError: a status or the verdict says better than what is under it."""
    for check in certificate.checks:
        if check.status == "pass" and not all(measurement.ok for measurement in check.measurements):
            raise ResultError(
                f"{file}: check {check.id} is said to pass, but a measurement is outside its limits; make it again"
            )
    if certificate.verdict != verdict_of(certificate.checks):
        raise ResultError(f"{file}: verdict {certificate.verdict!r} is not what its checks say; make it again")
