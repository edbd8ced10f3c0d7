"""Doctor says for every check what it means, and what fixes it."""

from dataclasses import replace
from pathlib import Path

import pytest

from backends.opencl.devices import DeviceRow
from backends.opencl.errors import OpenclError, OpenclMissing
from backends.registry import BackendStatus
from harness.doctor import checks as doctor_module
from harness.doctor import memory as doctor_memory
from harness.doctor.check import Check
from harness.doctor.checks import doctor, nothing_runs
from harness.errors import MissingError, QemuError
from harness.experiment import environment
from harness.guests import accel
from harness.guests.qemu_kind import usual_kind
from harness.hosts import limits, rundir
from harness.hosts.touch import TouchRates

GIB = 1 << 30


def test_doctor_looks_at_everything_and_explains_it():
    checks = {check.id: check for check in doctor()}
    expected = {
        "kvm",
        "qemu",
        "netns",
        "backend none",
        "backend zlib",
        "opencl",
        "governor",
        "smt",
        "load",
        "memory",
        "touch",
        "hugepages",
        "processors",
        "scratch",
        "cache",
    }
    assert expected <= set(checks)
    for check in checks.values():
        assert check.found
        assert check.means
        assert check.status == "ok" or check.fix, f"{check.id} says no remedy"
    assert not nothing_runs(checks.values())


def _only(look, *, check_id: str) -> Check:
    return next(check for check in look() if check.id == check_id)


def test_doctor_without_kvm(monkeypatch):
    monkeypatch.setattr(environment, "kvm_problem", lambda: "/dev/kvm: Permission denied")
    check = _only(doctor_module._kvm, check_id="kvm")
    assert check.status == "warn"
    assert "group kvm" in check.fix


def test_doctor_without_qemu(monkeypatch):
    monkeypatch.setattr(doctor_module.shutil, "which", lambda _: None)
    check = _only(doctor_module._qemu, check_id="qemu")
    assert (check.status, check.fix) == ("missing", "apt install qemu-system-x86")


def test_doctor_with_a_broken_qemu(monkeypatch):
    def broken(_: str) -> None:
        raise QemuError("survey: QEMU ended: exit status 1: no BIOS")

    monkeypatch.setattr(doctor_module.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor_module, "survey", broken)
    check = _only(doctor_module._qemu, check_id="qemu")
    assert check.status == "missing"
    assert "no BIOS" in check.found


def test_doctor_without_root(monkeypatch):
    monkeypatch.setattr(doctor_module.os, "geteuid", lambda: 1000)
    check = _only(doctor_module._links, check_id="netns")
    assert check.status == "warn"
    assert "relay" in check.means


def test_doctor_reports_a_refused_namespace(monkeypatch):
    def refuse(*_: object) -> None:
        raise MissingError(
            'link: ip netns add x: Operation not permitted; allow namespaces, or set link.kind = "relay"'
        )

    monkeypatch.setattr(doctor_module.os, "geteuid", lambda: 0)
    monkeypatch.setattr(doctor_module.shutil, "which", lambda name: f"/sbin/{name}")
    monkeypatch.setattr(doctor_module.NetnsLink, "open", refuse)
    check = _only(doctor_module._links, check_id="netns")
    assert check.found == "ip netns add x: Operation not permitted"
    assert "--privileged" in check.fix


def test_doctor_names_the_device_that_packet_lines_need(monkeypatch):
    def refuse(link) -> None:
        if link.given.delay_s:
            raise MissingError(
                "link: no packet line between namespaces: No such file or directory: '/dev/net/tun'; allow it"
            )

    monkeypatch.setattr(doctor_module.os, "geteuid", lambda: 0)
    monkeypatch.setattr(doctor_module.shutil, "which", lambda name: f"/sbin/{name}")
    monkeypatch.setattr(doctor_module.NetnsLink, "open", refuse)
    found = {check.id: check for check in doctor_module._links()}
    assert [check.status for check in found.values()] == ["ok", "ok", "warn"]
    assert "/dev/net/tun" in found["tun"].found
    assert "kernel module tun" in found["tun"].fix


