"""A connection of the source QEMU: its stream in batches, answers back to it, and whether it has gone. Knows no codecs, no link."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

from harness.errors import FrameError, QemuError, UserError
from harness.migrator.outcome import Outcome, outcome_of
from harness.migrator.report import ChannelKind
from harness.migrator.transport.sockets import has_hung_up, shut_all
from harness.wire.batch import PageBatch
from harness.wire.qemu.multifd import MultifdParser
from harness.wire.qemu.returnpath import SHUT_ALL_LOADED, ReturnPath
from harness.wire.qemu.stream import QStreamParser

_LINGER_S = 0.002
"""How long a batch that is not full waits for more while others are in flight; with none in flight, or once the guest stands
still, it goes at once."""

_STALL_S = 1.0
"""A record torn for this long is carried as it is: whoever wrote half of it may be waiting for an answer to it."""

_FIRST_READ_BYTES = 4 << 10
"""While it is unknown whether the destination is to answer: a source that will be refused is to keep what it has to write, for once
it has written all it calls the migration completed, and stops its guest for good."""

_DESCRIPTORS = (
    "the source QEMU passes open files over its migration's socket (cpr-transfer, or devices whose backends are handed over): "
    "these stay on one host, and cannot be carried; migrate in mode normal"
)
_ANSWER_S = 30.0
_CONFIRMED_S = 5.0
_LOOK_S = 0.01
_TIMEVAL = struct.Struct("@ll")
_MSG_CTRUNC = int(socket.MSG_CTRUNC)
"""Flags as an enumeration are compared in Python, which took longer than all else here."""


class Source:
    """``batches`` belongs to one thread, ``answer`` and ``end_answers`` to another. ``waits_s``: for bytes, so far.

    ``unconfirmed``: a migration is wanted too of which nobody says that it arrived. ``main``: where the migration's main connection
    is read, if this is another of it: then it alone says how the migration did.
    """

    def __init__(
        self,
        connection: socket.socket,
        batch_bytes: int,
        *,
        unconfirmed: bool,
        main: Source | None = None,
        kind: ChannelKind = "main",
    ) -> None:
        self.parser = MultifdParser(batch_bytes) if kind == "multifd" else QStreamParser(batch_bytes)
        self.kind: ChannelKind = kind
        self.waits_s = 0.0
        self._connection = connection
        self._unconfirmed = unconfirmed
        self._main = main
        self._returned = ReturnPath()
        self._shut = threading.Event()
        self._answered = False

    def batches(self, in_flight_bytes: Callable[[], int]) -> Iterator[PageBatch]:
        """The stream until QEMU closes; a batch that is not full goes when nothing more comes.

        :raises UserError: the destination is not to confirm it. :raises QemuError: the connection broke, or brought descriptors.
        """
        for batch in self._batches(in_flight_bytes):
            self._require_confirmable()
            yield batch

    def _batches(self, in_flight_bytes: Callable[[], int]) -> Iterator[PageBatch]:
        parser, connection = self.parser, self._connection
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        for option, limit_s in ((socket.SO_RCVTIMEO, _LINGER_S), (socket.SO_SNDTIMEO, _ANSWER_S)):
            connection.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(int(limit_s), round(limit_s % 1 * 1e6)))
        while True:
            # With batches under way there is time to wait, in one call, until this one is full, unless somebody waits for it.
            how = socket.MSG_WAITALL if in_flight_bytes() and not self._is_urgent() else socket.MSG_DONTWAIT
            try:
                count = self._received(how)
            except BlockingIOError:
                began_s = time.monotonic()
                batch = self._waited(poll, in_flight_bytes())
                self.waits_s += time.monotonic() - began_s
                if batch is not None:
                    yield batch
                continue
            if count == 0:
                break
            parser.buffer_updated(count)
            self._require_confirmable()
            while (batch := parser.next_batch()) is not None:
                yield batch
        if (last := parser.finish()) is not None:
            yield last

    def _received(self, how: int) -> int:
        """Bytes that came; 0: the end. :raises BlockingIOError: none yet."""
        try:
            count, _, flags, _ = self._connection.recvmsg_into([self._room()], 0, how)
        except BlockingIOError:
            raise
        except ConnectionResetError:  # it closed without reading the last answers; all that it wrote was read
            return 0
        except OSError as exc:
            raise QemuError(f"the source QEMU broke its connection: {exc.strerror or exc}") from exc
        if flags & _MSG_CTRUNC:  # the kernel had something besides bytes for us, and closed it
            raise QemuError(_DESCRIPTORS)
        return count

    def _is_urgent(self) -> bool:
        """Whether a guest waits for what comes: the source's stands still, or the destination's asked for it."""
        parser = (self._main or self).parser
        return parser.ending or parser.postcopy

    def _waited(self, poll: select.poll, in_flight_bytes: int) -> PageBatch | None:
        """For more bytes; a batch where none came."""
        parser = self.parser
        if parser.pending_bytes == 0:
            poll.poll()
            return None
        if in_flight_bytes and not self._is_urgent() and poll.poll(_LINGER_S * 1000):
            return None
        # Nothing goes out before it is known whether the destination is to answer: QEMU says it at once.
        if self._is_known and (batch := parser.flush()) is not None:
            return batch
        return None if poll.poll(_STALL_S * 1000) else parser.finish("the source stalled inside a record")

    def outcome(self) -> Outcome:
        """Once ``batches`` ended: how the migration did. :raises QemuError: badly."""
        if self.parser.is_whole() and not self._unconfirmed:
            self._shut.wait(_CONFIRMED_S)  # QEMU waits for it, unless it died meanwhile
        return outcome_of(self.parser, self._returned.shut, unconfirmed=self._unconfirmed)

    @property
    def in_doubt(self) -> bool:
        """All was read, and the destination's word, which is to come, has not: its guest may run there. In post-copy QEMU itself
        lets no guest run twice."""
        parser = self.parser
        due = bool(parser.return_path) and parser.is_whole() and not parser.postcopy
        return due and self._returned.shut is None and not self._answered

    @property
    def forsaken(self) -> bool:
        """The destination answers no more, and its word has not come."""
        return self._answered and self._returned.shut is None

    @property
    def confirmed(self) -> bool:
        """The destination has all, and the source was told."""
        return self._returned.shut == 0

    def confirm(self, timeout_s: float) -> bool:
        """Hand on the destination's word, which came another way, and wait until QEMU has ended by it. False: QEMU had left, or had
        half of that word already."""
        if not self.confirmed:
            if self.has_hung_up() or not self._returned.between:
                return False
            self.answer(SHUT_ALL_LOADED)
        deadline_s = time.monotonic() + timeout_s
        while not self.has_hung_up():
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_LOOK_S)
        return True

    def has_hung_up(self) -> bool:
        """Whether QEMU writes no more; what it wrote may still be here."""
        return has_hung_up(self._connection)

    def answer(self, data: bytes | memoryview) -> None:
        """Hand on what the destination answers. :raises QemuError: the source takes it not."""
        self._returned.receive_data(data)
        if self._returned.shut is not None:
            self._shut.set()
        try:
            self._connection.sendall(data)
        except BlockingIOError as exc:
            raise QemuError(f"the source QEMU read none of its destination's answers for {_ANSWER_S:.0f} s") from exc
        except OSError:
            return  # it closes its end without reading the last answers; they no longer matter to anybody

    def end_answers(self, answered_bytes: int) -> None:
        """The destination answers no more, after so many bytes. :raises FrameError: others came; so its word may have been lost."""
        if answered_bytes != self._returned.answers:
            raise FrameError(
                f"the receiver sent RETURN_END after {answered_bytes} bytes of answers; {self._returned.answers} came"
            )
        self._answered = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def end_reading(self) -> None:
        """Nothing that may still come is wanted: the migration is over."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def shut(self) -> None:
        """QEMU's migration fails if it is not over. Wakes whoever waits here; whoever made the connection closes it."""
        self._shut.set()
        shut_all(self._connection)

    def _room(self) -> memoryview:
        """For the next bytes."""
        room = self.parser.get_buffer()
        return room if self._is_known else room[:_FIRST_READ_BYTES]

    @property
    def _is_known(self) -> bool:
        """Whether the destination is to answer. Of another connection than the main one nothing is read before."""
        return self._main is not None or self.parser.return_path is not None

    def _require_confirmable(self) -> None:
        if self._main is None and self.parser.return_path is False and not self._unconfirmed:
            raise UserError(self._without_return_path())

    def _without_return_path(self) -> str:
        parser = self.parser
        seen = (
            "the source QEMU migrates without return-path"
            if parser.is_migration
            else f"nothing shows whether return-path is on ({parser.opaque_reason})"
        )
        return (
            f"{seen}, so that it may call the migration completed before its destination runs, and if that then fails "
            "neither guest runs; turn it on in both QEMUs (migrate_set_capability return-path on), or accept this with "
            "--without-return-path"
        )
