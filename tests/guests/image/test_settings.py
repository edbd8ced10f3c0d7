"""What a scenario may say of the user's own guest: one clear line for each mistake, and files found beside the scenario."""

import gzip
import struct
from pathlib import Path

import pytest
from small_scenario import load_minimal, message_of

READY = '[guest.ready]\nserial = "login:"\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "vmlinuz").write_bytes(bytes(0x202) + b"HdrS" + bytes(4096))
    places = struct.pack("<QI", 16 << 20, 52 << 20)  # as Debian's kernels say
    (tmp_path / "modern").write_bytes(bytes(0x202) + b"HdrS\x0f\x02" + bytes(0x50) + places)
    (tmp_path / "initrd.gz").write_bytes(gzip.compress(b"070701"))
    (tmp_path / "disk.qcow2").write_bytes(b"QFI\xfb")
    return tmp_path


def load(folder: Path, keys: str = 'kernel = "vmlinuz"', ready: str = READY, **kwargs):
    return load_minimal(folder, tables=f'[guest]\nkind = "image"\n{keys}\n{ready}', **kwargs)


def test_files_are_found_beside_the_scenario_and_the_rest_has_defaults(folder):
    guest = load(folder, 'kernel = "vmlinuz"\ninitrd = "initrd.gz"\ndisk = "disk.qcow2"').guest
    assert (guest.kernel, guest.initrd) == (str(folder / "vmlinuz"), str(folder / "initrd.gz"))
    assert guest.disk == str(folder / "disk.qcow2")
    assert (guest.verify, guest.arguments, guest.progress, guest.ready.timeout_s) == (True, (), None, 60.0)


def test_a_path_given_on_the_command_line_is_relative_to_where_one_is(folder, tmp_path_factory, monkeypatch):
    here = tmp_path_factory.mktemp("here")
    (here / "mine").write_bytes(b"\x7fELF")
    monkeypatch.chdir(here)
    assert load(folder, overrides=["guest.kernel=mine"]).guest.kernel == str(here / "mine")


@pytest.mark.parametrize(
    ("keys", "ready", "words"),
    [
        ("", READY, "guest: nothing to boot: write kernel or disk"),
        ('kernel = "absent"', READY, "guest.kernel: '{folder}/absent': there is no such file"),
        ('kernel = "."', READY, "guest.kernel: '{folder}': is not a file"),
        ('kernel = "disk.qcow2"', READY, "guest.kernel: '{folder}/disk.qcow2': is no kernel"),
        ('disk = "disk.qcow2"\ninitrd = "initrd.gz"', READY, "guest.initrd: 'initrd.gz': is for a kernel"),
        ('kernel = "vmlinuz"\ninitrd = "vmlinuz"', READY, "guest.initrd: '{folder}/vmlinuz': is no initrd"),
        ('kernel = "vmlinuz"\nmemory = "4KiB"', READY, "guest.memory: 4 KiB: too little for kernel and initrd"),
        (
            'kernel = "modern"\nmemory = "64MiB"',
            READY,
            "guest.memory: 64 MiB: too little for kernel and initrd, which take 68 MiB",
        ),
        ('kernel = "vmlinuz"', "", "guest.ready: is missing: add it"),
        (
            'kernel = "vmlinuz"',
            "[guest.ready]\n",
            "guest.ready: none of them: write exactly one of serial, tcp and agent",
        ),
        ('kernel = "vmlinuz"', READY + "tcp = 22\n", "guest.ready: serial and tcp: write exactly one"),
        ('kernel = "vmlinuz"', '[guest.ready]\nserial = "("\n', "guest.ready.serial: '(': not a regular expression"),
        ('kernel = "vmlinuz"', "[guest.ready]\ntcp = 70000\n", "guest.ready.tcp: 70000"),
        ('kernel = "vmlinuz"', READY + '[guest.progress]\nserial = "x"\n', "guest.progress.serial: 'x': has no group"),
        (
            'kernel = "vmlinuz"\nworking_set = "1MiB"',
            READY,
            "guest.working_set: '1MiB': kind = \"image\" has no such key",
        ),
    ],
)
def test_each_mistake_is_one_line_that_names_the_key(folder, keys, ready, words):
    assert words.format(folder=folder) in message_of(load, folder, keys, ready)
