"""The archive from which the Linux guest boots, read back by the format's description."""

import itertools
import stat

from hypothesis import given
from hypothesis import strategies as st

from harness.guests.linux.cpio import Entry, archive, data_file, folder, program, symlink

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in {".", ".."}
)
MODES = st.sampled_from([0o020600, 0o100644, 0o100755, 0o120777])
NUMBERS = st.tuples(st.integers(0, 4095), st.integers(0, 255))
FILES = st.dictionaries(NAMES, st.builds(Entry, MODES, st.binary(max_size=9), NUMBERS))


def read(data):
    """Path -> entry, as Linux unpacks it."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_bytes = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_bytes]
        assert name.endswith(b"\0")
        start = -(-(at + 110 + name_bytes) // 4) * 4
        if name == b"TRAILER!!!\0":
            return found
        assert fields[2:4] == [0, 0], "owned by root"
        assert fields[5] == 0, "written at the epoch"
        found[name[:-1].decode()] = Entry(mode, data[start : start + size], (fields[9], fields[10]))
        at = -(-(start + size) // 4) * 4


@given(FILES)
def test_what_goes_in_comes_out_whatever_its_length(files):
    assert read(archive(files)) == files


@given(FILES, st.randoms(use_true_random=False))
def test_the_same_entries_give_the_same_bytes_in_any_order(files, random):
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert archive(dict(shuffled)) == archive(files)


def test_folders_come_before_what_is_in_them_and_each_inode_once():
    data = archive(
        {"usr/bin/sh": symlink("busybox"), "usr/bin/busybox": program(b"\x7fELF"), "etc/motd": data_file(b"hi\n")}
    )
    found = read(data)
    assert list(found) == ["etc", "etc/motd", "usr", "usr/bin", "usr/bin/busybox", "usr/bin/sh"]
    assert found["usr"] == folder()
    assert stat.S_ISLNK(found["usr/bin/sh"].mode)
    inodes = [int(data[at + 6 : at + 14], 16) for at in range(0, len(data), 4) if data[at : at + 6] == b"070701"]
    assert all(one < next_one for one, next_one in itertools.pairwise(inodes[:-1]))
