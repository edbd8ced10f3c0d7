"""One folder, one experiment, however the newer one ends."""

import json
import socket
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness import cli
from harness.errors import ResultError, UserError
from harness.experiment.outputs import CERTIFICATE_FILES, held, replacing
from harness.results.result import Run, load_result, save_result
from reports.run.charts.build import Charts

SCENARIO = (
    'description="x"\nrepeats=2\nwarmups=0\n[guest]\nkind="synthetic"\nmemory="16MiB"\nworking_set="8MiB"\n'
    '[[method]]\nname="zlib-1"\nengine="pageferry"\nbackend="zlib"\nbaseline=true\n'
)


def _older(out: Path) -> dict[str, bytes]:
    for name in (*CERTIFICATE_FILES[:-1], "logs/zlib-1-repeat-1/sender.log", "notes.txt"):
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
    """Runs a scenario of two runs, each ending as told; its pages have no charts."""
    (tmp_path / "mini.toml").write_text(SCENARIO)
    monkeypatch.setattr("reports.run.page.build", lambda _: Charts((), ()))  # drawing takes a second a page
    monkeypatch.setattr(
        "harness.experiment.environment.collect", lambda *_: {"cores": 2}
    )  # and so does looking at the machine

    def go(*ends, more=()):
        lab = Lab(*ends)

        @contextmanager
        def opened(_):
            yield lab

        monkeypatch.setattr("harness.experiment.runner.Lab", opened)
        return cli.main(["run", str(tmp_path / "mini.toml"), "--out", str(tmp_path / "out"), *more])

    return go


@pytest.mark.parametrize("end", [KeyboardInterrupt(), ResultError("disk full"), RuntimeError("a bug")])
def test_an_end_before_the_first_run_has_finished_leaves_all_as_it_was(end, run, tmp_path, capsys):
    assert run(None, None) == 0
    before = _all(tmp_path / "out")
    assert run(end) != 0
    assert _all(tmp_path / "out") == before
    words = f"no run had finished: {tmp_path / 'out'} is as it was"
    assert (words in capsys.readouterr().err) == isinstance(end, KeyboardInterrupt)


def test_an_end_in_mid_run_leaves_table_page_and_files_of_what_finished(run, tmp_path, capsys):
    assert run(None, KeyboardInterrupt()) == 130
    captured = capsys.readouterr()
    assert "the same command with --resume goes on" in captured.err
    assert "mini: medians" in captured.out
    newest = tmp_path / "out" / "latest"
    assert {path.name for path in newest.iterdir()} == {"result.json", "report.html", "pyperf.json", "pyperf", "logs"}
    assert len(load_result(tmp_path / "out").runs) == 1
    assert not list((tmp_path / "out").rglob(".*"))


def test_a_run_touches_no_older_one_and_latest_leads_to_it(run, tmp_path):
    assert run(None, None) == 0
    first = (tmp_path / "out" / "latest").resolve()
    before = _all(first)
    assert run(None, None) == 0
    second = (tmp_path / "out" / "latest").resolve()
    assert first != second
    assert _all(first) == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(["latest", first.name, second.name])


def test_what_was_interrupted_goes_on_in_its_own_folder_and_what_is_complete_is_skipped(run, tmp_path, capsys):
    assert run(None, KeyboardInterrupt()) == 130
    begun = load_result(tmp_path / "out")
    assert run(None, more=["--resume"]) == 0
    whole = load_result(tmp_path / "out")
    assert whole.runs[: len(begun.runs)] == begun.runs
    assert (len(whole.runs), whole.identity) == (2, begun.identity)
    assert run(more=["--resume"]) == 0
    assert load_result(tmp_path / "out") == whole
    assert len(list((tmp_path / "out").iterdir())) == 2, "the folder and the link to it"


