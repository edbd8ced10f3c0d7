"""A scenario is loaded whole or refused with one line. Junk raises nothing else."""

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_scenario import MINIMAL, load_minimal, message_of, named

import scenarios
from backends import registry
from harness.errors import ScenarioError
from harness.scenario.model import Scenario, load_scenario
from harness.units import MIB


@pytest.fixture
def load(tmp_path):
    """Loads MINIMAL with the given text before (top-level keys) and behind (tables)."""
    return lambda top="", tables="", **kwargs: load_minimal(tmp_path, top, tables, **kwargs)


KEYS = st.text(max_size=6) | st.sampled_from(
    [
        "description", "repeats", "guest", "link", "method", "memory", "fill", "path", "kind", "level", "threads", "name",
        "engine", "baseline", "backend", "batch", "inflight", "options", "source", "timeout", "bandwidth",
    ]
)  # fmt: skip
JUNK = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=12),
        st.datetimes(),
        st.sampled_from(["512MiB", "1Gbit/s", "unlimited", "300ms", "9" * 400 + "h", "stream", "qemu", "zlib", "isal"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_junk_is_a_scenario_error_and_nothing_else(data, tmp_path_factory):
    doc = data.draw(st.dictionaries(KEYS, JUNK, max_size=6))
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
        assert (scenario.repeats, scenario.warmups) == (7, 1)
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


def test_the_moment_of_a_switch_is_a_number_and_only_told_where_there_is_one(load):
    scenario = load("", '[[method]]\nname = "b"\nengine = "qemu"\nswitch = "after 12 passes"\n')
    assert [method["switch_after_passes"] for method in scenario.told()["methods"]] == [None, None, 12]
    assert "switch_after_passes" not in load().told()["methods"][0]


def test_no_method_and_no_baseline(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('description = "x"\nmethod = []\n')
    assert "no method: add a [[method]]" in message_of(load_scenario, path)
    path.write_text('description = "x"\n[[method]]\nname = "a"\nengine = "qemu"\n')
    assert "no baseline: write baseline = true" in message_of(load_scenario, path)


@pytest.mark.parametrize("text", ["", 'description = "  "\n'])
def test_a_description_must_be_given(tmp_path, text):
    path = tmp_path / "x.toml"
    path.write_text(f'{text}[[method]]\nname = "a"\nengine = "qemu"\nbaseline = true\n')
    assert "x.toml: description: " in message_of(load_scenario, path)


def test_bad_toml_is_named_by_line_and_column(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("a = 1\nb = = 2\n")
    assert "line 2, column 5" in message_of(load_scenario, path)


def test_missing_unreadable_and_foreign_files(tmp_path):
    assert "No such file" in message_of(load_scenario, tmp_path / "gone.toml")
    assert "Is a directory" in message_of(load_scenario, tmp_path)
    assert "did you mean 'throttled'" in message_of(load_scenario, "throtled")
    path = tmp_path / "x.toml"
    path.write_bytes(b"a = '\xff'")
    assert "not UTF-8 text at byte 5" in message_of(load_scenario, path)
    path.write_bytes(b" " * 2_000_000)
    assert "larger than" in message_of(load_scenario, path)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000], ids=["deep", "long number"])
def test_toml_that_breaks_parsers_is_refused(tmp_path, text):
    path = tmp_path / "x.toml"
    path.write_text(text)
    message_of(load_scenario, path)


def test_line_breaks_in_keys_stay_in_one_line(load):
    assert "\\n" in message_of(load, '"a\\nb" = 1\n')
