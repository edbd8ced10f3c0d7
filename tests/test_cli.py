"""Arguments in, one line and a status out; help is quick; a run writes everything and says where."""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
import sample_streams
from rich.console import Console

from harness import cli
from harness.errors import CodecError, MissingError, PeerError, QemuError, ResultError
from harness.experiment.events import RunFinished, RunProgress, RunStarted
from harness.experiment.progress import progress
from harness.experiment.recorder import record_stream
from harness.experiment.summary import print_summary
from harness.results.result import CpuSeconds, MetricSummary, Result, Run, load_result, save_result
from harness.scenario.model import load_scenario

COMMANDS = ("run", "advise", "list", "doctor", "send", "receive", "record", "report", "compare", "qualify", "opencl")


SEND = ("send", "--from", "unix:/x", "--to", "tcp:127.0.0.1:1", "--backend", "zlib")


def _run(method: str, total_s: float | None = 1.0, **fields) -> Run:
    values = {"repeat": 1, "warmup": False, "status": "completed", "downtime_s": 0.04, "verified": True} | fields
    wire_bytes = None if total_s is None else 100_000_000
    return Run(method=method, total_time_s=total_s, wire_bytes=wire_bytes, cpu_s=CpuSeconds(sender=1.0), **values)


def _result(*runs: Run, name: str = "throttled") -> Result:
    summary = {
        run.method: {
            "total_time_s": MetricSummary(
                run.total_time_s, (run.total_time_s, run.total_time_s * 1.1), 5, vs_baseline=0.5
            ),
            "wire_bytes": MetricSummary(run.wire_bytes, (run.wire_bytes, run.wire_bytes), 1),
        }
        for run in runs
        if run.total_time_s is not None
    }
    scenario = load_scenario("throttled").model_dump(mode="json") | {"name": name}
    return Result(scenario=scenario, environment={"cores": 2}, runs=runs, summary=summary)


@pytest.fixture
def runner(monkeypatch):
    """Puts a runner in place of the real one; set its ``runs`` or its ``error``."""
    module = type(sys)("harness.experiment.runner")
    module.runs, module.error, module.seen = (_run("original"), _run("isal-1")), None, []

    def run_scenario(scenario, out, on_event):
        module.seen.append((scenario, out))
        for index, run in enumerate(module.runs, 1):
            on_event(RunStarted(run.method, run.repeat, index, len(module.runs), run.warmup))
            on_event(RunProgress(run.method, 0.5, 2, 1_000_000, 1e6, 4_000_000))
            on_event(RunFinished(run))
        result = _result(*module.runs, name=scenario.name)
        save_result(result, out / "result.json")
        if module.error is not None:
            raise module.error
        return result

    module.run_scenario = run_scenario
    monkeypatch.setitem(sys.modules, "harness.experiment.runner", module)
    monkeypatch.setattr(importlib.import_module("harness"), "runner", module, raising=False)
    return module


