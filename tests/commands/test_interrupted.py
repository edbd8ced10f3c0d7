"""A signal at whatever step: files are whole, the user reads where they are and which are missing, and --resume makes those."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import cli
from harness.commands.interrupted import telling_files
from harness.results.result import Run, load_result
from reports.run.charts.build import Charts

SCENARIO = (
    'description="x"\nrepeats=1\nwarmups=0\n[guest]\nkind="synthetic"\nmemory="16MiB"\nworking_set="8MiB"\n'
    '[[method]]\nname="zlib-1"\nengine="pageferry"\nbackend="zlib"\nbaseline=true\n'
    '[sweep]\n"link.bandwidth"=["1Gbit/s", "2Gbit/s"]\n'
)
CELLS = ("mini+1Gbit-s", "mini+2Gbit-s")
SAVES_OF_A_CELL = 5  # the result before and after its run, both files for pyperf, the page
GOES_ON = "; the same command with --resume goes on"


class Sweep:
    """Runs a sweep of two cells of a run each, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        (folder / "mini.toml").write_text(SCENARIO)
        self.folder, self.out = folder, folder / "out"

    def run(self, *more: str) -> int:
        return cli.main(["run", str(self.folder / "mini.toml"), "--out", str(self.out), *more])

    @property
    def newest(self) -> Path:
        return (self.out / "latest").resolve()

    def goes_on(self) -> None:
        assert self.run("--resume") == 0
        assert {path.name for path in self.newest.iterdir()} == {*CELLS, "index.html"}
        for cell in CELLS:
            there = {path.name for path in (self.newest / cell).iterdir()}
            assert {"result.json", "report.html", "pyperf.json"} <= there
        assert len(list(self.out.iterdir())) == 2, "the folder and the link to it"


class Lab:
    """Makes runs without a guest."""

    def describe(self):
        return {}

    def memory_classes(self):
        return {}

    def run(self, method, logs, _):
        logs.mkdir(parents=True)
        return Run(method.name, 1, warmup=False, status="completed", total_time_s=1.0, wire_bytes=1, verified=True)


@pytest.fixture
def heard():
    """Whoever started us in the background may have had them ignored, and what is ignored stays so."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def sweep(tmp_path, monkeypatch, heard):
    monkeypatch.setattr("reports.run.page.build", lambda _: Charts((), ()))  # drawing takes a second a page
    monkeypatch.setattr("harness.experiment.environment.collect", lambda *_: {"cores": 2})

    @contextmanager
    def opened(_):
        yield Lab()

    monkeypatch.setattr("harness.experiment.runner.Lab", opened)
    return Sweep(tmp_path)


def interrupt_at(monkeypatch, where: str, number: signal.Signals, call: int = 1) -> None:
    """The so-manieth call of ``where`` first sends us the signal."""
    module, _, name = where.rpartition(".")
    real, calls = getattr(__import__(module, fromlist=[name]), name), [0]

    def interrupted(*args, **settings):
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), number)
        return real(*args, **settings)

    monkeypatch.setattr(where, interrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("save", range(3, 2 * SAVES_OF_A_CELL + 2))
def test_a_signal_at_any_save_leaves_whole_files_and_says_which_are_missing(save, number, sweep, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupt_at(patch, "os.fsync", number, save)
        assert sweep.run() == 128 + number
    err, newest = capsys.readouterr().err, sweep.newest
    told = next(line for line in err.splitlines() if line.endswith(GOES_ON))
    there = {str(path.relative_to(newest)) for path in newest.rglob("*") if path.is_file()}
    begun = [cell for cell in CELLS if f"{cell}/result.json" in there]
    wanted = [f"{cell}/{name}" for cell in begun for name in ("pyperf.json", "report.html")] + ["index.html"]
    missing = [name for name in wanted if name not in there]
    without = f", without {', '.join(missing)}" if missing else ""
    assert told == f"pageferry: what finished is in {newest}{without}{GOES_ON}"
    assert list(sweep.out.rglob(".*")) == []
    assert all(load_result(newest / cell).runs for cell in begun)
    sweep.goes_on()


@pytest.mark.parametrize(
    ("where", "missing"),
    [
        ("reports.terminal.summary.print_summary", "mini+1Gbit-s/pyperf.json, mini+1Gbit-s/report.html, index.html"),
        ("harness.experiment.pyperf_export.write_pyperf", "mini+1Gbit-s/pyperf.json, mini+1Gbit-s/report.html, index.html"),
        ("reports.run.page.write_report", "mini+1Gbit-s/report.html, index.html"),
        ("reports.terminal.regrets.print_regrets", "index.html"),
        ("reports.site.page.write_index", "index.html"),
    ],
)  # fmt: skip
def test_a_signal_after_the_last_run_says_what_is_missing(where, missing, sweep, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupt_at(patch, where, signal.SIGINT)
        assert sweep.run() == 130
    assert f"what finished is in {sweep.newest}, without {missing}{GOES_ON}\n" in capsys.readouterr().err
    assert cli.main(["report", str(sweep.newest), "--out", str(sweep.folder / "site")]) == 0
    sweep.goes_on()


def test_a_page_that_is_older_than_its_result_is_missing(sweep, monkeypatch, capsys):
    assert sweep.run() == 0
    os.utime(sweep.newest / CELLS[0] / "report.html", (1, 1))
    capsys.readouterr()
    interrupt_at(monkeypatch, "reports.terminal.summary.print_summary", signal.SIGINT)
    assert sweep.run("--resume") == 130
    assert f"{sweep.newest}, without {CELLS[0]}/report.html{GOES_ON}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ((), "nothing was written: {} is as it was"),
        (("a.json",), "{} has a.json, without a.html"),
        (("a.json", "a.html"), "{} has a.json, a.html"),
    ],
)
def test_a_command_that_fills_a_folder_says_which_of_its_files_are_new(written, words, tmp_path, capsys):
    (tmp_path / "a.html").write_text("older")
    os.utime(tmp_path / "a.html", (1, 1))

    def filled():
        with telling_files(tmp_path, "a.json", "a.html"):
            for name in written:
                (tmp_path / name).write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled()
    assert capsys.readouterr().err == f"pageferry: {words.format(tmp_path)}\n"
