"""What the kernel counts of a thread that has to wait for a core."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from backends.conformance import thread_queued_s


def test_a_thread_that_shares_its_core_is_counted_as_queued_and_one_that_sleeps_is_not():
    if not Path("/proc/thread-self/schedstat").exists():
        pytest.skip("this kernel has no /proc/thread-self/schedstat")
    counted = []

    def share_a_core() -> None:
        core = {min(os.sched_getaffinity(0))}
        os.sched_setaffinity(0, core)
        command = [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {core})\nwhile True: pass"]
        with subprocess.Popen(command) as busy:
            began_s, before_s = time.monotonic(), thread_queued_s()
            while thread_queued_s() - before_s < 0.1 and time.monotonic() - began_s < 60:
                pass
            counted.append((thread_queued_s() - before_s, time.monotonic() - began_s))
            busy.kill()
        before_s = thread_queued_s()
        time.sleep(0.01)
        counted.append((thread_queued_s() - before_s, 0.0))

    thread = threading.Thread(target=share_a_core)
    thread.start()
    thread.join()
    (queued_s, elapsed_s), (asleep_s, _) = counted
    assert 0.1 <= queued_s < elapsed_s
    assert asleep_s < queued_s
