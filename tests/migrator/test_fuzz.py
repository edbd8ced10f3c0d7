"""A small run of ``tests/benchmarks/fuzz_sessions.py``."""

from __future__ import annotations

import random

import pytest
from frames import hello, whole
from fuzzing import fuzzer
from mutations import Mutator

from harness.wire.pair.messages import End


def test_no_mutated_session_hangs_crashes_or_delivers_a_wrong_byte():
    with fuzzer(greetings=False) as made:
        found = {number: made.run(number) for number in range(40)}
    assert {number: wrong for number, wrong in found.items() if wrong} == {}
    assert made.count.errors.get("FrameError", 0) > 5


def test_nor_does_one_over_tls_from_another_implementation_of_it(lab_folder):
    with fuzzer(greetings=False, tls=lab_folder) as made:
        found = {number: made.run(number) for number in range(12)}
    assert {number: wrong for number, wrong in found.items() if wrong} == {}
    assert any(line.startswith("no migration began: ") for line in made.said)  # it was welcomed, and lied then


@pytest.mark.parametrize("greetings", [True, False])
def test_the_same_number_makes_the_same_session(greetings):
    frames = [hello(), whole(End(3, 5, bytes(16)))]
    first, second = (Mutator(random.Random(7), greetings=greetings).session(frames, frames) for _ in range(2))
    assert first == second
    assert first != frames
