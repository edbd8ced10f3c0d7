"""Doubts that come of the guest and of the QEMU that runs it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.doubt import Doubt


@dataclass(frozen=True, slots=True)
class SlowResume(Doubt):
    """``longer_s``: by which the downtime as we see it exceeds QEMU's own figure."""

    kind = "slow_resume"
    subject = "metric"
    weight = "explains"
    longer_s: float

    def _words(self) -> str:
        return f"STOP to RESUME took {self.longer_s * 1e3:.0f} ms longer than QEMU reported"


@dataclass(frozen=True, slots=True)
class NeverSwitched(Doubt):
    """The migration ended before its guest was to go on at the destination without all of its memory. ``passes``: when that was."""

    kind = "never_switched"
    subject = "run"
    weight = "explains"
    passes: int

    def _words(self) -> str:
        moment = f"after {self.passes} pass{'' if self.passes == 1 else 'es'} over memory"
        return f"there was no post-copy, which was to begin {moment}: all had arrived before"


@dataclass(frozen=True, slots=True)
class Emulated(Doubt):
    """QEMU's emulation ran the guest."""

    kind = "emulated"
    subject = "guest"
    weight = "invalidates"

    def _words(self) -> str:
        return (
            "the guest ran under TCG, so times say nothing of KVM; and QEMU 7.2 itself was seen to lose a busy guest's last "
            "writes there (compress and multifd-zlib, without our pair), which the verification then reports"
        )


@dataclass(frozen=True, slots=True)
class NotPreallocated(Doubt):
    """QEMU took the guest's memory from the host page by page, as each was first touched. ``cause``: why."""

    kind = "not_preallocated"
    subject = "guest"
    cause: str

    def _words(self) -> str:
        return (
            f"The guest's memory was not preallocated ({self.cause}): the destination QEMU asks the host for each page while it "
            "receives it, and where the host is slow to give, that takes longer, and varies more, than what is compared."
        )


@dataclass(frozen=True, slots=True)
class UncertainLoss(Doubt):
    """The guest worked too unevenly to say well what it lost. ``within_s``: two standard errors; null: unknown."""

    kind = "uncertain_loss"
    subject = "metric"
    method: str
    lost_s: float
    within_s: float | None

    def _words(self) -> str:
        lost = f"the {self.lost_s:.2f} s of work lost"
        if self.within_s is None:
            return f"{lost} may be off by any amount, as the guest counted only twice before it was migrated."
        off = f"{lost} may be off by {self.within_s:.2f} s, as the guest did not work evenly before it was migrated"
        return f"{off}, so it may have lost nothing." if self.within_s >= abs(self.lost_s) else f"{off}."
