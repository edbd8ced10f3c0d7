"""What somebody who records the link has in hand: with TLS nothing of the guest, and nothing that can be played again."""

from __future__ import annotations

import contextlib
import random
import socket

import pytest
import sample_streams
from pairs import Half
from peers import captured, listening

from harness.migrator.config import ReceiveConfig
from harness.migrator.receiver import run_receiver

SECRET = (b"the guest's secret " * 256)[:4096]
PIECE = 16
"""So many bytes in a row come together by chance once in 10^30."""


def stream_with(page: bytes) -> bytes:
    rng = random.Random(5)
    pages = [sample_streams.raw_page(4096 * at, page if at % 2 else rng.randbytes(4096), "pc.ram") for at in range(64)]
    blocks = [("pc.ram", 1 << 20)]
    return (
        sample_streams.header()
        + sample_streams.config()
        + sample_streams.start_ram(blocks)
        + sample_streams.part(*pages)
        + sample_streams.end()
        + sample_streams.eof()
    )


@pytest.fixture
def recorded(tmp_path, lab_folder):
    """What crosses a link, in the clear or in TLS."""

    def of(*, tls: bool) -> bytes:
        folder = tmp_path / f"recorded-{tls}"
        folder.mkdir()
        both = {"tls": str(lab_folder), "tls_peer": "localhost"} if tls else {}
        return captured(folder, stream_with(SECRET), "none", both)

    return of


def test_a_guests_pages_are_in_a_capture_of_a_plain_link_and_in_none_of_an_encrypted_one(recorded):
    plain, encrypted = recorded(tls=False), recorded(tls=True)
    assert plain.count(SECRET) == 32
    pieces = {SECRET[at : at + PIECE] for at in range(len(SECRET) - PIECE)}
    assert [piece for piece in pieces if piece in encrypted] == []
    assert b"PFR1" in plain
    assert len(plain) < len(encrypted) < len(plain) * 1.01 + 4000


@pytest.mark.parametrize("cut", [None, 0.5], ids=["whole", "half of it"])
def test_a_captured_session_that_is_played_again_is_refused_and_no_guest_hears_of_it(
    tmp_path, lab_folder, recorded, cut
):
    session = recorded(tls=True)
    tls = {"tls": str(lab_folder), "tls_peer": "localhost"}
    with listening(tmp_path / "d") as destination:
        receiver = Half().start(run_receiver, ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1, **tls))
        with receiver.connect() as peer, contextlib.suppress(OSError):
            peer.sendall(session[: None if cut is None else int(len(session) * cut)])
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(1 << 16):
                pass
        receiver.stop()
        refused = [line for line in receiver.said if line.startswith("refused a connection: ")]
        assert "TLS: " in refused[0]
        destination.setblocking(False)
        with pytest.raises(BlockingIOError):
            destination.accept()
