"""The stress guest without QEMU: its memory map, its words, its ELF file."""

import itertools
import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import PageferryError, UserError
from harness.guests import freestanding, stress
from harness.guests.stress import build
from harness.guests.stress.console import Console, GuestFailure, Heartbeat, Noise, Status, VerifyReport, Work
from harness.guests.stress.layout import PRIVATE_START, TABLE_START, StressConfig, command_line, layout
from harness.qemu.memory import Range

MIB = 1 << 20
GIB = 1 << 30
VERIFY = b"verify problem=none checked=16384 bad=0 first_bad=0 expected=0 actual=0 writes=40000 sum=40000\n"
READY = b"ready pages=16384 writes=16384 paused=0 dropped_ticks=0\n"


def beat(tick, tsc):
    bits = (tick % (1 << 24)) << 36 | (tsc >> 10) % (1 << 36)
    sixes = [bits >> shift & 0x3F for shift in range(54, -1, -6)]
    return bytes([0xC0 | sixes[0], *(0x80 | six for six in sixes[1:])])


def told(data, cuts=()):
    console, events, at = Console(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        events += console.feed(data[at:cut])
        at = max(at, cut)
    return events


SPEECH = (
    READY
    + beat(1, 10 << 10)
    + b"work writes=16400\n"
    + beat(2, 20 << 10)
    + VERIFY
    + beat(3, 30 << 10)
    + b"fault vector=13\n"
)
EVENTS = [
    Status("ready", 16384, 16384, paused=False, dropped_ticks=0),
    Heartbeat(1, 10 << 10),
    Work(16400),
    Heartbeat(2, 20 << 10),
    VerifyReport("none", 16384, 0, None, 0, 0, 40000, 40000),
    Heartbeat(3, 30 << 10),
    GuestFailure("fault vector=13"),
]


@given(st.lists(st.integers(0, len(SPEECH))))
def test_the_guest_is_understood_wherever_its_words_are_cut(cuts):
    assert told(SPEECH, cuts) == EVENTS


@given(st.integers(0, len(SPEECH)), st.integers(0, len(SPEECH)))
def test_who_joins_late_or_leaves_early_hears_whole_beats_only(start, end):
    start, end = sorted((start, end))
    beats = [event for event in told(SPEECH[start:end]) if isinstance(event, Heartbeat)]
    spoken = {SPEECH.index(beat(event.tick, event.tsc)): event for event in EVENTS if isinstance(event, Heartbeat)}
    assert beats == [event for at, event in spoken.items() if start <= at and at + 10 <= end]


@given(st.binary(max_size=500))
def test_any_bytes_are_survived_and_the_next_line_is_read(junk):
    assert told(junk + b"\n" + VERIFY)[-1] == EVENTS[4]


def test_a_line_cut_at_its_start_is_noise():
    assert told(b"ecked=16384 bad=0\n") == [Noise("ecked=16384 bad=0")]
    assert told(b"work wri\nrites=16400\n") == [Noise("work wri"), Noise("rites=16400")]
    assert told(b"verify problem=none checked=1\n") == [Noise("verify problem=none checked=1")]


def test_a_line_without_end_does_not_grow_for_ever():
    assert [type(event) for event in told(b"x" * 10_000)] == [Noise, Noise]


def test_counters_go_on_where_the_guest_wraps_them():
    ticks = (1 << 24) - 1
    events = told(beat(ticks, (1 << 46) - 1024) + beat(ticks + 1, 1 << 46) + beat(ticks + 2, (1 << 46) + 1024))
    assert events[1:] == [Heartbeat(ticks + 1, 1 << 46), Heartbeat(ticks + 2, (1 << 46) + 1024)]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("problem=none bad=0 writes=9 sum=9", "guest: 7 working-set pages hold what was written last, 9 writes"),
        ("problem=none bad=0 writes=9 sum=8", "guest: 9 writes, but the pages' sequence numbers add up to 8"),
        (
            "problem=stale bad=2 writes=9 sum=9",
            "guest: 2 of 7 working-set pages are wrong; page 3 is stale (sequence 5, expected 6)",
        ),
    ],
    ids=["ok", "lost write", "stale"],
)
def test_a_report_says_in_words_what_was_found(words, line):
    (report,) = told(f"verify checked=7 first_bad=3 expected=6 actual=5 {words}\n".encode())
    assert (report.ok, report.line) == ("none bad=0 writes=9 sum=9" in words, line)


def inside(part, ranges):
    return any(whole.start <= part.start and part.end <= whole.end for whole in ranges)


