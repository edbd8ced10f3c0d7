"""What one half makes of another that is absent, hostile, or leaves."""

from __future__ import annotations

import socket
import threading

import pytest
from frames import hello, stored, whole
from pairs import Half

from harness.errors import CodecError, FrameError, PeerError, UserError
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.sender import run_sender
from harness.wire.pair.frame import HEADER_BYTES, digest
from harness.wire.pair.messages import Ack, End, Layout, Probed, Welcome


class TestReceiverAgainstHostilePeers:
    @pytest.fixture
    def receiver(self, tmp_path):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "d"))
            listener.listen(1)
            listener.setblocking(False)
            config = ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1)
            half = Half(one_sender=True).start(run_receiver, config)
            yield half
            half.join()
            with pytest.raises(BlockingIOError):
                listener.accept()  # QEMU's, which takes one connection, was left alone

    def greet(self, half: Half) -> socket.socket:
        peer = half.connect()
        peer.sendall(hello())
        return peer

    @pytest.mark.parametrize(
        ("frame", "error"),
        [
            (whole(Ack(0, 0, 0, 0, 0, 0, 0)), "sent ACK before the stream's first batch"),
            (whole(stored(b"abc", 4)), "batch 4 came"),
            (whole(stored(b"abc"))[:-1] + b"d", "damaged"),
            (whole(stored(b"abc", raw_digest=digest(b"abd"))), "not the 3 that were compressed"),
            (whole(stored(b"abc", codec=9, layout=Layout.PACKED, raw_bytes=9)), "codec 9"),
            (whole(stored(b"abc", codec=1, layout=Layout.PACKED, raw_bytes=9)), "zlib"),
            (whole(End(3, 5, b"x" * 16)), "the stream's end names 3 batches"),
            (bytes(200), "not a pageferry frame"),
        ],
        ids=["kind", "order", "damaged", "stored", "codec", "undecodable", "end", "junk"],
    )
    def test_a_hostile_frame_stops_it_before_the_guest_hears_of_it(self, receiver, frame, error):
        with self.greet(receiver) as peer:
            peer.sendall(frame)
            receiver.join()
        assert isinstance(receiver.error, (FrameError, CodecError, PeerError))
        assert error in str(receiver.error)

    def test_a_link_that_ends_inside_a_frame_is_an_error(self, receiver):
        with self.greet(receiver) as peer:
            peer.sendall(whole(End(0, 0, b"x" * 16))[:-3])
        assert isinstance(receiver.join().error, PeerError)


def test_the_sender_says_what_to_start_when_nobody_listens(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        config = SendConfig(
            f"unix:{tmp_path}/s",
            f"tcp:127.0.0.1:{unused.getsockname()[1]}",
            "none",
            wait_s=0.5,
        )
        with pytest.raises(PeerError, match=r"start `pageferry receive` there; waited for 0\.5 s, or give more --wait"):
            run_sender(config)


@pytest.mark.parametrize(("backend", "level", "error"), [("nosuch", None, "nosuch"), ("zlib", 77, "77")])
def test_an_unknown_backend_or_level_is_the_users_error(tmp_path, backend, level, error):
    config = SendConfig(f"unix:{tmp_path}/s", "tcp:127.0.0.1:1", backend, level)
    with pytest.raises(UserError, match=error):
        run_sender(config)


def test_a_receiver_that_goes_away_before_the_migration_is_noticed(tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
    half = Half()

    def serve() -> None:
        peer, _ = listener.accept()
        peer.recv(4096)
        peer.sendall(whole(Welcome(1)))
        for _ in range(2):  # how far is it?
            peer.recv(HEADER_BYTES, socket.MSG_WAITALL)
            peer.sendall(whole(Probed(0.0, 0.0, 0)))
        half.ready.wait(120)
        peer.close()

    server = threading.Thread(target=serve)
    server.start()
    half.start(run_sender, SendConfig(f"unix:{tmp_path}/s", address, "none")).join()
    server.join()
    listener.close()
    assert "closed the link before the migration began" in str(half.error)


def test_a_closed_tunnel_is_told_apart_from_a_receiver_that_refuses(tmp_path):
    """An end of a tunnel whose other end finds nobody takes the connection, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as tunnel:

        def close_each() -> None:
            while True:
                try:
                    tunnel.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=close_each, daemon=True)
        thread.start()
        address = f"tcp:127.0.0.1:{tunnel.getsockname()[1]}"
        with pytest.raises(
            PeerError, match=r"without a word; if it is a tunnel \(ssh -L\).*behind it; waited for 0\.3 s"
        ):
            run_sender(SendConfig(f"unix:{tmp_path}/s", address, "zlib", wait_s=0.3))
        tunnel.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_ctrl_c_is_told_to_the_other_half_in_words(tmp_path):
    receiver = Half(one_sender=True).start(run_receiver, ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d"))

    def interrupted(config, say):
        def ready(line):
            say(line)
            if line.startswith("ready: "):
                raise KeyboardInterrupt

        return run_sender(config, ready)

    to = f"tcp:127.0.0.1:{receiver.port}"
    Half().start(interrupted, SendConfig(f"unix:{tmp_path}/s", to, "zlib", without_return_path=True)).join()
    assert "the sender stopped: it was interrupted" in str(receiver.join().error)
