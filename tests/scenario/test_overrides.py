"""`--set`, `--only` and lists change a scenario before it is checked."""

import subprocess
import sys
from pathlib import Path

import pytest
from small_scenario import load_minimal, message_of, named


@pytest.fixture
def load(tmp_path):
    """Loads MINIMAL with the given text before (top-level keys) and behind (tables)."""
    return lambda top="", tables="", **kwargs: load_minimal(tmp_path, top, tables, **kwargs)


def test_set_overrides_before_validation(load):
    overrides = [
        "guest.memory=2GiB",
        "repeats=1",
        "method.zlib-1.threads=4",
        "guest.fill={zero = 1.0}",
        "link.kind=relay",
    ]
    scenario = load(overrides=overrides)
    assert scenario.guest.memory_bytes == 2 << 30
    assert scenario.repeats == 1
    assert named(scenario, "zlib-1").threads == 4
    assert scenario.guest.fill == {"zero": 1.0}
    assert scenario.link.kind == "relay"


def test_set_reaches_parameters_and_methods_with_dots(load):
    tables = '[[method]]\nname = "zlib-1.5"\nengine = "pageferry"\nbackend = "zlib"\n'
    scenario = load("", tables, overrides=["method.zlib-1.5.level=6", "method.original.source.downtime-limit=50"])
    assert named(scenario, "zlib-1.5").level == 6
    assert named(scenario, "zlib-1").level == 1
    assert named(scenario, "original").source == {"downtime-limit": 50}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("guest.memory", ["write KEY=VALUE"]),
        ("=3", ["write KEY=VALUE"]),
        ("guest.memory=2", ["2: a number needs a unit"]),
        ("guest.memory=64MiB", ["guest.working_set: 64 MiB"]),
        ("guest.memry=2GiB", ["did you mean 'memory'"]),
        ("repeats.x=2", ["'repeats' is a value"]),
        ("method.isal-1.threads=4", ["unknown method", "known: original, zlib-1"]),
        ("method.zlib-1=4", ["method.zlib-1.KEY=VALUE"]),
        ("method.zlib-1.level=11", ["11: ", "0 to 9"]),
        ("method.original.baseline=false", ["no baseline"]),
        ("guest.fill.zero=0.5", ["guest.fill: the shares sum to 0.5"]),
        ("guest.kind=stream", ["guest.path: is missing"]),
    ],
)
def test_an_error_that_a_set_caused_names_the_set(load, override, words):
    message = message_of(load, "repeats = 3\n", overrides=[override])
    assert message.startswith(f"--set {override}: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize("key", ["nokey", "guest.memry", "warmups", "method.zlib-1.level", "method.zlib-1.levle"])
def test_a_key_that_a_set_has_wrong_is_named_once(load, key):
    assert message_of(load, overrides=[f"{key}=x"]).count(key.rpartition(".")[2]) == 1


def test_only_keeps_the_named_methods_and_the_baseline(load):
    tables = "".join(
        f'[[method]]\nname = "{name}"\nengine = "pageferry"\nbackend = "zstd"\n'
        for name in ("zstd-1", "zstd-3", "other")
    )
    names = [method.name for method in load("", tables, only=["zstd-*"]).methods]
    assert names == ["original", "zstd-1", "zstd-3"]
    assert "--only 'lz4': unknown method" in message_of(load, "", tables, only=["zstd-1", "lz4"])


def test_a_guest_without_qemu_takes_the_raw_stream_and_ours_only(load):
    tables = '[[method]]\nname = "x"\nengine = "qemu"\ncapabilities = ["xbzrle"]\n[guest]\nkind = "synthetic"\n'
    assert "method.x.capabilities: needs QEMU" in message_of(load, "", tables)
    assert [method.name for method in load("", tables, only=["zlib-1"]).methods] == ["original", "zlib-1"]
    tables = (
        '[[method]]\nname = "x"\nengine = "pageferry"\nbackend = "zlib"\nsteer = true\n[guest]\nkind = "synthetic"\n'
    )
    assert "method.x.steer: needs QEMU" in message_of(load, "", tables)
    paused = tables.replace("steer = true", "pause_at_pass = 1")
    assert "method.x.pause_at_pass: needs QEMU" in message_of(load, "", paused)
    switched = tables.replace("steer = true", 'switch = "after 0 passes"')
    assert "method.x.switch: needs QEMU" in message_of(load, "", switched)
    shortest = tables.replace("steer = true", 'downtime = "shortest"')
    assert "method.x.downtime: needs QEMU" in message_of(load, "", shortest)
    for_all = tables.replace("steer = true", "")
    assert "downtime=shortest: needs QEMU" in message_of(load, "", for_all, overrides=["downtime=shortest"])


def test_a_stream_is_relative_to_its_file_or_by_set_to_the_working_directory(load, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (tmp_path / "a.stream").write_bytes(b"x")
    (elsewhere / "b.stream").write_bytes(b"x")
    tables = '[guest]\nkind = "stream"\npath = "a.stream"\n'
    assert load("", tables).guest.path == str(tmp_path / "a.stream")
    assert load("", tables, overrides=["guest.path=b.stream"]).guest.path == str(elsewhere / "b.stream")


def test_lists_make_a_method_for_each_combination(load):
    tables = (
        '[[method]]\nname = "isal"\nengine = "pageferry"\nbackend = "isal"\nlevel = [0, 1]\n'
        '[[method]]\nname = "zstd-1"\nengine = "pageferry"\nbackend = "zstd"\nlevel = 1\n'
        "threads = [1, 4]\ndecompress_threads = [1, 2]\n"
        '[[method]]\nname = "lz4"\nengine = "pageferry"\nbackend = "lz4"\nlevel = [-3]\nthreads = [2, 3]\n'
    )
    scenario = load("", tables)
    assert [method.name for method in scenario.methods][2:] == [
        "isal-0",
        "isal-1",
        "zstd-1 1x1",
        "zstd-1 1x2",
        "zstd-1 4x1",
        "zstd-1 4x2",
        "lz4--3 2t",
        "lz4--3 3t",
    ]
    four_two = named(scenario, "zstd-1 4x2")
    assert (four_two.threads, four_two.decompress_threads, four_two.level) == (4, 2, 1)


def test_lists_that_make_a_taken_name_or_too_many_methods_are_refused(load):
    tables = '[[method]]\nname = "zlib"\nengine = "pageferry"\nbackend = "zlib"\nlevel = [0, 1]\n'
    assert "two methods of one name" in message_of(load, "", tables)
    many = f"{list(range(1, 101))}"
    tables = f'[[method]]\nname = "z"\nengine = "pageferry"\nbackend = "zlib"\nthreads = {many}\nlevel = {many}\n'
    assert "more than 1000 methods" in message_of(load, "", tables)


def test_a_backend_whose_library_is_missing_is_no_error_of_the_scenario():
    code = (
        "import sys; sys.modules['zstandard'] = None\n"
        "from harness.scenario.model import load_scenario\n"
        "assert 'zstd' in [getattr(m, 'backend', '') for m in load_scenario('throttled').methods]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
