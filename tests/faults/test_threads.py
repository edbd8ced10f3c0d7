"""A machine that gives no more threads ends `pageferry faults` in one line, whichever thread it refuses first."""

import threading

import pytest

from harness import cli


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets that the command's end closes
@pytest.mark.parametrize("refused", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_thread_that_cannot_be_started_is_one_line(refused, tmp_path, monkeypatch, capsys):
    real, started = threading.Thread.start, []

    def start(thread):
        if thread.name.startswith("faults-"):
            started.append(thread.name)
            if len(started) >= refused:
                raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    status = cli.main(["faults", "--only", "frames/magic-flipped@first-batch", "--out", str(tmp_path / "out")])
    err = capsys.readouterr().err
    assert (status, "no more threads can be started here" in err) == (
        (3, True) if len(started) >= refused else (0, False)
    )
    assert err.count("pageferry: error: ") == (len(started) >= refused)
    assert "Traceback" not in err
