"""What auto may choose from."""

from __future__ import annotations

import pytest

from backends import registry
from backends.api import BackendUnavailable
from harness.errors import MissingError, UserError
from harness.migrator.carry.crew import crew_of
from harness.migrator.choose.auto import candidates


def test_none_comes_first_and_history_stands_alone():
    found = candidates({})
    assert str(found[0]) == "none"
    for candidate in found:
        assert candidate.history is registry.load(candidate.backend).info.stateful
        assert candidate.compress_bytes_per_s > 0
        assert candidate.ratio >= 1


def test_named_candidates_are_taken_with_none_before_them():
    assert [str(candidate) for candidate in candidates({"candidates": "zlib:6, zlib:1,zlib:6"})] == [
        "none",
        "zlib:6",
        "zlib:1",
    ]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("zlib:77", "candidate 'zlib:77': backend 'zlib': level 77 is outside 0..9; write for example isal:1"),
        ("zlib:x", "candidate 'zlib:x': 'x' is no level; write for example isal:1"),
        ("opencl", "candidate 'opencl': a device, which needs a fallback"),
        ("nobody", "candidate 'nobody': unknown backend 'nobody'"),
        (3, "option candidates = 3: must be text"),
    ],
)
def test_a_wrong_candidate_is_told_in_one_line(named, says):
    with pytest.raises(UserError) as caught:
        candidates({"candidates": named})
    assert says in str(caught.value)


def _without(monkeypatch, name: str) -> None:
    def missing(cls):
        raise BackendUnavailable(name, "no library", "install it")

    monkeypatch.setattr(registry.load(name), "probe", classmethod(missing))


def test_what_is_not_here_is_left_out_unless_it_was_named(monkeypatch):
    _without(monkeypatch, "isal")
    assert "isal:1" not in [str(candidate) for candidate in candidates({})]
    with pytest.raises(MissingError, match="no library"):
        candidates({"candidates": "isal:1"})


def test_with_one_library_installed_it_chooses_between_that_and_none(monkeypatch):
    for name in ("lz4", "zstd", "zstd-long"):
        _without(monkeypatch, name)
    assert [str(candidate) for candidate in candidates({})] in (["none", "isal:1"], ["none"])


@pytest.mark.parametrize(
    ("level", "options", "says"),
    [
        (1, {}, "level 1: backend 'auto' chooses levels itself"),
        (None, {"queue": 1}, "backend 'auto': unknown option 'queue'; known: candidates, cpu_limit"),
        (None, {"cpu_limit": 0}, "option cpu_limit = 0: must be a whole number of threads, 1 to 256"),
    ],
)
def test_what_auto_cannot_be_told(level, options, says):
    with pytest.raises(UserError, match=says):
        crew_of("auto", level, options, None, None)


def test_auto_takes_no_fallback():
    with pytest.raises(
        UserError, match="fallback isal:1: backend 'auto' chooses among codecs of the CPU, which need none"
    ):
        crew_of("auto", None, {}, "isal:1", None)


def test_a_cpu_limit_limits_threads():
    crew = crew_of("auto", None, {"candidates": "zlib:1", "cpu_limit": 1}, None, 8)
    assert (crew.threads, crew.lanes) == (1, 1)
    crew.close()
