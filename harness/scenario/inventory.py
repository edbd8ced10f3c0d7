"""``hosts.toml``: pairs of hosts between which guests are migrated, as a user wrote them. Reaches no host."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from harness.errors import ScenarioError
from harness.hosts.agent.ssh import PREPARED
from harness.names import unknown, unknown_key
from harness.scenario.document import parse_toml
from harness.scenario.fault import Fault, dotted, shown
from harness.scenario.part import Part, first_fault
from harness.terminal import one_line

HOSTS_FILE = Path("hosts.toml")
_MOST_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_HOST = re.compile(r"[A-Za-z0-9_][^\s\x00-\x1f]{0,254}")
_INTERFACE = re.compile(r"[^\s/:]{1,15}")
Ports = tuple[int, int]


def _ssh_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f'{shown(text)}: not a host as ssh takes it: write "user@host", or a name from ~/.ssh/config')
    return text


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as exc:
        raise ValueError(f'{shown(text)}: not an IPv4 address: write the destination\'s, such as "10.0.0.2"') from exc


def _ports(text: str) -> str:
    found = _PORTS.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last < 1 << 16:
        raise ValueError(f'{shown(text)}: no ports: write the first and the last, such as "49152-49215"')
    return text


def _interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text):
        raise ValueError(f"{shown(text)}: not a network interface's name: `ip link` lists them")
    return text


SshHost = Annotated[str, AfterValidator(_ssh_host)]
Interface = Annotated[str, AfterValidator(_interface)]


class Pair(Part):
    """``[pair.NAME]``: two hosts, and the network that a guest crosses from one to the other."""

    source: SshHost
    """Where guests begin, as ssh takes it: `user@host`, or a name from `~/.ssh/config`."""
    destination: SshHost
    """Where they go."""
    address: Annotated[str, AfterValidator(_address)]
    """The destination's IPv4 address in the network that is measured."""
    ports: Annotated[str, AfterValidator(_ports)] = "49152-49215"
    """TCP ports of that address that may be listened on, and that no firewall stops. QEMU uses the same range under libvirt."""
    nic: Interface
    """The source's network interface that the migration leaves by; what it sends is what a result counts."""
    destination_nic: Interface | None = None
    """The destination's, where it is called otherwise."""
    shape: bool = False
    """Whether the rate of both interfaces may be limited (`tc tbf`) for a run; the limit goes with the run."""
    command: str = Field(default=PREPARED, min_length=1)
    """What starts pageferry on both hosts [what `pageferry hosts prepare` put there, else the one on the PATH that ssh gives]."""
    ssh_config: Path | None = Field(default=None, strict=False)
    """A configuration for ssh beside the user's own (`ssh -F`); relative to this file."""

    @property
    def nics(self) -> tuple[str, str]:
        """The source's and the destination's."""
        return self.nic, self.destination_nic or self.nic

    @property
    def port_range(self) -> Ports:
        """The first and the last."""
        first, _, last = self.ports.partition("-")
        return int(first), int(last or first)


def load_pairs(path: Path = HOSTS_FILE) -> dict[str, Pair]:
    """All pairs of a file, by name.

    :raises ScenarioError: one line with the file, the key, the value and the remedy.
    """
    place = one_line(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise ScenarioError(
            f"{place}: cannot read the hosts: {reason}; write one as docs/hosts.md shows, or name another with --hosts"
        ) from exc
    if len(data) > _MOST_BYTES:
        raise ScenarioError(f"{place}: larger than {_MOST_BYTES} bytes: this is not a file of hosts")
    try:
        return {name: _pair(name, table, path) for name, table in _tables(parse_toml(data, place)).items()}
    except Fault as fault:
        raise ScenarioError(one_line(f"{place}: {dotted(fault.key)}{fault.message}")) from fault


def load_pair(name: str, path: Path = HOSTS_FILE) -> Pair:
    """One of them. :raises ScenarioError: as ``load_pairs``, or there is none of that name."""
    pairs = load_pairs(path)
    if name not in pairs:
        raise ScenarioError(one_line(f"{path}: --pair {unknown('pair', name, list(pairs))}"))
    return pairs[name]


def _tables(doc: dict[str, Any]) -> dict[str, Any]:
    for key, value in doc.items():
        if key != "pair":
            raise Fault((key,), unknown_key(key, ["pair"]))
        if not isinstance(value, dict) or not all(isinstance(table, dict) for table in value.values()):
            raise Fault((key,), "must be tables: write [pair.NAME] before each pair's keys")
    if not doc.get("pair"):
        raise Fault(("pair",), "no pair: add a table [pair.NAME] with source, destination, address and nic")
    return dict(doc["pair"])


def _pair(name: str, table: dict[str, Any], path: Path) -> Pair:
    place = ("pair", name)
    if not _NAME.fullmatch(name):
        raise Fault(place, f"{shown(name)}: not a pair's name: letters, digits, '.', '_' and '-', 63 at most")
    try:
        pair = Pair.model_validate(table, context={})
    except ValidationError as exc:
        raise first_fault(exc).below(place) from exc
    if pair.source == pair.destination:
        raise Fault(
            (*place, "destination"), f"{shown(pair.destination)}: is the source too: a pair is two different hosts"
        )
    if pair.ssh_config is None:
        return pair
    config = path.parent.resolve() / pair.ssh_config.expanduser()
    if not config.is_file():
        raise Fault(
            (*place, "ssh_config"), f"{shown(config)}: there is no such file: write its path from {path.parent}"
        )
    return pair.model_copy(update={"ssh_config": config})