@given(
    st.sampled_from(["pc", "q35"]),
    st.sampled_from([16, 64, 512, 2700, 2816, 2818, 3582, 3584, 5000]),
    st.floats(0.001, 0.99),
)
@settings(max_examples=40, deadline=None)
def test_every_page_of_ram_is_compared_checked_by_the_guest_or_private(machine, mib, share):
    most = mib * MIB - 10 * MIB - mib * 1024
    working_set = max(4096, int(share * most) // 4096 * 4096)
    where = layout(StressConfig(mib * MIB, working_set, machine=machine))
    hole = Range(0xA0000, 0x60000)
    parts = sorted((*where.compare, *where.working_set, *where.private, hole), key=lambda part: part.start)
    assert all(first.end <= second.start for first, second in itertools.pairwise(parts))
    assert all(part.bytes > 0 and inside(part, where.ram) for part in parts)
    assert sum(part.bytes for part in parts) == sum(part.bytes for part in where.ram) == mib * MIB
    assert sum(part.bytes for part in where.working_set) == working_set
    assert all(inside(part, where.fill) for part in where.working_set)


def test_the_working_set_goes_on_behind_the_hole():
    where = layout(StressConfig(4 * GIB, working_set_bytes=3 * GIB))
    assert where.working_set[0].end == 3 * GIB - MIB
    assert where.working_set[1].start == 4 * GIB
    assert where.ram_offset(4 * GIB) == 3 * GIB
    with pytest.raises(ValueError, match="0xc0000000 is not in the guest's RAM"):
        where.ram_offset(3 * GIB)


def test_the_command_line_tells_the_guest_its_map():
    text = command_line(StressConfig(dirty_rate_bytes_per_s=5000, pattern="random", changed_bytes_per_page=128))
    assert text == "table=2097152 first=2162688 split=535822336 pages=16384 rate=5000 changed=128 random=1"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"working_set_bytes": 600 * MIB}, r"guest\.working_set: 600 MiB does not fit into 512 MiB"),
        ({"working_set_bytes": 5000}, "5000 bytes is not a number of whole 4 KiB pages"),
        ({"working_set_bytes": 0}, "0 bytes is not a number of whole"),
        ({"changed_bytes_per_page": 4}, "4 is not a multiple of 8 from 0 to 4080"),
        ({"changed_bytes_per_page": 4088}, "4088 is not a multiple"),
        ({"memory_bytes": 8 * MIB}, r"guest\.memory: 8388608 bytes is not a multiple of 2 MiB, 16 MiB or more"),
        ({"memory_bytes": 61 * GIB}, r"guest\.memory: 61 GiB is more"),
        ({"dirty_rate_bytes_per_s": -1}, "-1 is below zero"),
    ],
)
def test_what_does_not_fit_is_refused_with_key_and_value(settings, words):
    with pytest.raises(UserError, match=words):
        layout(StressConfig(**settings))


def test_the_source_gets_an_image_for_each_range_and_commas_are_doubled(tmp_path):
    arguments = stress.boot(StressConfig(4 * GIB), [tmp_path / "a,b", tmp_path / "c"])
    assert f"loader,file={tmp_path}/a,,b,addr=0x200000,force-raw=on" in arguments
    assert f"loader,file={tmp_path}/c,addr=0x100000000,force-raw=on" in arguments
    with pytest.raises(ValueError, match="zip"):
        stress.boot(StressConfig(), [])


def test_the_elf_has_a_pvh_entry_and_changes_only_what_the_layout_says():
    elf = stress.kernel_path().read_bytes()
    offset, count = struct.unpack_from("<Q", elf, 32)[0], struct.unpack_from("<H", elf, 56)[0]
    headers = [struct.unpack_from("<IIQQQQQQ", elf, offset + 56 * i) for i in range(count)]
    note = next(elf[h[2] : h[2] + h[5]] for h in headers if h[0] == 4)
    assert note[:16] == struct.pack("<III4s", 4, 8, 18, b"Xen\0")
    writable = [(h[3], h[3] + h[6]) for h in headers if h[0] == 1 and h[1] & 2]
    assert len(writable) == 1
    assert writable[0][0] == PRIVATE_START
    assert writable[0][1] <= TABLE_START
    assert all(h[3] + h[6] <= PRIVATE_START for h in headers if h[0] == 1 and not h[1] & 2)


def test_the_committed_elf_is_what_the_sources_give(tmp_path):
    major = freestanding.compiler_major()
    if major != freestanding.COMPILER_MAJOR:
        pytest.skip(f"gcc is {major or 'missing'}, the committed stress.elf is of gcc {freestanding.COMPILER_MAJOR}")
    build.main([str(tmp_path / "stress.elf")])
    assert (tmp_path / "stress.elf").read_bytes() == stress.kernel_path().read_bytes()


def test_a_compiler_error_is_told_in_its_words(tmp_path, monkeypatch):
    if freestanding.compiler_major() is None:
        pytest.skip("gcc is missing")
    monkeypatch.setattr(build, "_SOURCES", ("nothing.c",))
    with pytest.raises(PageferryError, match=re.escape("nothing.c")):
        build.build(tmp_path / "stress.elf")
