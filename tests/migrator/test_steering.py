"""Steering over a QMP that answers, refuses, lies, hangs or dies: QEMU gets its own values back and the migration goes on."""

from __future__ import annotations

import shutil
import socket
import threading
from contextlib import contextmanager

import pytest
from fake_qmp import FakeQmp
from pairs import wait_until
from steering_rig import MB, NEW, OLD, Flowing, going_over, opened, quicken

from harness.errors import MissingError, PeerError, QemuError, UserError
from harness.migrator import monitor
from harness.migrator.config import SendConfig
from harness.migrator.sender import run_sender
from harness.migrator.steering import steering as steering_module
from harness.migrator.steering.steering import open_steering
from harness.qemu.process import QemuProcess

QEMU = "qemu-system-x86_64"


@pytest.fixture
def server(tmp_path):
    with FakeQmp(tmp_path / "q", OLD) as fake:
        yield fake


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    quicken(monkeypatch)


def test_an_older_qemu_gets_a_limit_that_leaves_time_for_what_is_under_way_and_its_own_back(server):
    with opened(server) as steering:
        steering.begin(Flowing())
        server.wait_for(lambda: server.set_values)
    assert server.set_values == [{"downtime-limit": 250}, OLD]
    assert server.parameters == OLD
    told = steering.report()
    assert (told.wanted_downtime_s, told.restored) == (0.3, True)
    (decision,) = told.decisions
    assert (decision.parameter, decision.value, decision.left_bytes) == ("downtime-limit", 250, 25 * MB)


def test_a_newer_qemu_gets_the_switchover_bandwidth_and_keeps_its_limit(server):
    server.parameters = dict(NEW)
    with opened(server) as steering:
        steering.begin(Flowing())
        server.wait_for(lambda: server.set_values)
    assert list(server.set_values[0]) == ["avail-switchover-bandwidth"]
    assert server.set_values[0]["avail-switchover-bandwidth"] == pytest.approx(25 * MB / 0.3, rel=0.01)
    assert server.set_values[-1] == {"avail-switchover-bandwidth": 0}
    assert server.parameters == NEW


def test_a_wanted_downtime_is_set_before_the_migration_and_taken_back_after_it(server):
    with opened(server, 0.8):
        assert server.parameters == {"downtime-limit": 800}
    assert server.parameters == OLD


def test_a_steady_flow_is_not_a_flood_of_commands(server):
    with opened(server) as steering:
        steering.begin(Flowing())
        server.wait_for(lambda: server.asked.count("query-migrate") > 100)
    assert len(server.set_values) == 2  # once, and back


def test_outside_of_a_migrations_active_phase_nothing_is_set(server):
    server.migrating = {"status": "device"}
    with opened(server) as steering:
        steering.begin(Flowing())
        server.wait_for(lambda: server.asked.count("query-migrate") > 20)
    assert server.set_values == []


def test_a_source_that_ends_once_its_guest_has_left_is_no_failure(server):
    server.migrating = {"status": "completed"}
    with opened(server) as steering:
        steering.begin(Flowing())
        server.wait_for(lambda: "query-migrate" in server.asked)
        assert steering._thread is not None
        steering._thread.join(120)
        server.die()
        told = steering.report()
    assert (told.steer_failures, told.ended_early) == (0, None)


