"""A certificate -> JUnit XML, as CI systems read it: a suite per group, a test case per check. Knows no HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from harness.results.certificate import Certificate, CheckResult
from harness.results.saving import save_whole
from reports.certificate.view import measurement_text
from reports.printable import printable

_MOST_MESSAGE = 300  # characters; the whole evidence stands in the element's text
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")  # as JUnit's schema wants it: without a zone


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _message(check: CheckResult) -> str:
    """The evidence's first line, of a length that a list of tests can show."""
    lines = check.evidence.strip().splitlines() or ["no evidence was kept"]
    return lines[0] if len(lines[0]) <= _MOST_MESSAGE else f"{lines[0][: _MOST_MESSAGE - 1]}…"


def _report(check: CheckResult) -> str:
    lines = [check.evidence, *map(measurement_text, check.measurements), f"reason: {check.reason}"]
    return "\n".join([*lines, f"reproduce: {check.command}"])


def _add_case(suite: Xml.Element, backend: str, check: CheckResult) -> None:
    case = Xml.SubElement(
        suite,
        "testcase",
        classname=f"pageferry.{backend}.{check.group}",
        name=f"{check.id}: {check.title}",
        time=_seconds(check.duration_s),
    )
    if check.status == "fail":
        Xml.SubElement(case, "failure", message=_message(check), type="check").text = _report(check)
    elif check.status == "n/a":
        Xml.SubElement(case, "skipped", message=_message(check))
    if check.measurements:
        Xml.SubElement(case, "system-out").text = "\n".join(map(measurement_text, check.measurements))


def _counts(checks: Sequence[CheckResult]) -> dict[str, str]:
    return {
        "tests": str(len(checks)),
        "failures": str(sum(check.status == "fail" for check in checks)),
        "errors": "0",
        "skipped": str(sum(check.status == "n/a" for check in checks)),
    }


def _properties(certificate: Certificate) -> dict[str, object]:
    return {
        "backend": certificate.backend,
        "version": certificate.version,
        "class": certificate.backend_class,
        "profile": certificate.profile,
        "verdict": certificate.verdict,
        "partial": certificate.partial,
        "level": certificate.level,
        **{f"option.{name}": value for name, value in certificate.options.items()},
        **{f"identity.{name}": value for name, value in certificate.identity.items()},
    }


def _add_suite(root: Xml.Element, certificate: Certificate, group: str) -> None:
    checks = [check for check in certificate.checks if check.group == group]
    time = _seconds(sum(check.duration_s for check in checks))
    suite = Xml.SubElement(root, "testsuite", {"name": group, **_counts(checks), "time": time})
    if stamp := _TIMESTAMP.match(certificate.started_at):
        suite.set("timestamp", stamp.group())
    properties = Xml.SubElement(suite, "properties")
    for name, value in _properties(certificate).items():
        Xml.SubElement(properties, "property", name=name, value="" if value is None else str(value))
    for check in checks:
        _add_case(suite, certificate.backend, check)


def _add_nothing(root: Xml.Element, backend: str) -> None:
    """An error where nothing passed and nothing failed: a CI system would call that a success."""
    root.set("tests", str(int(root.get("tests", "0")) + 1))
    root.set("errors", "1")
    counts = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0", "time": "0.000"}
    suite = Xml.SubElement(root, "testsuite", {"name": "certificate"} | counts)
    named = {"classname": f"pageferry.{backend}.certificate", "name": "something is certified", "time": "0.000"}
    case = Xml.SubElement(suite, "testcase", named)
    Xml.SubElement(case, "error", message="no check passed and none failed: nothing is certified", type="verdict")


def render_junit(certificate: Certificate) -> str:
    """The XML. The same certificate gives the same bytes; characters that XML forbids are replaced."""
    shown = printable(certificate)
    named = {"name": f"pageferry qualify {shown.backend}", "time": _seconds(shown.duration_s)}
    root = Xml.Element("testsuites", named | _counts(shown.checks))
    for group in dict.fromkeys(check.group for check in shown.checks):
        _add_suite(root, shown, group)
    if not any(check.status in ("pass", "fail") for check in shown.checks):
        _add_nothing(root, shown.backend)
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def write_junit(certificate: Certificate, path: Path) -> None:
    """The XML as a file, whole or not at all. :raises ResultError: it cannot be written."""
    save_whole(render_junit(certificate).encode(), path, "JUnit file")
