"""Takes who connects to a receiver: greets several side by side, so that none keeps another out, and hands over the first sender
that is agreed on. Whoever comes while that one is served is told so, but for those that join its session or ask about it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from harness.errors import PageferryError, PeerError
from harness.migrator.session import FrameLink
from harness.migrator.token import Token
from harness.migrator.transport.contract import Listener
from harness.wire.pair.forms import Message, Role
from harness.wire.pair.messages import Challenge, Hello, Join, Response
from harness.wire.pair.verdict import Ask

Agreed = TypeVar("Agreed")
Greeting = Hello | Join | Ask

_GREETING_S = 10.0
"""For a whole greeting, however its bytes come."""

_HANDSHAKE_S = 2.0
"""Of that, for the transport's own beginning, where it has one (TLS)."""

_BUSY = "another sender is being served; try again when it has ended"
_OVER = "the receiver stayed for the sender of its last migration, and now ends that: try again"
_FULL_S = 0.1
_MOST_GUESTS = 64
"""Who greet at the same time; one more, and the oldest has to go. Each may make us hold a control frame, 64 KiB."""


class Reception:
    """At ``listener``, which its maker closes. ``say`` gets a line for everybody who is refused. ``token``: what a sender must show
    that it has, before anything that it says is looked at."""

    def __init__(self, listener: Listener, say: Callable[[str], None], token: Token | None = None) -> None:
        self._listener = listener
        self._say = say
        self._token = token
        self._told = False

    def next_sender(self, agree: Callable[[Hello], Agreed], timeout_s: float | None) -> tuple[FrameLink, Agreed]:
        """The first sender whose greeting ``agree`` takes, and what it made of it. :raises PeerError: none in time."""

        def met(link: FrameLink, greeting: Greeting) -> tuple[FrameLink, Agreed]:
            if not isinstance(greeting, Hello):
                raise PeerError("no migration here has that session")
            return link, agree(greeting)

        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        for agreed in self._meet(met, "another sender came first", deadline_s):
            return agreed
        raise PeerError(f"no sender connected within {timeout_s} s")

    def _meet(
        self,
        met: Callable[[FrameLink, Greeting], Agreed],
        too_late: str,
        deadline_s: float | None = None,
        end: int | None = None,
    ) -> Iterator[Agreed]:
        """What ``met`` makes of each whole greeting, until ``end`` is readable or the deadline is over; who is not done with it by
        then is ``too_late``."""
        guests: list[_Guest] = []  # in the order in which they came
        try:
            while (came := self._waited_for(guests, deadline_s, end)) is not None:
                for guest in came:
                    try:
                        agreed = self._heard(guest, met)
                    except PageferryError as exc:
                        self._leave(guest, guests, exc)
                        continue
                    if agreed is not None:
                        guests.remove(guest)
                        yield agreed
        finally:
            for guest in guests:
                self._refuse(guest.link, PeerError(too_late))

    def _waited_for(self, guests: list[_Guest], deadline_s: float | None, end: int | None) -> list[_Guest] | None:
        """Those that have something to be read, after new ones were let in and slow ones refused. None: it is over."""
        ends_s = [guest.deadline_s for guest in guests] + ([] if deadline_s is None else [deadline_s])
        with selectors.PollSelector() as selector:
            selector.register(self._listener.fileno(), selectors.EVENT_READ)
            if end is not None:
                selector.register(end, selectors.EVENT_READ, end)
            for guest in guests:
                selector.register(guest.link.transport.fileno(), selectors.EVENT_READ, guest)
            timeout_s = max(0.0, min(ends_s) - time.monotonic()) if ends_s else None
            ready = [key.data for key, _ in selector.select(timeout_s)]
        if end in ready and end is not None:
            return None
        if None in ready:
            guests += [_Guest(link, self._token) for link in self._accepted()]
        now_s = time.monotonic()
        for guest in [one for one in guests if one not in ready and one.deadline_s <= now_s]:
            self._leave(guest, guests, PeerError(f"no whole greeting within {guest.limit_s:g} s"))
        if len(guests) > _MOST_GUESTS:
            self._leave(guests[0], guests, PeerError(f"more than {_MOST_GUESTS} connections greet at once"))
        waiting = [guest for guest in guests if guest in ready]
        return None if not waiting and deadline_s is not None and deadline_s <= now_s else waiting

    def _heard(self, guest: _Guest, met: Callable[[FrameLink, Greeting], Agreed]) -> Agreed | None:
        greeting = guest.greeting()
        return None if greeting is None else met(guest.link, greeting)

    def _leave(self, guest: _Guest, guests: list[_Guest], why: PageferryError) -> None:
        guests.remove(guest)
        self._refuse(guest.link, why)

    def _accepted(self) -> list[FrameLink]:
        """Who waits, if anybody does. Where we may have no more files open it goes on waiting, and is soon looked for again."""
        try:
            transport = self._listener.accept()
        except OSError as exc:
            if not self._told:
                self._told = True
                self._say(f"a connection has to wait: {exc.strerror}; if that lasts, raise the limit (`ulimit -n`)")
            time.sleep(_FULL_S)
            return []
        return [] if transport is None else [FrameLink(transport, Role.SENDER)]

    def _refuse(self, link: FrameLink, why: PageferryError) -> None:
        link.send_error(why)
        link.close()
        self._say(f"refused a connection: {why}")

    @contextlib.contextmanager
    def busy(self, admit: Callable[[FrameLink, Join | Ask], object]) -> Iterator[None]:
        """Meanwhile ``admit`` gets who wants to join or to ask, and others are refused, by a thread of its own, as far as we may
        open one more file."""
        try:
            end = os.eventfd(0)
        except OSError:  # they wait
            yield
            return

        def met(link: FrameLink, greeting: Greeting) -> bool:
            if isinstance(greeting, Hello):
                raise PeerError(_BUSY)
            admit(link, greeting)
            return True

        def meet() -> None:
            for _ in self._meet(met, _BUSY, end=end):
                pass

        thread = threading.Thread(target=meet, name="reception", daemon=True)
        thread.start()
        try:
            yield
        finally:
            os.eventfd_write(end, 1)
            thread.join()
            os.close(end)

    def asked(self, tell: Callable[[FrameLink, Ask], bool], timeout_s: float) -> bool:
        """Behind a migration's end: ``tell`` whoever asks about it, until it says that there is no more to be told (True), or for
        so long."""

        def met(link: FrameLink, greeting: Greeting) -> bool:
            if isinstance(greeting, Ask):
                return tell(link, greeting)
            self._refuse(link, PeerError(_OVER))
            return isinstance(greeting, Hello)  # whose source migrates anew: nothing is in doubt there

        return any(self._meet(met, _OVER, time.monotonic() + timeout_s))


