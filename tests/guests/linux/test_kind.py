"""The Linux guest without QEMU: its words, its settings, its arguments, and how its pace is told."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_scenario import load_minimal, message_of

from harness.errors import QemuError
from harness.guests.console import GuestFailure
from harness.guests.linux.console import Console, Line, Ready, Tick, Work
from harness.guests.linux.kind import Linux
from harness.guests.linux.maker import Made
from harness.guests.qemu_guest import QemuGuest
from harness.guests.qemu_kind import Sides

SPEECH = (
    b"[    1.5] some driver: no such device\n\xffat=1500 done=0\n\xff\xffready\nat=1600 done=12\n"
    b"\xffreading caf\xc3\xa9\n\xfffailed: the workload ended with status 1\n\xff"
)
EVENTS = [
    Line("[    1.5] some driver: no such device"),
    Tick(),
    Work(0),
    Tick(),
    Tick(),
    Ready(),
    Work(12),
    Tick(),
    Line("reading café"),
    Tick(),
    GuestFailure("failed: the workload ended with status 1"),
    Tick(),
]


@given(st.lists(st.integers(0, len(SPEECH))))
def test_the_guest_is_understood_wherever_its_words_are_cut(cuts):
    console, events, at = Console(), [], 0
    for cut in [*sorted(cuts), len(SPEECH)]:
        events += console.feed(SPEECH[at:cut])
        at = max(at, cut)
    assert events == EVENTS


@given(st.integers(0, len(SPEECH)))
def test_a_reader_that_joins_late_misreads_no_beat_and_no_whole_line(start):
    """What was cut off is lost, with its count; all behind the next line's end is as it would have been."""
    behind = SPEECH.find(b"\n", start)
    late = Console().feed(SPEECH[start:])
    assert sum(isinstance(event, Tick) for event in late) == SPEECH[start:].count(b"\xff")
    whole = [event for event in Console().feed(SPEECH[behind + 1 :]) if not isinstance(event, Tick)]
    assert behind < 0 or [event for event in late if not isinstance(event, Tick)][-len(whole) :] == whole or not whole


@given(st.binary(max_size=200))
def test_noise_is_never_work(noise):
    events = Console().feed(noise.replace(b"at=", b"") + b"\n")
    assert not any(isinstance(event, Work) for event in events)


@pytest.mark.parametrize(
    "words", ["[ 4.2] Kernel panic - not syncing: x", "[ 9.1] Out of memory: Killed process 87 (python3)"]
)
def test_a_kernel_that_gives_up_is_heard(words):
    assert Console().feed(words.encode() + b"\r\n") == [GuestFailure(words)]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("workload = 'reddis'", ["guest.workload: 'reddis': unknown workload", "did you mean 'redis'", "known: idle"]),
        ("workload = 'build'\nrate = 5", ["guest.rate: 5", '"build" has no rate', '"redis"']),
        ("workload = 'redis'\nrate = 0", ["guest.rate: 0", "greater than or equal to 1"]),
        ("workload = 'redis'\nmemory = '256MiB'", ["guest.memory: 256 MiB", '"redis" needs 384 MiB or more']),
        ("dirty_rate = '1MiB/s'", ["guest.dirty_rate", 'kind = "linux" has no such key', 'kind = "stress"']),
    ],
)
def test_impossible_settings_are_named(keys, words, tmp_path):
    tables = f"[guest]\nkind = 'linux'\n{keys}\n"
    text = message_of(lambda: load_minimal(tmp_path, tables=tables))
    assert all(word in text for word in words), text


def guest(tmp_path, keys=""):
    made = Linux(load_minimal(tmp_path, tables=f"[guest]\nkind = 'linux'\n{keys}\n"))
    made._kernel, made._initrd = (Made(tmp_path / name, "0", {}) for name in ("vmlinuz", "redis.cpio"))
    return made


def test_only_the_source_gets_a_kernel_with_the_seed_and_the_rate(tmp_path):
    redis = guest(tmp_path, "workload = 'redis'\nseed = 7")
    source, destination = redis.arguments(boots=True), redis.arguments(boots=False)
    assert source[: len(destination)] == destination
    assert "-kernel" not in destination
    assert source[-1].endswith(" pageferry.SEED=7 pageferry.RATE=200")
    assert guest(tmp_path, "workload = 'redis'\nrate = 9").arguments(boots=True)[-1].endswith("RATE=9")
    assert guest(tmp_path, "append = 'nokaslr'").arguments(boots=True)[-1].endswith(" nokaslr")


class Heard:
    """Consoles on which this was heard."""

    def __init__(self, done, said):
        self._done, self._said = done, said

    def work(self, console):
        return list(enumerate(self._done))

    def wait_said(self, console, wanted, timeout_s, *, since_s):
        found = [event for event in self._said if wanted(event)]
        if not found:
            raise QemuError("the guest did not answer")
        return found[0]


def test_a_guest_lives_when_it_has_done_more_than_at_the_source(tmp_path):
    def arrived(*events):
        guest(tmp_path, "workload = 'redis'").wait_alive(Sides({}, Heard([99, 100], events), None))

    arrived(Work(100), Work(101))
    with pytest.raises(QemuError, match="did not answer"):
        arrived(Work(100), Ready())
    with pytest.raises(QemuError, match="came over and failed: failed: x"):
        arrived(GuestFailure("failed: x"))


def test_a_guest_is_booted_for_each_repeat_and_each_method_begins_from_its_state(tmp_path, monkeypatch):
    linux = guest(tmp_path, "boot = 'repeat'\nmemory = '128MiB'")
    booted, begun = [], []

    @contextmanager
    def alone(kind, argv, place, name):
        qemu = SimpleNamespace(qmp=SimpleNamespace(execute=lambda _: None))
        yield Sides({"source": qemu}, Heard([], [Ready()]), place)

    def save(_, file):
        file.write_text(f"guest {len(booted)}")
        booted.append(file)

    @contextmanager
    def ends(self, method, place):
        begun.append(self.state.read_text())
        yield None

    monkeypatch.setattr(Linux, "argv", lambda _: [])
    monkeypatch.setattr(QemuGuest, "ends", ends)
    monkeypatch.setattr("harness.guests.linux.kind.start_alone", alone)
    monkeypatch.setattr("harness.guests.linux.kind.save", save)
    one, two = linux.scenario.methods
    for method in (one, two, two, one, one):
        with linux.ends(method, None):
            assert [file.exists() for file in booted] == [False] * (len(booted) - 1) + [True], "the last guest's alone"
    assert begun == ["guest 0", "guest 0", "guest 1", "guest 1", "guest 2"]
    assert linux.kept_bytes > 128 << 20
    linux.close()
    assert not booted[-1].parent.exists()


def test_a_guest_that_fails_before_it_is_ready_is_told_in_its_words(tmp_path):
    heard = Heard([], [GuestFailure("[ 9.1] Out of memory: Killed process 87 (python3)")])
    with pytest.raises(QemuError, match=r'does not get ready: .*Killed process 87.*write more "memory"'):
        guest(tmp_path).wait_ready(Sides({}, heard, None), 0.0, 1.0)
