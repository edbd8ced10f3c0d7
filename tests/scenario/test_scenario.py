"""A scenario is loaded whole or refused with one line that names place, key, value and remedy. Junk raises nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scenarios
from backends import registry
from harness.errors import ScenarioError
from harness.guests.stress import StressConfig, layout
from harness.scenario.model import Scenario, load_scenario
from harness.units import MIB

MINIMAL = """
description = "a test"
[[method]]
name = "original"
engine = "qemu"
baseline = true
[[method]]
name = "zlib-1"
engine = "pageferry"
backend = "zlib"
level = 1
"""


@pytest.fixture
def load(tmp_path):
    """Loads MINIMAL with the given text before (top-level keys) and behind (tables)."""

    def load(top: str = "", tables: str = "", **kwargs) -> Scenario:
        path = tmp_path / "mine.toml"
        path.write_text(top + MINIMAL + tables)
        return load_scenario(path, **kwargs)

    return load


def named(scenario: Scenario, name: str):
    return next(method for method in scenario.methods if method.name == name)


def _message(load, *args, **kwargs) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(*args, **kwargs)
    text = str(caught.value)
    assert text.isprintable(), "an error is one line"
    return text


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_junk_is_a_scenario_error_and_nothing_else(data, tmp_path_factory):
    junk = st.recursive(
        st.one_of(
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=12),
            st.datetimes(),
            st.sampled_from(
                ["512MiB", "1Gbit/s", "unlimited", "300ms", "9" * 400 + "h", "stream", "qemu", "zlib", "isal"]
            ),
        ),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys(), inner, max_size=4),
        max_leaves=12,
    )
    doc = data.draw(st.dictionaries(_keys(), junk, max_size=6))
    if data.draw(st.booleans()):
        doc |= {"description": "x", "method": [{"name": "a", "engine": "qemu", "baseline": True} | doc]}
    path = tmp_path_factory.getbasetemp() / "junk.toml"
    path.write_bytes(tomli_w.dumps(doc).encode("utf-8", "surrogatepass"))
    overrides = data.draw(st.lists(st.text(max_size=20) | st.just("method.a.level=[1]"), max_size=2))
    message = ""
    try:
        load_scenario(path, overrides)
    except ScenarioError as exc:
        message = str(exc)
    assert "\n" not in message
    assert message == "" or message.isprintable()


def _keys():
    fields = ["description", "repeats", "guest", "link", "method", "memory", "fill", "path", "kind", "level", "threads"]
    more = ["name", "engine", "baseline", "backend", "batch", "inflight", "options", "source", "timeout", "bandwidth"]
    return st.sampled_from(fields + more) | st.text(max_size=6)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(raw=st.binary(max_size=200))
def test_any_bytes_as_a_file_are_a_scenario_error(raw, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(raw)
    with pytest.raises(ScenarioError):
        load_scenario(path)


def test_a_byte_order_mark_and_line_ends_of_windows_are_read(tmp_path):
    path = tmp_path / "s.toml"
    shipped = scenarios.find("throttled").read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + shipped.replace(b"\n", b"\r\n"))
    assert load_scenario(path).methods == load_scenario("throttled").methods


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1\n\u200brepeats = 2\n", "U+200B (zero width space) at line 2, column 1 is invisible: remove it"),
        ("repeats\u00a0= 2", "U+00A0 (no-break space) at line 1, column 8 is invisible: remove it"),
        ("a = 1\r\nb = 1\x00", "U+0000 (a control character) at line 2, column 6 is invisible"),
        ("\ufeff\ufeffa = 1", "U+FEFF (zero width no-break space) at line 1, column 1 is invisible"),
    ],
)
def test_an_invisible_character_is_told_with_its_place(text, words, tmp_path):
    (tmp_path / "s.toml").write_bytes(text.encode())
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "s.toml")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", scenarios.names())
def test_every_shipped_scenario_loads_and_opens_with_its_question(name):
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.baseline.baseline
    path = scenarios.find(name)
    assert path is not None
    comment = "".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    assert "?" in comment


def test_the_two_situations_hold_the_published_methods_and_ours():
    for name, bandwidth in (("unlimited", None), ("throttled", 125_000_000)):
        scenario = load_scenario(name)
        assert scenario.link.bandwidth_bytes_per_s == bandwidth
        assert scenario.guest.memory_bytes == 512 * MIB
        assert (scenario.repeats, scenario.warmups) == (5, 1)
        theirs = named(scenario, "qemu-compress-zlib-1")
        assert theirs.source == {"compress-level": 1, "compress-threads": 12}
        assert theirs.destination == {"decompress-threads": 3}
        ours = named(scenario, "zlib-1")
        assert (ours.threads, ours.decompress_threads) == (12, 3)


def test_codecs_has_every_codec_and_offload_every_device():
    devices = {name for name in registry.names() if registry.load(name).info.device != "cpu"}
    assert {getattr(method, "backend", None) for method in load_scenario("codecs").methods} == set(
        registry.names()
    ) - devices
    assert {getattr(method, "backend", None) for method in load_scenario("offload").methods} >= devices


def test_a_name_and_a_repository_path_find_the_shipped_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_scenario("throttled") == load_scenario("scenarios/throttled.toml") == load_scenario("throttled.toml")


def test_a_file_of_the_user_goes_before_a_shipped_one_of_that_name(monkeypatch, tmp_path):
    (tmp_path / "throttled.toml").write_text(MINIMAL)
    monkeypatch.chdir(tmp_path)
    assert load_scenario("throttled.toml").description == "a test"
    assert load_scenario("throttled").description != "a test"


def test_defaults_and_units(load):
    scenario = load(
        'repeats = 2\ndowntime_limit = "250ms"\ntimeout = "2min"\n',
        '[guest]\nmemory = "1GiB"\ndirty_rate = "1MB/s"\n[link]\nbandwidth = "100Mbit/s"\n',
    )
    assert (scenario.name, scenario.repeats, scenario.downtime_limit_s, scenario.timeout_s) == ("mine", 2, 0.25, 120.0)
    assert (scenario.guest.memory_bytes, scenario.guest.dirty_rate_bytes_per_s) == (1 << 30, 10**6)
    assert scenario.link.bandwidth_bytes_per_s == 12_500_000
    assert scenario.baseline.name == "original"


def test_a_links_delay_and_jitter_are_of_one_direction(load):
    link = load("", '[link]\ndelay = "50ms"\njitter = "500us"\n').link
    assert (link.delay_s, link.jitter_s) == (0.05, 0.0005)
    assert (load().link.delay_s, load().link.jitter_s) == (0, 0)
    assert load("", '[link]\ndelay = "0s"\nkind = "netns"\n').link.delay_s == 0


def test_the_saved_form_uses_field_names_and_base_units(load):
    saved = load().model_dump(mode="json")
    assert saved["guest"]["memory_bytes"] == 512 * MIB
    assert saved["methods"][1]["backend"] == "zlib"
    assert Scenario.model_validate(saved) == load()


@pytest.mark.parametrize(
    ("top", "tables", "words"),
    [
        ("repeets = 3", "", ["mine.toml: repeets: ", "unknown key", "did you mean 'repeats'", "known: description"]),
        ("repeats = 0", "", ["repeats: 0", "greater than or equal to 1"]),
        ("repeats = 1001", "", ["repeats: 1001", "less than or equal to 1000"]),
        ("repeats = true", "", ["repeats: true", "integer"]),
        ("repeats = '5'", "", ["repeats: '5'", "integer"]),
        ("timeout = 120", "", ["timeout: 120", "a number needs a unit", '"300ms"']),
        ("timeout = '120 parsecs'", "", ["timeout", "'parsecs'", "known: us, ms, s"]),
        ("downtime_limit = '1h'", "", ["downtime_limit", "3600", "2000"]),
        ("name = 'x'", "", ["name: 'x'", "remove the key"]),
        ("guest = 3", "", ["guest: 3", "[guest]"]),
        ("", "[guest]\nmemory = 536870912", ["guest.memory: 536870912: a number needs a unit"]),
        ("", "[guest]\nmemory = '-5MiB'", ["guest.memory: '-5MiB'", "write a number and a unit"]),
        ("", "[guest]\nmemory = '512Mbit/s'", ["guest.memory", "unknown unit 'Mbit/s'", "MiB"]),
        ("", "[guest]\nmemory = '100000001B'\nworking_set='1MiB'", ["guest.memory", "whole pages"]),
        ("", "[guest]\nmemory = '1MiB'", ["guest.memory: 1 MiB", "16 MiB"]),
        ("", "[guest]\nmemory = '513MiB'", ["guest.memory: 513 MiB", "multiple of 2 MiB"]),
        ("", "[guest]\nmemory = '61GiB'", ["guest.memory: 61 GiB", "60 GiB at most"]),
        ("", "[guest]\nchanged_bytes_per_page = 60", ["guest.changed_bytes_per_page: 60", "multiple of 8"]),
        ("", "[guest]\nmemory_bytes = 536870912", ["guest.memory_bytes", "did you mean 'memory'"]),
        ("", "[guest]\nworking_set = '300MiB'", ["guest.working_set: 300 MiB", "half of memory (512 MiB)"]),
        ("", "[guest]\nfill = {zero = 0.5}", ["guest.fill", "sum to 0.5", "must sum to 1"]),
        ("", "[guest]\nfill = {zero = nan}", ["guest.fill.zero: nan", "0 to 1"]),
        ("", "[guest]\nfill = {zero = 2.0, text = -1.0}", ["guest.fill.zero: 2.0", "0 to 1"]),
        ("", "[guest]\nfill = {zeros = 1.0}", ["guest.fill.zeros", "'zero'"]),
        (
            "",
            "[guest]\nkind = 'linux'",
            ["guest.kind: 'linux': unknown guest kind", "known: stress, stream, synthetic"],
        ),
        ("", "[guest]\npath = 'x'", ["guest.path: 'x'", 'kind = "stream"']),
        ("", "[guest]\nkind = 'stream'", ["guest.path", "is missing"]),
        (
            "",
            "[guest]\nkind = 'stream'\npath = 'x'\nmemory = '1GiB'",
            ["guest.memory: '1GiB': kind = \"stream\" has no such key", 'kind = "stress"'],
        ),
        ("", "[guest]\nkind = 'stream'\npath = 'gone'", ["guest.path", "gone'", "no such file"]),
        ("", "[link]\nbandwidth = '0MB/s'", ["link.bandwidth: '0MB/s'", "above zero"]),
        ("", "[link]\nbandwidth = 1000", ["link.bandwidth: 1000: a number needs a unit"]),
        ("", "[link]\nspeed = 'x'", ["link.speed", "known: kind, bandwidth, delay, jitter"]),
        ("", "[link]\ndelay = 50", ["link.delay: 50: a number needs a unit", '"50ms"']),
        ("", "[link]\ndelay = '50'", ["link.delay: '50' is not a duration"]),
        ("", "[link]\njitter = 'no'", ["link.jitter: 'no' is not a duration"]),
        ("", "[link]\ndelay = '1min'", ["link.delay: 60 s", "at most 10 s in each direction"]),
        ("", "[link]\nkind = 'relay'\nloss = 0.01", ["link.loss: 0.01", 'kind = "netns"']),
        ("", "[link]\nloss = 1.5", ["link.loss: 1.5", "less than or equal to 0.5"]),
        ("", "[link]\nbandwidth = '10Gbit/s'\ndelay = '2s'", ["link.delay: 2000 ms at 10 Gbit/s", "at most 1 GiB"]),
    ],
)
def test_a_wrong_key_is_named_with_its_value_and_remedy(load, top, tables, words):
    message = _message(load, f"{top}\n", tables)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ('name = "original"\nengine = "qemu"', ["method.original.name", "two methods of one name"]),
        ('name = "b"\nengine = "qemu"\nbaseline = true', ["method.b.baseline", "'original' and 'b'", "keep one"]),
        ('name = "b"\nengine = "qemu"\nbackend = "zlib"', ["method.b.backend", 'engine = "pageferry"']),
        ('name = "b"\nengine = "qemu"\nlevel = 1', ["method.b.level", 'engine = "pageferry"']),
        ('name = "b"\nengine = "qemu"\nsteer = true', ["method.b.steer", 'engine = "pageferry"']),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nsteer = 1', ["method.b.steer: 1"]),
        ('name = "b"\nengine = "qemu"\ncapabilities = ["multifd", "multifd"]', ["method.b.capabilities", "twice"]),
        ('name = "b"\nengine = "pageferry"', ["method.b.backend: is missing", "isal"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "isla"', ["method.b.backend: 'isla'", "did you mean 'isal'"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\ncapabilities = []', ["method.b.capabilities", '"qemu"']),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nlevel = 10', ["method.b.level: 10", "levels 0 to 9"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "none"\nlevel = 1', ["method.b.level: 1", "no levels"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nthreads = 0', ["method.b.threads: 0", "equal to 1"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nthreads = 257', ["method.b.threads: 257", "256"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nthreads = []', ["method.b.threads: []", "whole number"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nbatch = "5000B"', ["method.b.batch", "whole pages"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nbatch = "8MiB"', ["method.b.batch: 8 MiB", "4 MiB"]),
        (
            'name = "b"\nengine = "pageferry"\nbackend = "zlib"\nbatch = "1MiB"\ninflight = "64KiB"',
            ["method.b.inflight"],
        ),
        (
            'name = "b"\nengine = "pageferry"\nbackend = "zlib"\noptions = {x = 1}',
            ["method.b.options.x", "known: none"],
        ),
        ('name = "b"\nengine = "kvm"', ["method.b.engine: 'kvm'", "'qemu' or 'pageferry'"]),
        ('name = "b"', ["method.b.engine: is missing"]),
        ('engine = "qemu"', ["method.#3.name: is missing"]),
        ('name = "../b"\nengine = "qemu"', ["'../b'", "letter or digit"]),
        ('name = "b"\nengine = "qemu"\nbaseline = true\nlevel = [1, 2]', ["method.b.baseline", "one value"]),
    ],
)
def test_a_wrong_method_is_named(load, method, words):
    message = _message(load, "", f"[[method]]\n{method}\n")
    assert message.count("mine.toml: ") == 1
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "guest", [{"memory": "60GiB"}, {"memory": "16MiB", "working_set": "8MiB"}], ids=["large", "small"]
)
def test_the_stress_guest_takes_what_the_limits_allow(load, guest):
    text = "".join(f'{key} = "{value}"\n' for key, value in guest.items())
    loaded = load("", f"[guest]\nchanged_bytes_per_page = 4080\n{text}").guest
    config = StressConfig(
        memory_bytes=loaded.memory_bytes,
        working_set_bytes=loaded.working_set_bytes,
        changed_bytes_per_page=loaded.changed_bytes_per_page,
    )
    assert layout(config).page_changed_bytes == 4096


def test_no_method_and_no_baseline(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('description = "x"\n')
    assert "add at least one [[method]]" in _message(load_scenario, path)
    path.write_text('description = "x"\n[[method]]\nname = "a"\nengine = "qemu"\n')
    assert "no baseline: write baseline = true" in _message(load_scenario, path)


@pytest.mark.parametrize("text", ["", 'description = "  "\n'])
def test_a_description_must_be_given(tmp_path, text):
    path = tmp_path / "x.toml"
    path.write_text(f'{text}[[method]]\nname = "a"\nengine = "qemu"\nbaseline = true\n')
    assert "x.toml: description: " in _message(load_scenario, path)


def test_bad_toml_is_named_by_line_and_column(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("a = 1\nb = = 2\n")
    assert "line 2, column 5" in _message(load_scenario, path)


def test_missing_unreadable_and_foreign_files(tmp_path):
    assert "No such file" in _message(load_scenario, tmp_path / "gone.toml")
    assert "Is a directory" in _message(load_scenario, tmp_path)
    assert "did you mean 'throttled'" in _message(load_scenario, "throtled")
    path = tmp_path / "x.toml"
    path.write_bytes(b"a = '\xff'")
    assert "not UTF-8 text at byte 5" in _message(load_scenario, path)
    path.write_bytes(b" " * 2_000_000)
    assert "larger than" in _message(load_scenario, path)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000], ids=["deep", "long number"])
def test_toml_that_breaks_parsers_is_refused(tmp_path, text):
    path = tmp_path / "x.toml"
    path.write_text(text)
    _message(load_scenario, path)


def test_line_breaks_in_keys_stay_in_one_line(load):
    assert "\\n" in _message(load, '"a\\nb" = 1\n')


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
        ("guest.memory=2", ["guest.memory: 2: a number needs a unit"]),
        ("guest.memory=64MiB", ["guest.working_set: 64 MiB"]),
        ("guest.memry=2GiB", ["did you mean 'memory'"]),
        ("repeats.x=2", ["'repeats' is a value"]),
        ("method.isal-1.threads=4", ["unknown method", "known: original, zlib-1"]),
        ("method.zlib-1=4", ["method.zlib-1.KEY=VALUE"]),
        ("method.zlib-1.level=11", ["method.zlib-1.level: 11", "0 to 9"]),
        ("method.original.baseline=false", ["no baseline"]),
        ("guest.fill.zero=0.5", ["guest.fill: the shares sum to 0.5"]),
        ("guest.kind=stream", ["guest.path: is missing"]),
    ],
)
def test_an_error_that_a_set_caused_names_the_set(load, override, words):
    message = _message(load, "repeats = 3\n", overrides=[override])
    assert message.startswith(f"--set {override}: ")
    for word in words:
        assert word in message


def test_only_keeps_the_named_methods_and_the_baseline(load):
    tables = "".join(
        f'[[method]]\nname = "{name}"\nengine = "pageferry"\nbackend = "zstd"\n'
        for name in ("zstd-1", "zstd-3", "other")
    )
    names = [method.name for method in load("", tables, only=["zstd-*"]).methods]
    assert names == ["original", "zstd-1", "zstd-3"]
    assert "--only lz4: 'lz4': unknown method" in _message(load, "", tables, only=["zstd-1", "lz4"])


def test_a_guest_without_qemu_takes_the_raw_stream_and_ours_only(load):
    tables = '[[method]]\nname = "x"\nengine = "qemu"\ncapabilities = ["xbzrle"]\n[guest]\nkind = "synthetic"\n'
    assert "method.x.capabilities: needs QEMU" in _message(load, "", tables)
    assert [method.name for method in load("", tables, only=["zlib-1"]).methods] == ["original", "zlib-1"]
    tables = (
        '[[method]]\nname = "x"\nengine = "pageferry"\nbackend = "zlib"\nsteer = true\n[guest]\nkind = "synthetic"\n'
    )
    assert "method.x.steer: needs QEMU" in _message(load, "", tables)


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
    assert "two methods of one name" in _message(load, "", tables)
    many = f"{list(range(1, 101))}"
    tables = f'[[method]]\nname = "z"\nengine = "pageferry"\nbackend = "zlib"\nthreads = {many}\nlevel = {many}\n'
    assert "more than 1000 methods" in _message(load, "", tables)


def test_a_backend_whose_library_is_missing_is_no_error_of_the_scenario():
    code = (
        "import sys; sys.modules['zstandard'] = None\n"
        "from harness.scenario.model import load_scenario\n"
        "assert 'zstd' in [getattr(m, 'backend', '') for m in load_scenario('throttled').methods]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
