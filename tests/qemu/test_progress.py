"""Whoever waits for a migration looks when QEMU says that there is something to see, and seldom besides."""

import socket
import threading
from types import SimpleNamespace

import pytest
from fake_qmp import FakeQmp

from harness.qemu.progress import Watch
from harness.qemu.qmp import Qmp

NEVER_S = 600.0


@pytest.fixture
def source(tmp_path):
    with FakeQmp(tmp_path / "qmp", {}) as made:
        made.migrating = {"status": "active", "ram": {"dirty-sync-count": 1}}
        yield made


@pytest.fixture
def qmp(source):
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(source.path))
    made = Qmp("source")
    made.greet(connected, 60.0)
    yield made
    made.close()


@pytest.fixture
def watched(source, qmp):
    """Begins a watch that looks by itself once in ten minutes, in a thread, and has looked once; gives what it ends with."""
    threads = []

    def begin(**given):
        settings = {"on_status": None, "pause_at_pass": None, "switch_after_passes": None} | given
        watch = Watch(SimpleNamespace(qmp=qmp), None, NEVER_S, **settings)
        watch.begin()
        ended = []
        threads.append(threading.Thread(target=lambda: ended.append(watch.until_ended(NEVER_S))))
        threads[0].start()
        source.wait_for(lambda: "query-migrate" in source.asked)
        return ended

    def finish():
        source.migrating = {"status": "completed"}
        source.tell("MIGRATION", status="completed")
        threads[0].join(60.0)

    yield begin, finish
    source.go()
    threads[0].join()


def test_an_end_is_seen_when_it_is_told(watched):
    begin, finish = watched
    ended = begin()
    finish()
    assert [status.status for status in ended] == ["completed"]


def test_a_pass_in_which_something_is_to_be_done_is_seen_when_it_begins(source, watched):
    begin, finish = watched
    ended = begin(switch_after_passes=1)
    source.migrating = {"status": "active", "ram": {"dirty-sync-count": 2}}
    source.tell("MIGRATION_PASS", **{"pass": 2})
    source.wait_for(lambda: "migrate-start-postcopy" in source.asked)
    finish()
    assert [status.status for status in ended] == ["completed"]


def test_other_passes_cost_no_look(source, qmp, watched):
    begin, finish = watched
    ended = begin()
    for number in range(50):
        source.tell("MIGRATION_PASS", **{"pass": number})
    source.tell("RESUME")
    qmp.wait_event("RESUME", 60.0)
    assert source.asked.count("query-migrate") == 1
    finish()
    assert [status.status for status in ended] == ["completed"]
