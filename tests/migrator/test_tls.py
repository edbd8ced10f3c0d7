"""Who has no right certificate is refused at once, in a line that says what to do; the next one is served."""

from __future__ import annotations

import contextlib
import socket
from contextlib import closing
from pathlib import Path

import certificates
import pytest
import sample_streams
from frames import HELLO
from pairs import Half, Pair, carry, wait_until

from harness.errors import PeerError, UserError
from harness.migrator import reception
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.sender import run_sender
from harness.migrator.session import FrameLink
from harness.migrator.transport.contract import Tls
from harness.migrator.transport.registry import endpoint_for_halves
from harness.wire.pair.forms import Role
from harness.wire.pair.messages import Hello, Welcome

DATA = sample_streams.small_stream(7, sections=12)
SAME_CA = "both halves' --tls folders need certificates of one CA"


@pytest.fixture
def of(lab_folder, tmp_path):
    """A folder for one half, right or wrong in a given way."""

    def made(how: str, *, server_side: bool) -> dict[str, str | None]:
        folder = tmp_path / f"{how}-{server_side}"
        if how == "plain":
            return {"tls": None}
        if how == "foreign":
            return {"tls": str(certificates.lab(folder))}
        certificates.copied(lab_folder, folder)
        if how == "expired":
            certificates.resigned(folder, -10, -1, server_side=server_side)
        elif how == "early":
            certificates.resigned(folder, 1, 10, server_side=server_side)
        elif how == "the other side's":
            ours, theirs = ("server", "client") if server_side else ("client", "server")
            for kind in ("cert", "key"):
                (folder / f"{ours}-{kind}.pem").write_bytes((folder / f"{theirs}-{kind}.pem").read_bytes())
        elif how == "calls the other back":
            certificates.called_back(folder, server_side=not server_side)
        return {"tls": str(folder)} | ({"tls_peer": "elsewhere"} if how == "wants another" else {})

    return made


@pytest.mark.parametrize(("meet", "backend"), [("tcp:localhost:0", "zstd-long"), ("unix:{}/meet", "zlib")])
def test_what_leaves_is_what_entered(tmp_path, lab_folder, meet, backend):
    tls = {"tls": str(lab_folder), "tls_peer": "localhost"}
    with Pair(tmp_path, backend, meet=meet.format(tmp_path), receive={"threads": 2, **tls}, **tls) as pair:
        assert carry(pair, DATA, [1, 5000]) == DATA
    assert (pair.sender.error, pair.receiver.error) == (None, None)
    for half in (pair.sender, pair.receiver):
        assert half.result.tls.tls_version == "TLSv1.3"
        assert half.result.tls.tls_peer == ("localhost", "127.0.0.1")
        assert half.result.tls.tls_handshake_s > 0


WRONG = [  # the sender, the receiver, what the sender says, what the receiver says
    ("foreign", "right", f"its certificate is not of the CA in our ca-cert.pem; {SAME_CA}",
     f"it refuses our certificate as of a CA that it does not know; {SAME_CA}"),
    ("expired", "right", "it refuses our certificate as expired", "its certificate has expired; have its CA make a new one"),
    ("early", "right", "it refuses our certificate as", "its certificate is not valid yet; look at both hosts' clocks"),
    ("the other side's", "right", "it refuses our certificate as", "its certificate is not made for this side"),
    ("right", "expired", "its certificate has expired; have its CA", "it refuses our certificate as expired"),
    ("right", "early", "its certificate is not valid yet", "it refuses our certificate as"),
    ("right", "calls the other back", "it refuses our certificate as called back", "its certificate was called back"),
    ("wants another", "right", "its certificate is not for elsewhere; say by --tls-peer", "it refuses our certificate as"),
    ("right", "wants another", "the receiver stopped: the sender: its certificate is for localhost and 127.0.0.1, not elsewhere",
     "its certificate is for localhost and 127.0.0.1, not elsewhere; say by --tls-peer"),
    ("plain", "right", "the other end speaks TLS: give --tls here too", "it does not speak TLS; give --tls there too"),
    ("right", "plain", "it does not speak TLS; give --tls there too", "the other end speaks TLS: give --tls here too"),
]  # fmt: skip


@contextlib.contextmanager
def receiving(tmp_path, tls):
    """A receiver, and the destination's socket, at which nobody may come before a sender was agreed on."""
    with socket.socket(socket.AF_UNIX) as destination:
        destination.bind(str(tmp_path / "d"))
        destination.listen(1)
        receiver = Half().start(run_receiver, ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1, **tls))
        assert receiver.error is None, receiver.error
        yield receiver
        destination.setblocking(False)
        with pytest.raises(BlockingIOError):
            destination.accept()
    if receiver.thread.is_alive():
        receiver.stop()


def sent(tmp_path, receiver, tls) -> Half:
    """A sender that has ended."""
    half = Half(waits_for="waiting")
    half.begin(
        run_sender, SendConfig(f"unix:{tmp_path}/s", f"tcp:localhost:{receiver.port}", "zlib", wait_s=30.0, **tls)
    )
    return half.join()