def test_doctor_tells_why_kvm_could_not_be_tried_and_what_helps_against_that(monkeypatch):
    def no_place(*_: object) -> None:
        raise MissingError("no folder for sockets: /long: its path has 118 bytes; set TMPDIR to a short path")

    monkeypatch.setattr(environment, "kvm_problem", lambda: None)
    monkeypatch.setattr(doctor_module.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor_module, "probe_accel", no_place)
    monkeypatch.setattr(doctor_module, "survey", no_place)
    for look, check_id in ((doctor_module._kvm, "kvm"), (doctor_module._qemu, "qemu")):
        check = _only(look, check_id=check_id)
        assert "its path has 118 bytes" in check.found
        assert check.fix == "set TMPDIR to a short path"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("/dev/kvm is absent (the module is not loaded)", "kvm_amd"),
        ("KVM cannot be used: /dev/kvm may not be opened: Operation not permitted", "group kvm"),
        ("KVM cannot be used: /dev/kvm cannot be opened: No such device", "kvm_amd"),
        ("KVM does not work: /dev/kvm can be opened, but a guest did not run (-cpu host: no heartbeat)", "--debug"),
    ],
    ids=["absent", "denied", "not loaded", "tried"],
)
def test_doctors_remedy_for_kvm_fits_the_cause(monkeypatch, problem, words):
    monkeypatch.setattr(environment, "kvm_problem", lambda: None)
    monkeypatch.setattr(doctor_module.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor_module, "probe_accel", lambda *_: accel.Accel("tcg", "qemu64", problem))
    check = _only(doctor_module._kvm, check_id="kvm")
    assert check.found == problem
    assert words in check.fix


def test_a_processor_model_that_fails_is_named_in_words_and_qemus_own_are_only_logged(monkeypatch, tmp_path, caplog):
    raw = "probe: connect: QEMU ended: killed by SIGABRT: kvm.c:3183: Assertion `ret == nmsrs' failed."

    class Fails:
        def __init__(self, _name: str, argv: list[str], **_: object) -> None:
            self.cpu = argv[argv.index("-cpu") + 1]

        def __enter__(self) -> "Fails":
            if self.cpu == "host":
                raise QemuError(raw)
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def chardev_path(self, _: str) -> Path:
            return tmp_path

    (tmp_path / "kvm").write_bytes(b"")
    monkeypatch.setattr(accel, "KVM", tmp_path / "kvm")
    monkeypatch.setattr(accel, "QemuProcess", Fails)
    monkeypatch.setattr(accel, "_silence", lambda *_: None)
    with caplog.at_level("DEBUG"):
        found = accel._probe_kvm.__wrapped__("qemu", usual_kind(), accel.CPU_MODELS)
    assert (
        found.reason == "a probe guest ran with -cpu host,-arch-capabilities (not with -cpu host: QEMU ended by itself)"
    )
    assert raw in caplog.text


def test_doctor_counts_a_quota_of_processor_time(monkeypatch):
    monkeypatch.setattr(limits, "cpu_quota", lambda: 0.5)
    check = _only(doctor_module._processors, check_id="processors")
    assert check.status == "warn"
    assert "a control group allows the time of 0.5" in check.found
    assert environment.collect("no-such-qemu")["cpu_quota"] == 0.5


def test_doctor_without_scratch_space(monkeypatch, tmp_path):
    monkeypatch.setattr(rundir, "_IN_MEMORY", tmp_path / "none")
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("d" * 118)))
    check = _only(doctor_memory._scratch, check_id="scratch")
    assert check.status == "missing"
    assert check.fix.startswith("set TMPDIR to a short path")