def test_a_limit_that_somebody_else_sets_meanwhile_is_wanted_from_then_on_and_stays(server):
    flow = Flowing()
    with opened(server) as steering:
        steering.begin(flow)
        server.wait_for(lambda: server.set_values and server.asked[-1] == "query-migrate")  # so it was read back
        server.parameters["downtime-limit"] = 1000
        flow.in_flight_bytes = 15 * MB  # worth another value
        server.wait_for(lambda: len(server.set_values) > 1)
        told = steering.report()
    assert (told.steer_taken_over, told.wanted_downtime_s) == (1, 1.0)
    assert server.parameters == {"downtime-limit": 1000}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda fake: setattr(fake, "refuses", "downtime-limit"), "downtime-limit is not for you"),
        (lambda fake: fake.bends.update({"downtime-limit": 7}), "downtime-limit: asked for 250, QEMU kept 7"),
        (lambda fake: fake.die(), "the connection to QEMU is closed"),
    ],
    ids=["refuses", "bends", "dies"],
)
def test_what_fails_in_mid_migration_ends_the_steering_alone_and_is_counted(server, how, words):
    server.migrating = {"status": "setup"}
    with opened(server) as steering:
        steering.begin(Flowing())
        server.wait_for(lambda: "query-migrate" in server.asked)
        how(server)
        server.migrating = {"status": "active", "ram": {"mbps": 800.0}}
        wait_until(lambda: steering.report().steer_failures)
        told = steering.report()
    assert told.steer_failures == 1
    assert told.ended_early.startswith("--qmp unix:")
    assert words in told.ended_early


@contextmanager
def lost(server, said, how):
    """Steering whose QMP fails as ``how`` says once it is told something; until it has given up on it."""
    server.migrating = {"status": "setup"}
    with opened(server, "shortest", said.append) as steering:
        steering.begin(Flowing())
        server.wait_for(lambda: "query-migrate" in server.asked)
        how(server)
        server.migrating = going_over(100, 35)
        assert steering._thread is not None
        steering._thread.join(120)
        yield steering


@pytest.mark.parametrize(
    "how",
    [
        lambda fake: fake.die(),
        lambda fake: setattr(fake, "drops", ("query-migrate-parameters", "before")),
        lambda fake: setattr(fake, "drops", ("migrate-set-parameters", "before")),
        lambda fake: setattr(fake, "drops", ("migrate-set-parameters", "after")),
    ],
    ids=["between", "reads", "before it is set", "after it is set"],
)
def test_qmp_that_is_lost_and_comes_again_gives_values_back_while_the_migration_goes_on(server, how):
    said = []
    with lost(server, said, how) as steering:
        assert server.parameters == OLD  # not only at the end: with what stood there the guest might never be stopped
        told = steering.report()
        assert (told.steer_failures, told.restored) == (1, True)
        assert told.ended_early.endswith("the connection to QEMU is closed; QEMU has its own values back")
        steering.finish()
    assert "is steered no more: --qmp unix:" in said[0]
    assert "downtime-limit was set to 10" in said[0]
    assert said[1:] == [
        "the source QEMU answers again, and has its own values back; its migration goes on without steering"
    ]


def test_a_qemu_that_stops_answering_is_waited_for_a_bounded_time(server, monkeypatch):
    monkeypatch.setattr(steering_module, "_ANSWER_TIMEOUT_S", -0.25)
    with opened(server) as steering:
        server.mute = True
        steering.begin(Flowing())
        assert steering._thread is not None
        steering._thread.join(120)
        assert "no answer from QEMU within 0.05 s" in steering.report().ended_early
        server.mute = False


def failing(server: FakeQmp, error: BaseException, meanwhile=lambda: None) -> None:
    with opened(server, 0.8) as steering:
        steering.begin(Flowing())
        meanwhile()
        raise error


def test_a_value_that_cannot_be_given_back_is_told_with_the_failure_that_came_first(server):
    with pytest.raises(
        PeerError,
        match=r"the link broke; .* did not get its own value back: downtime-limit was set to 800, .* is 300 \(.*set it",
    ):
        failing(server, PeerError("the link broke"), server.go)


