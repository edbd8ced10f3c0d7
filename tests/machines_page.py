"""The table of docs/compatibility.md that ``benchmarks/machines.py`` makes, and how it is read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"
_BEGIN, _END = "<!-- machines: made by tests/benchmarks/machines.py -->\n", "<!-- end of machines -->"


def renewed(page: str, versions: Sequence[str], seen: Mapping[str, Sequence[str]]) -> str:
    """The page with this table."""
    rows = [["machine", *(f"QEMU {version}" for version in versions)], ["---"] * (1 + len(versions))]
    rows += [[name, *words] for name, words in seen.items()]
    made = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    head, _, rest = page.partition(_BEGIN)
    return f"{head}{_BEGIN}\n{made}\n{_END}{rest.partition(_END)[2]}"


def said() -> dict[tuple[str, str], str]:
    """What the page says, by machine and version of QEMU."""
    table = PAGE.read_text(encoding="utf-8").partition(_BEGIN)[2].partition(_END)[0].strip().splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    return {
        (row[0], version.removeprefix("QEMU ")): words
        for row in rows
        for version, words in zip(head[1:], row[1:], strict=True)
    }
