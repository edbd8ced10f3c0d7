"""What reaches the terminal is ours, a line for each thing said; and no stream's absence or failure changes what was done."""

import logging
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import report_samples
import sample_streams
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness import cli
from harness.commands import debugging
from harness.console import make_console, make_table, plain
from harness.errors import PeerError
from harness.experiment.progress import finished_line
from harness.results.result import CpuSeconds, Run, save_result
from harness.terminal import one_line, tell

HOSTILE = "\x1b[2J[red]x[/]\x1b]0;owned\x07\npageferry: done\r\u202egnp\u2028\x9b1A\ud800"
CODE = Path(__file__).parent.parent


@given(st.text() | st.text(alphabet=st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_one_line_is_one_line_of_visible_characters_and_leaves_those_alone(text):
    shown = one_line(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    if text.isprintable():
        assert shown == text
    assert one_line(shown) == shown


@given(st.text() | st.sampled_from([":bug:", "[red]x[/]", "[/]", "\\[b]", "[link=x]y"]))
def test_text_of_others_in_a_table_is_neither_markup_nor_an_escape_sequence(text):
    console = make_console(force_terminal=True, width=4000, color_system="truecolor")
    table = make_table("t", "column")
    table.add_row(plain(text))
    with console.capture() as captured:
        console.print(table)
        console.print(plain(text), soft_wrap=True, highlight=False)
    last = re.sub(r"\x1b\[[0-9;]*m", "", captured.get().splitlines()[-1])
    expected = one_line(text.replace("\u00a0", " ").replace("\u202f", " "))
    # rich doubles a backslash at the end, and drops one before a bracket that is no tag
    assert last.replace("\\", "").rstrip() == expected.replace("\\", "").rstrip()


def test_only_one_place_escapes_markup_and_only_one_writes_to_stderr():
    for path in [*(CODE / "harness").rglob("*.py"), *(CODE / "reports").rglob("*.py")]:
        text, name = path.read_text(), str(path.relative_to(CODE))
        assert ("rich.markup" in text) <= (name == "harness/console.py"), name
        assert "err=True" not in text, name


def test_an_error_with_a_peers_words_is_one_line_that_cannot_rewrite_the_screen(monkeypatch, capsys, tmp_path):
    def fail(*_, **__):
        raise PeerError(f"the peer refused: {HOSTILE}")

    monkeypatch.setattr("reports.site.gather.load_result", fail)
    (tmp_path / "result.json").write_text("{}")
    assert cli.main(["report", str(tmp_path), "--out", str(tmp_path / "x")]) == 5
    err = capsys.readouterr().err
    assert err.startswith("pageferry: error: the peer refused: \\x1b[2J[red]x[/]")
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()


def test_debug_shows_a_traceback_whose_lines_cannot_rewrite_the_screen(monkeypatch, capsys, tmp_path):
    def fail(*_, **__):
        raise PeerError(HOSTILE)

    monkeypatch.setattr("reports.site.gather.load_result", fail)
    (tmp_path / "result.json").write_text("{}")
    assert cli.main(["report", str(tmp_path), "--out", str(tmp_path / "x"), "--debug"]) == 5
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert all(line.isprintable() for line in err.split("\n"))


def test_a_log_line_cannot_rewrite_the_screen():
    record = logging.LogRecord("x", logging.DEBUG, "f", 1, "the peer says %s", (HOSTILE,), None)
    assert all(line.isprintable() for line in debugging._Printable("%(message)s").format(record).split("\n"))


def test_a_finished_run_is_one_line_whatever_its_method_is_called_and_its_error_says():
    run = Run(HOSTILE, 1, warmup=False, status="failed", error=HOSTILE)
    console = Console(width=500)
    with console.capture() as captured:
        console.print(finished_line(run), soft_wrap=True, highlight=False)
    assert captured.get().rstrip("\n").isprintable()
    assert "[red]x[/]" in captured.get()


def test_what_was_verified_is_memory_where_a_guest_ran_and_the_stream_of_a_replay():
    live = Run("a", 1, warmup=False, status="completed", verified=True, cpu_s=CpuSeconds(source_qemu=0.1))
    replayed = Run("a", 1, warmup=False, status="completed", verified=True, cpu_s=CpuSeconds(sender=0.1))
    assert finished_line(live).endswith(", memory verified")
    assert finished_line(replayed).endswith(", stream verified")
    assert finished_line(replace(replayed, verified=False)).endswith(", [red]stream differs[/]")


def test_a_file_name_of_bytes_that_are_no_text_can_be_told(capsys):
    tell("a\udcff")
    assert capsys.readouterr().err == "a\\udcff\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results to read, and a name for what each command writes."""
    out = tmp_path_factory.mktemp("streams")
    save_result(report_samples.live(), out / "a" / "result.json")
    save_result(report_samples.live(), out / "b" / "result.json")
    (out / "guest.stream").write_bytes(sample_streams.small_stream())
    (out / "mini.toml").write_text(
        'description="x"\nrepeats=1\nwarmups=0\n[guest]\nkind="synthetic"\nmemory="16MiB"\nworking_set="8MiB"\n'
        '[link]\nkind="relay"\n[[method]]\nname="zlib-1"\nengine="pageferry"\nbackend="zlib"\nbaseline=true\n'
    )
    return out


# Each command, what it answers with all its streams in place, and whether it prints on stdout.
COMMANDS = {
    "--help": (0, True),
    "list guests": (0, True),
    "report a --out site": (0, True),
    "compare a b": (0, True),
    "qualify --list": (0, True),
    "qualify zlib --only contract.identity --out q": (0, True),
    "run mini.toml --out o": (0, True),
    "send --from unix:x --to y --backend zlib": (2, False),
    "receive --listen tcp:127.0.0.1:0 --to unix:x --timeout 10ms": (5, False),
    "record --from unix:rec --out r --timeout 10ms": (5, False),
    "info guest.stream": (0, True),
    "advise --guest missing --bandwidth 1Gbit/s": (2, False),
    "opencl build --device nowhere --out x": (2, False),
}
BRIEF = {"list guests", "opencl build --device nowhere --out x"}
"""Each kind's quickest, which is tried with all that streams can be."""


def _status(command: str, streams: str, folder: Path) -> tuple[int, str]:
    words = shlex.join([sys.executable, "-m", "harness.cli", *command.split()])
    script = ["bash", "-c", f"{words} {streams}"]
    done = subprocess.run(script, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_an_absent_or_broken_stream_changes_no_status_but_that_of_output_that_was_lost(command, folder):
    status, prints = COMMANDS[command]
    for streams in ("<&- >&- 2>&-", *((">&- 2>/dev/full", "2> >(:)") if command in BRIEF else ())):
        found, err = _status(command, streams, folder)
        assert (found, "bug" in err) == (status, False), (streams, err)
    found, err = _status(command, ">/dev/full", folder)
    assert found == (7 if prints else status)
    if prints:
        assert err.splitlines()[-1] == (
            "pageferry: error: cannot write to the standard output: No space left on device; send it elsewhere"
        )


@pytest.mark.parametrize("python", [(), ("-u",)], ids=["buffered", "unbuffered"])
def test_a_reader_that_left_ends_a_command_in_silence(python, folder):
    words = shlex.join([sys.executable, *python, "-m", "harness.cli", "list", "guests"])
    script = f"{{ {words}; echo $? >status; }} 2>err | :"
    subprocess.run(["bash", "-c", script], cwd=folder, timeout=100, check=False)
    assert ((folder / "status").read_text(), (folder / "err").read_text()) == ("141\n", "")


def test_letters_that_the_output_cannot_encode_are_escaped(folder):
    words = [sys.executable, "-m", "harness.cli", "report", "a", "--out", "Seite-\u4e2d"]
    env = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(b"index: Seite-\\u4e2d/index.html (")
