"""``pageferry qualify --pair``: the same on both hosts of a pair, and a page that compares them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.options import tell_undrawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from harness.hosts.agent.host import AgentHost
    from harness.qualify.runner import Plan
    from harness.results.certificate import Certificate, Status
    from harness.scenario.inventory import Pair


PAGES = ("certificate.xml", "certificate.html")


def write_pages(certificate: Certificate, out: Path) -> None:
    """Its JUnit and HTML."""
    from harness.qualify.audit import audit
    from reports.certificate.junit import write_junit
    from reports.certificate.page import write_certificate_page

    write_junit(certificate, out / "certificate.xml")
    write_certificate_page(certificate, out / "certificate.html", audit(certificate))
    tell_undrawn()


def qualify_pair(
    console: Console, plan: Plan, options: Sequence[str], pair: Pair, name: str, *, out: Path
) -> list[Status]:
    """On both hosts of a pair, one after the other. Gives both verdicts."""
    from harness.commands.interrupted import telling_files
    from harness.console import plain
    from harness.experiment.outputs import CERTIFICATE_FILES, replacing
    from harness.links.pair import Reached
    from harness.qualify.elsewhere import qualify_on
    from harness.results.certificate import save_certificate
    from reports.certificate.page import write_certificate_comparison

    def show(line: str) -> None:
        if not line.startswith("certificate: "):  # of a folder that goes with the connection
            console.print(plain(line), soft_wrap=True)

    found = []
    with contextlib.closing(Reached(pair)) as reached:
        reached.hold(f"pageferry qualify {plan.backend}")
        for side, host in (("source", reached.source), ("destination", reached.destination)):
            console.rule(plain(f"{host.name} ({side})"), align="left")
            with telling_files(out / side, "certificate.json", *PAGES):
                with replacing(out / side, CERTIFICATE_FILES) as settle:
                    place = f"{host.name}, {side} of pair {name}"
                    certificate = qualify_on(host, _words(plan, options, host), place, out / side, show)
                    save_certificate(certificate, out / side / "certificate.json")
                    settle()
                write_pages(certificate, out / side)
            console.print(f"certificate: {plain(out / side / 'certificate.html')}", soft_wrap=True)
            found.append(certificate)
    page = out / "comparison.html"
    write_certificate_comparison(found[0], found[1], page, (pair.source, pair.destination))
    console.print(f"both beside each other: {plain(page)}", soft_wrap=True)
    return [certificate.verdict for certificate in found]


def _words(plan: Plan, options: Sequence[str], host: AgentHost) -> list[str]:
    """The same of the command there; a file of limits goes with it."""
    given = {
        "--level": plan.level, "--class": plan.backend_class, "--soak": plan.soak_s and plan.soak_s / 60,
        "--thresholds": plan.thresholds and host.bring(plan.thresholds),
    }  # fmt: skip
    words = [plan.backend, "--profile", plan.profile]
    words += [word for key, value in given.items() if value is not None for word in (key, str(value))]
    words += [word for option in options for word in ("--option", option)]
    return words + [word for check in plan.only for word in ("--only", check)]
