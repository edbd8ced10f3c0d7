"""Backends that are broken in what they do not give back."""

from __future__ import annotations

import os
import subprocess
import threading
import time

from planted_backends.base import Good, planted


@planted("leaks-memory", "endurance.leaks", "leak_bytes_per_call is")
class LeaksMemory(Good):
    """Keeps 8 KiB of each batch."""

    kept: list[bytes] = []  # noqa: RUF012 - shared is the fault

    def compress(self, data):
        self.kept.append(bytes(data[:8192]))
        return super().compress(data)


@planted("leaks-files", "endurance.leaks", "leaked_descriptors is")
class LeaksFiles(Good):
    """Opens a pipe, and does not close it."""

    def open(self):
        os.pipe()


@planted("leaks-threads", "endurance.leaks", "leaked_threads is")
class LeaksThreads(Good):
    """Starts a thread that outlives it."""

    def open(self):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()


@planted("leaks-processes", "endurance.leaks", "leaked_processes is")
class LeaksProcesses(Good):
    """Starts a process that outlives it."""

    def open(self):
        subprocess.Popen(["sleep", "30"])
