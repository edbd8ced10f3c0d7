"""One folder, one experiment, however the newer one ends."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import report_samples

from harness import cli
from harness.errors import ResultError, UserError
from harness.experiment.outputs import RUN_FILES, replacing
from harness.results.result import Run, load_result, save_result

SCENARIO = (
    'description="x"\nrepeats=2\nwarmups=0\n[guest]\nkind="synthetic"\nmemory="16MiB"\nworking_set="8MiB"\n'
    '[[method]]\nname="zlib-1"\nengine="pageferry"\nbackend="zlib"\nbaseline=true\n'
)


def _older(out: Path) -> dict[str, bytes]:
    save_result(report_samples.live(), out / "result.json")
    for name in ("report.html", "pyperf.json", "pyperf/zlib-1.json", "logs/zlib-1-repeat-1/sender.log", "notes.txt"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(f"older {name}")
    return _all(out)


def _all(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


class Lab:
    """Makes runs without a guest; ``ends`` says what each of them does."""

    def __init__(self, *ends):
        self.ends = list(ends)

    def describe(self):
        return {}

    def memory_classes(self):
        return {}

    def run(self, method, logs, on_progress):
        logs.mkdir(parents=True)
        (logs / "sender.log").write_text("newer")
        if (end := self.ends.pop(0)) is not None:
            raise end
        return Run(method.name, 1, warmup=False, status="completed", total_time_s=1.0, wire_bytes=1, verified=True)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a scenario of two runs into one folder, each ending as told."""
    (tmp_path / "mini.toml").write_text(SCENARIO)

    def go(*ends):
        @contextmanager
        def opened(_):
            yield Lab(*ends)

        monkeypatch.setattr("harness.experiment.runner.Lab", opened)
        return cli.main(["run", str(tmp_path / "mini.toml"), "--out", str(tmp_path / "out")])

    return go


@pytest.mark.parametrize("end", [KeyboardInterrupt(), ResultError("disk full"), RuntimeError("a bug")])
def test_an_end_before_the_first_run_has_finished_leaves_the_older_experiment_whole(end, run, tmp_path, capsys):
    before = _older(tmp_path / "out")
    assert run(end) != 0
    assert _all(tmp_path / "out") == before
    words = f"no run had finished: {tmp_path / 'out'} is as it was"
    assert (words in capsys.readouterr().err) == isinstance(end, KeyboardInterrupt)


def test_an_end_in_mid_run_leaves_the_newer_experiment_alone(run, tmp_path, capsys):
    _older(tmp_path / "out")
    assert run(None, KeyboardInterrupt()) == 130
    assert "what finished is in" in capsys.readouterr().err
    assert set(_all(tmp_path / "out")) == {
        "result.json",
        "logs/zlib-1-repeat-1/sender.log",
        "logs/zlib-1-repeat-2/sender.log",
        "notes.txt",
    }
    assert len(load_result(tmp_path / "out").runs) == 1
    assert (tmp_path / "out" / "logs/zlib-1-repeat-1/sender.log").read_text() == "newer"


def test_a_run_to_the_end_replaces_all_of_the_older_experiment(run, tmp_path, capsys):
    _older(tmp_path / "out")
    assert run(None, None) == 0
    assert not [
        name for name, data in _all(tmp_path / "out").items() if data.startswith(b"older") and name != "notes.txt"
    ]
    assert set(RUN_FILES) < {path.name for path in (tmp_path / "out").iterdir()}
    assert list((tmp_path / "out").glob(".*")) == []


def test_what_a_killed_process_had_set_aside_comes_back(tmp_path):
    before = _older(tmp_path)
    with pytest.raises(BaseException, match="killed") as caught, replacing(tmp_path, RUN_FILES):
        raise SystemExit("killed")
    assert caught
    assert _all(tmp_path) == before
    aside = tmp_path / ".pageferry-previous"
    aside.mkdir()
    for name in RUN_FILES:
        (tmp_path / name).rename(aside / name)
    (tmp_path / "result.json").write_text("newer, without a run")
    with replacing(tmp_path, RUN_FILES):
        pass
    assert _all(tmp_path) == before


def test_two_at_once_do_not_share_a_folder(tmp_path):
    with replacing(tmp_path, RUN_FILES), pytest.raises(UserError, match="another pageferry fills this folder"):  # noqa: SIM117
        with replacing(tmp_path, RUN_FILES):
            pass


def test_a_sweep_that_goes_on_has_no_index_of_the_older_one(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "mini.toml").write_text(SCENARIO + "[sweep]\nrepeats=[1, 2]\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("older")
    assert run(KeyboardInterrupt()) == 130
    assert (tmp_path / "out" / "index.html").exists()
    assert run(None, KeyboardInterrupt()) == 130
    assert not (tmp_path / "out" / "index.html").exists()


def test_a_full_disk_at_the_report_is_one_line_and_leaves_a_valid_result(run, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise ResultError("report.html: cannot save the page: No space left on device; free space")

    monkeypatch.setattr("reports.run.page.write_report", full)
    assert run(None, None) == 7
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "zlib-1" in captured.out
    assert len(load_result(tmp_path / "out").runs) == 2
    assert json.loads((tmp_path / "out" / "pyperf" / "zlib-1.json").read_text())


def test_a_search_that_goes_on_drops_the_report_of_its_shorter_self(tmp_path):
    _older(tmp_path)
    save_result(replace(report_samples.live(), runs=()), tmp_path / "result.json")
    with replacing(tmp_path, RUN_FILES, resume=True) as settle:
        assert (tmp_path / "report.html").exists()
        settle()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "notes.txt", "result.json"]
