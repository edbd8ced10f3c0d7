"""The terminal's tables: what a device did not do itself stands beside its figures."""

from __future__ import annotations

import io
from dataclasses import replace

import offload_samples
import pytest
import report_samples as samples
from rich.console import Console

from harness import cli
from harness.experiment.events import LabOpened
from harness.experiment.progress import progress
from harness.results.doubts import Drifting, Emulated, FewRuns, Outlier, Said, Throttled, UnequalWork
from harness.results.result import conditions, save_result
from reports.terminal.summary import print_summary


def printed(result):
    console = Console(width=160, file=io.StringIO())
    print_summary(console, result)
    return console.file.getvalue()


def row(text, method):
    return next(line for line in text.splitlines() if line.strip().startswith(method))


@pytest.mark.parametrize(
    ("method", "end"),
    [
        ("opencl-64k", "0/1700"),
        ("opencl-4k", "24/1700"),
        ("opencl-late", "1700/1700"),
        ("qatzip-1", "90/1700"),
        ("isal-1", "-"),
    ],
)
def test_each_row_says_how_many_batches_fell_back(method, end):
    assert row(printed(offload_samples.offload()), method).split()[-1] == end


def test_fallbacks_are_sentences_below_the_table():
    text = printed(offload_samples.offload())
    assert "warning: opencl-4k: 24 of 1 700 batches fell back to isal 1, in 2 of 5 runs.\n" in text
    assert "warning: opencl-late is not a result of opencl: all 1 700 of its batches fell back to isal 1." in text
    assert "warning: qatzip-1: 90 of 1 700 calls fell back to QATzip's software.\n" in text


def test_without_a_device_there_is_no_such_column():
    assert "fell back" not in printed(samples.live())


def test_compare_warns_of_the_side_that_fell_back(tmp_path, capsys):
    clean = offload_samples.offload()
    runs = tuple(replace(r, counters={"fallbacks": 0, "sender_batches": 340}) for r in clean.runs)
    save_result(replace(clean, runs=runs), tmp_path / "a" / "result.json")
    save_result(offload_samples.offload(), tmp_path / "b" / "result.json")
    before, after = (str(tmp_path / name) for name in "ab")
    assert cli.main(["compare", before, after]) == 0
    out = capsys.readouterr().out
    assert f"warning: {after}: opencl-late is not a result of opencl" in out
    assert f"warning: {before}:" not in out


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (
            {"accel": "tcg", "accel_reason": "/dev/kvm: No such file or directory"},
            ["note: guests run under TCG, QEMU's emulation, and not under KVM: /dev/kvm: No such file or directory"],
        ),
        (
            {"accel": "kvm", "link": "relay: a userspace relay on loopback", "link_reason": "auto: not root"},
            [
                "note: the link is a relay process on loopback, which takes CPU time, and not network namespaces: auto: not root"
            ],
        ),
        ({"accel": "kvm", "link": "netns: two network namespaces"}, []),
        ({}, []),
    ],
)
def test_emulation_and_a_relay_are_named_before_the_runs_and_beside_the_table(environment, words):
    result = replace(samples.live(), environment=environment)
    console = Console(width=400)
    with console.capture() as captured:
        print_summary(console, result)
    assert [line for line in captured.get().splitlines() if line.startswith("note:")] == words
    with console.capture() as captured, progress(console, "x") as on_event:
        on_event(LabOpened(conditions(result)))
    assert captured.get().splitlines() == words


def test_at_most_four_warnings_are_printed_grouped_and_the_gravest_first():
    result = samples.live(extras=False)
    doubts = [FewRuns(name, 3) for name in ("isal-1", "zstd-1")]
    doubts += [Said("odd"), Drifting("isal-1", 0.1), Outlier("isal-1", 1, 2.0, 1.0), UnequalWork("a", 1, "b", 3)]
    lines = printed(replace(result, doubts=tuple(doubts))).splitlines()
    warned = [line for line in lines if line.startswith("warning: ")]
    assert warned[0].startswith("warning: Methods did not do equal work")
    assert warned[1].endswith("not 95 %. The same of zstd-1.")
    assert len(warned) == 4
    assert lines[-1] == "note: and 1 more warning in the report"


def test_of_few_runs_the_same_is_said_of_methods_that_have_as_many():
    doubts = (FewRuns("none", 1), FewRuns("isal-1", 2), FewRuns("zlib-1", 1), FewRuns("zstd-1", 2))
    warned = [
        line for line in printed(replace(samples.live(extras=False), doubts=doubts)).splitlines() if "warning" in line
    ]
    assert [(line.partition(" only ")[0], line.partition("same of ")[2]) for line in warned] == [
        ("warning: none:", "zlib-1."),
        ("warning: isal-1:", "zstd-1."),
    ]


def test_what_befell_single_runs_is_said_once_with_their_methods_and_what_all_are_like_is_not():
    result = samples.live(extras=False)
    runs = tuple(replace(run, doubts=(Throttled(1.5), Emulated())) for run in result.runs)
    warned = [line for line in printed(replace(result, runs=runs, doubts=())).splitlines() if "warning" in line]
    first, *others = dict.fromkeys(run.method for run in runs)
    assert len(warned) == 1
    assert warned[0].startswith(f"warning: {first}: a control group's CPU limit kept its processes waiting for 1500 ms")
    assert warned[0].endswith(f"cpu.max). The same of {', '.join(others)}.")
