"""How fast memory is touched for the first time, and again."""

from __future__ import annotations

from alone import said_alone

TOUCHED = """
import psutil
from harness.hosts.touch import touch_rates

before = psutil.Process().memory_info().rss
rates = touch_rates(64 << 20)
print(rates.first_bytes_per_s, rates.second_bytes_per_s, psutil.Process().memory_info().rss - before)
"""


def test_memory_is_touched_page_by_page_and_given_back():
    first_bytes_per_s, second_bytes_per_s, kept_bytes = map(float, said_alone(TOUCHED).split())
    assert 0 < first_bytes_per_s < float("inf")
    assert 0 < second_bytes_per_s < float("inf")
    assert kept_bytes < 32 << 20
