"""A fault matrix as it might be: kept, kept with something wrong, lost, and a fault that could not take place."""

from __future__ import annotations

from typing import Any

from harness.results.faults import FaultCell, FaultMatrix


def cell(fault: str = "body-flipped", phase: str = "first-pass", **other: Any) -> FaultCell:
    told = {
        "id": f"frames/{fault}@{phase}", "rig": "frames", "fault": fault, "phase": phase, "seed": 1,
        "command": f"pageferry faults --seed 1 --only 'frames/{fault}@{phase}'", "applied": True, "runs": "source", "memory": True,
        "sender": "the receiver stopped", "receiver": "batch 2 was damaged", "verdict_s": 0.03, "again": True,
    }  # fmt: skip
    return FaultCell(**told | other)


def matrix() -> FaultMatrix:
    cells = (
        cell(),
        cell("late", runs="destination", sender="done", receiver="done"),
        cell("cut-before", wrong=("left over: 2 open files",), left=("2 open files",)),
        cell("cut-before", "confirmation", runs="both", wrong=("the guest runs on both sides",)),
        cell("swapped", "confirmation", applied=False, runs="destination"),
        cell("garbage", "confirmation", verdict_s=None, wrong=("a side had not ended when it was given up",)),
    )
    titles = {"frames/late": "it comes late", "frames/first-pass": "in the first pass"}
    return FaultMatrix(
        "2026-11-28T08:00:00+00:00", 12.0, 1, cells, titles, {"guests": "no QEMU here"}, {"cpu_model": "EPYC"}
    )
