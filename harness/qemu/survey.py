"""What one QEMU binary can do for a migration, asked of the binary itself: version, machine type, settings. No guest runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from harness.hosts.rundir import open_scratch
from harness.qemu.page_requests import can_trace
from harness.qemu.process import QemuProcess
from harness.qemu.qmp import Json, Qmp

# The methods that QEMU has or had of its own: the capability and, for multifd, the codec that each one needs.
NATIVE_METHODS: Mapping[str, tuple[str | None, str | None]] = {
    "plain": (None, None),
    "compress": ("compress", None),
    "xbzrle": ("xbzrle", None),
    "multifd": ("multifd", "none"),
    "multifd-zlib": ("multifd", "zlib"),
    "multifd-zstd": ("multifd", "zstd"),
    "multifd-qpl": ("multifd", "qpl"),
    "multifd-uadk": ("multifd", "uadk"),
    "multifd-qatzip": ("multifd", "qatzip"),
}

_VERSIONS: Mapping[str, str] = {
    "postcopy-preempt": "new in 7.1",
    "dirty-limit": "new in 8.1",
    "vcpu-dirty-limit": "new in 8.1",
    "x-vcpu-dirty-limit-period": "new in 8.1",
    "zero-page-detection": "new in 9.0",
    "mapped-ram": "new in 9.0",
    "qpl": "new in 9.1",
    "uadk": "new in 9.1",
    "qatzip": "new in 9.2",
    "multifd-qatzip-level": "new in 9.2",
    "compress": "gone since 9.1",
    "compress-level": "gone since 9.1",
    "compress-threads": "gone since 9.1",
    "decompress-threads": "gone since 9.1",
}
"""Which QEMU has what not all have, as its qapi/migration.json says."""


@dataclass(frozen=True, slots=True)
class QemuSurvey:
    """``choices`` maps each migration parameter to its allowed words, or to None where any number or text may stand.

    ``properties``: what ``-global migration.NAME=VALUE`` knows. ``machine``: the versioned name behind the alias ``pc``.
    ``traces_requests``: whether it can write down when a page was asked for in post-copy (``page_requests.py``).
    """

    binary: str
    version: str
    machine: str
    capabilities: frozenset[str]
    choices: Mapping[str, tuple[str, ...] | None]
    properties: frozenset[str]
    traces_requests: bool = False

    @property
    def methods(self) -> Mapping[str, str | None]:
        """Each native method's name, and why this QEMU has it not, or None if it has."""
        return {name: self._lacks(*needs) for name, needs in NATIVE_METHODS.items()}

    def lacks_capability(self, capability: str) -> str | None:
        """Why the capability cannot be set, or None."""
        if capability in self.capabilities:
            return None
        return f"QEMU {self.version} has no migration capability {capability!r}{_version(capability)}"

    def lacks_parameter(self, parameter: str, value: object) -> str | None:
        """Why the parameter, or a word as its value, cannot be set, or None."""
        if parameter not in self.choices:
            return f"QEMU {self.version} has no migration parameter {parameter!r}{_version(parameter)}"
        words = self.choices[parameter]
        if words is None or value in words:
            return None
        return f"QEMU {self.version} has no {value!r} for {parameter}{_version(value)}; it has {', '.join(words)}"

    def _lacks(self, capability: str | None, codec: str | None) -> str | None:
        if capability is not None and (lack := self.lacks_capability(capability)) is not None:
            return lack
        return self.lacks_parameter("multifd-compression", codec) if codec is not None else None


def _version(name: object) -> str:
    version = _VERSIONS.get(str(name))
    return "" if version is None else f" ({version})"


@cache
def survey(binary: str) -> QemuSurvey:
    """Ask ``binary``, once per process. :raises MissingError: no such program. :raises QemuError: it does not start."""
    argv = [binary, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none", "-S"]
    with open_scratch() as folder, QemuProcess("survey", argv, run_dir=folder) as qemu:
        qmp = qemu.qmp
        number = qmp.execute("query-version")["qemu"]
        listed = qmp.execute("query-migrate-capabilities")
        properties = qmp.execute("device-list-properties", typename="migration")
        return QemuSurvey(
            binary=binary,
            version=f"{number['major']}.{number['minor']}.{number['micro']}",
            machine=_versioned_pc(qmp),
            capabilities=frozenset(entry["capability"] for entry in listed),
            choices=_parameter_choices(qmp),
            properties=frozenset(entry["name"] for entry in properties),
            traces_requests=can_trace(qmp),
        )


def _versioned_pc(qmp: Qmp) -> str:
    machines: Json = qmp.execute("query-machines")
    return next((str(entry["name"]) for entry in machines if entry.get("alias") == "pc"), "pc")


def _parameter_choices(qmp: Qmp) -> dict[str, tuple[str, ...] | None]:
    schema = {entry["name"]: entry for entry in qmp.execute("query-qmp-schema")}
    members: Json = schema[schema["migrate-set-parameters"]["arg-type"]]["members"]
    return {member["name"]: _words(schema[member["type"]]) for member in members}


def _words(entity: Json) -> tuple[str, ...] | None:
    if entity["meta-type"] != "enum":
        return None
    return tuple(member["name"] for member in entity["members"]) if "members" in entity else tuple(entity["values"])
