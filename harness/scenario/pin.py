"""``[pin]``: which of the host's processors each party of a migration may use."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from harness.hosts.contract import Host
from harness.hosts.pinning import check_cpus, parse_cpus
from harness.scenario.part import Part


def _one_as_text(value: object) -> object:
    return str(value) if type(value) is int else value


def _checked(text: str) -> str:
    parse_cpus(text)
    return text


Cpus = Annotated[str, BeforeValidator(_one_as_text), AfterValidator(_checked)] | None


class Pin(Part):
    """Which of the host's processors each party may use, such as "0-3,8"; one without a list may use all."""

    source_qemu: Cpus = None
    """The source QEMU: the guest and its migration."""
    destination_qemu: Cpus = None
    """The destination QEMU."""
    sender: Cpus = None
    """`pageferry send`; it has as many threads as processors, unless the method says how many."""
    receiver: Cpus = None
    """`pageferry receive`."""

    def check(self, source: Host, destination: Host) -> None:
        """:raises MissingError: there is a processor that is listed and may not be used."""
        for key in type(self).model_fields:
            if (cpus := getattr(self, key)) is not None:
                host = source if key in ("source_qemu", "sender") else destination
                host.call(check_cpus, f"pin.{key}", cpus)
