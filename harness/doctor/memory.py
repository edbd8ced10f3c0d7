"""Memory and disk: whether there is room for two guests, how fast the host gives memory that nobody has touched yet, and what of it
is kept as huge pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from harness.doctor.check import Check, told
from harness.errors import PageferryError
from harness.guests.verify import dump_bytes
from harness.hosts import limits
from harness.hosts.rundir import LOGS_BYTES, scratch_base
from harness.hosts.touch import touch_rates
from harness.results.cache import ELSEWHERE, cache_dir
from harness.units import MIB, format_bytes, format_duration, format_rate

NEEDED_MEMORY_BYTES = 2 << 30
"""Two 512 MiB guests, the source's RAM kept for verification, and the two halves of the pair."""

_TOUCHED_BYTES = 256 * MIB
_GUEST_BYTES = 512 * MIB
_HUGE_PAGE_BYTES = (2 * MIB, 1024 * MIB)
"""As guest.hugepages knows them."""
SLOW_TOUCH_BYTES_PER_S = 1 << 30
"""About what a fast codec makes on one core: memory that comes slower is the limit. A busy virtual machine that gives free memory
back to its host made 0.33 to 1.9 GB/s, and 21 to 229 with the same memory once more (2-core AMD EPYC, 2026-11-28, n=6)."""


def _memory() -> list[Check]:
    free = limits.available_bytes()
    found = f"{format_bytes(free)} available"
    if free >= NEEDED_MEMORY_BYTES:
        return [Check("memory", "free memory", "ok", found, "room for two guests and for verification")]
    means = "two 512 MiB guests and their verification may swap or be killed"
    return [Check("memory", "free memory", "warn", found, means, "free memory, or --set guest.memory=256MiB")]


def _scratch() -> list[Check]:
    title, needs_bytes = "scratch space", dump_bytes(NEEDED_MEMORY_BYTES) + LOGS_BYTES
    try:
        base = scratch_base(needs_bytes)
    except PageferryError as exc:
        found, fix = told(exc)
        return [
            Check("scratch", title, "missing", found, "no live guest: its memory cannot be compared after a run", fix)
        ]
    free = format_bytes(shutil.disk_usage(base).free)
    means = (
        f"up to {format_bytes(needs_bytes)} of guest memory at a time are dumped there, to be compared after each run"
    )
    return [Check("scratch", title, "ok", f"{base}, {free} free", means)]


def _cache() -> list[Check]:
    """Where images and streams are kept; nothing is made there."""
    title, means = "cache", "guest memory and streams are made once, and kept there"
    folder = cache_dir()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return [
            Check("cache", title, "missing", f"{folder}: {there} cannot be written", "no guest can be made", ELSEWHERE)
        ]
    return [Check("cache", title, "ok", f"{folder}, {format_bytes(shutil.disk_usage(there).free)} free", means)]


def _touch() -> list[Check]:
    """A migration writes into memory of the destination QEMU that nobody has touched, unless it was preallocated."""
    name, room = ("touch", "memory touched first"), limits.available_bytes()
    if room < 2 * _TOUCHED_BYTES:
        means = "how fast this host gives memory is not known"
        fix = f"free memory: {format_bytes(2 * _TOUCHED_BYTES)} are needed to measure it"
        return [Check(*name, "warn", f"not measured: {format_bytes(room)} available", means, fix)]
    rates = touch_rates(_TOUCHED_BYTES)
    first, second = rates.first_bytes_per_s, rates.second_bytes_per_s
    found = f"a byte in each page: {format_rate(first)} of new pages, {format_rate(second)} of the same again"
    cost = f"a guest of {format_bytes(_GUEST_BYTES)} costs {format_duration(_GUEST_BYTES / first)} of first touches"
    before = "guest.prealloc, which is on unless a scenario says otherwise, takes them before the migration"
    if first >= SLOW_TOUCH_BYTES_PER_S:
        return [Check(*name, "ok", found, f"{cost}; {before}")]
    means = f"{cost}: without preallocation total time grows by most of it, and downtime by that of its last pages"
    fix = f"{before}; give QEMUs that you start yourself -object memory-backend-ram,prealloc=on"
    return [Check(*name, "warn", found, means, fix)]


def _huge_pages() -> list[Check]:
    """What is reserved, for guest.hugepages; nobody needs them who does not ask for them."""
    pools = {size: limits.hugepages(size) for size in _HUGE_PAGE_BYTES}
    if not any(pools.values()):
        return [Check("hugepages", "huge pages", "ok", "this kernel has none", "guest.hugepages cannot be used here")]
    told = [f"{format_bytes(size)}: {_told_of(pool)}" for size, pool in pools.items()]
    size = next(size for size, pool in pools.items() if pool is not None)
    command = limits.reserving(size, -(-2 * _GUEST_BYTES // size))
    means = f"guest.hugepages takes guests from them; as root, `{command}` reserves enough for two guests of 512 MiB"
    return [Check("hugepages", "huge pages", "ok", "; ".join(told), means)]


def _told_of(pool: limits.HugePages | None) -> str:
    return "none of that size" if pool is None else f"{pool.total} reserved, {pool.free} free"


MEMORY_LOOKS: tuple[Callable[[], list[Check]], ...] = (_memory, _touch, _huge_pages, _scratch, _cache)
