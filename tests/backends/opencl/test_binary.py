"""A saved program runs again; one that is not the one that its manifest describes never reaches a driver."""

import contextlib
import json
import os

import pytest

from backends.opencl import manifest as manifests
from backends.opencl.binary import check_binary, describe_binary, load_manifest
from backends.opencl.contract import KERNELS
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError
from backends.opencl.host import open_device, self_test
from backends.opencl.probe import probe_in_child


def config(path, **settings):
    return DeviceConfig(binary=str(path), **{"block_bytes": 4096} | settings)


def edit(path, **changes):
    document = json.loads(manifests.manifest_path(path).read_text())
    manifests.manifest_path(path).write_text(json.dumps(document | changes))


def one_line(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_manifest_says_what_the_program_is(saved, real_device):
    manifest = check_binary(saved)
    assert manifest == load_manifest(f"{saved}.json")
    assert (manifest.device, manifest.platform) == (real_device.name, real_device.platform)
    assert (manifest.driver, manifest.abi, manifest.kernels) == (real_device.driver, 1, KERNELS)
    assert (manifest.block_bytes, manifest.size_bytes) == (4096, saved.stat().st_size)
    assert manifest.made_with.startswith("pageferry ")


def test_it_runs_in_the_same_process(saved):
    with contextlib.closing(open_device(config(saved))) as device:
        self_test(device)
        assert device.identity.binary_sha256 == check_binary(saved).sha256


def test_it_runs_in_a_fresh_process_with_an_empty_cache_and_no_linker(saved, real_device, tmp_path, monkeypatch):
    monkeypatch.setenv("POCL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = next(row for row in probe_in_child(config(saved)) if row.chosen)
    assert chosen.selector == real_device.selector


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def emptied(path):
    os.truncate(path, 0)


def longer(path):
    path.write_bytes(path.read_bytes() + b"\0")


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def gone(path):
    path.unlink()


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def huge(path):
    os.truncate(path, (1 << 30) + 1)
    edit(path, size_bytes=(1 << 30) + 1)


def no_manifest(path):
    manifests.manifest_path(path).unlink()


def huge_manifest(path):
    os.truncate(manifests.manifest_path(path), 1 << 20)


def deep_manifest(path):
    manifests.manifest_path(path).write_text("[" * 50_000)


def short_manifest(path):
    document = json.loads(manifests.manifest_path(path).read_text())
    del document["driver"]
    manifests.manifest_path(path).write_text(json.dumps(document))


SPOILERS = {
    truncated: "bytes, its manifest says",
    emptied: "has 0 bytes, its manifest says",
    longer: "bytes, its manifest says",
    flipped: "has SHA-256",
    gone: "No such file or directory; name a saved binary",
    folder: "Is a directory; name a saved binary",
    pipe: "is not a regular file",
    huge: "above the bound of 1073741824",
    no_manifest: "make the manifest with `pageferry opencl manifest`",
    huge_manifest: "above the bound of 65536",
    deep_manifest: "is not JSON",
    short_manifest: "is no manifest of a binary",
}


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__)
def test_a_damaged_binary_never_reaches_a_driver(copy, no_driver, spoil):
    spoil(copy)
    with pytest.raises(OpenclError) as raised:
        open_device(config(copy))
    assert SPOILERS[spoil] in one_line(raised)
    assert str(copy) in str(raised.value)
    with pytest.raises(OpenclError):
        check_binary(copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"abi": 2}, "made for ABI 2, this version needs 1"),
        ({"format": 2}, "format is 2, known is 1"),
        ({"kernels": ["deflate_blocks", "deflate_info"]}, "lacks the kernels gather_blocks"),
        ({"style": "warp"}, "style is 'warp', known are wi, wg, task"),
        ({"block_bytes": 8192}, "block_bytes is 8192, known are 4096, 65536"),
        ({"block_bytes": 65536}, "built for blocks of 65536 bytes, blocks of 4096 bytes are asked for"),
        ({"size_bytes": -1}, "size_bytes is -1"),
        ({"size_bytes": True}, "size_bytes is True"),
        ({"size_bytes": 1e9}, "size_bytes is 1000000000.0"),
        ({"sha256": None}, "sha256 is None"),
        ({"kernels": "all"}, "kernels is 'all'"),
        ({"kernels": [1]}, "kernels is [1]"),
        ({"device": "x" * 3000, "platform": 3}, "platform is 3"),
        ({"more": 1}, "is no manifest of a binary"),
    ],
)
def test_a_manifest_that_does_not_suit_is_refused_before_any_driver(copy, no_driver, changes, words):
    edit(copy, **changes)
    with pytest.raises(OpenclError) as raised:
        open_device(config(copy))
    assert words in one_line(raised)


def test_what_the_scenario_asks_for_must_be_what_was_built(copy, no_driver):
    with pytest.raises(
        OpenclError, match="built for blocks of 4096 bytes, blocks of 65536 bytes are asked for; set block"
    ):
        open_device(config(copy, block_bytes=65536))
    other = "wg" if check_binary(copy).style != "wg" else "wi"
    with pytest.raises(OpenclError, match=f"built in style .*, {other} is asked for; leave style out"):
        open_device(config(copy, style=other))


def test_another_s_binary_under_this_manifest_is_refused(copy, no_driver, saved, tmp_path):
    copy.write_bytes(b"xclbin2\0" + bytes(saved.stat().st_size - 8))
    with pytest.raises(OpenclError, match="has SHA-256"):
        open_device(config(copy))


@pytest.fixture
def no_program(monkeypatch):
    """Drivers may be asked which devices there are, but get no program."""
    pyopencl = pytest.importorskip("pyopencl")

    def given_one(*_, **__):
        pytest.fail("a driver was given the program")

    monkeypatch.setattr(pyopencl, "Program", given_one)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"driver": "0.9"}, "driver 0.9; here is "),
        ({"device": "U200"}, "/ U200, for which "),
        ({"platform": "Xilinx"}, "no OpenCL device Xilinx / "),
    ],
)
def test_a_binary_for_another_device_or_driver_is_not_loaded(copy, no_program, changes, words):
    edit(copy, **changes)
    with pytest.raises(OpenclError) as raised:
        open_device(config(copy))
    assert words in one_line(raised)


def test_a_whole_binary_that_the_driver_does_not_know_is_one_line(copy, real_device):
    copy.write_bytes(b"xclbin2\0" + os.urandom(5000))
    described = DeviceConfig(real_device.selector, str(copy), 4096, "task")
    describe_binary(described)
    with pytest.raises(OpenclError) as raised:  # in a child: a driver may die of it
        probe_in_child(config(copy))
    one_line(raised)


def test_a_binary_whose_manifest_is_wrong_of_it_is_refused(copy, real_device):
    edit(copy, block_bytes=65536)
    with pytest.raises(OpenclError, match="has blocks of 4096 bytes"):
        probe_in_child(config(copy, block_bytes=65536))