@pytest.mark.parametrize("command", [(), *[(name,) for name in COMMANDS]], ids=["pageferry", *COMMANDS])
def test_every_command_has_help_with_examples(command, capsys):
    assert cli.main([*command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example" in out
    assert "--debug" in out


def test_the_halves_import_nothing_of_the_lab():
    code = (
        "import sys, harness.migrator.sender, harness.migrator.receiver\n"
        "lab = {'pydantic', 'rich', 'scipy', 'qemu', 'asyncio', 'ssl', 'reports', 'harness.scenario', 'harness.experiment', "
        "'harness.links', 'harness.guests', 'harness.results', 'harness.qemu'} & set(sys.modules)\n"
        "assert not lab, lab\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [[], ["send"], ["receive"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        f"import sys\nfrom harness.cli import main\nmain([*{arguments}, '--help'])\n"
        "heavy = {'numpy', 'pydantic', 'rich', 'scipy', 'altair', 'pyperf', 'qemu', 'psutil', 'xxhash', 'jinja2', 'logging', "
        "'secrets', 'difflib', 'tomllib', 'backends', 'reports', 'harness.scenario', 'harness.wire'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pageferry 0.")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["rnu"], "'rnu': unknown command; did you mean 'run'? known: run, advise, list"),
        (["runn"], "did you mean 'run'?"),
        ([*SEND[:-1], "zsdt"], "'zsdt': unknown backend; did you mean 'zstd'? known: none, zlib,"),
        ([*SEND[:-1], "aut"], "'aut': unknown backend; did you mean 'auto'? known: "),
        (["qualify", "zlip"], "unknown backend 'zlip'; did you mean 'zlib'? known: none, "),
        (["qualify", "zlib", "--only", "speed.latencie"], "did you mean 'speed.latency'?"),
        (["run"], "Missing argument 'SCENARIO...'; see `pageferry run --help`"),
        (["run", "throtled"], "did you mean 'throttled'"),
        (["run", "throttled", "throttled"], "two scenarios of one name"),
        (["run", "throttled", "--set", "repeats=x"], "--set repeats=x: repeats: 'x'"),
        (["run", "throttled", "--only", "x"], "--only x: 'x': unknown method"),
        (["advise", "--guest", "throtled", "--bandwidth", "1Gbit/s"], "did you mean 'throttled'"),
        (["advise", "--guest", "throttled", "--bandwidth", "fast"], "'fast' is not a bandwidth"),
        (["advise", "--guest", "throttled", "--bandwidth", "0Mbit/s"], "a bandwidth must be above zero"),
        (["advise", "--guest", "throttled", "--bandwidth", "1Gbit/s", "--cores", "0"], "0 is not in the range"),
        (
            ["advise", "--guest", "throttled", "--bandwidth", "1Gbit/s", "--cores", "9999"],
            "--cores 9999: this process may",
        ),
        (["advise", "--guest", "throttled", "--bandwidth", "1Gbit/s", "--dirty-rate", "9"], "'9' is not a rate"),
        (["advise", "--guest", "/etc/hostname", "--bandwidth", "1Gbit/s"], "not a QEMU migration stream"),
        (["list", "codecs"], "'codecs' is not one of 'backends', 'scenarios', 'guests'"),
        (["send", "--to", "tcp:127.0.0.1:1", "--backend", "zlib"], "Missing option '--from'"),
        (["send", "--from", "unix:/x", "--to", "x", "--backend", "zlib"], "--to x: write unix:PATH or tcp:HOST:PORT"),
        (
            ["send", "--from", "unix:/x", "--to", "tcp:h:1", "--backend", "zlib", "--threads", "0"],
            "0 is not in the range",
        ),
        (["send", "--from", "unix:/x", "--to", "tcp:h:1", "--backend", "zlib", "--batch", "3"], "'3' is not a size"),
        ([*SEND, "--downtime", "300ms"], "--downtime 0.3s: only with --qmp"),
        ([*SEND, "--qmp", "unix:/x", "--downtime", "300"], "'300' is not a duration"),
        ([*SEND, "--qmp", "/x"], "--qmp /x: write unix:PATH"),
        ([*SEND, "--qmp", "tcp:127.0.0.1:1"], "--qmp tcp:127.0.0.1:1: write unix:PATH; over TCP anybody"),
        (["receive", "--listen", "tcp:127.0.0.1:0", "--to", "unix:/x", "--timeout", "5"], "'5' is not a duration"),
        (["receive", "--listen", "tcp:192.0.2.1:1", "--to", "unix:/x"], "--insecure"),
        (["receive", "--listen", "tcp:127.0.0.1:0", "--to", "tcp:192.0.2.1:1"], "--to tcp:192.0.2.1:1: not a loopback"),
        (
            ["send", "--from", "tcp:192.0.2.1:1", "--to", "tcp:127.0.0.1:1", "--backend", "zlib"],
            "--from tcp:192.0.2.1:1: not",
        ),
        ([*SEND, "--wait", "60"], "'60' is not a duration"),
        ([*SEND, "--socket-mode", "rw"], "'rw': write a mode as chmod does"),
        (["record", "--from", "unix:x", "--out", "y", "--socket-mode", "1777"], "'1777': write a mode"),
        (
            ["receive", "--listen", "unix:x", "--to", "unix:/x", "--socket-owner", "no-such"],
            "--socket-owner no-such: not known",
        ),
        (["record", "--from", f"unix:/{'x' * 200}", "--out", "y"], "at most 107 bytes"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(args, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pageferry: error: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert list(tmp_path.iterdir()) == []


def test_a_qmp_socket_that_is_not_there_is_one_line_and_status_3(capsys, tmp_path):
    assert cli.main([*SEND, "--qmp", f"unix:{tmp_path}/q"]) == 3
    err = capsys.readouterr().err
    assert f"pageferry: error: --qmp unix:{tmp_path}/q: no such socket; give the socket of" in err
    assert err.count("\n") == 1


def test_no_command_shows_help_and_status_2(capsys):
    assert cli.main([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MissingError("no root"), 3),
        (QemuError("died"), 4),
        (PeerError("gone"), 5),
        (CodecError("damaged"), 6),
        (ResultError("full"), 7),
        (KeyboardInterrupt(), 130),
        (ValueError("oops\nsecond line"), 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_an_error_of_the_runner_has_its_status_and_one_line(runner, error, status, capsys, tmp_path):
    runner.error = error
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == status
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("pageferry: ")
    assert load_result(tmp_path).runs == runner.runs, "what finished stays"


@pytest.mark.parametrize("args", [["--debug", "run"], ["run", "--debug"]], ids=["before", "behind"])
def test_debug_shows_the_traceback(runner, args, capsys, tmp_path):
    runner.error = PeerError("gone")
    assert cli.main([*args, "throttled", "--out", str(tmp_path)]) == 5
    assert "Traceback" in capsys.readouterr().err


def test_run_writes_everything_and_prints_the_table(runner, capsys, tmp_path):
    assert cli.main(["run", "throttled", "--out", str(tmp_path), "--set", "repeats=1"]) == 0
    out = capsys.readouterr().out
    for path in ("result.json", "report.html", "pyperf/original.json", "pyperf/isal-1.json"):
        assert (tmp_path / path).is_file(), path
    assert f"report: {tmp_path / 'report.html'}" in out
    assert "[2/2] isal-1, repeat 1: ok, 1000 ms, downtime 40 ms" in out
    row = next(line for line in out.splitlines() if line.lstrip().startswith("isal-1 "))
    assert row.split() == ["isal-1", "1000", "[1000,", "1100]", "-", "97656", "-50", "%", "-", "1/1", "1"]
    ((scenario, folder),) = runner.seen
    assert (scenario.repeats, folder) == (1, tmp_path)


def test_run_of_several_scenarios_fills_a_folder_each_and_an_index(runner, capsys, tmp_path):
    assert cli.main(["run", "unlimited", "throttled", "--out", str(tmp_path)]) == 0
    assert [folder for _, folder in runner.seen] == [tmp_path / "unlimited", tmp_path / "throttled"]
    assert (tmp_path / "throttled" / "report.html").is_file()
    index = tmp_path / "index.html"
    assert "throttled/report.html" in index.read_text()
    assert f"index: {index}" in capsys.readouterr().out


def test_a_wrong_second_scenario_stops_before_the_first_runs(runner, tmp_path):
    assert cli.main(["run", "throttled", "nonsense", "--out", str(tmp_path)]) == 2
    assert runner.seen == []


@pytest.mark.parametrize(
    ("run", "status"),
    [
        (_run("isal-1", None, status="failed", error="it broke", verified=None), 1),
        (_run("isal-1", None, status="timeout", reason="after 120 s", verified=None), 1),
        (_run("isal-1", verified=False), 1),
        (_run("isal-1", None, status="skipped", reason="not in this QEMU", verified=None), 0),
        (_run("isal-1", None, status="skipped", reason="not in this QEMU", verified=None, warmup=True), 0),
        (_run("isal-1", verified=None), 0),
    ],
    ids=["failed", "timeout", "unverified", "skipped", "skipped in the warm-up", "replay"],
)
def test_the_exit_status_tells_whether_every_run_is_good(runner, run, status, capsys, tmp_path):
    runner.runs = (_run("original"), run)
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == status
    reason = run.reason or run.error
    if reason:
        assert capsys.readouterr().out.count(reason) == 2, "on its line and in the table"


def test_interrupted_says_where_the_finished_runs_are(runner, capsys, tmp_path):
    runner.error = KeyboardInterrupt()
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == 130
    assert str(tmp_path / "result.json") in capsys.readouterr().err


def test_sigterm_ends_like_ctrl_c_and_the_handler_is_put_back(runner, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    real = runner.run_scenario

    def terminated(*args):
        real(*args)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    runner.run_scenario = terminated
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_user_of_no_list_and_without_a_home_can_run(runner, monkeypatch, tmp_path):
    """As in a container; libraries of the report ask for the home when they are imported."""

    def no_home() -> Path:
        if home := os.environ.get("HOME"):
            return Path(home)
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == 0
    monkeypatch.delenv("HOME")


def test_a_reader_that_goes_away_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from harness.cli import main; sys.exit(main(['list']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(60) == 141


def test_report_takes_folders_of_results(capsys, tmp_path):
    for name in ("one", "two"):
        save_result(_result(_run("original"), name=name), tmp_path / "bench" / name / "result.json")
    assert cli.main(["report", str(tmp_path / "bench"), "--out", str(tmp_path / "site")]) == 0
    assert f"index: {tmp_path / 'site' / 'index.html'}" in capsys.readouterr().out
    assert (tmp_path / "site" / "two" / "report.html").is_file()
    file = tmp_path / "bench" / "one" / "result.json"
    assert cli.main(["report", str(file), "--out", str(tmp_path / "other")]) == 0
    assert (tmp_path / "other" / "one" / "report.html").is_file()


@pytest.mark.parametrize("text", [None, "{}", '{"schema": 1', "[1]"], ids=["missing", "empty", "cut", "list"])
def test_report_of_what_is_no_result_is_one_line_and_status_7(text, capsys, tmp_path):
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    assert cli.main(["report", str(tmp_path), "--out", str(tmp_path / "site")]) == 7
    err = capsys.readouterr().err
    assert str(tmp_path / "result.json") in err
    assert err.count("\n") == 1
    assert not (tmp_path / "site").exists()


def test_compare_prints_medians_and_writes_a_page(capsys, tmp_path):
    save_result(_result(_run("original", 2.0), _run("isal-1")), tmp_path / "a" / "result.json")
    save_result(_result(_run("original", 1.0), _run("other")), tmp_path / "b" / "result.json")
    args = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c.html")]
    assert cli.main(args) == 0
    out = capsys.readouterr().out
    assert "2000 -> 1000 (-50 %)" in out
    assert "isal-1" not in out
    assert (tmp_path / "c.html").is_file()


def test_compare_of_strangers_is_status_2(capsys, tmp_path):
    save_result(_result(_run("isal-1")), tmp_path / "a" / "result.json")
    save_result(_result(_run("other")), tmp_path / "b" / "result.json")
    assert cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "no completed method in common" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("backends", ["zlib-ng", "0 to 9", "built in"]),
        ("scenarios", ["throttled", "1 Gbit/s", "native"]),
        ("guests", ["stress", "stream", "synthetic"]),
    ],
)
def test_list(what, words, capsys):
    assert cli.main(["list", what]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in words)


def test_list_backends_says_why_one_is_missing():
    code = (
        "import sys; sys.modules['zstandard'] = None\n"
        "from harness.cli import main; sys.exit(main(['list', 'backends']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    row = next(line for line in done.stdout.splitlines() if line.lstrip().startswith("zstd "))
    assert " no " in row
    assert "pip install" in done.stdout


def test_doctor_as_text_and_as_json(capsys):
    assert cli.main(["doctor"]) == 0
    assert "CPU governor" in capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {check["id"] for check in document["checks"]} >= {"kvm", "qemu", "backend zlib"}
    assert document["environment"]["pageferry"]


@pytest.mark.parametrize("half", ["send", "receive"])
def test_a_place_for_statistics_that_cannot_be_is_no_migration_that_succeeded(half, capsys, tmp_path):
    args = SEND if half == "send" else ("receive", "--listen", "tcp:127.0.0.1:0", "--to", "unix:/x")
    assert cli.main([*args, "--stats", str(tmp_path / "no" / "s.json")]) == 2
    assert "choose another place" in capsys.readouterr().err


@pytest.mark.parametrize("half", ["send", "receive"])
def test_statistics_that_cannot_be_kept_follow_the_line_that_says_done(half, capsys, tmp_path, monkeypatch):
    told = {
        "stream_bytes": 5, "sent_bytes": 5, "elapsed_s": 1.0, "batches_digest": "ab", "outcome": "confirmed",
        "confirmed": True, "sender_heard": True,
    }  # fmt: skip
    full = ResultError("s.json: cannot save the statistics: No space left on device")
    monkeypatch.setattr("harness.migrator.sender.run_sender", lambda *_: told)
    monkeypatch.setattr("harness.migrator.receiver.run_receiver", lambda *_: told)
    monkeypatch.setattr("harness.results.saving.save_whole", Mock(side_effect=full))
    args = SEND if half == "send" else ("receive", "--listen", "tcp:127.0.0.1:0", "--to", "unix:/x")
    assert cli.main([*args, "--stats", str(tmp_path / "s.json")]) == 7
    done, error = capsys.readouterr().err.splitlines()
    assert done.startswith("pageferry: done: 5 B of stream")
    assert "the migration is done, only its statistics are not kept" in error
    assert "No space left" in error


@pytest.mark.parametrize("broken", [False, True], ids=["", "absent-stdin-and-stdout-and-nobody-reads-stderr"])
def test_send_and_receive_carry_a_stream_between_two_sockets(broken, tmp_path):
    """The commands as processes: ready lines, statistics, and the invariant."""
    stream = sample_streams.small_stream()
    target = socket.socket(socket.AF_UNIX)
    target.bind(str(tmp_path / "dst"))
    target.listen(1)
    route = ("--listen", "tcp:127.0.0.1:0", "--to", f"unix:{tmp_path / 'dst'}")
    receiver = _start("receive", *route, "--stats", str(tmp_path / "r.json"), without_streams=broken)
    port = _ready(receiver).rsplit(":", 1)[1].strip()
    tuned = ("--level", "1", "--threads", "2", "--batch", "64KiB", "--stats", str(tmp_path / "s.json"))
    route = ("--from", f"unix:{tmp_path / 'src'}", "--to", f"tcp:127.0.0.1:{port}")
    sender = _start("send", *route, "--backend", "zlib", *tuned, "--without-return-path", without_streams=broken)
    _ready(sender)
    assert "warning: --without-return-path" in sender.stderr.readline()
    if broken:
        sender.stderr.close()
        receiver.stderr.close()
    got = bytearray()
    taker = threading.Thread(target=_take_all, args=(target, got))
    taker.start()
    with socket.socket(socket.AF_UNIX) as source:
        source.connect(str(tmp_path / "src"))
        source.sendall(stream)
        source.shutdown(socket.SHUT_WR)
        while source.recv(4096):
            pass
    taker.join(30)
    assert (sender.wait(30), receiver.wait(30)) == (0, 0)
    assert bytes(got) == stream
    sent, received = (json.loads((tmp_path / name).read_text()) for name in ("s.json", "r.json"))
    assert sent["batches_digest"] == received["batches_digest"]
    for process in (sender, receiver):
        process.stderr.close()
    target.close()


def _start(*args: str, without_streams: bool = False) -> subprocess.Popen[str]:
    streams = "<&- >&-" if without_streams else ""
    shell = ["bash", "-c", f'exec "$@" {streams}', "bash"]
    return subprocess.Popen([*shell, sys.executable, "-m", "harness.cli", *args], stderr=subprocess.PIPE, text=True)


def _ready(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "ready: " in line, line
    return line


def _take_all(listener: socket.socket, into: bytearray) -> None:
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(1 << 16):
            into += data


def _feed(path: Path, data: bytes) -> threading.Thread:
    def feed() -> None:
        for _ in range(500):
            with socket.socket(socket.AF_UNIX) as source:
                try:
                    source.connect(str(path))
                except OSError:
                    time.sleep(0.01)
                    continue
                source.sendall(data)
                return

    thread = threading.Thread(target=feed)
    thread.start()
    return thread


def test_record_keeps_a_whole_stream(tmp_path, capsys):
    stream = sample_streams.small_stream()
    feeder = _feed(tmp_path / "rec", stream)
    out = tmp_path / "guest.stream"
    assert cli.main(["record", "--from", f"unix:{tmp_path / 'rec'}", "--out", str(out), "--timeout", "20s"]) == 0
    feeder.join()
    assert out.read_bytes() == stream
    assert f"{out}: " in capsys.readouterr().out
    assert not (tmp_path / "rec").exists()


def test_record_of_a_migration_that_broke_off_leaves_no_file(tmp_path, capsys):
    feeder = _feed(tmp_path / "rec", sample_streams.small_stream()[:9000])
    assert (
        cli.main(["record", "--from", f"unix:{tmp_path / 'rec'}", "--out", str(tmp_path / "x"), "--timeout", "20s"])
        == 5
    )
    feeder.join()
    assert "before its end" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_record_gives_up_when_nobody_comes(tmp_path):
    with pytest.raises(PeerError, match=r"no QEMU connected within 0\.05 s"):
        record_stream(f"unix:{tmp_path}/rec", tmp_path / "x", timeout_s=0.05)


def test_record_where_nothing_can_be_written(tmp_path):
    with pytest.raises(ResultError, match="cannot save the stream"):
        record_stream(f"unix:{tmp_path}/rec", tmp_path / "no" / "x")


def test_the_live_display_shows_method_pass_rate_and_time_to_go():
    now = [0.0]
    console = Console(force_terminal=True, width=160, file=open(os.devnull, "w"), record=True)  # noqa: SIM115, PTH123
    with progress(console, "throttled", clock=lambda: now[0]) as on_event:
        on_event(RunStarted("original", 1, 1, 4, warmup=False))
        now[0] = 10.0
        on_event(RunFinished(_run("original")))
        on_event(RunStarted("isal-1", 1, 2, 4, warmup=False))
        now[0] = 12.0
        on_event(RunProgress("isal-1", 1.5, 3, 50 << 20, 112e6, 90 << 20))
        board = on_event.__closure__[0].cell_contents
        assert board.remaining_s() == 28.0
        console.print(board)
    console.file.close()
    text = console.export_text()
    for words in (
        "run 2/4",
        "isal-1, repeat 1",
        "pass 3",
        "112 MB/s",
        "about 0:28 to go",
        "[1/4] original, repeat 1: ok",
    ):
        assert words in text, words


def test_a_name_that_looks_like_markup_is_printed_as_it_is():
    console = Console(width=160, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    run = _run("[red]x[/red]", None, status="failed", error="[/bold] broke", verified=None)
    print_summary(console, _result(_run("original"), run))
    with progress(console, "x") as on_event:
        on_event(RunFinished(run))
    console.file.close()
    text = console.export_text()
    assert text.count("[red]x[/red]") == 3  # table, why it is missing, progress
    assert text.count("[/bold] broke") == 2
    assert "[red]x[/red]: 1 failed: [/bold] broke" in text


def test_a_result_with_a_byte_order_mark_is_read(tmp_path):
    save_result(_result(_run("original")), tmp_path / "result.json")
    plain = load_result(tmp_path)
    (tmp_path / "result.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "result.json").read_bytes())
    assert load_result(tmp_path) == plain