def refusals(receiver) -> list[str]:
    found = [line.removeprefix("refused a connection: ") for line in receiver.said if line.startswith("refused a")]
    assert all(len(line.splitlines()) == 1 for line in found)
    return found


def is_welcomed(receiver, tls) -> bool:
    """A sender with right certificates is, and leaves."""
    to = endpoint_for_halves(f"tcp:localhost:{receiver.port}", "--to", tls=tls["tls"] and Tls(Path(tls["tls"])))
    with closing(FrameLink(to.dial(20), Role.RECEIVER)) as link:
        link.send(HELLO)
        welcome = link.next_as(Welcome, 20)
    wait_until(lambda: any(line.startswith("no migration began") for line in receiver.said))
    return welcome.threads == 1


@pytest.mark.parametrize("case", WRONG, ids=lambda case: f"{case[0]} to {case[1]}")
def test_who_is_wrong_is_refused_at_once_and_the_next_one_is_served(tmp_path, of, case):
    ours, theirs, we_say, they_say = case
    with receiving(tmp_path, of(theirs, server_side=True)) as receiver:
        sender = sent(tmp_path, receiver, of(ours, server_side=False))
        assert isinstance(sender.error, PeerError)
        assert we_say in str(sender.error)
        assert len(str(sender.error).splitlines()) == 1
        assert sender.said == []  # it did not wait for another receiver, nor for a QEMU
        wait_until(lambda: they_say in " ".join(refusals(receiver)))
        if theirs in {"right", "plain"}:
            assert is_welcomed(receiver, of(theirs, server_side=False))


def test_who_is_refused_before_it_has_greeted_hears_why(tmp_path, of, monkeypatch):
    """A unix socket takes no greeting any more then; that nobody is there would be looked at again and again."""
    right, expired = of("right", server_side=True), of("expired", server_side=False)
    meet, send = f"unix:{tmp_path}/r", FrameLink.send
    receiver = Half().start(run_receiver, ReceiveConfig(meet, f"unix:{tmp_path}/d", threads=1, **right))

    def late(link, message):
        wait_until(lambda: refusals(receiver) or not isinstance(message, Hello))
        send(link, message)

    monkeypatch.setattr(FrameLink, "send", late)
    sender = Half(waits_for="waiting")
    sender.begin(run_sender, SendConfig(f"unix:{tmp_path}/s", meet, "zlib", **expired | {"tls_peer": "localhost"}))
    sender.join()
    assert "it refuses our certificate as expired" in str(sender.error)
    assert sender.said == []
    receiver.stopping = True
    with socket.socket(socket.AF_UNIX) as stray:
        stray.connect(f"{tmp_path}/r")
    receiver.join()


def test_who_says_nothing_keeps_nobody_out(tmp_path, of, monkeypatch):
    monkeypatch.setattr(reception, "_HANDSHAKE_S", 0.05)
    with receiving(tmp_path, of("right", server_side=True)) as receiver, contextlib.ExitStack() as silent:
        for _ in range(3):
            silent.enter_context(receiver.connect())
        wait_until(lambda: refusals(receiver) == ["no whole greeting within 0.05 s"] * 3)
        monkeypatch.undo()
        silent.enter_context(receiver.connect())
        assert is_welcomed(receiver, of("right", server_side=False))


def test_a_second_sender_is_told_that_another_is_served(tmp_path, lab_folder):
    tls = {"tls": str(lab_folder), "tls_peer": "localhost"}
    with Pair(tmp_path, receive={"threads": 1, **tls}, **tls) as pair:
        pair.source.sendall(DATA[:5000])
        (tmp_path / "second").mkdir()
        second = sent(tmp_path / "second", pair.receiver, tls)
        assert "another sender is being served" in str(second.error)
        assert carry(pair, DATA[5000:], []) == DATA
    assert (pair.sender.error, pair.receiver.error) == (None, None)


def test_a_name_to_check_needs_certificates():
    for run, config in (
        (run_sender, SendConfig("unix:/a", "unix:/b", "zlib", tls_peer="x")),
        (run_receiver, ReceiveConfig("unix:/a", "unix:/b", tls_peer="x")),
    ):
        with pytest.raises(UserError, match="--tls-peer x: only certificates have names; give --tls DIR too"):
            run(config)


def test_a_place_without_a_host_needs_a_name(lab_folder, tmp_path):
    with pytest.raises(
        UserError, match=r"--to unix:/x: a certificate names hosts, and this has none; give --tls-peer NAME"
    ):
        run_sender(SendConfig(f"unix:{tmp_path}/s", "unix:/x", "zlib", tls=str(lab_folder)))


def test_what_is_encrypted_may_leave_the_machine_and_what_is_not_is_warned_of(lab_folder):
    place = "tcp:192.0.2.1:4444"
    assert endpoint_for_halves(place, "--to", tls=Tls(lab_folder)).exposure is None
    warning = endpoint_for_halves(place, "--to", insecure=True).exposure
    assert warning.startswith(f"warning: --to {place}: --insecure: ")
    assert endpoint_for_halves("tcp:127.0.0.1:1", "--to", insecure=True).exposure is None
