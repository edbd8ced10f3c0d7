"""Page requests are read from QEMU's trace: each from when it was asked for first until it was there."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.qemu.page_requests import PageRequests, can_trace, page_requests


def added(at_s: float, page: int) -> str:
    return f"4711@{at_s:.6f}:postcopy_page_req_add new page req {page:#x} total 3\n"


def answered(at_s: float, page: int) -> str:
    return f"4712@{at_s:.6f}:postcopy_page_req_del resolved page req {page:#x} total 2\n"


@pytest.fixture
def traced(tmp_path: Path):
    """``traced(*lines)``: what is read from them."""

    def read(*lines: str) -> PageRequests | None:
        file = tmp_path / "trace"
        file.write_text("".join(lines))
        return page_requests(file)

    return read


def test_a_wait_is_from_the_first_request_for_a_page_until_it_was_there(traced):
    lines = [
        added(100.0, 0x7F001000),
        added(100.001, 0x7F002000),
        added(100.002, 0x7F001000),
        "qemu: of something else\n",
    ]
    lines += [answered(100.004, 0x7F002000), answered(100.01, 0x7F001000), answered(100.5, 0x7F003000)]
    found = traced(*lines, added(101.0, 0x7F009000))  # the last was never answered
    assert found == PageRequests(2, pytest.approx(0.0065), None, pytest.approx(0.01))


def test_a_page_that_is_asked_for_again_waits_anew(traced):
    assert traced(added(1.0, 7), answered(1.5, 7), added(3.0, 7), answered(3.25, 7)) == PageRequests(
        2, 0.375, None, 0.5
    )


def test_the_99th_percentile_is_told_of_a_hundred_requests_and_more(traced):
    lines = [line for n in range(1, 102) for line in (added(n, n), answered(n + n / 1000, n))]
    found = traced(*lines)
    assert found is not None
    assert (found.p50_s, found.p99_s, found.longest_s) == pytest.approx((0.051, 0.1, 0.101))
    fewer = traced(*lines[:-4])
    assert (fewer.answered, fewer.p99_s) == (99, None)


def test_where_nothing_was_asked_for_or_written_nothing_is_told(traced, tmp_path):
    assert traced("") is None
    assert page_requests(tmp_path / "none") is None


class Qemu:
    def __init__(self, **states: str) -> None:
        self.states = states

    def execute(self, command: str, **arguments: object) -> object:
        assert (command, arguments) == ("trace-event-get-state", {"name": "postcopy_page_req_*"})
        return [{"name": f"postcopy_page_req_{name}", "state": state} for name, state in self.states.items()]


def test_a_qemu_that_lacks_an_event_or_was_built_without_traces_cannot_tell():
    assert can_trace(Qemu(add="disabled", sync="disabled")) is False
    assert can_trace(Qemu(add="unavailable", **{"del": "unavailable"})) is False
    assert can_trace(Qemu(add="disabled", **{"del": "enabled"})) is True
