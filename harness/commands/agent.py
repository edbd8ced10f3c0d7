"""``pageferry agent``: what a host does for a run that is led elsewhere."""

from __future__ import annotations

import os
import sys

import click

_EPILOG = """\b
Nobody needs to start it by hand: `pageferry run SCENARIO --pair NAME` does, as
  ssh HOST pageferry agent

\b
It speaks over its standard input and output, listens on no port, and ends with
the connection; so does all that it started.
Exit status 0: the connection ended. 5: what came was not pageferry's.
"""


_CALLED = frozenset(
    {
        "harness.doctor.checks:doctor",
        "harness.doctor.stream:send_stream",
        "harness.doctor.stream:take_stream",
        "harness.experiment.environment:about_machine",
        "harness.experiment.environment:cpu_flags",
        "harness.guests.accel:kernel_accel",
        "harness.guests.accel:usual_accel",
        "harness.qemu.memory:check_room",
        "harness.hosts.agent.asked:await_caller",
        "harness.hosts.agent.asked:call_up",
        "harness.hosts.agent.asked:free_port",
        "harness.hosts.agent.asked:make_folder",
        "harness.hosts.agent.brought:keep_part",
        "harness.hosts.agent.brought:kept_file",
        "harness.hosts.agent.brought:name_kept",
        "harness.hosts.agent.lease:hold_host",
        "harness.hosts.cputime:thread_cpu_s",
        "harness.hosts.files:page_digests",
        "harness.hosts.files:read_part",
        "harness.hosts.files:remove_files",
        "harness.hosts.files:write_part",
        "harness.hosts.limits:throttled_s",
        "harness.hosts.pinning:check_cpus",
        "harness.links.nic:look_at_nic",
        "harness.links.nic:sent_bytes",
        "harness.links.nic:shape_nic",
        "harness.qemu.page_requests:page_requests",
        "harness.qemu.survey:survey",
    }
)
"""What a run asks of a host, and nothing else of ours is called for it. Loaded when it is asked for."""


@click.command(epilog=_EPILOG, short_help="Serve a run that another machine leads, over stdin and stdout.")
def command() -> None:
    """Start QEMUs and halves of the pair here, and tell their output, CPU time and memory to the machine that leads a run."""
    from harness.errors import UserError
    from harness.hosts.agent.server import Agent

    if sys.stdin.isatty():
        raise UserError(
            "agent: its input is a terminal, and a run of pageferry speaks to it: use pageferry run --pair NAME"
        )
    outgoing = os.dup(1)
    os.dup2(2, 1)  # what anything else prints must not get into the stream
    try:
        Agent(0, outgoing, _CALLED).serve()
    finally:
        os.close(outgoing)
