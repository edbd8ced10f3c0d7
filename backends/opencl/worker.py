"""The process that talks to the device, so that a driver's crash or hang is not the sender's. One thread per slot.

It ends when its parent does: by a signal from the kernel, whatever a driver is doing, and by the end of its sockets.
"""

from __future__ import annotations

import importlib
import json
import mmap
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

from backends.confinement import Needs, confine, device_caches
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclMissing, one_line
from backends.opencl.launch import Launch, SlotLayout
from backends.opencl.messages import LONGEST_HELLO_BYTES, REQUEST, write_answer, write_fault

_FAREWELL_S = 0.5
"""For the slots' threads to end before the device is closed; the parent kills after a second."""


class _Slot(Protocol):
    def compress(self, raw_bytes: int) -> Launch: ...


class _Device(Protocol):
    @property
    def identity(self) -> Any: ...  # noqa: ANN401 - a dataclass of JSON's types

    def slot(self, memory: mmap.mmap, layout: SlotLayout) -> _Slot: ...

    def close(self) -> None: ...


def main(setup: dict[str, Any]) -> None:
    """Live until the parent closes the control socket. ``setup`` is what ``process`` wrote."""
    for inherited in (setup["control"], *(fd for pair in setup["slots"] for fd in pair)):
        os.set_inheritable(inherited, False)  # a linker that a driver starts would keep the sockets open
    control = socket.socket(fileno=setup["control"])
    sandbox = _give_up_rights()
    try:
        device, threads = _open(setup)
        hello = {"identity": asdict(device.identity) | {"sandbox": sandbox}, "cpu_s": time.process_time()}
    except Exception as exc:  # whatever it is, the parent must hear of it
        missing = {"missing": exc.missing, "remedy": exc.remedy} if isinstance(exc, OpenclMissing) else {}
        control.send(json.dumps({"error": _described(exc), **missing}).encode()[:LONGEST_HELLO_BYTES])
        return
    control.send(json.dumps(hello).encode())
    control.recv(1)
    for thread in threads:
        thread.join(_FAREWELL_S)
    if not any(thread.is_alive() for thread in threads):
        device.close()
    os._exit(0)  # a driver's own clean-up at exit may crash or hang, and nobody would gain by it


def _give_up_rights() -> str:
    """What a driver and its compiler need stays: no network, and no file but theirs. In words, with what does not stand."""
    stands, missing = confine(Needs(families=(socket.AF_NETLINK,), device=True, caches=device_caches()))
    return "; ".join([stands, *missing])


def _open(setup: dict[str, Any]) -> tuple[_Device, list[threading.Thread]]:
    module, _, name = setup["factory"].partition(":")
    open_device: Callable[[DeviceConfig], _Device] = getattr(importlib.import_module(module), name)
    device = open_device(DeviceConfig(**setup["device"]))
    layout = SlotLayout(**setup["layout"])
    threads = []
    for index, (connection, memory) in enumerate(setup["slots"]):
        slot = device.slot(mmap.mmap(memory, layout.memory_bytes), layout)
        os.close(memory)
        arguments = (slot, socket.socket(fileno=connection))
        threads.append(threading.Thread(target=_serve, args=arguments, name=f"slot-{index}", daemon=True))
    for thread in threads:
        thread.start()
    return device, threads


def _serve(slot: _Slot, connection: socket.socket) -> None:
    """Answer requests until the parent closes the socket."""
    while message := connection.recv(REQUEST.size):
        number, raw_bytes = REQUEST.unpack(message)
        try:
            launch = slot.compress(raw_bytes)
        except Exception as exc:  # a binding may raise anything; the parent decides what follows
            reply = write_fault(number, _described(exc))
        else:
            # Of the whole process: a device that is this host's CPU works in threads of its own.
            reply = write_answer(number, launch, time.process_time())
        try:
            connection.send(reply)
        except BrokenPipeError:
            return


def _described(exc: Exception) -> str:
    text = one_line(exc)
    return text if type(exc).__module__ == OpenclMissing.__module__ else one_line(f"{type(exc).__name__}: {text}")
