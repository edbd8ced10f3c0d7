"""The agent: does on its host what is asked of it over a stream, and ends with the stream, with all that it started.

One thread reads; requests that may take long have threads of their own. Whoever asks says that it is there every few seconds: a
stream that falls silent has ended too, for a cut network may not say so.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Collection
from pathlib import Path

from harness.errors import FrameError, PageferryError, UserError
from harness.hosts.agent.calls import answered, called, loaded
from harness.hosts.agent.channels import Channels, pieces
from harness.hosts.agent.children import Children
from harness.hosts.agent.frames import GREETING, Frames, read_frame
from harness.hosts.agent.identity import hello
from harness.hosts.agent.messages import (
    Accepted,
    Answer,
    Call,
    Close,
    Connect,
    Data,
    Failure,
    Listen,
    Message,
    Ping,
    Request,
    Signal,
    Spent,
    Start,
)
from harness.hosts.claims import release_all
from harness.hosts.ear import stamped

SILENCE_S = 60.0
_REQUESTS = Call | Start | Spent | Listen | Connect


class Agent:
    """``incoming`` and ``outgoing`` are descriptors; ``functions`` are those that may be called, as "module:name".

    ``silence_s``: after how much of it the stream counts as ended.
    """

    def __init__(self, incoming: int, outgoing: int, functions: Collection[str], silence_s: float = SILENCE_S) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._functions = functions
        self._silence_s = silence_s
        self._frames = Frames(self._write)
        self._children, self._channels = Children(self._frames), Channels(self._frames)
        self._listeners: dict[int, socket.socket] = {}
        self._numbers = itertools.count(1, 2)
        self._poll = select.poll()
        self._poll.register(incoming, select.POLLIN)

    def serve(self) -> None:
        """Until the stream ends. :raises FrameError: it is none of ours."""
        try:
            self._write(GREETING)
            self._frames.send(hello())
            while (came := read_frame(self._read)) is not None:
                self._take(*came)
        except OSError:  # nobody reads any more: that is an end too
            pass
        finally:
            self._children.kill_all()
            self._channels.cut_all()
            release_all()

    def _take(self, message: Message, payload: bytes) -> None:
        match message:
            case Data():
                self._channels.take(message.channel, payload)
            case Ping():
                self._frames.send(Answer(number=message.number, value=time.time()))
            case Signal():
                self._children.signal(message.child, message.signal)
            case Close():
                self._close(message)
            case Call() | Start() | Spent() | Listen() | Connect():
                threading.Thread(target=self._answer, args=(message, payload), name=message.kind, daemon=True).start()
            case _:
                raise FrameError(f"the agent's stream: {message.kind!r} is not for an agent")

    def _answer(self, request: _REQUESTS, payload: bytes) -> None:
        with contextlib.suppress(OSError):
            try:
                value, answer = answered(self._done(request, payload))
            except PageferryError as exc:
                self._fail(request, type(exc).__name__, str(exc))
            except OSError as exc:
                self._fail(request, "OSError", exc.strerror or str(exc), exc.errno or 5)
            except Exception as exc:
                self._fail(request, type(exc).__name__, str(exc))
            else:
                self._frames.send(Answer(number=request.number, value=value), answer)

    def _fail(self, request: Request, error: str, words: str, errno: int | None = None) -> None:
        self._frames.send(Failure(number=request.number, error=error, words=words, errno=errno))

    def _done(self, request: _REQUESTS, payload: bytes) -> object:
        match request:
            case Call():
                if request.function not in self._functions:
                    raise UserError(f"{request.function}: no function that an agent calls")
                return called(loaded(request.function), request.arguments, payload)
            case Start():
                return self._children.start(request.child, request.argv)
            case Spent():
                return self._children.cpu_s(request.child)
            case Listen():
                self._listen(request.listener, Path(request.path))
            case Connect():
                self._connect(request)
        return None

    def _listen(self, number: int, path: Path) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        self._listeners[number] = listener
        threading.Thread(target=self._accept, args=(number, listener), name=f"listen-{number}", daemon=True).start()

    def _accept(self, number: int, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                end, _ = listener.accept()
                channel = next(self._numbers)
                self._channels.hold(channel, end)
                self._frames.send(Accepted(listener=number, channel=channel))
                self._channels.begin(channel)

    def _connect(self, asked: Connect) -> None:
        end = socket.socket(socket.AF_UNIX)
        try:
            end.connect(asked.path)
        except BaseException:
            end.close()
            raise
        self._channels.add(asked.channel, end, stamped if asked.stamped else pieces)

    def _close(self, message: Close) -> None:
        if message.channel is not None:
            self._channels.close(message.channel)
        if message.listener is not None and (listener := self._listeners.pop(message.listener, None)) is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and self._poll.poll(self._silence_s * 1000):
            piece = os.read(self._incoming, size - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._outgoing, view) :]
