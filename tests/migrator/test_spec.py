"""``BACKEND[:LEVEL]``: read as it is written, and what is none is one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import registry
from backends.api import BackendError
from harness.migrator.choose.auto import CANDIDATES
from harness.migrator.spec import Spec, parse_spec


def specs(name):
    levels = registry.load(name).info.levels
    return st.builds(Spec, st.just(name), st.none() if levels is None else st.integers(*levels))


@given(st.sampled_from(["none", "zlib", "isal", "lz4", "zstd", "zstd-long", "opencl"]).flatmap(specs))
def test_a_spec_is_read_as_it_is_written(spec):
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(("text", "spec"), [("zlib", Spec("zlib", 1)), ("none", Spec("none", None))])
def test_a_level_that_is_not_written_is_that_by_default(text, spec):
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("zlip:1", "unknown backend 'zlip'; did you mean 'zlib'?"),
        ("", "unknown backend ''"),
        ("zlib:", "'' is no level"),
        ("zlib:x", "'x' is no level"),
        ("zlib:1:2", "'1:2' is no level"),
        ("zlib:1_0", "'1_0' is no level"),
        ("zlib: 1", "' 1' is no level"),
        ("zlib:\u0661", "is no level"),
        ("zlib:99999999", "is no level"),
        ("zlib:77", "backend 'zlib': level 77 is outside 0..9"),
        ("none:1", "backend 'none': has no levels, but level 1 was asked for"),
    ],
)
def test_what_is_no_spec_is_one_line(text, line):
    with pytest.raises(BackendError) as caught:
        parse_spec(text)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_auto_knows_can_be_had():
    for spec in CANDIDATES:
        assert parse_spec(str(spec)).backend == spec.backend
