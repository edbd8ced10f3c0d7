"""The tables of docs/protocol.md, made from the messages' declarations and the table of states.

``python tests/protocol_page.py`` renews them.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from harness.wire.pair.forms import Document, Fixed, Message, Role
from harness.wire.pair.messages import MESSAGES, Batch
from harness.wire.pair.states import ANSWERS, CLOSES, MOVES, State

PAGE = Path(__file__).parents[1] / "docs" / "protocol.md"
_TRAVELS = {"B": "u8", "I": "u32", "Q": "u64", "16s": "16 bytes"}


def _form(cls: type[Message]) -> str:
    if issubclass(cls, Document):
        return "JSON"
    if issubclass(cls, Fixed):
        return f"{cls.packing.size} byte{'s' * (cls.packing.size != 1)}"
    return "the header's fields, then data" if cls is Batch else "one field"


def _message(cls: type[Message]) -> list[str]:
    says = "either half" if cls.by is None else f"the {cls.by.value}"
    about = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("``", "`").replace("\n", " ")
    lines = [f"### {cls.kind.name} ({cls.kind.value}), from {says}: {_form(cls)}", "", about, ""]
    if cls.declared:
        lines += ["| field | travels as | must be | what it is |", "| --- | --- | --- | --- |"]
    for name, kind, what in cls.declared:
        how = "JSON" if issubclass(cls, Document) else _TRAVELS.get(kind.code, "the body")
        lines.append(f"| `{name}` | {how} | {kind.words} | {what} |")
    return [*lines, ""] if cls.declared else lines


def messages() -> str:
    return "\n".join(line for cls in MESSAGES.values() for line in _message(cls))


def _moves(state: State, by: Role) -> str:
    moves = [
        kind.name if to is state else f"{kind.name} (then {to.name})"
        for kind, to in MOVES[state].items()
        if MESSAGES[kind].by is by
    ]
    return ", ".join(moves) or "nothing"


def states() -> str:
    lines = ["| state | in words | the sender may say | the receiver may say |", "| --- | --- | --- | --- |"]
    for state in MOVES:
        said = " | ".join(_moves(state, by) for by in Role)
        lines.append(f"| {state.name} | {state.value} | {said} |")
    lines.append("")
    lines += [
        f"- Each {answer.name} answers one {asked.name} that is not answered yet." for answer, asked in ANSWERS.items()
    ]
    for last, kinds in CLOSES.items():
        lines.append(f"- After {last.name}: no {', no '.join(kind.name for kind in sorted(kinds))}.")
    return "\n".join([*lines, ""])


def renewed(page: str) -> str:
    """The page with its tables as they must be."""
    for name, made in (("messages", messages()), ("states", states())):
        begin, end = f"<!-- {name}: made by tests/protocol_page.py -->\n", f"<!-- end of {name} -->"
        head, _, rest = page.partition(begin)
        page = f"{head}{begin}\n{made}\n{end}{rest.partition(end)[2]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
