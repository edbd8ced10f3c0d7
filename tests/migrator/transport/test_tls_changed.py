"""Whatever is changed on the way of an encrypted link is noticed: no byte comes out that did not go in."""

from __future__ import annotations

import random
import ssl
import threading
from contextlib import closing, suppress

import pytest

from harness.migrator.transport.contract import RefusedError
from harness.migrator.transport.memory import memory_pair
from harness.migrator.transport.tls import TlsTransport
from harness.migrator.transport.tls_files import context_of

DATA = random.Random(3).randbytes(300_000)
HANDSHAKE_BYTES = 1500
"""Less of it comes from a client than this, and of the records behind it much more."""


@pytest.fixture(scope="module")
def contexts(lab_folder) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return context_of(lab_folder, server_side=False), context_of(lab_folder, server_side=True)


def carried(contexts, change) -> tuple[bytes, BaseException | None]:
    """What a server takes of DATA before it ends, and with what; ``change`` gets each piece of ciphertext and where it begins."""
    near, far = memory_pair()
    client = TlsTransport(near, contexts[0], name="localhost", server_side=False)
    server = TlsTransport(far, contexts[1], name=None, server_side=True)
    take, seen = far.recv_into, 0

    def recv_into(buffer, timeout_s=None):
        nonlocal seen
        count = take(buffer, timeout_s)
        change(buffer[: count or 0], seen)
        seen += count or 0
        return count

    far.recv_into = recv_into

    def send() -> None:
        with suppress(OSError):
            client.open(20)
            client.send_parts([DATA])
        client.close()

    with closing(client), closing(server):
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        came, room = bytearray(), memoryview(bytearray(50_000))
        try:
            while count := server.recv_into(room, 20):
                came += room[:count]
        except OSError as exc:
            return bytes(came), exc
        finally:
            server.close()
            sender.join(120)
        return bytes(came), None


def test_what_is_not_changed_comes_whole(contexts):
    assert carried(contexts, lambda piece, at: None) == (DATA, None)


@pytest.mark.parametrize("seed", range(12))
def test_a_changed_bit_ends_the_link_and_nothing_wrong_comes_out(contexts, seed):
    rng = random.Random(seed)
    at, bit = rng.randrange(HANDSHAKE_BYTES if seed % 3 == 0 else len(DATA)), 1 << rng.randrange(8)

    def flip(piece, begins):
        if begins <= at < begins + len(piece):
            piece[at - begins] ^= bit

    came, error = carried(contexts, flip)
    assert DATA.startswith(came)
    assert len(came) <= at
    assert isinstance(error, RefusedError) or came != DATA
    assert len(str(error).splitlines()) == 1
