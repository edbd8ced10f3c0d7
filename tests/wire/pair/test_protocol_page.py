"""docs/protocol.md says what the code does: its tables are the code's own, and its example keeps the rules."""

from __future__ import annotations

import re

from protocol_page import PAGE, renewed

from harness.wire.pair.forms import Role
from harness.wire.pair.frame import Kind
from harness.wire.pair.messages import MESSAGES
from harness.wire.pair.states import Session


def test_its_tables_are_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page), "run `python tests/protocol_page.py`"
    assert all(f"### {kind.name} ({kind.value})" in page for kind in Kind)


def test_its_example_is_a_session_for_both_halves() -> None:
    said = re.findall(r"^    (sender|receiver) +([A-Z_]+) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert said[0] == ("sender", "HELLO")
    assert said[-1] == ("receiver", "DONE")
    for other in Role:
        session = Session(other)
        for speaker, name in said:
            assert MESSAGES[Kind[name]].by is Role(speaker)
            session.came(Kind[name]) if Role(speaker) is other else session.says(Kind[name])
