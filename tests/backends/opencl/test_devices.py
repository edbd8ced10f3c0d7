"""Which device is meant, and what is said where there is none. A driver that aborts or hangs costs a child process only."""

import signal
import subprocess
import sys
import textwrap

import pytest

from backends.opencl.child import call_in_child, death
from backends.opencl.devices import ENVIRONMENT, DeviceConfig, DeviceRow, choose
from backends.opencl.errors import OpenclError, OpenclMissing, one_line
from backends.opencl.probe import probe_in_child


def row(selector, device_type, name, platform="Cards Inc.", version="OpenCL 3.0"):
    return DeviceRow(selector, platform, name, device_type, "1.0", version, 8, 1 << 33, 1 << 16, device_type == "CPU")


PORTABLE = "Portable Computing Language"
OLD = row(
    "opencl:0:0", "CPU", "pthread-AMD", PORTABLE, "OpenCL 3.0 PoCL HSTR: pthread-x86_64-unknown-linux-gnu-generic"
)
CPU = row(
    "opencl:1:0", "CPU", "pthread-skylake-AMD", PORTABLE, "OpenCL 3.0 PoCL HSTR: pthread-x86_64-pc-linux-gnu-skylake"
)
FPGA = row("opencl:2:0", "ACCELERATOR", "Alveo U50")
GPU = row("opencl:2:1", "GPU", "RX 7900")
GPU2 = row("opencl:2:2", "GPU", "RX 7900 XT")
ALL = [OLD, CPU, FPGA, GPU, GPU2]


@pytest.fixture(autouse=True)
def no_name_from_outside(request, monkeypatch):
    if "real_device" not in request.fixturenames:
        monkeypatch.delenv(ENVIRONMENT, raising=False)


@pytest.mark.parametrize(
    ("rows", "config", "chosen"),
    [
        (ALL, DeviceConfig(), GPU),
        ([CPU, FPGA], DeviceConfig(), FPGA),
        (ALL, DeviceConfig(cpu_allowed=True), GPU),
        ([CPU], DeviceConfig(cpu_allowed=True), CPU),
        ([OLD, CPU], DeviceConfig(cpu_allowed=True), CPU),
        (ALL, DeviceConfig("cpu"), CPU),
        ([OLD], DeviceConfig("CPU"), OLD),
        (ALL, DeviceConfig("accelerator"), FPGA),
        (ALL, DeviceConfig("opencl:0"), OLD),
        (ALL, DeviceConfig("opencl:2"), GPU),
        (ALL, DeviceConfig("opencl:2:0"), FPGA),
        (ALL, DeviceConfig("opencl:cards:u50"), FPGA),
        (ALL, DeviceConfig("opencl:cards inc.:7900 xt"), GPU2),
        (ALL, DeviceConfig("OpenCL:portable:pthread-amd"), OLD),
    ],
    ids=str,
)
def test_the_device_that_is_meant(rows, config, chosen):
    assert choose(rows, config) is chosen


@pytest.mark.parametrize(
    ("rows", "config", "words"),
    [
        ([CPU], DeviceConfig(), "no OpenCL GPU or accelerator (here: opencl:1:0 Portable"),
        ([], DeviceConfig(cpu_allowed=True), "no OpenCL GPU or accelerator (here: none)"),
        (ALL, DeviceConfig("opencl:3"), "no OpenCL device fits 'opencl:3' (here: opencl:0:0 Portable"),
        (ALL, DeviceConfig("opencl:2:9"), "no OpenCL device fits 'opencl:2:9'"),
        ([CPU], DeviceConfig("gpu"), "no OpenCL device fits 'gpu'"),
    ],
)
def test_no_device_fits_and_those_that_are_here_are_named(rows, config, words):
    with pytest.raises(OpenclMissing) as raised:
        choose(rows, config)
    assert words in str(raised.value)
    assert raised.value.remedy


@pytest.mark.parametrize("name", ["0:0", "opencl", "opencl:", "opencl::0", "cuda:0", "card"])
def test_a_name_without_sense_is_refused(name):
    with pytest.raises(OpenclError, match="names no OpenCL device; write opencl:PLATFORM:DEVICE") as raised:
        choose(ALL, DeviceConfig(name))
    assert not isinstance(raised.value, OpenclMissing)


def test_the_environment_names_the_device_where_the_option_does_not(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "cpu")
    assert choose(ALL, DeviceConfig()) is CPU
    assert choose(ALL, DeviceConfig("opencl:2:0")) is FPGA


def test_a_binary_goes_to_the_device_that_it_was_built_for():
    twin = row("opencl:4:0", "GPU", "Alveo U50")
    config = DeviceConfig(binary="F.xclbin")
    assert choose([*ALL, twin], config, built_for=("Cards Inc.", "Alveo U50")) is FPGA
    assert choose(ALL, config, built_for=(PORTABLE, CPU.name)) is CPU
    with pytest.raises(OpenclMissing, match=r"Cards Inc\. / U200, for which F\.xclbin was built"):
        choose(ALL, config, built_for=("Cards Inc.", "U200"))
    with pytest.raises(OpenclMissing, match="fits 'gpu'"):
        choose(ALL, DeviceConfig("gpu", "F.xclbin"), built_for=("Cards Inc.", "Alveo U50"))


def test_the_probe_lists_and_tries(real_device):
    rows = probe_in_child()
    assert real_device.selector in {found.selector for found in rows}
    assert not any(found.chosen for found in rows)
    assert real_device.chosen
    assert real_device.compute_units > 0
    assert real_device.global_memory_bytes > 1 << 20


