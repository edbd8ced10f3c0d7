"""Arguments in, one line and a status out; help is quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from small_results import small_result, small_run

from harness import cli
from harness.results.result import load_result, save_result

COMMANDS = (
    "run",
    "fleet",
    "advise",
    "list",
    "doctor",
    "send",
    "receive",
    "record",
    "info",
    "report",
    "compare",
    "selftest",
    "qualify",
    "opencl",
)


SEND = ("send", "--from", "unix:/x", "--to", "tcp:127.0.0.1:1", "--backend", "zlib")


@pytest.mark.parametrize("command", [(), *[(name,) for name in COMMANDS]], ids=["pageferry", *COMMANDS])
def test_every_command_has_help_with_examples(command, capsys):
    assert cli.main([*command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example" in out
    assert "--debug" in out


@pytest.mark.parametrize("arguments", [[], ["send"], ["receive"], ["fleet"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        f"import sys\nfrom harness.cli import main\nmain([*{arguments}, '--help'])\n"
        "heavy = {'numpy', 'pydantic', 'rich', 'scipy', 'altair', 'pyperf', 'qemu', 'psutil', 'xxhash', 'jinja2', 'logging', "
        "'secrets', 'difflib', 'tomllib', 'backends', 'reports', 'dask', 'harness.scenario', 'harness.wire'} & set(sys.modules)\n"
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
        (["rnu"], "'rnu': unknown command; did you mean 'run'? known: run, fleet, advise"),
        (["runn"], "did you mean 'run'?"),
        ([*SEND[:-1], "zsdt"], "'zsdt': unknown backend; did you mean 'zstd'? known: none, zlib,"),
        ([*SEND[:-1], "aut"], "'aut': unknown backend; did you mean 'auto'? known: "),
        (["qualify", "zlip"], "unknown backend 'zlip'; did you mean 'zlib'? known: none, "),
        (["qualify", "zlib", "--only", "speed.latencie"], "did you mean 'speed.latency'?"),
        (["run"], "Missing argument 'SCENARIO...'; see `pageferry run --help`"),
        (["run", "throtled"], "did you mean 'throttled'"),
        (["run", "throttled", "throttled"], "two scenarios of one name"),
        (["run", "throttled", "--set", "repeats=x"], "--set repeats=x: 'x': must be a valid integer"),
        (["run", "throttled", "--only", "x"], "--only 'x': unknown method"),
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
        (["list", "codecs"], "'codecs' is not one of 'scenarios', 'methods', 'backends'"),
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
        (["info", "/etc/hostname"], "not a QEMU migration stream, nor a recording of one (not a QEMU"),
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


def test_no_command_shows_help_and_status_2(capsys):
    assert cli.main([]) == 2
    assert "Commands:" in capsys.readouterr().err


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
        save_result(small_result(small_run("original"), name=name), tmp_path / "bench" / name / "result.json")
    assert cli.main(["report", str(tmp_path / "bench"), "--out", str(tmp_path / "site")]) == 0
    assert f"index: {tmp_path / 'site' / 'index.html'}" in capsys.readouterr().out
    assert len(list((tmp_path / "site" / "runs").glob("*/index.html"))) == 2
    file = tmp_path / "bench" / "one" / "result.json"
    assert cli.main(["report", str(file), "--out", str(tmp_path / "other")]) == 0
    assert len(list((tmp_path / "other" / "runs").glob("*/index.html"))) == 1


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
    save_result(small_result(small_run("original", 2.0), small_run("isal-1")), tmp_path / "a" / "result.json")
    save_result(small_result(small_run("original", 1.0), small_run("other")), tmp_path / "b" / "result.json")
    args = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c.html")]
    assert cli.main(args) == 0
    out = capsys.readouterr().out
    (row,) = [line.split() for line in out.splitlines() if "Total time (ms)" in line]
    assert row[:6] == ["original", "Total", "time", "(ms)", "2", "000"]
    assert "cannot tell, needs n = 5" in out
    assert "lost: isal-1: no run completed" in out
    assert (tmp_path / "c.html").is_file()


def test_compare_of_strangers_is_status_2(capsys, tmp_path):
    save_result(small_result(small_run("isal-1")), tmp_path / "a" / "result.json")
    save_result(small_result(small_run("other")), tmp_path / "b" / "result.json")
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
    wide = {**os.environ, "COLUMNS": "250"}  # however long the path of this Python is
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=wide)
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


def test_a_result_with_a_byte_order_mark_is_read(tmp_path):
    save_result(small_result(small_run("original")), tmp_path / "result.json")
    plain = load_result(tmp_path)
    (tmp_path / "result.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "result.json").read_bytes())
    assert load_result(tmp_path) == plain
