"""How a sender finds its receiver and comes to an agreement with it, how each further channel joins their session, and how it asks
behind a broken link."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from harness.errors import PeerError
from harness.migrator.carry.crew import Crew
from harness.migrator.config import SendConfig
from harness.migrator.session import FrameLink
from harness.migrator.token import Token
from harness.migrator.transport.contract import Endpoint, RefusedError
from harness.wire.pair.forms import Message, Role
from harness.wire.pair.messages import Challenge, Hello, Join, Proof, Welcome
from harness.wire.pair.verdict import Ask, Verdict

A = TypeVar("A", bound=Message)

_GREETING_TIMEOUT_S = 10.0
_AGAIN_S = 0.2
_ASKING_S = 3.0


def find_receiver(
    target: Endpoint, config: SendConfig, crew: Crew, token: Token | None, say: Callable[[str], None]
) -> tuple[FrameLink, str, Welcome]:
    """The link, the session's id, and the receiver's greeting. Until there is a receiver it is looked for again and again.

    :raises PeerError: none came in time, or the one that did refuses.
    """
    deadline_s, told = time.monotonic() + config.wait_s, False
    while True:
        session = secrets.token_hex(8)
        try:
            link, welcome = _greet(target, _hello(session, config, crew), token)
        except _NobodyError as exc:
            if time.monotonic() >= deadline_s:
                raise PeerError(f"{exc}; waited for {config.wait_s:g} s, or give more --wait") from exc
            if not told:
                told = True
                say(
                    f"waiting up to {config.wait_s:g} s for `pageferry receive` at {target.text}; QEMU may connect meanwhile"
                )
        else:
            return link, session, welcome
        time.sleep(_AGAIN_S)


def join(target: Endpoint, session: str, channel: int, token: Token | None, *, urgent: bool) -> FrameLink:
    """A link of the same session, for one more channel; ``urgent``: before the others.

    :raises PeerError: the receiver has gone, or refuses it.
    """
    try:
        link, _ = _greet(target, Join(session, channel, urgent), token)
    except _NobodyError as exc:
        raise PeerError(f"channel {channel}: {exc}") from exc
    return link


def ask(target: Endpoint, session: str, token: Token | None, *, given_up: bool) -> Verdict:
    """What the receiver knows of that session's guest. ``given_up``: by its source. :raises PeerError: it is not to be had now."""
    try:
        link, verdict = _met(target, Ask(session, given_up), token, Verdict, _ASKING_S)
    except _NobodyError as exc:
        raise PeerError(str(exc)) from exc
    link.close()
    return verdict


class _NobodyError(Exception):
    """There is no receiver there yet; says why, and what to do."""


def _greet(target: Endpoint, greeting: Hello | Join, token: Token | None) -> tuple[FrameLink, Welcome]:
    return _met(target, greeting, token, Welcome, _GREETING_TIMEOUT_S)


def _met(
    target: Endpoint, greeting: Hello | Join | Ask, token: Token | None, answer: type[A], timeout_s: float
) -> tuple[FrameLink, A]:
    """:raises _NobodyError: nobody answers, or who does leaves without a word, as a tunnel does whose other end finds nobody."""
    try:
        link = FrameLink(target.dial(timeout_s), Role.RECEIVER)
    except RefusedError as exc:
        raise PeerError(f"{target}: {exc}") from exc
    except OSError as exc:
        raise _NobodyError(target.why_unreachable(exc, "start `pageferry receive` there")) from exc
    try:
        with suppress(PeerError):  # who refuses us may have said why, and closed, before it read what we say
            link.send(greeting)
        if token is not None:
            _prove(link, greeting.session, token, timeout_s)
        return link, _answer(link, answer, timeout_s)
    except PeerError as exc:
        link.close()
        if link.received_bytes == 0 and link.ended and not isinstance(exc.__cause__, RefusedError):
            raise _NobodyError(
                f"{target}: what answers there closed the connection without a word; if it is a tunnel (ssh -L), start "
                "`pageferry receive` behind it"
            ) from exc
        raise
    except BaseException:
        link.close()
        raise


def _prove(link: FrameLink, session: str, token: Token, timeout_s: float) -> None:
    """To the receiver, and have it prove itself. :raises PeerError: it has another token, or asks for none."""
    asked = link.next_within(timeout_s)
    if isinstance(asked, Welcome | Verdict):
        raise PeerError("the receiver asks for no token; start it with the same --token-file, or it may be anybody")
    if not isinstance(asked, Challenge):
        raise PeerError(f"expected CHALLENGE from the receiver, got {_word(asked)}")
    response = token.response(asked, session)
    link.send(response)
    try:
        token.require(link.next_as(Proof, timeout_s), asked, response, session)
    except PeerError as exc:
        raise PeerError(f"the receiver: {exc}") from exc


def _answer(link: FrameLink, cls: type[A], timeout_s: float) -> A:
    """:raises PeerError: none, or the receiver asks for a token."""
    message = link.next_within(timeout_s)
    if isinstance(message, Challenge):
        raise PeerError("the receiver asks for a token; give the same --token-file here")
    if not isinstance(message, cls):
        raise PeerError(f"expected {cls.kind.name} from the receiver, got {_word(message)}")
    return message


def _word(message: Message | None) -> str:
    return "the end of the connection" if message is None else message.kind.name


def _hello(session: str, config: SendConfig, crew: Crew) -> Hello:
    return Hello(
        session=session,
        codecs=crew.codecs,
        backend=config.backend,
        options=config.options,
        decompress_threads=config.decompress_threads or max(1, round(crew.threads * crew.decompress_share)),
    )
