"""``pageferry opencl`` lists devices, saves programs that run, and ends with the right status where it cannot."""

import json
from pathlib import Path

import pytest

from backends.opencl.binary import check_binary
from backends.opencl.devices import DeviceConfig, DeviceRow
from backends.opencl.errors import OpenclError, OpenclMissing
from backends.opencl.probe import probe_in_child
from harness import cli

CARD = DeviceRow("opencl:0:1", "Cards [Inc.]", "U50", "ACCELERATOR", "2.14", "OpenCL 1.2", 1, 8 << 30, 64 << 10, False)
CPU = DeviceRow("opencl:1:0", "PoCL", "pthread", "CPU", "3.1", "OpenCL 3.0", 2, 4 << 30, 1 << 20, True)


@pytest.fixture
def found(monkeypatch):
    """found(rows or error): what the probe answers."""
    monkeypatch.delenv("PAGEFERRY_OPENCL_DEVICE", raising=False)

    def set_found(answer):
        def probe(*_):
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr("backends.opencl.probe.probe_in_child", probe)
        monkeypatch.setattr("backends.opencl.binary.probe_in_child", probe)

    return set_found


@pytest.fixture(scope="module")
def device():
    try:
        return next(row.selector for row in probe_in_child(DeviceConfig(cpu_allowed=True)) if row.chosen)
    except OpenclError as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize("command", ["devices", "build", "manifest"])
def test_each_has_help_with_an_example(command, capsys):
    assert cli.main(["opencl", command, "--help"]) == 0
    assert f"Example:\n    pageferry opencl {command}" in capsys.readouterr().out


def test_devices_are_listed_as_they_are_named(found, capsys):
    found([CARD, CPU])
    assert cli.main(["opencl", "devices"]) == 0
    out = capsys.readouterr().out
    for words in ("opencl:0:1", "ACCELERATOR", "Cards [Inc.]", "2.14", "8 GiB", "64 KiB", "4 GiB (the host's)"):
        assert words in out, words
    assert "used where none is named: opencl:0:1 Cards [Inc.] / U50 (ACCELERATOR)" in out


def test_a_cpu_is_listed_but_not_used_unasked(found, capsys):
    found([CPU])
    assert cli.main(["opencl", "devices"]) == 0
    assert "used where none is named: none, as there is no GPU or accelerator here" in capsys.readouterr().out


def test_devices_as_json(found, capsys):
    found([CARD])
    assert cli.main(["opencl", "devices", "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert DeviceRow(**document) == CARD


def test_a_program_is_saved_and_described(device, tmp_path, capsys):
    out = tmp_path / "deflate.bin"
    assert cli.main(["opencl", "build", "--device", device, "--block", "4KiB", "--style", "wi", "--out", str(out)]) == 0
    manifest = check_binary(out)
    assert (manifest.block_bytes, manifest.style) == (4096, "wi")
    assert f"{out}: {manifest.size_bytes} bytes, SHA-256 {manifest.sha256[:16]}" in capsys.readouterr().out
    Path(f"{out}.json").unlink()
    arguments = ["--device", device, "--binary", str(out), "--block", "4KiB", "--style", "wi"]
    assert cli.main(["opencl", "manifest", *arguments]) == 0
    assert check_binary(out).sha256 == manifest.sha256
    assert "for " in capsys.readouterr().out


@pytest.mark.parametrize(
    "case",
    [
        (OpenclMissing("no OpenCL device", "plug one in"), ["devices"], 3, "no OpenCL device; plug one in"),
        (OpenclError("the driver died"), ["devices"], 6, "the driver died"),
        (
            [CPU],
            ["manifest", "--binary", "F", "--style", "wi"],
            3,
            "no OpenCL device fits 'gpu' (here: opencl:1:0 PoCL",
        ),
        ([CARD], ["manifest", "--binary", "F", "--style", "wi", "--kernel", "f"], 3, "fits 'gpu'"),
        ([CPU], ["build", "--out", "F", "--device", "card"], 2, "'card' names no OpenCL device"),
        ([CPU], ["build", "--out", "F", "--block", "1KiB"], 2, "'1KiB' is not one of"),
        ([CPU], ["frobnicate"], 2, "No such command 'frobnicate'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_status(found, tmp_path, monkeypatch, capsys, case):
    answer, arguments, status, words = case
    monkeypatch.chdir(tmp_path)
    Path("F").write_bytes(b"program")
    found(answer)
    if arguments[0] == "manifest":
        arguments = [*arguments, "--device", "gpu"]
    assert cli.main(["opencl", *arguments]) == status
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_manifest_is_not_written_for_a_program_that_lacks_a_kernel(found, tmp_path, capsys):
    found([CARD])
    (tmp_path / "F").write_bytes(b"program")
    arguments = ["--binary", str(tmp_path / "F"), "--style", "task", "--kernel", "deflate_blocks"]
    assert cli.main(["opencl", "manifest", *arguments]) == 6
    assert "lacks the kernels gather_blocks, deflate_info" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["F"]


def test_build_where_no_device_is_allowed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PAGEFERRY_OPENCL_DEVICE", "opencl:99")
    assert cli.main(["opencl", "build", "--out", str(tmp_path / "F")]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())
