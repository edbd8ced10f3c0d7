"""The environment is flat and says None for what it cannot tell."""

import json
from pathlib import Path

import pytest

from harness.experiment import environment


@pytest.fixture
def fake_root(tmp_path: Path) -> Path:
    files = {
        "proc/cpuinfo": "processor : 0\nmodel name\t: AMD EPYC\nflags\t: fpu vme hypervisor avx2\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
        "sys/devices/system/cpu/smt/active": "1\n",
        "sys/class/dmi/id/sys_vendor": "QEMU\n",
        ".dockerenv": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_collect_is_flat_json():
    facts = environment.collect()
    assert all(value is None or isinstance(value, str | int | float | bool) for value in facts.values())
    assert json.loads(json.dumps(facts)) == facts
    for key in ("cpu_model", "cores", "kernel", "memory_bytes", "python", "pageferry", "backend_zlib", "kvm", "root"):
        assert facts[key] is not None, key


def test_collect_without_that_qemu_says_none():
    assert environment.collect("no-such-qemu")["qemu"] is None


def test_facts_are_read_where_linux_tells_them(fake_root):
    assert environment.cpu_model(fake_root) == "AMD EPYC"
    assert environment.governor(fake_root) == "powersave, performance"
    assert environment.smt_active(fake_root) is True
    assert environment.virtualised(fake_root) == "container in a virtual machine (QEMU)"


def test_a_machine_that_tells_nothing(tmp_path):
    assert environment.cpu_model(tmp_path) is None
    assert environment.governor(tmp_path) is None
    assert environment.smt_active(tmp_path) is None
    assert environment.virtualised(tmp_path) == "no"


def test_qemu_version_survives_a_program_that_is_not_qemu(tmp_path):
    program = tmp_path / "not-qemu"
    program.write_text("#!/bin/sh\nexit 3\n")
    assert environment.qemu_version(str(program)) is None
    program.chmod(0o755)
    assert environment.qemu_version(str(program)) is None


def test_kvm_problem_names_the_device(tmp_path):
    assert environment.kvm_problem(tmp_path / "kvm") == f"{tmp_path / 'kvm'}: No such file or directory"
    (tmp_path / "kvm").write_bytes(b"")
    assert environment.kvm_problem(tmp_path / "kvm") is None
