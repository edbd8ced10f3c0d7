"""The shortest downtime over a QMP that answers, is taken over or dies: QEMU gets its own values back, and why is told."""

from __future__ import annotations

import pytest
from fake_qmp import FakeQmp
from pairs import wait_until
from steering_rig import NEW, OLD, Flowing, going_over, opened, quicken


@pytest.fixture
def server(tmp_path):
    with FakeQmp(tmp_path / "q", OLD) as fake:
        yield fake


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    quicken(monkeypatch)


def test_for_the_shortest_downtime_little_may_be_left_until_no_pass_gets_shorter(server):
    calmed = []
    with opened(server, "shortest") as steering:
        assert server.parameters == {"downtime-limit": 10}
        server.migrating = going_over(100, 35)
        steering.begin(Flowing(), calmed.append)
        server.wait_for(lambda: server.set_values[-1]["downtime-limit"] > 300)
    assert server.parameters == OLD
    told = steering.report()
    assert (told.wanted_downtime_s, told.restored, calmed[0], True in calmed) == (None, True, False, True)
    assert told.decisions[-1].why == "no_pass_shorter"
    assert told.predicted_downtime_s == told.decisions[-1].predicted_downtime_s > 0.3
    (doubt,) = told.doubts()
    assert "beyond QEMU's own downtime-limit of 300 ms, to which it would not have come" in doubt.sentence


@pytest.mark.parametrize("qemu", ["tells", "is gone"])
def test_what_came_of_it_is_what_qemu_tells_in_the_end(server, qemu):
    with opened(server, "shortest") as steering:
        steering.begin()
        told = iter([{"status": "device"}, {"status": "completed", "downtime": 25}])
        server.migrating = lambda: next(told, {"status": "completed", "downtime": 25})
        if qemu == "is gone":
            server.go()
        steering.finish()
    assert steering.report().claimed_downtime_s == (0.025 if qemu == "tells" else None)


def test_a_newer_qemu_is_told_how_many_bytes_may_be_left(server):
    server.parameters = dict(NEW)
    with opened(server, "shortest") as steering:
        server.migrating = going_over(100, 20, 1)
        steering.begin()  # as QEMU alone is
        server.wait_for(lambda: len(server.set_values) > 1)
        (first, *_) = [set_ for set_ in server.set_values if "avail-switchover-bandwidth" in set_]
    assert server.parameters == NEW
    assert first["avail-switchover-bandwidth"] == pytest.approx(
        steering.report().decisions[0].left_bytes / 0.01, rel=0.01
    )


def test_whoever_sets_a_parameter_meanwhile_has_it_from_then_on(server):
    with opened(server, "shortest") as steering:
        server.parameters["downtime-limit"] = 5000
        server.migrating = going_over(100)
        steering.begin(Flowing())
        assert steering._thread is not None
        steering._thread.join(120)
        told = steering.report()
    assert server.parameters == {"downtime-limit": 5000}
    assert told.ended_early == "somebody else set downtime-limit to 5000, and from then on it was left to them"


def test_what_a_lost_qmp_leaves_standing_is_told_at_once_and_at_the_end(server):
    said = []
    with opened(server, "shortest", said.append) as steering:
        steering.begin(Flowing())
        server.go()
        wait_until(lambda: said)
        steering.finish()
        told = steering.report()
    standing = "downtime-limit was set to 10, its owner's value is 300"
    assert (told.steer_failures, told.restored) == (1, False)
    assert told.ended_early.endswith(standing)
    assert f"{standing}, which it gets back as soon as it answers" in said[0]
    assert said[1].startswith(f"warning: the source QEMU did not get its own value back: {standing} (")
    assert said[1].endswith("set it there by hand")


def test_a_qemu_that_ends_with_its_migration_is_no_failure_and_needs_nothing_back(server):
    said = []
    with opened(server, "shortest", said.append) as steering:
        steering.begin(Flowing())
        server.wait_for(lambda: "query-migrate" in server.asked)
        steering._ending.set()  # as its migration's end does
        server.go()
        steering.finish()
        told = steering.report()
    assert (told.steer_failures, told.ended_early, told.restored, said) == (0, None, False, [])
