"""A recording as the stream of a replay: unpacked once, checked, and kept where generated streams are."""

from __future__ import annotations

import pytest
import sample_streams
from recorded import save_recording

from harness.errors import MissingError, UserError
from harness.streams.recording.reader import Recording
from harness.streams.streamfile import digest_of, open_stream

DATA = sample_streams.small_stream(3, sections=20)


@pytest.fixture
def recording(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return save_recording(tmp_path / "guest.pfs", DATA)


def test_a_recording_opens_as_the_stream_that_went_into_it(recording):
    found = open_stream(recording)
    assert found.path.read_bytes() == DATA
    assert (found.digest, found.stream_bytes) == (digest_of(found.path), len(DATA))
    assert (found.machine, found.origin) == ("pc-i440fx-7.2", "recording guest.pfs")


def test_it_is_unpacked_once_whatever_its_name(recording, monkeypatch):
    first = open_stream(recording)
    monkeypatch.setattr(Recording, "stream", lambda _: pytest.fail("unpacked again"))
    other = recording.rename(recording.with_name("other"))
    again = open_stream(other)
    assert (again.path, again.digest, again.origin) == (first.path, first.digest, "recording other")


def test_a_damaged_one_leaves_nothing_behind(recording, tmp_path):
    data = bytearray(recording.read_bytes())
    data[len(data) // 2] ^= 1
    recording.write_bytes(data)
    with pytest.raises(UserError, match="the checksum of block CHNK differs"):
        open_stream(recording)
    assert list((tmp_path / "cache" / "pageferry").iterdir()) == []


def test_where_it_cannot_be_unpacked_to_is_one_line_with_a_remedy(recording, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(MissingError, match=r"cannot keep a stream of about .*: .*; free space there, or set XDG_CACHE"):
        open_stream(recording)
