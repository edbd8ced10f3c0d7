"""Each target of ``tests/fuzz`` under Hypothesis, within its limits of time and memory; what is kept for it is tried first."""

from __future__ import annotations

import pytest
from alone import said_alone
from fuzz.edits import KINDS, Edit, edited
from fuzz.limits import judged
from fuzz.targets import CRASHERS, TARGETS, kept
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

_EDITS = st.builds(Edit, st.sampled_from(KINDS), st.floats(0, 1, width=32), st.binary(min_size=1, max_size=8))


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_breaks_it_no_more(name):
    target = TARGETS[name]
    inputs = kept(target)
    assert inputs
    assert [wrong for data in inputs if (wrong := judged(target, data)) is not None] == []


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_that_others_send_or_write_breaks_it(name):
    target = TARGETS[name]
    seeds = target.seeds()

    @examples(max_examples=40)
    @given(st.sampled_from(seeds), st.lists(_EDITS, min_size=1, max_size=6))
    def holds(seed: bytes, edits: list[Edit]) -> None:
        assert judged(target, edited(seed, edits, target.most_bytes)) is None

    holds()


def test_each_crasher_is_named_after_a_target():
    assert [path.name for path in CRASHERS.glob("*") if path.name.partition("-")[0] not in TARGETS] == []


GREEDY = """
from fuzz.limits import judged
from fuzz.target import Target

print(judged(Target("greedy", lambda data: None if b"x" * (200 << 20) else "nothing", list), b""))
"""


def test_a_target_that_takes_too_much_memory_is_told_of():
    assert said_alone(GREEDY).startswith("it took ")
