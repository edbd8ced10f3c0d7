"""What a soak's judge sees, and the shortest soak: one guest there and back again."""

import shutil
from dataclasses import replace

import pytest
from soak.cases import backends, scenario_of, words_of
from soak.flat import MOST_GROWTH_BYTES, Held, growth_of
from soak.pingpong import there_and_back
from soak.run import judged

FLAT = [Held(50 << 20, 6, 2, 0)] * 20


@pytest.mark.parametrize("what", ["descriptors", "threads", "children"])
def test_one_more_of_anything_that_stays_is_growth_and_what_comes_and_goes_is_none(what):
    more = replace(FLAT[0], **{what: getattr(FLAT[0], what) + 1})
    assert growth_of(FLAT, 5) == []
    assert growth_of([*FLAT[:7], more, *FLAT[8:]], 5) == []
    (line,) = growth_of([*FLAT[:12], *[more] * 8], 5)
    assert line.startswith(f"{what}: ")


def test_memory_may_grow_by_so_much_and_by_no_more():
    full, over = (replace(FLAT[0], memory_bytes=FLAT[0].memory_bytes + MOST_GROWTH_BYTES + more) for more in (0, 1))
    assert growth_of([*FLAT, full, full, full], 5) == []
    assert len(growth_of([*FLAT, over, over, over], 5)) == 1
    assert "too few" in growth_of(FLAT[:10], 5)[0]


def test_a_part_that_ended_early_or_badly_is_not_well():
    good = {"ok": True}
    assert judged("x", 2, ([good, good], []))["wrong"] == []
    assert judged("x", 3, ([good, good], []))["wrong"] == ["only 2 of 3 were made"]
    assert len(judged("x", 2, ([good, {"ok": False, "why": "lost"}], ["threads: 9"]))["wrong"]) == 2


def test_a_seed_gives_the_same_migrations_and_every_backend_has_its_turn():
    names = [scenario_of(3, number).methods[0].name for number in range(len(backends()))]
    assert tuple(names) == backends()
    assert [words_of(scenario_of(3, n)) for n in range(9)] == [words_of(scenario_of(3, n)) for n in range(9)]
    assert any(scenario_of(3, n) != scenario_of(4, n) for n in range(9))


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed")
def test_a_guest_that_went_there_and_back_is_whole():
    *hops, whole = there_and_back(seed=2, hops=2)
    assert [hop["ok"] for hop in hops] == [True, True], hops
    assert whole["ok"], whole["memory"]