@pytest.mark.parametrize("error", [PeerError("the link broke"), KeyboardInterrupt()], ids=["failure", "interrupt"])
def test_a_failed_migrations_source_has_its_own_values_again(server, error):
    with pytest.raises(type(error)):
        failing(server, error)
    assert server.parameters == OLD


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")
def test_a_real_qemu_keeps_what_is_set_gives_it_back_and_has_one_client_a_socket(tmp_path, monkeypatch):
    argv = (QEMU, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none", "-S")
    with QemuProcess("source", argv, run_dir=tmp_path, second_qmp=True) as qemu:
        before = qemu.qmp.execute("query-migrate-parameters")
        with open_steering(f"unix:{qemu.qmp_for_others}", 0.8):
            assert qemu.qmp.execute("query-migrate-parameters") == before | {"downtime-limit": 800}
            monkeypatch.setattr(monitor, "GREETING_TIMEOUT_S", 0.3)
            with pytest.raises(QemuError, match=r"another client .* holds this socket.* give it a second -qmp socket"):
                open_steering(f"unix:{qemu.qmp_for_others}", None).__enter__()
        assert qemu.qmp.execute("query-migrate-parameters") == before


class TestBeforeTheMigration:
    def test_a_socket_that_is_not_there(self, tmp_path):
        with pytest.raises(
            MissingError, match=r"--qmp unix:/.*: no such socket; give the socket of the source QEMU's -qmp"
        ):
            open_steering(f"unix:{tmp_path}/x", None).__enter__()

    def test_a_socket_that_nobody_listens_on(self, tmp_path):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / "x"))
            with pytest.raises(QemuError, match="Connection refused; give the socket of the source QEMU's -qmp"):
                open_steering(f"unix:{tmp_path}/x", None).__enter__()

    def test_a_qmp_that_has_a_client_already(self, server, monkeypatch):
        monkeypatch.setattr(monitor, "GREETING_TIMEOUT_S", 0.1)
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(server.path))
            assert other.recv(100)
            with pytest.raises(
                QemuError, match=r"no greeting within 0\.1 s: .* another client .* give it a second -qmp"
            ):
                opened(server).__enter__()

    @pytest.mark.parametrize("says", [b"QEMU 7.2 monitor\r\n(qemu) ", b'{"a": 1}\r\n', b""], ids=["hmp", "json", "end"])
    def test_what_is_not_qmp(self, tmp_path, says):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "x"))
            listener.listen(1)

            def serve() -> None:
                client, _ = listener.accept()
                with client:
                    client.sendall(says)

            threading.Thread(target=serve, daemon=True).start()
            with pytest.raises(QemuError, match="what answers there is not QMP; give the socket"):
                open_steering(f"unix:{tmp_path}/x", None).__enter__()

    @pytest.mark.parametrize(
        ("parameters", "refuses", "downtime_s", "words"),
        [
            ({}, None, None, "has no downtime-limit, so there is nothing to steer"),
            ({"downtime-limit": 0}, None, None, "downtime-limit is 0, .*; say --downtime 300ms"),
            (OLD, "query-migrate-parameters", None, "query-migrate-parameters is not for you"),
            (OLD, "downtime-limit", 0.8, "downtime-limit is not for you"),
        ],
    )
    def test_a_qemu_that_has_nothing_to_set_or_refuses(self, server, parameters, refuses, downtime_s, words):
        server.parameters, server.refuses = dict(parameters), refuses
        with pytest.raises(QemuError, match=words):
            opened(server, downtime_s).__enter__()
        assert server.parameters == parameters

    @pytest.mark.parametrize(
        ("qmp", "downtime_s", "words"),
        [
            ("tcp:127.0.0.1:4", None, "--qmp tcp:127.0.0.1:4: write unix:PATH"),
            ("unix:/x", 2001.0, "--downtime 2001s: QEMU takes at most 2000 s"),
            (None, 0.3, r"--downtime 0\.3s: only with --qmp"),
            (None, "shortest", "--downtime shortest: only with --qmp"),
        ],
    )
    def test_settings_that_cannot_be(self, tmp_path, qmp, downtime_s, words):
        config = SendConfig(f"unix:{tmp_path}/s", "tcp:127.0.0.1:9", "zlib", qmp=qmp, downtime_s=downtime_s)
        with pytest.raises(UserError, match=words):
            run_sender(config)
