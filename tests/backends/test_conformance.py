"""The conformance suite catches each way to break the contract, by the rule that is meant to catch it."""

from __future__ import annotations

import pytest
from broken_backends import (
    CannotClose,
    ChangesInput,
    CountsWords,
    LevelBreaks,
    ManyLines,
    Nameless,
    NeedsLevelToDecode,
    NotItsFormat,
    OddBatch,
    OddInfo,
    OddShare,
    PadsDamage,
    ReturnsMoreThanAsked,
    ReturnsView,
    TakesAnyOption,
    Text,
    WrongOnNdarray,
)
from broken_histories import ForgetsWhatItHeld, HiddenState, HoldsNothing, KeepsWhatItHolds, MixesItsThreads, Stateful
from planted_backends import Good
from planted_backends.company import KeepsTheGil, SharedScratch
from planted_backends.contract import KeepsInput, TakesAnyLevel
from planted_backends.hostile import (
    AcceptsTrailing,
    AcceptsTruncated,
    AllocatesFirst,
    ExpandsBombs,
    RaisesItsOwn,
    Sticks,
)
from planted_backends.output import FlipsABit, NotDeterministic

from backends.api import BackendInfo, BackendUnavailable
from backends.conformance import RULES, check
from backends.none import NoneBackend


@pytest.mark.parametrize("cls", [Good, Stateful])
def test_a_backend_that_keeps_the_contract_passes_every_rule(cls):
    findings = check(cls)
    assert [finding.id for finding in findings] == list(RULES)
    assert [finding for finding in findings if not finding.ok] == []


@pytest.mark.parametrize(
    ("cls", "rule", "says"),
    [
        (FlipsABit, "round-trip", "4095 bytes of zero: gave 4095 bytes for 4095, different from byte 2000 on"),
        (WrongOnNdarray, "buffers", "compressed from ndarray.data: gave 20000 bytes"),
        (Text, "round-trip", "gave str, not a buffer of bytes"),
        (AcceptsTruncated, "truncated", "accepted, and gave"),
        (AcceptsTrailing, "trailing", "0 bytes of text with a zero behind: accepted"),
        (ExpandsBombs, "bomb", "4194304 zeros of its own, asked for as 4096 bytes: took"),
        (ReturnsMoreThanAsked, "wrong-size", "accepted, and gave"),
        (PadsDamage, "damaged", "where 600 were asked for"),
        (RaisesItsOwn, "damaged", "bit 0 flipped: ValueError instead of BackendError"),
        (RaisesItsOwn, "truncated", "ValueError instead of BackendError"),
        (ManyLines, "damaged", "not one line that names the backend"),
        (Nameless, "damaged", "not one line that names the backend: 'it did not work'"),
        (AllocatesFirst, "absurd-size", "bytes of memory to refuse"),
        (SharedScratch, "threads", "thread "),
        (KeepsTheGil, "gil", "which another thread stands still: work that takes so long must release the GIL"),
        (KeepsInput, "ownership", "compress, text: the input is still held after the call"),
        (ReturnsView, "ownership", ""),
        (ChangesInput, "ownership", "decompress, text: the input was changed"),
        (TakesAnyLevel, "levels", "level 0 is accepted"),
        (TakesAnyOption, "options", "an unknown option is accepted"),
        (LevelBreaks, "levels", "level 7: BackendError: backend 'good'"),
        (NotDeterministic, "deterministic", "one instance compressed the same 60000 bytes to two different outputs"),
        (HiddenState, "order", ""),
        (Sticks, "recovery", "sticks in an error"),
        (HoldsNothing, "hold", "it keeps no history, in which a batch could be held"),
        (ForgetsWhatItHeld, "hold", "bytes have another sum inside"),
        (KeepsWhatItHolds, "hold", "hold: the input is still held after the call"),
        (MixesItsThreads, "hold", "batches of 5000 bytes, 2 threads: gave 5000 bytes for 5000"),
        (NotItsFormat, "format", "zlib says Error -3"),
        (OddInfo, "identity", "default level 12 is not among levels (1, 9)"),
        (OddBatch, "identity", "batch_bytes 5000 is not whole 4 KiB pages"),
        (OddShare, "identity", "decompress_share 0 is outside"),
        (CountsWords, "lifecycle", "counter 'state' is 'fine', not a number"),
        (CannotClose, "lifecycle", "already closed"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_a_broken_backend_is_caught_by_the_rule_for_it(cls, rule, says):
    (finding,) = check(cls, rules=[rule])
    assert not finding.ok
    assert says in finding.evidence
    assert "\n" not in finding.evidence


def test_a_level_that_only_its_writer_understands_is_caught():
    (finding,) = check(NeedsLevelToDecode, level=9, rules=["plain-receiver"])
    assert not finding.ok
    assert "another level's batch" in finding.evidence


def test_calls_too_short_to_keep_anyone_waiting_are_not_judged():
    (finding,) = check(NoneBackend, rules=["gil"])
    assert (finding.ok, finding.judged) == (True, False)
    assert "compress takes 0." in finding.evidence
    assert "too short to keep another thread waiting" in finding.evidence


def test_settings_reach_the_instances():
    seen = set()

    class Remembers(Good):
        info = BackendInfo(name="remembers", levels=(1, 9), default_level=1, options=("queue",))

        def compress(self, data):
            seen.add((self.level, self.options["queue"]))
            return super().compress(data)

    (finding,) = check(Remembers, level=6, options={"queue": 4}, rules=["deterministic"])
    assert finding.ok
    assert seen == {(6, 4)}


def test_a_backend_that_cannot_work_here_is_not_a_finding():
    class Absent(Good):
        @classmethod
        def probe(cls):
            raise BackendUnavailable("absent", "no card", "plug one in")

    with pytest.raises(BackendUnavailable, match="no card"):
        check(Absent)


def test_instances_are_closed_even_where_a_rule_is_broken():
    class Tracks(FlipsABit):
        alive = 0

        def __init__(self, level=None, **options):
            super().__init__(level, **options)
            Tracks.alive += 1

        def close(self):
            Tracks.alive -= 1

    findings = check(Tracks, rules=["round-trip", "threads", "lifecycle", "ownership"])
    assert not all(finding.ok for finding in findings)
    assert Tracks.alive == 0