def test_a_sweep_goes_on_with_the_cells_that_are_left(run, tmp_path):
    (tmp_path / "mini.toml").write_text(SCENARIO + '[sweep]\n"link.bandwidth"=["1Gbit/s", "2Gbit/s"]\n')
    assert run(None, None, KeyboardInterrupt()) == 130
    newest = tmp_path / "out" / "latest"
    assert [path.parent.name for path in newest.glob("*/result.json")] == ["mini+1Gbit-s"]
    assert (newest / "index.html").exists()
    assert run(None, None, more=["--resume"]) == 0
    assert sorted(path.name for path in newest.iterdir()) == ["index.html", "mini+1Gbit-s", "mini+2Gbit-s"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--set", "repeats=3"], "repeats was 2, and is 3 now"),
        (["--set", "guest.memory=32MiB"], "guest.memory_bytes was 16777216, and is 33554432 now"),
        (["--tag", "weekly"], "tags was nightly, and is weekly now"),
    ],
)
def test_another_experiment_is_not_gone_on_with(change, words, run, tmp_path, capsys):
    assert run(None, KeyboardInterrupt(), more=["--tag", "nightly"]) == 130
    before = _all(tmp_path / "out")
    capsys.readouterr()
    assert run(more=["--resume", *change]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err
    assert _all(tmp_path / "out") == before


@pytest.mark.parametrize(("field", "value"), [("machine_id", "0123"), ("version", "0.0.1"), ("commit", "abc")], ids=str)
def test_another_machine_or_version_does_not_go_on(field, value, run, tmp_path, capsys):
    assert run(None, KeyboardInterrupt()) == 130
    result = load_result(tmp_path / "out")
    save_result(
        replace(result, identity=replace(result.identity, **{field: value})), tmp_path / "out/latest/result.json"
    )
    assert run(more=["--resume"]) == 2
    assert f"{field} was {value}, and is " in capsys.readouterr().err


def test_with_nothing_to_go_on_with_a_new_run_begins_and_says_so(run, tmp_path, capsys):
    assert run(None, None, more=["--resume"]) == 0
    assert f"{tmp_path / 'out'}: nothing to go on with: a new run begins" in capsys.readouterr().err


def test_a_result_says_which_run_of_what_on_which_machine_made_it(run, tmp_path):
    assert run(None, None, more=["--tag", "nightly", "--tag", "x", "--tag", "x"]) == 0
    identity = load_result(tmp_path / "out").identity
    assert identity.run_id == (tmp_path / "out" / "latest").resolve().name
    assert identity.tags == ("nightly", "x")
    assert identity.host == socket.gethostname()
    secret = Path("/etc/machine-id").read_text().strip() if Path("/etc/machine-id").exists() else "none"
    assert secret not in (tmp_path / "out/latest/result.json").read_text()


@pytest.mark.parametrize("tag", ["", "-x", "a b", "<script>", "x" * 65, "a\nb"])
def test_a_tag_that_is_none_is_one_line(tag, run, capsys):
    assert run(more=["--tag", tag]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_folder_in_the_links_place_is_one_line(run, tmp_path, capsys):
    (tmp_path / "out" / "latest").mkdir(parents=True)
    assert run(None, None) == 2
    assert "latest: is no link" in capsys.readouterr().err


def test_what_a_killed_process_had_set_aside_comes_back(tmp_path):
    before = _older(tmp_path)
    with pytest.raises(BaseException, match="killed") as caught, replacing(tmp_path, CERTIFICATE_FILES):
        raise SystemExit("killed")
    assert caught
    assert _all(tmp_path) == before
    aside = tmp_path / ".pageferry-previous"
    aside.mkdir()
    for name in CERTIFICATE_FILES:
        (tmp_path / name).rename(aside / name)
    (tmp_path / "certificate.json").write_text("newer, without a check")
    with replacing(tmp_path, CERTIFICATE_FILES):
        pass
    assert _all(tmp_path) == before


def test_an_end_before_there_is_something_leaves_nothing_of_it_and_what_is_none_of_ours(tmp_path):
    (tmp_path / "certificate.html").mkdir()
    with pytest.raises(BaseException, match="killed"), replacing(tmp_path, CERTIFICATE_FILES):  # noqa: PT012
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "identity.log").write_text("newer")
        raise SystemExit("killed")
    assert [path.name for path in tmp_path.iterdir()] == ["certificate.html"]


def test_once_there_is_something_the_older_goes_as_a_whole(tmp_path):
    _older(tmp_path)
    with replacing(tmp_path, CERTIFICATE_FILES) as settle:
        (tmp_path / "certificate.json").write_text("newer")
        settle()
    assert set(_all(tmp_path)) == {"certificate.json", "notes.txt"}


def test_two_at_once_do_not_share_a_folder(tmp_path):
    with replacing(tmp_path, CERTIFICATE_FILES), pytest.raises(UserError, match="another pageferry fills this folder"):  # noqa: SIM117
        with replacing(tmp_path, CERTIFICATE_FILES):
            pass


@pytest.mark.parametrize("command", ["bench", "report {}", "faults", "qualify zlib", "advise --bandwidth 1Gbit/s"])
def test_each_command_that_fills_a_folder_refuses_one_that_another_fills(command, tmp_path, capsys):
    out = tmp_path / "out"
    with held(out):
        assert cli.main([*command.format(tmp_path).split(), "--out", str(out)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"pageferry: error: {out}: another pageferry fills this folder: wait for it, or choose another --out"
    )


def _filled(out: Path, name: str | None) -> None:
    with held(out):
        if name is not None:
            (out / name).write_text("x")
        raise RuntimeError("an end")


def test_folders_made_for_what_never_came_go_and_others_stay(tmp_path):
    (tmp_path / "mine").mkdir()
    for name, left in ((None, {"mine"}), ("a file", {"mine", "mine/x", "mine/x/y", "mine/x/y/a file"})):
        with pytest.raises(RuntimeError, match="an end"):
            _filled(tmp_path / "mine" / "x" / "y", name)
        assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == left


def test_a_full_disk_at_the_report_is_one_line_and_leaves_a_valid_result(run, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise ResultError("report.html: cannot save the page: No space left on device; free space")

    monkeypatch.setattr("reports.run.page.write_report", full)
    assert run(None, None) == 7
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "zlib-1" in captured.out
    assert len(load_result(tmp_path / "out").runs) == 2
    assert json.loads((tmp_path / "out" / "latest" / "pyperf" / "zlib-1.json").read_text())
