"""What a half counts of itself."""

from __future__ import annotations

import subprocess
import sys

from harness.migrator.session import own_usage

COUNTS = "from harness.migrator.session import own_usage; print(own_usage()['peak_rss_bytes'])"


def test_a_process_counts_its_own_memory_not_that_of_who_started_it():
    large = bytearray(b"\x01") * (300 << 20)
    assert own_usage()["peak_rss_bytes"] > len(large)
    said = subprocess.run([sys.executable, "-c", COUNTS], capture_output=True, text=True, check=True).stdout
    assert 5 << 20 < int(said) < 150 << 20
