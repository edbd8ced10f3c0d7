"""What a sender and its device worker say to each other. Bytes in, dataclasses out; no I/O.

Each slot has shared memory (``SlotLayout``) and a socket of its own, which keeps messages apart (SOCK_SEQPACKET). A request
names the batch's size, an answer what came of it. The worker holds a driver that may have scribbled over anything, so nothing
that it says is believed before ``read_answer`` has checked it.
"""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass

from backends.opencl.contract import Geometry
from backends.opencl.errors import OpenclError, one_line
from backends.opencl.launch import FINAL_BLOCK, Launch

REQUEST = struct.Struct("<QI")
"""The request's number, and how many bytes of the slot's memory are the batch."""

LONGEST_ANSWER_BYTES = 2048
LONGEST_HELLO_BYTES = 32 << 10
"""Of the worker's first message: JSON, on a socket of its own."""

_HEAD = struct.Struct("<QB")
_BODY = struct.Struct("<4I5d")
_DONE, _FAULT = 0, 1
_LONGEST_S = 3600.0


class DeviceFaultError(OpenclError):
    """The worker is alive and says that the device failed at this batch."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one batch. ``worker_cpu_s`` is the worker's CPU time since it began."""

    launch: Launch
    worker_cpu_s: float


def write_answer(number: int, launch: Launch, worker_cpu_s: float) -> bytes:
    """The worker's message for a batch that was compressed."""
    return _HEAD.pack(number, _DONE) + _BODY.pack(*astuple(launch), worker_cpu_s)


def write_fault(number: int, problem: object) -> bytes:
    """The worker's message for a batch at which the device failed."""
    return _HEAD.pack(number, _FAULT) + one_line(problem).encode()[: LONGEST_ANSWER_BYTES - _HEAD.size]


def read_answer(message: bytes, number: int, raw_bytes: int, geometry: Geometry) -> Answer:
    """The answer to request ``number`` for a batch of ``raw_bytes``.

    :raises DeviceFaultError: the device failed. :raises OpenclError: no sound worker answers so.
    """
    if len(message) < _HEAD.size:
        raise OpenclError(f"its worker answered {len(message)} bytes, fewer than any answer has")
    answered, kind = _HEAD.unpack_from(message)
    if answered != number:
        raise OpenclError(f"its worker answered request {answered}, not {number}")
    if kind == _FAULT:
        raise DeviceFaultError(one_line(message[_HEAD.size :].decode(errors="replace")))
    if kind != _DONE or len(message) != _HEAD.size + _BODY.size:
        raise OpenclError(f"its worker answered {len(message)} bytes of kind {kind}, as no worker does")
    *launched, worker_cpu_s = _BODY.unpack_from(message, _HEAD.size)
    answer = Answer(Launch(*launched), worker_cpu_s)
    _check(answer, raw_bytes, geometry)
    return answer


def _check(answer: Answer, raw_bytes: int, geometry: Geometry) -> None:
    launch = answer.launch
    bound_bytes, blocks = geometry.joined_bound_bytes(raw_bytes), geometry.blocks(raw_bytes)
    claims = f"of a batch of {raw_bytes} bytes its worker claims"
    if not len(FINAL_BLOCK) <= launch.joined_bytes <= bound_bytes:
        raise OpenclError(f"{claims} {launch.joined_bytes} compressed bytes, outside {len(FINAL_BLOCK)}..{bound_bytes}")
    if launch.blocks != blocks or launch.zero_blocks + launch.stored_blocks > blocks:
        claim = f"{launch.blocks} blocks, {launch.zero_blocks} zero and {launch.stored_blocks} stored"
        raise OpenclError(f"{claims} {claim}, where there are {blocks}")
    times_s = (launch.host_to_device_s, launch.kernel_s, launch.device_to_host_s, launch.queue_s, answer.worker_cpu_s)
    if not all(0.0 <= seconds < limit_s for seconds, limit_s in zip(times_s, (*[_LONGEST_S] * 4, 1e12), strict=True)):
        raise OpenclError(f"{claims} times of {times_s} s")
