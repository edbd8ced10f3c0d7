"""Readiness over the network and by the guest agent: what QEMU and an agent say is played here, sockets are real."""

import json
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import QemuError
from harness.guests.contract import Place
from harness.guests.image.ready import device_arguments, open_probe, sought
from harness.guests.image.settings import ReadySettings
from harness.guests.qemu_kind import Sides
from harness.hosts.local import HERE

TCP = ReadySettings(tcp=22)
AGENT = ReadySettings(agent="guest-ping")


def sides(run_dir: Path, **qemu) -> Sides:
    return Sides({"source": SimpleNamespace(**qemu)}, None, Place(run_dir, HERE, HERE))


class UserNetwork:
    """QEMU's: takes each connection at once, and says how far its guest is with it."""

    def __init__(self, state="SYN_SENT"):
        self.name, self.state = "source", state
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def execute(self, command, **arguments):
        assert arguments == {"command-line": "info usernet"}
        taken, _ = self.listener.accept() if self.state == "ESTABLISHED" else (None, None)
        self.taken = taken
        return "\r\n".join(
            [
                "Hub -1 (mine):",
                "  TCP[HOST_FORWARD]   3       127.0.0.1   1       10.0.2.15    80     0     0",
                f"  TCP[ESTABLISHED]    4       10.0.2.15 {self.port}   1.2.3.4   443     0     0",
                "Hub -1 (pageferry-net):",
                "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ",
                f"  TCP[HOST_FORWARD]  12       127.0.0.1 {self.port}       10.0.2.15    22     0     0",
                f"  TCP[{self.state}]  13       127.0.0.1 {self.port}       10.0.2.15    22     0     0",
            ]
        )


def test_a_port_is_open_once_the_guest_took_a_connection_and_not_when_qemu_did(tmp_path):
    network = UserNetwork()
    with network.listener, open_probe(TCP, sides(tmp_path, qmp=network), "source", 0.0) as answered:
        assert not answered(0.0)
        network.state = "ESTABLISHED"
        assert answered(20.0)
        network.taken.close()


def test_qemu_without_a_forwarded_port_is_an_error(tmp_path):
    qmp = SimpleNamespace(name="source", execute=lambda *_, **__: "Hub -1 (mine):")
    with (
        pytest.raises(QemuError, match="source: QEMU does not say which port"),
        open_probe(TCP, sides(tmp_path, qmp=qmp), "source", 0.0),
    ):
        pytest.fail("a probe without a port")


@contextmanager
def agent(path: Path, *answers: bytes):
    """Answers each command with the next of these, in the end with silence."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        asked: list[object] = []

        def serve():
            with listener.accept()[0] as connection, connection.makefile("rb") as lines:
                for answer, line in zip(answers, lines, strict=False):
                    asked.append(json.loads(line))
                    connection.sendall(answer)
                lines.read()

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join()


def test_an_agent_is_ready_once_it_answers_its_command(tmp_path):
    path = tmp_path / "agent"
    with agent(path, b'{"ret', b'urn": {}}\n') as asked:
        found = sides(tmp_path, chardev_path=lambda _: path)
        with open_probe(AGENT, found, "source", 0.0) as answered:
            assert not answered(5.0)
            assert answered(5.0)
    assert asked == [{"execute": "guest-ping"}] * 2


def test_an_agent_that_refuses_its_command_is_told_in_its_words(tmp_path):
    path = tmp_path / "agent"
    with agent(path, b'{"error": {"class": "CommandNotFound", "desc": "The command guest-ping has not been found"}}\n'):
        found = sides(tmp_path, chardev_path=lambda _: path)
        with (
            open_probe(AGENT, found, "source", 0.0) as answered,
            pytest.raises(QemuError, match="'guest-ping': the guest agent refuses: The command guest-ping has not"),
        ):
            answered(5.0)


def test_each_probe_gets_the_devices_that_it_needs_and_says_what_it_waits_for():
    assert "user,id=pageferry-net,hostfwd=tcp:127.0.0.1:0-:22" in device_arguments(TCP)
    assert "virtserialport,chardev=agent,name=org.qemu.guest_agent.0" in device_arguments(AGENT)
    assert device_arguments(ReadySettings(serial="login:")) == []
    assert [sought(ready) for ready in (TCP, AGENT)] == [
        "TCP port 22 not open",
        "no answer of its agent to 'guest-ping'",
    ]
