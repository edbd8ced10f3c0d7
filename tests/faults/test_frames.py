"""The part of the fault matrix that every test run can carry: real halves, one message harmed, and a judge who asks neither."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import pytest

from harness.commands.faults import command
from harness.errors import UserError
from harness.faults.contract import Cell
from harness.faults.frame_faults import cut
from harness.faults.frame_rig import FrameRig
from harness.faults.judge import Facts, wrongs
from harness.faults.runner import plan_cells, run_cells
from harness.faults.stream import make_stream
from harness.results.faults import load_faults
from harness.wire.pair.frame import HEADER_BYTES
from harness.wire.qemu.returnpath import SHUT_ALL_LOADED
from harness.wire.qemu.stream import QStreamParser


@pytest.fixture
def rig():
    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
        yield FrameRig(Path(folder))


STAYS = (
    "frames/kind-flipped@greeting", "frames/body-flipped@welcome", "frames/body-forged@first-pass", "frames/doubled@later-pass",
    "frames/swapped@first-pass", "frames/sequence-forged@guest-stopped", "frames/cut-inside@device-state",
)  # fmt: skip
MOVES = ("frames/cut-before@greeting", "frames/late@first-ack", "frames/in-pieces@done", "frames/cut-before@done")


def cell_of(name: str) -> Cell:
    (cell,) = plan_cells(1, [name]).cells
    return cell


@pytest.mark.parametrize(("name", "runs"), [(n, "source") for n in STAYS] + [(n, "destination") for n in MOVES])
def test_after_a_fault_one_guest_runs_and_is_whole_and_can_be_migrated_again(rig, name, runs):
    found = rig.run(cell_of(name))
    assert found.applied
    assert found.wrong == ()
    assert (found.runs, found.memory, found.again) == (runs, True, True)
    assert (found.sender == "done" == found.receiver) or runs == "source" or name.endswith("@done")


CONFIRMATION_BYTES = HEADER_BYTES + len(SHUT_ALL_LOADED)


@pytest.mark.parametrize("at", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 4, CONFIRMATION_BYTES])
@pytest.mark.parametrize("phase", ["device-state", "confirmation"])
def test_wherever_the_link_ends_behind_the_last_byte_the_guest_runs_once_and_the_sender_knows_where(rig, phase, at):
    found = rig.harmed(cell_of(f"frames/cut-inside@{phase}"), cut(at / CONFIRMATION_BYTES))
    assert (found.applied, found.wrong) == (True, ())
    assert found.runs == ("destination" if phase == "confirmation" else "source")
    assert "see which of the two" not in found.sender


@pytest.mark.parametrize(("phase", "runs"), [("device-state", "held"), ("confirmation", "destination")])
def test_a_sender_that_cannot_know_who_runs_the_guest_keeps_it_still_and_says_where_to_look(rig, phase, runs):
    found = rig.run(cell_of(f"frames/cut-for-good@{phase}"))
    assert (found.runs, found.memory, found.wrong) == (runs, True, ())
    assert "so the source's guest stands still" in found.sender
    assert "look at the destination QEMU: if its guest runs, quit the source QEMU" in found.sender
    assert ("its source must not go on" in found.receiver) == (runs == "destination")


def test_a_source_whose_last_byte_was_not_sent_goes_on_though_nobody_can_be_asked(rig):
    assert rig.run(cell_of("frames/cut-for-good@first-pass")).runs == "source"


def test_the_same_seed_harms_the_same_bit(rig):
    cell = cell_of("frames/magic-flipped@first-pass")
    first, second = (rig.run(cell) for _ in range(2))
    assert first.receiver == second.receiver
    assert "not a pageferry frame" in first.receiver


def test_the_stream_is_one_that_we_know_to_its_end():
    stream = make_stream(3)
    parser, at = QStreamParser(1 << 16), 0
    while at < len(stream.data):
        room = parser.get_buffer()
        piece = stream.data[at : at + len(room)]
        room[: len(piece)] = piece
        parser.buffer_updated(len(piece))
        at += len(piece)
        while parser.next_batch() is not None:
            pass
    parser.finish()
    assert (parser.return_path, parser.is_whole(), parser.opaque_reason) == (True, True, None)
    parts = {stream.part_at(at) for at in range(0, len(stream.data), 500)}
    assert parts == {"setup", "first-pass", "later-pass", "last-pass", "device-state"}


GOOD = {"runs": "source", "memory": True, "verdict_s": 1.0, "limit_s": 11.0, "bugs": (), "left": (), "again": True}


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        ({"runs": "both"}, "the guest runs on both sides"),
        ({"runs": "neither", "memory": None}, "the guest runs nowhere"),
        ({"memory": False}, "the memory of the guest is wrong"),
        ({"verdict_s": None}, "a side had not ended when it was given up"),
        ({"verdict_s": 11.5}, "the last side ended after 11.5 s, which is more than 11 s"),
        ({"bugs": ("the sender: KeyError: 'x'",)}, "the sender: KeyError: 'x'"),
        ({"left": ("2 open files",)}, "left over: 2 open files"),
        ({"again": False}, "a second migration does not succeed"),
    ],
)
def test_the_judge_names_whatever_is_not_as_it_must_be(seen, sentence):
    assert list(wrongs(Facts(**GOOD))) == []
    assert list(wrongs(Facts(**GOOD | seen))) == [sentence]


def test_cells_are_chosen_by_pattern_and_sampled_by_seed():
    every = plan_cells(1).cells
    assert len(every) > 500
    assert len({cell.id for cell in every}) == len(every)
    assert {cell.phase for cell in plan_cells(1, ["frames/*@done"]).cells} == {"done"}
    with pytest.raises(UserError, match="names no cell; `pageferry faults --list`"):
        plan_cells(1, ["frames/nosuch@*"])
    quick = plan_cells(5, ["frames/*"], quick=True).cells
    assert quick == plan_cells(5, ["frames/*"], quick=True).cells != plan_cells(6, ["frames/*"], quick=True).cells
    assert [cell.seed for cell in plan_cells(5, ["frames/late@done"], rounds=3).cells] == [5, 6, 7]


def test_what_an_earlier_run_has_is_kept_and_not_run_again():
    plan, told = plan_cells(1, ["frames/late@welcome", "frames/late@first-ack"]), []
    first = run_cells(plan, 1, lambda matrix, left: told.append((matrix.cells[-1].id, len(matrix.cells), left)))
    assert [counts for _, *counts in told] == [[1, 1], [2, 0]]
    assert run_cells(plan, 1, lambda *_: pytest.fail("it ran again"), first).cells == first.cells
    other = run_cells(plan_cells(1, ["frames/late@done"]), 1, lambda *_: None, first)
    assert [cell.phase for cell in other.cells] == ["welcome", "first-ack", "done"]


def test_a_matrix_that_was_interrupted_goes_on_where_it_was(tmp_path, monkeypatch):
    ran, broken = [], FrameRig.run

    def run(self, cell):
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(cell.id)
        return broken(self, cell)

    monkeypatch.setattr(FrameRig, "run", run)
    arguments = ["--only", "frames/cut-before@p*", "--only", "frames/cut-before@done", "--out", str(tmp_path)]
    with pytest.raises(click.Abort):
        command.main(arguments, standalone_mode=False)
    kept = load_faults(tmp_path).cells
    assert [cell.id for cell in kept] == ran
    monkeypatch.setattr(FrameRig, "run", broken)
    command.main([*arguments, "--resume"], standalone_mode=False)
    assert load_faults(tmp_path).cells[:2] == kept
    assert len(load_faults(tmp_path).cells) == 3


def test_a_log_has_a_line_for_each_cell(tmp_path, capsys):
    command.main(["--only", "frames/cut-before@p*", "--out", str(tmp_path)], standalone_mode=False)
    said, cells = capsys.readouterr().out, load_faults(tmp_path).cells
    assert len(cells) > 1
    for number, cell in enumerate(cells, 1):
        assert f"[{number}/{len(cells)}] {cell.id}: {'ok' if cell.applied else 'did not take place'}" in said


def test_where_there_is_nothing_to_go_on_with_a_new_matrix_begins(tmp_path, capsys):
    out = tmp_path / "none" / "yet"
    command.main(["--only", "frames/late@done", "--resume", "--out", str(out)], standalone_mode=False)
    assert "nothing to go on with: a new matrix begins" in capsys.readouterr().err
    assert len(load_faults(out).cells) == 1