def test_the_child_takes_nothing_from_the_working_directory(real_device, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('wrong json')")
    (tmp_path / "backends").mkdir()
    monkeypatch.chdir(tmp_path)
    assert probe_in_child()


def pretend(folder, monkeypatch, code):
    """A pyopencl of our own stands before the real one in child processes."""
    (folder / "pyopencl.py").write_text(textwrap.dedent(code))
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_without_pyopencl(tmp_path, monkeypatch):
    pretend(tmp_path, monkeypatch, "raise ModuleNotFoundError(\"No module named 'pyopencl'\", name='pyopencl')")
    with pytest.raises(OpenclMissing) as raised:
        probe_in_child()
    assert raised.value.missing == "pyopencl is not installed"
    assert raised.value.remedy == f'{sys.executable} -m pip install "pageferry[opencl]"'


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import os, sys; sys.stderr.write('driver: oops\\n'); os.abort()",
            "ended its process (Aborted): driver: oops",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended its process (Segmentation fault)"),
        ("import os; os._exit(7)", "ended its process (exit status 7)"),
        ("import os; print('noise', flush=True); os._exit(0)", "ended its process (exit status 0): noise"),
        ("import time; time.sleep(60)", "did not answer within 2 s"),
    ],
    ids=["abort", "crash", "exit", "noise", "hang"],
)
def test_a_driver_that_takes_its_process_along(tmp_path, monkeypatch, code, words):
    pretend(tmp_path, monkeypatch, code)
    with pytest.raises(OpenclError) as raised:
        probe_in_child(timeout_s=2 if "sleep" in code else 60)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("""return [] if os.write(1, b'{"result": "a lie"}') else None""", "no OpenCL device"),
        (
            r'raise Error("clGetPlatformIDs failed:\nPLATFORM_NOT_FOUND_KHR")',
            "no OpenCL platform: clGetPlatformIDs failed: PLATFORM_NOT_FOUND_KHR",
        ),
    ],
    ids=["writes to stdout", "fails"],
)
def test_a_platform_list_of_a_driver_that_misbehaves(tmp_path, monkeypatch, statement, words):
    lines = ["import os", "class Error(Exception): pass", "def get_platforms():", f"    {statement}"]
    pretend(tmp_path, monkeypatch, "\n".join(lines))
    with pytest.raises(OpenclMissing, match=words):
        probe_in_child()


def test_no_device_at_all(real_device, bare_opencl, monkeypatch):
    monkeypatch.setenv("POCL_DEVICES", "none")
    with pytest.raises(OpenclMissing, match="no OpenCL"):
        probe_in_child(DeviceConfig(cpu_allowed=True))


def pocl_or_skip():
    """Where pyopencl brings PoCL it is found without any drivers registered."""
    try:
        rows = probe_in_child()
    except OpenclMissing as exc:
        pytest.skip(str(exc))
    if not any(found.platform == PORTABLE for found in rows):
        pytest.skip("no PoCL here")


def test_a_cache_that_cannot_be_written(bare_opencl, monkeypatch, tmp_path):
    pocl_or_skip()
    (tmp_path / "file").touch()
    monkeypatch.setenv("POCL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(OpenclMissing) as raised:
        probe_in_child(DeviceConfig(cpu_allowed=True))
    assert (
        raised.value.missing == f"PoCL shows no device, as it cannot write to its cache {tmp_path / 'file' / 'cache'}"
    )
    assert "POCL_CACHE_DIR" in raised.value.remedy


def test_a_home_that_cannot_be_written_has_a_remedy_that_helps(real_device, monkeypatch, tmp_path):
    """PoCL's own cache is not the only one: what is named has to serve the library in between too."""
    device = DeviceConfig(real_device.selector, cpu_allowed=True)
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(OpenclMissing, match=r"file/\.cache, which cannot be written") as raised:
        probe_in_child(device)
    assert "XDG_CACHE_HOME" in raised.value.remedy
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert probe_in_child(device)


def test_no_linker_for_pocl(real_device, monkeypatch, tmp_path):
    if real_device.platform != PORTABLE:
        pytest.skip(f"{real_device} needs no linker")
    monkeypatch.setenv("POCL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OpenclMissing) as raised:
        probe_in_child(DeviceConfig(real_device.selector))
    assert raised.value.missing == "PoCL cannot link kernels: no ld, libgcc or libc"
    assert raised.value.remedy == "apt install gcc libc6-dev"


def test_a_processor_that_pocl_does_not_know(bare_opencl):
    pocl_or_skip()
    found = next(each for each in probe_in_child() if each.platform == PORTABLE)
    if not found.version.endswith("x86_64-unknown-linux-gnu-generic"):
        pytest.skip(f"this PoCL knows the processor: {found.version}")
    with pytest.raises(OpenclMissing, match="cannot compile for this processor"):
        probe_in_child(DeviceConfig(found.selector))


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (-signal.SIGABRT, "Final linking of kernel f failed.", "PoCL cannot link kernels"),
        (-signal.SIGKILL, "", "the OpenCL driver ended its process (Killed)"),
        (1, "x\n" * 9000, "the OpenCL driver ended its process (exit status 1): x x x"),
    ],
)
def test_a_death_is_told_in_one_line(status, words, told):
    line = str(death(status, words))
    assert line.startswith(told)
    assert "\n" not in line
    assert len(line) < 500


def test_a_bug_in_the_child_is_an_error_here():
    with pytest.raises(OpenclError, match=r"ended its process .*no_such_function"):
        call_in_child("backends.opencl.devices:no_such_function", None, 60)


def test_one_line_is_one_line_and_ends():
    assert one_line("a\n  b\tc") == "a b c"
    assert len(one_line("x" * (1 << 20))) < 500


def test_nothing_is_loaded_by_import():
    code = "import backends.opencl.host, sys; assert 'pyopencl' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