class _Guest:
    """Who has connected, and what came of its greeting so far. Nothing is kept for it but that."""

    def __init__(self, link: FrameLink, token: Token | None) -> None:
        self.link = link
        self._token = token
        self._greeting: Greeting | None = None
        self._asked: Challenge | None = None
        self._came_s = time.monotonic()

    @property
    def limit_s(self) -> float:
        """In which it must have come as far as it is about to."""
        return _GREETING_S if self.link.transport.is_open else _HANDSHAKE_S

    @property
    def deadline_s(self) -> float:
        """By which it must have."""
        return self._came_s + self.limit_s

    def greeting(self) -> Greeting | None:
        """Once it is whole, and who said it known. :raises PeerError: it cannot become one."""
        while True:
            message = self.link.receive(0.0)
            if self.link.ended:
                raise PeerError("it left before its greeting was whole")
            if message is not None and (greeting := self._known(message)) is not None:
                return greeting
            if not self.link.transport.holds_some():
                return None

    def _known(self, message: Message) -> Greeting | None:
        """What it said, once it showed who it is. :raises PeerError: it has not the token."""
        if isinstance(message, Greeting):
            self._greeting = message
            if self._token is None:
                return message
            self._asked = self._token.challenge()
            self.link.send(self._asked)
        elif isinstance(message, Response) and self._token and self._asked and self._greeting:
            self.link.send(self._token.proof(self._asked, message, self._greeting.session))
            return self._greeting
        return None
