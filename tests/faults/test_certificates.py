"""Who has no right certificate is refused in words, no guest is touched, and the next one is served by the same receiver."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from harness.faults.certificate_rig import CertificateRig
from harness.faults.runner import plan_cells
from harness.results.faults import FaultCell


@pytest.fixture(scope="module")
def rig():
    with tempfile.TemporaryDirectory(prefix="pf-") as folder:
        yield CertificateRig(Path(folder))


def run(rig: CertificateRig, fault: str) -> FaultCell:
    (cell,) = plan_cells(1, [f"certificates/{fault}@ready"]).cells
    found = rig.run(cell)
    assert (found.runs, found.memory, found.left, found.again) == ("source", True, (), True)
    assert found.verdict_s is not None
    assert [wrong for wrong in found.wrong if not wrong.startswith("the last side ended after")] == []  # a busy host's
    return found


@pytest.mark.parametrize(
    ("fault", "sender", "receiver"),
    [
        ("sender-expired", "it refuses our certificate as expired", "its certificate has expired"),
        ("sender-misnamed", "not localhost", "its certificate is for elsewhere, not localhost"),
        ("receiver-foreign", "not of the CA in our ca-cert.pem", "of a CA that it does not know"),
        ("sender-plain", "the other end speaks TLS", "it does not speak TLS"),
    ],
)
def test_a_half_that_does_not_fit_is_refused_on_both_sides_in_words(rig, fault, sender, receiver):
    found = run(rig, fault)
    assert sender in found.sender
    assert receiver in found.receiver


def test_a_session_that_is_played_again_is_refused(rig):
    assert "refused a connection: the sender: TLS: " in run(rig, "replayed").receiver


def test_every_fault_has_its_cell():
    assert {cell.fault for cell in plan_cells(1, ["certificates/*"]).cells} == set(CertificateRig.faults())
