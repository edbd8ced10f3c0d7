"""The sender's side of one device worker: the process, its slots, what it says, its end. Decides nothing about what follows."""

from __future__ import annotations

import itertools
import json
import mmap
import os
import select
import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from backends.api import MAX_BATCH_BYTES
from backends.children import code_argv
from backends.opencl.child import death
from backends.opencl.contract import Geometry
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError, OpenclMissing, one_line
from backends.opencl.launch import SlotLayout
from backends.opencl.messages import LONGEST_ANSWER_BYTES, LONGEST_HELLO_BYTES, REQUEST, Answer, read_answer

HOST = "backends.opencl.host:open_device"

_TAIL_BYTES = 4096
_PIPE_BYTES = 65536
_KILLED_S = 1.0
_CODE = "from backends.opencl.worker import main; main(json.loads(sys.argv[1]))"


class LateError(OpenclError):
    """No answer within the time limit: the worker hangs."""


class EndedError(OpenclError):
    """The worker ended before it answered; how, its reaper knows."""


class SharedSlot:
    """A batch's place: memory that the worker sees too, and a socket to it. Used by one thread at a time."""

    def __init__(self, layout: SlotLayout, geometry: Geometry) -> None:
        self._geometry = geometry
        self.memory_file = os.fdopen(os.memfd_create("pageferry-slot", os.MFD_CLOEXEC), "wb")
        self.memory_file.truncate(layout.memory_bytes)
        self._memory = memoryview(mmap.mmap(self.memory_file.fileno(), layout.memory_bytes))
        self._input = self._memory[: layout.input_bytes]
        self._output = self._memory[layout.output_offset :]
        self.connection, self.far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._poll = select.poll()
        self._poll.register(self.connection, select.POLLIN)
        self._number = 0
        self._raw_bytes = 0
        self.spoils = False

    def hand_over(self) -> None:
        """The worker has its ends: give up ours, so that its end is the socket's end."""
        self.far_end.close()
        self.memory_file.close()

    def request(self, data: memoryview) -> None:
        """Copy a batch of at least one byte in, and ask for it. :raises EndedError: the worker is gone."""
        self._raw_bytes = len(data)
        self._number += 1
        # NumPy gives up the GIL for a copy.
        np.copyto(np.frombuffer(self._input, np.uint8)[: len(data)], np.frombuffer(data, np.uint8))
        try:
            self.connection.send(REQUEST.pack(self._number, len(data)))
        except OSError as exc:
            raise EndedError("its worker ended") from exc

    def answer(self, limit_s: float) -> tuple[bytes, Answer]:
        """The compressed batch, a copy, and what the worker says of it.

        :raises LateError: not within ``limit_s``. :raises DeviceFaultError: the device failed. :raises EndedError: the worker
        ended. :raises OpenclError: it talks nonsense.
        """
        if not self._poll.poll(limit_s * 1000):
            raise LateError(f"no answer for a batch of {self._raw_bytes} bytes within {limit_s * 1000:.0f} ms")
        try:
            message = self.connection.recv(LONGEST_ANSWER_BYTES)
        except OSError:
            message = b""
        if not message:
            raise EndedError("its worker ended")
        answer = read_answer(message, self._number, self._raw_bytes, self._geometry)
        if self.spoils:
            self._output[answer.launch.joined_bytes // 2] ^= 0x10
        return bytes(self._output[: answer.launch.joined_bytes]), answer

    def close(self) -> None:
        """Give socket and memory back. Harmless when repeated."""
        self.connection.close()
        for view in (self._input, self._output, self._memory):
            view.release()


class Worker:
    """One worker process. Started, watched and reaped by one thread, which must outlive it: the kernel kills it otherwise.

    ``kill`` may be called from any thread; ``batches`` and ``obituary`` are its user's notes.
    """

    def __init__(self, device: DeviceConfig, slots: int, factory: str = HOST) -> None:
        """Start the process; ``hello`` says whether it came up."""
        layout = SlotLayout.of(MAX_BATCH_BYTES, device.block_bytes)
        self.identity: dict[str, Any] = {}
        self.batches = 0
        self.obituary: str | None = None
        self.cpu_s = 0.0
        self._tail = b""
        self._log_open = True
        self._lock = threading.Lock()
        with ExitStack() as undo, ExitStack() as far_ends:
            self.slots = [SharedSlot(layout, Geometry(device.block_bytes)) for _ in range(slots)]
            for slot in self.slots:
                undo.callback(slot.close)
                far_ends.callback(slot.hand_over)
            self._control, control_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self._control.close)
            far_ends.callback(control_end.close)
            self._log, log_end = os.pipe()
            undo.callback(os.close, self._log)
            far_ends.callback(os.close, log_end)
            os.set_blocking(self._log, False)
            ends = [(slot.far_end.fileno(), slot.memory_file.fileno()) for slot in self.slots]
            setup = {
                "control": control_end.fileno(),
                "slots": ends,
                "layout": asdict(layout),
                "factory": factory,
                "device": asdict(device),
            }
            self.process = subprocess.Popen(
                code_argv(_CODE, json.dumps(setup)),
                stdin=subprocess.DEVNULL,
                stdout=log_end,
                stderr=log_end,
                pass_fds=[control_end.fileno(), *itertools.chain.from_iterable(ends)],
                start_new_session=True,
                env={
                    **os.environ,
                    "OPENBLAS_NUM_THREADS": "1",
                },  # a thread of NumPy's would keep the rights that it gives up
            )
            undo.callback(self.process.wait)
            undo.callback(self.process.kill)
            self.pidfd = os.pidfd_open(self.process.pid)
            undo.pop_all()

    def hello(self, limit_s: float, wake_fd: int) -> None:
        """Wait for the device to be open.

        :raises OpenclMissing: this machine lacks something. :raises OpenclError: it failed, died, is late, or ``wake_fd`` is
        readable.
        """
        self._await(self._control.fileno(), limit_s, wake_fd, "to open its device")
        message = self._control.recv(LONGEST_HELLO_BYTES)
        if not message:
            raise self.end()
        try:
            hello = json.loads(message)
            if "missing" in hello:
                raise OpenclMissing(one_line(hello["missing"]), one_line(hello["remedy"]))
            if "error" in hello:
                raise OpenclError(one_line(hello["error"]))
            self.identity = dict(hello["identity"])
            self.cpu_s = float(hello["cpu_s"])
        except (ValueError, KeyError, TypeError) as exc:
            raise OpenclError(f"its worker began with {one_line(message)[:80]!r}, as no worker does") from exc

    def compress(self, slot: SharedSlot, data: memoryview, limit_s: float, wake_fd: int) -> bytes:
        """One batch for the thread that watches this worker: its messages are read meanwhile. :raises OpenclError: as above."""
        slot.request(data)
        self._await(slot.connection.fileno(), limit_s, wake_fd, "for its first batch")
        try:
            packed, answer = slot.answer(0)
        except EndedError as exc:
            raise (self.end() if self.ended(_KILLED_S) else exc) from exc
        self.cpu_s = max(self.cpu_s, answer.worker_cpu_s)
        return packed

    def _await(self, fd: int, limit_s: float, wake_fd: int, what: str) -> None:
        deadline_s = time.monotonic() + limit_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            readable = self.watch([fd, wake_fd], left_s)
            if fd in readable:
                return
            if wake_fd in readable:
                raise OpenclError("closed while its worker was being started")
            if self.pidfd in readable:
                raise self.end()
        raise LateError(f"its worker needed more than {limit_s:g} s {what}")

    def watch(self, fds: list[int], limit_s: float | None) -> set[int]:
        """Wait for ``fds``, the process's end (``pidfd``), or its words, which are read. Returns what is readable."""
        poll = select.poll()
        for fd in (*fds, self.pidfd, *([self._log] if self._log_open else [])):
            poll.register(fd, select.POLLIN)
        readable = {fd for fd, _ in poll.poll(None if limit_s is None else limit_s * 1000)}
        if self._log in readable:
            self._read_log()
        return readable

    def kill(self) -> None:
        """At once, whatever it is doing. Slots in use then see their socket's end."""
        self._signal(signal.SIGKILL)

    def inject(self, fault: str) -> None:
        """``death`` ends the process, ``stall`` stops it, ``wrong-data`` turns a bit of every batch from now on."""
        if fault == "wrong-data":
            for slot in self.slots:
                slot.spoils = True
        else:
            self._signal({"death": signal.SIGKILL, "stall": signal.SIGSTOP}[fault])

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if self.pidfd >= 0:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.pidfd, number)

    def ended(self, limit_s: float = 0.0) -> bool:
        """Whether the process ends within ``limit_s``."""
        deadline_s = time.monotonic() + limit_s
        while self.pidfd not in self.watch([], max(0.0, deadline_s - time.monotonic())):
            if time.monotonic() >= deadline_s:
                return False
        return True

    def end(self) -> OpenclError:
        """Reap the process, which has ended, and say how. Its CPU time becomes that of a child of this process."""
        status = self.process.wait()
        self._read_log()
        return death(status, self._tail.decode(errors="replace"))

    def dismiss(self, patience_s: float) -> None:
        """Let it end within ``patience_s``, kill it otherwise, reap it, give everything back but the slots."""
        self._control.close()
        if not self.ended(patience_s):
            self.kill()
        if self.ended(_KILLED_S):
            self.process.wait()
        self._close_own_ends()
        with self._lock:
            os.close(self.pidfd)
            self.pidfd = -1

    def disown(self) -> None:
        """In a fork of this process: it is not our child, and its sockets are not ours to hold open."""
        self.process.returncode = 0  # or Popen's destructor would wait for it
        for slot in self.slots:
            slot.close()
        self._close_own_ends()
        os.close(self.pidfd)
        self.pidfd = -1

    def _read_log(self) -> None:
        """What is there now, but no more than a pipe holds: a worker that never stops talking does not keep us here."""
        with suppress(BlockingIOError):
            for _ in range(_PIPE_BYTES // _TAIL_BYTES):
                words = os.read(self._log, _TAIL_BYTES)
                if not words:
                    self._log_open = False
                    return
                self._tail = (self._tail + words)[-_TAIL_BYTES:]

    def _close_own_ends(self) -> None:
        self._control.close()
        os.close(self._log)
