"""QEMU's own methods planned for a survey, and a setting that did not take; no QEMU is started."""

import pytest

from harness.errors import QemuError
from harness.guests.native import MethodPlan, MethodUnavailable, SideSettings, apply_plan, plan_method
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


def test_a_level_that_qmp_may_ignore_goes_on_the_command_line_too():
    planned = plan(OLD, capabilities=("multifd",), source={"multifd-zlib-level": 6})
    assert planned.source.argv == ("-global", "migration.multifd-zlib-level=6")
    assert plan(OLD, capabilities=("compress",), source={"compress-level": 6}).source.argv == ()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"capabilities": ("xbzrle",)}, "QEMU 7.2.22 has no migration capability 'xbzrle'"),
        ({"source": {"multifd-qatzip-level": 1}}, "QEMU 7.2.22 has no migration parameter 'multifd-qatzip-level'"),
        (
            {"capabilities": ("multifd",), "source": {"multifd-compression": "zstd"}},
            "QEMU 7.2.22 has no 'zstd' for multifd-compression; it has none, zlib",
        ),
    ],
    ids=["capability", "parameter", "word"],
)
def test_what_this_qemu_lacks_is_a_reason_to_skip(settings, reason):
    with pytest.raises(MethodUnavailable) as caught:
        plan(OLD, **settings)
    assert str(caught.value) == reason


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