def test_doctor_where_the_cache_cannot_be_written(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    monkeypatch.setattr(doctor_memory.os, "access", lambda *_: False)
    check = _only(doctor_memory._cache, check_id="cache")
    assert (check.status, check.found) == ("missing", "/nowhere/pageferry: / cannot be written")
    assert "XDG_CACHE_HOME" in check.fix


@pytest.mark.parametrize(
    ("name", "status"), [("performance", "ok"), (None, "ok"), ("powersave", "warn")], ids=["fixed", "none", "scaling"]
)
def test_doctor_judges_the_governor(monkeypatch, name, status):
    monkeypatch.setattr(environment, "governor", lambda: name)
    assert _only(doctor_module._governor, check_id="governor").status == status


CPU = DeviceRow("opencl:0:0", "PoCL", "pthread", "CPU", "3.1", "OpenCL 3.0", 2, 1 << 32, 1 << 20, True)
CARD = replace(CPU, selector="opencl:1:0", platform="Cards Inc.", name="U50", type="ACCELERATOR")


@pytest.mark.parametrize(
    ("listed", "tried", "status", "words"),
    [
        ([CPU], [replace(CPU, chosen=True)], "ok", "a stand-in for a card"),
        ([CPU, CARD], [CPU, replace(CARD, chosen=True)], "ok", "can be compressed on U50"),
        (OpenclMissing("pyopencl is not installed", "install it"), None, "missing", "cannot be used"),
        (OpenclMissing("PoCL shows no device", "set POCL_CACHE_DIR"), None, "missing", "cannot be used"),
        (OpenclError("the driver ended its process"), None, "warn", "a driver fails"),
        ([CPU], OpenclMissing("PoCL cannot link kernels", "apt install gcc"), "warn", "PoCL cannot link kernels"),
        ([CARD], OpenclError("its output restores to other bytes"), "warn", "restores to other bytes"),
    ],
    ids=["cpu", "card", "no pyopencl", "no cache", "driver dies", "no linker", "wrong"],
)
def test_doctor_tries_the_opencl_devices(monkeypatch, listed, tried, status, words):
    def probe(config=None):
        answer = listed if config is None else tried
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(doctor_module, "probe_in_child", probe)
    check = _only(doctor_module._opencl, check_id="opencl")
    assert check.status == status
    assert words in check.means
    assert bool(check.fix) == (status != "ok")
    if isinstance(listed, list):
        assert all(str(row) in check.found for row in listed)


def test_doctor_judges_load_and_memory(monkeypatch):
    monkeypatch.setattr(doctor_module.os, "getloadavg", lambda: (99.0, 99.0, 99.0))
    assert _only(doctor_module._load, check_id="load").status == "warn"
    monkeypatch.setattr(doctor_memory, "NEEDED_MEMORY_BYTES", 1 << 60)
    assert _only(doctor_memory._memory, check_id="memory").status == "warn"


@pytest.mark.parametrize(("first", "status", "costs"), [(4.0, "ok", "125 ms"), (0.25, "warn", "2000 ms")])
def test_doctor_tells_what_memory_costs_that_is_touched_first(monkeypatch, first, status, costs):
    monkeypatch.setattr(doctor_memory, "touch_rates", lambda _: TouchRates(first * GIB, 64.0 * GIB))
    check = _only(doctor_memory._touch, check_id="touch")
    assert check.status == status
    assert check.found.endswith("/s of new pages, 64 GiB/s of the same again")
    assert check.means.startswith(f"a guest of 512 MiB costs {costs} of first touches")
    assert "guest.prealloc, which is on" in check.means + check.fix
    assert ("prealloc=on" in check.fix) == (status == "warn")


def test_doctor_touches_no_memory_where_there_is_little(monkeypatch):
    monkeypatch.setattr(limits, "available_bytes", lambda: GIB // 4)
    monkeypatch.setattr(doctor_memory, "touch_rates", lambda _: pytest.fail("touched"))
    check = _only(doctor_memory._touch, check_id="touch")
    assert (check.status, check.found) == ("warn", "not measured: 256 MiB available")


@pytest.mark.parametrize(
    ("pools", "found", "means"),
    [
        ({}, "this kernel has none", "cannot be used here"),
        ({2: (512, 500)}, "2 MiB: 512 reserved, 500 free; 1 GiB: none of that size", "sysctl vm.nr_hugepages=512"),
        ({1024: (0, 0)}, "2 MiB: none of that size; 1 GiB: 0 reserved, 0 free", "echo 1 > "),
    ],
)
def test_doctor_says_which_huge_pages_are_reserved(monkeypatch, pools, found, means):
    known = {mib << 20: limits.HugePages(*counts) for mib, counts in pools.items()}
    monkeypatch.setattr(limits, "hugepages", known.get)
    check = _only(doctor_memory._huge_pages, check_id="hugepages")
    assert (check.status, check.found) == ("ok", found)
    assert means in check.means


def test_nothing_runs_only_without_the_backend_that_needs_nothing(monkeypatch):
    gone = BackendStatus("none", "pageferry", available=False, reason="broken", remedy="reinstall")
    monkeypatch.setattr(doctor_module.registry, "survey", lambda: [gone])
    checks = doctor_module._codecs()
    assert nothing_runs(checks)
    assert (checks[0].status, checks[0].fix) == ("missing", "reinstall")
