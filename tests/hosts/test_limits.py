"""What control groups leave is read where they say it, of every group above, and page cache is not taken for used."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from harness.hosts import limits

GIB = 1 << 30


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """``groups(membership, {file: text})``: this process's groups from now on."""

    def have(membership: str, files: dict[str, str]) -> None:
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    monkeypatch.setattr(limits, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(limits, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 64 * GIB}))
    return have


V2 = "0::/user/run\n"
V1 = "3:cpu,cpuacct:/run\n4:memory:/run\n"
STAT = f"anon {GIB}\nfile {5 * GIB}\ninactive_file {GIB}\nactive_file {GIB // 2}\nslab_reclaimable 0\n"


@pytest.mark.parametrize(
    ("membership", "files", "room"),
    [
        (V2, {"user/run/memory.max": "max", "user/run/memory.current": f"{GIB}"}, 64 * GIB),
        (V2, {"user/run/memory.max": f"{3 * GIB}\n", "user/run/memory.current": f"{GIB}\n"}, 2 * GIB),
        (V2, {"user/memory.max": f"{3 * GIB}", "user/memory.current": f"{GIB}"}, 2 * GIB),
        (V2, {"user/memory.max": "max", "user/memory.high": f"{2 * GIB}", "user/memory.current": f"{GIB}"}, GIB),
        (
            V2,
            {"user/memory.max": f"{2 * GIB}", "user/memory.current": f"{2 * GIB}", "user/memory.stat": STAT},
            3 * GIB // 2,
        ),
        (V2, {"user/memory.max": f"{GIB}", "user/memory.current": f"{2 * GIB}"}, 0),
        (
            V1,
            {
                "memory/run/memory.limit_in_bytes": f"{3 * GIB}",
                "memory/run/memory.usage_in_bytes": f"{3 * GIB}",
                "memory/run/memory.stat": f"cache 1\ninactive_file 0\ntotal_inactive_file {2 * GIB}\ntotal_active_file 0\n",
            },
            2 * GIB,
        ),
        (V2, {}, 64 * GIB),
        ("", {}, 64 * GIB),
    ],
    ids=["unlimited", "limit", "above", "high", "page cache", "over", "version 1", "not readable", "no groups"],
)
def test_the_least_room_of_all_groups_is_available(groups, membership, files, room):
    groups(membership, files)
    assert limits.available_bytes() == room


@pytest.mark.parametrize(
    ("membership", "files", "counts"),
    [
        (V2, {"user/run/cpu.max": "50000 100000\n"}, (0.5, 1)),
        (V2, {"user/cpu.max": "250000 100000\n", "user/run/cpu.max": "max 100000\n"}, (2.5, 3)),
        (V2, {"user/run/cpu.max": "max 100000\n"}, (None, 8)),
        (V1, {"cpu/run/cpu.cfs_quota_us": "150000\n", "cpu/run/cpu.cfs_period_us": "100000\n"}, (1.5, 2)),
        (V1, {"cpu/run/cpu.cfs_quota_us": "-1\n", "cpu/run/cpu.cfs_period_us": "100000\n"}, (None, 8)),
        (V2, {"user/run/cpu.max": "nonsense"}, (None, 8)),
        (V2, {}, (None, 8)),
    ],
    ids=["half", "above", "unlimited", "version 1", "version 1 unlimited", "nonsense", "not readable"],
)
def test_a_quota_counts_as_processors(groups, monkeypatch, membership, files, counts):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    groups(membership, files)
    assert (limits.cpu_quota(), limits.cores()) == counts


STOOD = "nr_periods 90\nnr_throttled 12\n"


@pytest.mark.parametrize(
    ("membership", "file", "first", "then"),
    [
        (V2, "user/run/cpu.stat", "usage_usec 7\nthrottled_usec 250000\n", "throttled_usec 1750000\n"),
        (V2, "user/cpu.stat", "throttled_usec 0\n", "throttled_usec 1500000\n"),
        (V1, "cpu/run/cpu.stat", "throttled_time 250000000\n", "throttled_time 1750000000\n"),
    ],
    ids=["version 2", "above", "version 1"],
)
def test_what_a_quota_held_back_meanwhile_is_told(groups, membership, file, first, then):
    groups(membership, {file: STOOD + first, "user/run/other": ""})
    before = limits.throttled_s()
    assert limits.most_throttled_s(before, limits.throttled_s()) == 0
    groups(membership, {file: STOOD + then})
    assert limits.most_throttled_s(before, limits.throttled_s()) == pytest.approx(1.5)


@pytest.mark.parametrize("stat", ["", "usage_usec 7\n", "throttled_usec\n", "throttled_usec much\n"])
def test_where_no_quota_is_told_of_nothing_was_held_back(groups, stat):
    groups(V2, {"user/run/cpu.stat": stat})
    assert limits.most_throttled_s(limits.throttled_s(), limits.throttled_s()) == 0


def test_this_processs_own_limits_can_be_read():
    assert limits.available_bytes() > 0
    assert 1 <= limits.cores() <= len(os.sched_getaffinity(0))
    assert Path("/proc/self/cgroup").exists()
