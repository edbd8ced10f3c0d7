"""QEMU's own methods planned for a survey, and a setting that did not take; no QEMU is started."""

from dataclasses import replace

import pytest
from live_guests import CONFIG, unopened_guest

from harness.errors import QemuError
from harness.guests.contract import Place
from harness.guests.native import MethodPlan, MethodUnavailable, SideSettings, apply_plan, plan_method
from harness.hosts.local import HERE
from harness.qemu.survey import QemuSurvey
from harness.scenario.methods import PairMethod, QemuMethod

OLD = QemuSurvey(
    binary="qemu",
    version="7.2.22",
    machine="pc-i440fx-7.2",
    capabilities=frozenset({"compress", "events", "multifd", "return-path"}),
    choices={
        "compress-level": None,
        "downtime-limit": None,
        "max-bandwidth": None,
        "multifd-channels": None,
        "multifd-compression": ("none", "zlib"),
        "multifd-zlib-level": None,
    },
    properties=frozenset({"multifd-zlib-level", "x-compress-level"}),
)


def plan(known: QemuSurvey, *, capabilities=(), return_path=True, **settings) -> MethodPlan:
    method = QemuMethod(name="m", capabilities=capabilities, **settings)
    return plan_method(method, known, downtime_limit_s=0.3, return_path=return_path)


def test_bandwidth_downtime_and_return_path_are_always_set():
    planned = plan(OLD)
    assert planned.source.parameters == {"max-bandwidth": 1 << 40, "downtime-limit": 300}
    assert planned.destination.parameters == {"max-bandwidth": 1 << 40}
    assert planned.source.capabilities == planned.destination.capabilities == {"return-path": True, "events": True}
    assert plan(OLD, return_path=False).source.capabilities["return-path"] is False


@pytest.mark.parametrize("blocktime", [False, True])
def test_a_switch_brings_post_copy_its_return_path_and_what_tells_of_page_faults(blocktime):
    able = OLD.capabilities | {"postcopy-ram"} | ({"postcopy-blocktime"} if blocktime else set())
    planned = plan(replace(OLD, capabilities=able), return_path=False, switch_after_passes=2)
    wanted = {"return-path", "events", "postcopy-ram"} | ({"postcopy-blocktime"} if blocktime else set())
    assert planned.source.capabilities == planned.destination.capabilities == dict.fromkeys(wanted, True)
    assert planned.switch_after_passes == 2
    assert not planned.traces_requests
    tracing = replace(OLD, capabilities=able, traces_requests=True)
    assert plan(tracing, switch_after_passes=2).traces_requests
    assert not plan(tracing).traces_requests
    with pytest.raises(MethodUnavailable, match="no migration capability 'postcopy-ram'"):
        plan(OLD, switch_after_passes=2)


def test_what_multifd_needs_alike_goes_to_both_sides():
    planned = plan(OLD, capabilities=("multifd",), source={"multifd-compression": "zlib", "multifd-zlib-level": 6})
    shared = {"multifd-channels": 2, "multifd-compression": "zlib"}
    assert planned.destination.parameters == {"max-bandwidth": 1 << 40} | shared
    assert planned.source.parameters.items() >= shared.items()


def test_a_method_through_the_pair_may_have_channels_of_multifd():
    method = PairMethod(name="m", backend="zstd", channels=3)
    planned = plan_method(method, OLD, downtime_limit_s=0.3, return_path=True)
    for side in (planned.source, planned.destination):
        assert side.capabilities["multifd"] is True
        assert side.parameters["multifd-channels"] == 3


def test_a_method_through_the_pair_may_have_qemus_capabilities_and_parameters_too():
    known = replace(
        OLD,
        capabilities=OLD.capabilities | {"postcopy-ram", "postcopy-preempt"},
        choices={**OLD.choices, "max-postcopy-bandwidth": None},
    )
    method = PairMethod(
        name="m",
        backend="zstd",
        channels=3,
        switch_after_passes=1,
        capabilities=("postcopy-preempt",),
        source={"max-postcopy-bandwidth": 7},
    )
    planned = plan_method(method, known, downtime_limit_s=0.3, return_path=True)
    for side in (planned.source, planned.destination):
        assert [side.capabilities[name] for name in ("multifd", "postcopy-ram", "postcopy-preempt")] == [True] * 3
    assert planned.source.parameters["max-postcopy-bandwidth"] == 7
    assert "max-postcopy-bandwidth" not in planned.destination.parameters
    assert method.most_connections == 1 + 3 + 1


