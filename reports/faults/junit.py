"""A fault matrix -> JUnit XML, as CI systems read it: a suite per rig, a test case per cell. Knows no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from harness.results.faults import FaultCell, FaultMatrix
from harness.results.saving import save_whole
from reports.printable import printable


def render_junit(matrix: FaultMatrix) -> str:
    """The XML. The same matrix gives the same bytes; a rig that is missing is one skipped case."""
    shown = printable(matrix)
    root = Xml.Element("testsuites", {"name": "pageferry faults", "time": f"{shown.duration_s:.3f}"})
    for rig in dict.fromkeys(cell.rig for cell in shown.cells):
        _add_suite(root, rig, [cell for cell in shown.cells if cell.rig == rig])
    for rig, why in shown.missing.items():
        suite = Xml.SubElement(root, "testsuite", {"name": rig, "tests": "1", "failures": "0", "skipped": "1"})
        case = Xml.SubElement(suite, "testcase", {"classname": f"pageferry.faults.{rig}", "name": rig})
        Xml.SubElement(case, "skipped", {"message": why})
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def _add_suite(root: Xml.Element, rig: str, cells: Sequence[FaultCell]) -> None:
    counts = {"failures": sum(_failed(cell) for cell in cells), "skipped": sum(not cell.applied for cell in cells)}
    texts = {name: str(count) for name, count in {"tests": len(cells), **counts}.items()}
    suite = Xml.SubElement(root, "testsuite", {"name": rig, **texts})
    for cell in cells:
        named = {"classname": f"pageferry.faults.{rig}.{cell.phase}", "name": f"{cell.id}, seed {cell.seed}"}
        case = Xml.SubElement(suite, "testcase", named | {"time": f"{cell.verdict_s or 0:.3f}"})
        if not cell.applied:
            Xml.SubElement(case, "skipped", {"message": "the fault did not take place"})
        elif _failed(cell):
            lines = [*cell.wrong, f"sender: {cell.sender}", f"receiver: {cell.receiver}", f"repeat: {cell.command}"]
            Xml.SubElement(case, "failure", {"message": cell.wrong[0], "type": "fault"}).text = "\n".join(lines)


def _failed(cell: FaultCell) -> bool:
    return cell.applied and not cell.ok


def write_junit(matrix: FaultMatrix, path: Path) -> None:
    """The XML as a file, whole or not at all. :raises ResultError: it cannot be written."""
    save_whole(render_junit(matrix).encode(), path, "JUnit file")
