"""Every message in every state, for both halves: it passes, or is refused with its name, the state, and what was due instead."""

from __future__ import annotations

import tracemalloc

import pytest
from frames import EXAMPLES, whole

from harness.errors import FrameError
from harness.wire.pair.decoder import MessageDecoder
from harness.wire.pair.forms import Role
from harness.wire.pair.frame import Kind
from harness.wire.pair.messages import MESSAGES
from harness.wire.pair.states import ANSWERS, CLOSES, MOVES, Session, State

LEADS = {
    State.BEGUN: [],
    State.GREETED: [Kind.HELLO],
    State.CHALLENGED: [Kind.HELLO, Kind.CHALLENGE],
    State.ANSWERED: [Kind.HELLO, Kind.CHALLENGE, Kind.RESPONSE],
    State.PROVEN: [Kind.HELLO, Kind.CHALLENGE, Kind.RESPONSE, Kind.PROOF],
    State.READY: [Kind.HELLO, Kind.WELCOME],
    State.CARRYING: [Kind.HELLO, Kind.WELCOME, Kind.BATCH],
    State.ENDED: [Kind.HELLO, Kind.WELCOME, Kind.BATCH, Kind.END],
    State.DONE: [Kind.HELLO, Kind.WELCOME, Kind.BATCH, Kind.END, Kind.DONE],
}
EACH = [(other, state, kind) for other in Role for state in State for kind in Kind if kind is not Kind.ERROR]


def session(other: Role, *said: Kind) -> Session:
    """In which these were said."""
    made = Session(other)
    for kind in said:
        made.came(kind) if MESSAGES[kind].by is other else made.says(kind)
    return made


def asked_for(state: State, kind: Kind) -> list[Kind]:
    """What leads there, with the question that ``kind`` answers."""
    leads = LEADS[state]
    return (
        leads
        if kind not in ANSWERS or ANSWERS[kind] in leads
        else [*leads, *([ANSWERS[kind]] if kind in MOVES[state] else [])]
    )


def is_regular(other: Role, state: State, kind: Kind) -> bool:
    return kind in MOVES[state] and MESSAGES[kind].by is other


def test_every_state_is_led_to_and_every_message_has_its_place() -> None:
    assert LEADS.keys() == MOVES.keys() == set(State)
    assert {kind for moves in MOVES.values() for kind in moves} == set(Kind) - {Kind.ERROR}
    for state, leads in LEADS.items():
        at = State.BEGUN
        for kind in leads:
            at = MOVES[at][kind]
        assert at is state


@pytest.mark.parametrize(("other", "state", "kind"), [one for one in EACH if is_regular(*one)])
def test_what_the_table_has_may_come(other, state, kind) -> None:
    made = session(other, *asked_for(state, kind))
    made.require(kind)
    made.came(kind)


@pytest.mark.parametrize(("other", "state", "kind"), [one for one in EACH if not is_regular(*one)])
def test_what_it_has_not_is_refused_in_a_line_and_nothing_is_allocated_for_it(other, state, kind) -> None:
    decoder = MessageDecoder(session(other, *LEADS[state]))
    frame = whole(EXAMPLES[kind])
    decoder.get_buffer()[:] = frame[:64]
    tracemalloc.start()
    with pytest.raises(FrameError) as caught:
        decoder.buffer_updated(64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    words = str(caught.value)
    assert words.startswith(f"the {other.value} sent {kind.name} {state.value}; ")
    assert words.endswith(" was due")
    assert words.isprintable()
    assert peak < 1 << 16


@pytest.mark.parametrize(("other", "state", "kind"), [one for one in EACH if not is_regular(*one)])
def test_nor_do_we_say_it(other, state, kind) -> None:
    us = Role.RECEIVER if other is Role.SENDER else Role.SENDER
    with pytest.raises(FrameError, match=f"the {other.value} sent {kind.name}"):
        session(us, *LEADS[state]).says(kind)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("other", Role)
def test_an_error_may_always_come_and_changes_nothing(other, state) -> None:
    made = session(other, *LEADS[state])
    made.came(Kind.ERROR)
    made.says(Kind.ERROR)
    for kind in MOVES[state]:
        if is_regular(other, state, kind) and (kind not in ANSWERS or ANSWERS[kind] in LEADS[state]):
            made.require(kind)


@pytest.mark.parametrize("answer", ANSWERS)
def test_there_are_no_more_answers_than_questions(answer) -> None:
    state = State.CARRYING if answer is Kind.ACK else State.READY
    asked = session(Role.RECEIVER, *LEADS[State.READY], ANSWERS[answer], answer)
    with pytest.raises(FrameError, match=f"the receiver sent {answer.name} {state.value}"):
        asked.came(answer)


@pytest.mark.parametrize(("last", "closed"), [(last, kind) for last, kinds in CLOSES.items() for kind in kinds])
def test_behind_the_last_of_its_kind_none_comes(last, closed) -> None:
    other = MESSAGES[last].by
    state = next(state for state in State if last in MOVES[state])
    ended = session(other, *LEADS[state], last)
    with pytest.raises(FrameError, match=f"the {other.value} sent {closed.name} "):
        ended.came(closed)


def test_what_was_due_is_told() -> None:
    made = session(Role.RECEIVER, *LEADS[State.CARRYING], Kind.RETURN_END)
    with pytest.raises(FrameError, match=r"^the receiver sent RETURN in mid-stream; ACK was due$"):
        made.came(Kind.RETURN)
    made.came(Kind.ACK)
    with pytest.raises(FrameError, match=r"^the receiver sent ACK in mid-stream; nothing was due$"):
        made.came(Kind.ACK)
