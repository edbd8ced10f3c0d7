"""What checks compute from what they measured."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.api import MAX_BATCH_BYTES, BackendInfo
from backends.conformance import KINDS, sample
from harness.errors import UserError
from harness.qualify.catalogue import CHECKS
from harness.qualify.checks.speed import _knee, _percentiles
from harness.qualify.load import CORPUS_BYTES, corpus, slices
from harness.qualify.runner import select


def row(unit_bytes, threads, rate, *, direction="compress", level=1):
    return {
        "direction": direction, "unit_bytes": unit_bytes, "threads": threads, "level": level,
        "mib_per_s": rate,
    }  # fmt: skip


def test_the_knee_is_the_least_under_way_that_is_nearly_best():
    rows = [row(4096, 1, 100), row(65536, 1, 480), row(65536, 2, 905), row(1 << 20, 2, 1000), row(1 << 20, 1, 500)]
    knee = _knee(rows, "compress")
    assert (knee["unit_bytes"], knee["threads"], knee["best_mib_per_s"]) == (65536, 2, 1000)
    assert knee["share_of_best"] == 0.905


def test_the_knee_is_of_the_first_level_and_its_own_direction():
    rows = [row(4096, 1, 100), row(4096, 1, 900, level=0), row(4096, 1, 5000, direction="decompress")]
    assert _knee(rows, "compress")["best_mib_per_s"] == 100


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=300))
def test_percentiles_ascend_and_stay_within_what_was_seen(times_s):
    found, curve = _percentiles("compress", 65536, times_s)
    values = [point["ms"] for point in curve]
    assert values == sorted(values)
    assert min(times_s) * 1e3 - 1e-3 <= found["p50_ms"] <= found["p95_ms"] <= found["p999_ms"] <= found["worst_ms"]
    assert found["worst_ms"] == pytest.approx(max(times_s) * 1e3, abs=1e-3)
    assert found["n"] == len(times_s)


def test_the_corpus_is_cut_without_loss_and_is_the_same_each_time():
    assert b"".join(slices(1 << 20)) == corpus()
    assert len(corpus()) == CORPUS_BYTES
    assert {len(one) for one in slices(MAX_BATCH_BYTES)} == {MAX_BATCH_BYTES}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size_bytes", [0, 1, 4096, 200_000])
def test_samples_are_of_the_size_asked_for_and_repeat(kind, size_bytes):
    assert len(sample(kind, size_bytes)) == size_bytes
    assert sample(kind, size_bytes, 3) == sample(kind, size_bytes, 3)


@given(st.integers(0, MAX_BATCH_BYTES), st.floats(0, 1))
def test_a_bound_is_never_below_what_was_given(raw_bytes, share):
    assert BackendInfo(name="x", most_expansion=share).bound_bytes(raw_bytes) >= raw_bytes


def test_ids_are_groups_and_names_and_each_check_says_why():
    for check_id, check in CHECKS.items():
        assert check_id == check.id
        assert check_id.count(".") == 1
        assert check.title
        assert check.reason
        assert check.limit_s > 0


@pytest.mark.parametrize(
    ("patterns", "some", "none"),
    [
        ((), "speed.surface", "nothing"),
        (("hostile",), "hostile.bomb", "speed.surface"),
        (("*.latency", "contract.b*"), "contract.bound", "contract.order"),
    ],
)
def test_only_takes_checks_groups_and_patterns(patterns, some, none):
    ids = [check.id for check in select(patterns)]
    assert some in ids
    assert none not in ids
    assert ids == [check_id for check_id in CHECKS if check_id in ids]


def test_a_pattern_that_matches_nothing_is_an_error():
    with pytest.raises(
        UserError,
        match=r"--only hostil: no such check or group; did you mean 'hostile'\? `pageferry qualify --list` names them",
    ):
        select(["contract", "hostil"])


def test_a_checks_process_does_not_load_what_only_statistics_need():
    code = "import sys, harness.qualify.child; assert not {'scipy', 'altair'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
