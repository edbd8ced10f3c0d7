"""Which files of which packages get into the guest, from packages that are made up here."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import MissingError
from harness.guests.linux.cpio import data_file, program, symlink
from harness.guests.linux.elf import Needs, needs
from harness.guests.linux.gather import gather

LIBRARIES = "usr/lib/x86_64-linux-gnu"


def elf(*libraries, interpreter="/lib64/ld.so"):
    """A file that needs these, mapped at 0x1000."""
    texts = b"".join(name.encode() + b"\0" for name in ("", interpreter, *libraries))
    at = 64 + 3 * 56
    offsets = [texts.index(name.encode() + b"\0") for name in libraries]
    entries = [*((1, offset) for offset in offsets), (5, 0x1000 + at), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    segments = [
        (1, 0, 0x1000, at + len(texts) + len(dynamic)),
        (2, at + len(texts), 0x1000 + at + len(texts), len(dynamic)),
        (3, at + 1, 0x1001 + at, len(interpreter) + 1),
    ]
    table = b"".join(
        struct.pack("<IIQQQQQQ", kind, 4, offset, v, v, size, size, 8) for kind, offset, v, size in segments
    )
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0
    )
    return head + table + texts + dynamic


class Shelf:
    """Packages by name: what each holds, and what it depends on."""

    def __init__(self, **packages):
        self._packages = packages
        self.fetched = []

    def fetch(self, names):
        self.fetched += names
        if lost := set(names) - set(self._packages):
            raise MissingError(f"E: Unable to locate package {lost.pop()}")
        return [Held(name, self._packages[name][0]) for name in names]

    def depends(self, names):
        return sorted({need for name in names for need in self._packages[name][1]})


class Held:
    version = "1.0"

    def __init__(self, name, files):
        self.name, self._files = name, files
        self.paths = tuple(files)

    def read(self, path):
        return self._files[path]


LIBC = ({f"{LIBRARIES}/libc.so.6": program(elf()), "usr/lib64/ld.so": symlink("/lib/x86_64-linux-gnu/libc.so.6")}, [])
SHELF = {
    "meta": ({"usr/share/doc/meta": data_file(b"")}, ["tool", "unused"]),
    "tool": ({"usr/bin/tool": symlink("../libexec/tool"), "usr/libexec/tool": program(elf("liba.so.1"))}, ["liba", "libbig"]),
    "unused": ({"usr/bin/unused": program(b"")}, ["lost"]),
    "libbig": ({f"{LIBRARIES}/libbig.so": program(elf())}, ["lost"]),
    "liba": ({f"{LIBRARIES}/liba.so.1": symlink("liba.so.1.2"), f"{LIBRARIES}/liba.so.1.2": program(elf("libc.so.6"))}, ["libc"]),
    "libc": LIBC,
}  # fmt: skip


def test_a_program_comes_with_its_libraries_through_links_and_packages_that_stand_for_others():
    found = gather(Shelf(**SHELF), ["meta"], ["usr/bin/tool"])
    assert sorted(found.tree) == [
        "usr/bin/tool",
        "usr/lib/x86_64-linux-gnu/liba.so.1",
        "usr/lib/x86_64-linux-gnu/liba.so.1.2",
        "usr/lib/x86_64-linux-gnu/libc.so.6",
        "usr/lib64/ld.so",
        "usr/libexec/tool",
    ]
    assert found.packages == {"tool": "1.0", "liba": "1.0", "libc": "1.0"}


def test_what_unused_packages_depend_on_is_not_fetched():
    shelf = Shelf(**SHELF)
    gather(shelf, ["tool"], ["usr/bin/tool"])
    assert shelf.fetched == ["tool", "liba", "libbig", "libc"]


def test_what_is_nowhere_is_named_with_the_packages_that_were_to_have_it():
    shelf = Shelf(**{**SHELF, "liba": (SHELF["liba"][0], [])})
    with pytest.raises(MissingError, match=r"libc\.so\.6: not in Debian's tool of this release"):
        gather(shelf, ["tool"], ["usr/bin/tool"])
    with pytest.raises(MissingError, match=r"^usr/bin/other: not in Debian's tool"):
        gather(Shelf(tool=({}, [])), ["tool"], ["usr/bin/other"])


def test_a_file_says_what_it_needs():
    assert needs(elf("liba.so.1", "libc.so.6")) == Needs("/lib64/ld.so", ("liba.so.1", "libc.so.6"))
    assert needs(b"#!/bin/sh\n") == Needs()


@given(st.integers(0, len(elf("liba.so.1"))))
def test_a_file_cut_short_needs_nothing_or_what_it_says(length):
    assert set(needs(elf("liba.so.1")[:length]).libraries) <= {"liba.so.1"}


def test_this_very_python_needs_what_readelf_says():
    program_file = Path(sys.executable).resolve()
    try:
        told = subprocess.run(["readelf", "-d", program_file], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("readelf is missing: binutils are not installed")
    expected = [line.partition("[")[2].rstrip("]") for line in told.splitlines() if "(NEEDED)" in line]
    assert list(needs(program_file.read_bytes()).libraries) == expected
