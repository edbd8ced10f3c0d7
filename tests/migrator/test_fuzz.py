"""A small run of ``tests/benchmarks/fuzz_sessions.py``."""

from __future__ import annotations

import random

import pytest
from fuzzing import fuzzer
from mutations import Mutator

from harness.wire.pair.frame import Kind, control


def test_no_mutated_session_hangs_crashes_or_delivers_a_wrong_byte():
    with fuzzer(greetings=False) as made:
        found = {number: made.run(number) for number in range(40)}
    assert {number: wrong for number, wrong in found.items() if wrong} == {}
    assert made.count.errors.get("FrameError", 0) > 5


@pytest.mark.parametrize("greetings", [True, False])
def test_the_same_number_makes_the_same_session(greetings):
    frames = [control(Kind.HELLO, b'{"protocol": 1}'), control(Kind.END, bytes(16), sequence=3)]
    first, second = (Mutator(random.Random(7), greetings=greetings).session(frames, frames) for _ in range(2))
    assert first == second
    assert first != frames