def test_a_level_that_qmp_may_ignore_goes_on_the_command_line_too():
    planned = plan(OLD, capabilities=("multifd",), source={"multifd-zlib-level": 6})
    assert planned.source.argv == ("-global", "migration.multifd-zlib-level=6")
    assert plan(OLD, capabilities=("compress",), source={"compress-level": 6}).source.argv == ()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"capabilities": ("xbzrle",)}, "QEMU 7.2.22 has no migration capability 'xbzrle'"),
        (
            {"capabilities": ("dirty-limit",)},
            "QEMU 7.2.22 has no migration capability 'dirty-limit' (new in 8.1)",
        ),
        (
            {"source": {"zero-page-detection": "multifd"}},
            "QEMU 7.2.22 has no migration parameter 'zero-page-detection' (new in 9.0)",
        ),
        (
            {"capabilities": ("multifd",), "source": {"multifd-compression": "qatzip"}},
            "QEMU 7.2.22 has no 'qatzip' for multifd-compression (new in 9.2); it has none, zlib",
        ),
        (
            {"capabilities": ("multifd",), "source": {"multifd-compression": "zstd"}},
            "QEMU 7.2.22 has no 'zstd' for multifd-compression; it has none, zlib",
        ),
    ],
    ids=["capability", "newer capability", "newer parameter", "newer word", "word"],
)
def test_what_this_qemu_lacks_is_a_reason_to_skip(settings, reason):
    with pytest.raises(MethodUnavailable) as caught:
        plan(OLD, **settings)
    assert str(caught.value) == reason


def test_post_copy_is_not_for_a_guest_that_is_held_to_be_compared(tmp_path):
    guest = unopened_guest(CONFIG, {"zero": 1.0})
    guest.holds = True
    guest._survey = replace(OLD, capabilities=OLD.capabilities | {"postcopy-ram"})
    method = QemuMethod(name="m", switch_after_passes=1)
    with (
        pytest.raises(MethodUnavailable, match=r"kind 'stress' is held .* guest\.verify = false"),
        guest.ends(method, Place(tmp_path, HERE, HERE)),
    ):
        pytest.fail("a guest that does not run asks for no page")


class Refusing:
    """A QMP that refuses capabilities; ``alive``: whether its QEMU lives on."""

    name = "destination"

    def __init__(self, alive: bool) -> None:
        self.alive = alive

    def execute(self, command: str, /, **arguments: object) -> object:
        raise QemuError(f"{self.name}: {command}: Postcopy is not supported")


def test_capabilities_that_qemu_refuses_are_a_reason_to_skip_and_its_death_is_none():
    planned = MethodPlan(SideSettings(), SideSettings({"postcopy-ram": True}))
    with pytest.raises(
        MethodUnavailable, match=r"Postcopy is not supported; QEMU needs userfaultfd: run as root, or sysctl"
    ):
        apply_plan(planned, Refusing(alive=True), Refusing(alive=True))
    with pytest.raises(QemuError, match=r"Postcopy is not supported$"):
        apply_plan(planned, Refusing(alive=False), Refusing(alive=False))


class Stubborn:
    """A QMP that answers success and keeps its own value."""

    name = "source"

    def execute(self, command: str, /, **arguments: object) -> object:
        if command == "query-migrate-capabilities":
            return [{"capability": "events", "state": True}]
        return {"multifd-zstd-level": 1} if command == "query-migrate-parameters" else {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SideSettings({}, {"multifd-zstd-level": 9}), "parameter multifd-zstd-level: asked for 9, QEMU kept 1"),
        (SideSettings({"multifd": True}), "capability multifd: asked for True, QEMU kept None"),
        (SideSettings({}, {"multifd-zstd-level": True}), "parameter multifd-zstd-level: asked for True, QEMU kept 1"),
    ],
    ids=["parameter", "capability", "type"],
)
def test_a_setting_that_did_not_take_is_named_with_what_was_asked_and_got(settings, message):
    with pytest.raises(QemuError, match=f"source: migration {message}"):
        apply_plan(MethodPlan(settings, SideSettings()), Stubborn(), Stubborn())
