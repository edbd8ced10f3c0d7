"""Limits: what is shipped fits what the checks give, and a lab's own file changes what it names and no more."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.qualify import checks
from harness.qualify.identity import CLASSES
from harness.qualify.thresholds import load_thresholds

SHIPPED = {name: load_thresholds(None, name) for name in CLASSES}


def value_patterns():
    """Of each name that a check gives a value, as the checks' sources have it."""
    sources = "".join(path.read_text() for path in Path(checks.__file__).parent.glob("*.py"))
    found = re.findall(r'(?:Value\(|\bname = )f?"([^"]+)"', sources)
    return [re.compile(re.sub(r"\{[^}]*\}", r"\\w+", name)) for name in found]


def own(tmp_path, text):
    path = tmp_path / "lab.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("backend_class", CLASSES)
def test_each_shipped_limit_is_of_a_value_that_some_check_gives(backend_class):
    patterns = value_patterns()
    assert not any(pattern.fullmatch("no_such_value") for pattern in patterns)
    strangers = [name for name in SHIPPED[backend_class] if not any(p.fullmatch(name) for p in patterns)]
    assert strangers == []


@pytest.mark.parametrize("backend_class", CLASSES)
def test_each_shipped_limit_is_a_number_that_something_can_meet(backend_class):
    for name, limit in SHIPPED[backend_class].items():
        assert limit, name
        assert set(limit) <= {"least", "most"}
        assert all(type(value) is float and value >= 0 for value in limit.values())
        assert limit.get("least", 0) <= limit.get("most", float("inf"))


@pytest.mark.parametrize("backend_class", CLASSES)
def test_what_no_backend_may_do_is_limited_in_each_class(backend_class):
    for name in ("pages_lost", "migration_unverified", "leaked_descriptors", "leaked_threads", "leaked_processes"):
        assert SHIPPED[backend_class][name] == {"most": 0.0}


def test_a_card_is_held_to_more_than_its_stand_in():
    card, stand_in = SHIPPED["accelerator"], SHIPPED["stand-in"]
    assert card["compress_mib_per_s"]["least"] > stand_in["compress_mib_per_s"]["least"]
    assert "cpu_vs_isal_1" in card
    assert "cpu_vs_isal_1" not in stand_in


def test_an_own_file_changes_what_it_names_and_no_more(tmp_path):
    path = own(tmp_path, "[accelerator]\ncompress_mib_per_s = {least = 4000}\n")
    limits = load_thresholds(path, "accelerator")
    assert limits["compress_mib_per_s"] == {"least": 4000.0}
    assert {**limits, "compress_mib_per_s": None} == {**SHIPPED["accelerator"], "compress_mib_per_s": None}
    assert load_thresholds(path, "software") == SHIPPED["software"]


def test_an_own_limit_replaces_both_sides(tmp_path):
    limits = load_thresholds(own(tmp_path, "[software]\nsoak_drift = {most = 2, least = 0.9}\n"), "software")
    assert limits["soak_drift"] == {"most": 2.0, "least": 0.9}
    limits = load_thresholds(own(tmp_path, "[software]\nsoak_drift = {most = 2}\n"), "software")
    assert limits["soak_drift"] == {"most": 2.0}


def test_an_empty_limit_lifts_it(tmp_path):
    limits = load_thresholds(own(tmp_path, "[software]\nlatency_p99_ms = {}\n"), "software")
    assert set(SHIPPED["software"]) - set(limits) == {"latency_p99_ms"}


def test_a_value_may_be_limited_that_is_limited_in_another_class_only(tmp_path):
    assert "host_busy_share" not in SHIPPED["software"]
    limits = load_thresholds(own(tmp_path, "[software]\nhost_busy_share = {least = 0.5}\n"), "software")
    assert limits["host_busy_share"] == {"least": 0.5}


@pytest.mark.parametrize("text", ["", "# nothing\n", "[software]\n", *(f"[{name}]\n" for name in CLASSES)])
def test_a_file_without_limits_changes_none(tmp_path, text):
    assert load_thresholds(own(tmp_path, text), "software") == SHIPPED["software"]


def test_the_shipped_file_may_be_given_as_ones_own(tmp_path):
    shipped = Path(checks.__file__).parents[1] / "thresholds.toml"
    assert {name: load_thresholds(shipped, name) for name in CLASSES} == SHIPPED
    assert set(tomllib.loads(shipped.read_text())) == set(CLASSES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[card]\n", ["[card]", "unknown class", "known: software, accelerator, stand-in"]),
        ("software = 3\n", ["software", "must be a table"]),
        ("compress_mib_per_s = {least = 3}\n", ["[compress_mib_per_s]", "unknown class", "known: software"]),
        (
            "[software]\nlatency_p99 = {most = 3}\n",
            ["software.latency_p99", "did you mean 'latency_p99_ms'?", "known: "],
        ),
        ("[software]\nzzz = {most = 3}\n", ["software.zzz", "no such value", "known: "]),
        ("[software]\nsoak_drift = 3\n", ["software.soak_drift = 3", "must be like {least = 1}"]),
        ("[software]\nsoak_drift = {max = 3}\n", ["software.soak_drift = {'max': 3}", "must be like {least = 1}"]),
        ("[software]\nsoak_drift = []\n", ["software.soak_drift = []", "must be like {least = 1}"]),
        ("[software]\nsoak_drift = {least = 'a'}\n", ["software.soak_drift.least = 'a'", "must be a number"]),
        ("[software]\nsoak_drift = {least = true}\n", ["software.soak_drift.least = True", "must be a number"]),
        ("[software]\nsoak_drift = {least = nan}\n", ["software.soak_drift.least = nan", "must be a number"]),
        (
            "[software]\nsoak_drift = {least = 2, most = 1}\n",
            ["software.soak_drift = {", "least must not be above most"],
        ),
        ("[software\n", ["not valid TOML", "line 1"]),
        (b"\xff\xfe", ["not UTF-8 text at byte 0"]),
        ('[software]\n"a\\nb" = {most = 3}\n', ["software.'a\\nb'", "no such value"]),
        ('["a\\nb"]\n', ["['a\\nb']", "unknown class"]),
        ("[software]\nsoak_drift = {most = inf}\n", ["software.soak_drift.most = inf", "must be a number"]),
        ("[software]\nsoak_drift = '''\na\nb'''\n", ["must be like {least = 1}"]),
    ],
)
@pytest.mark.parametrize("backend_class", CLASSES)
def test_a_wrong_file_is_one_line_with_its_place(tmp_path, text, says, backend_class):
    path = own(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_thresholds(path, backend_class)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert all(word in message for word in says), message
    assert "\n" not in message


@pytest.mark.parametrize(("name", "says"), [("absent.toml", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, says):
    with pytest.raises(UserError, match=says) as caught:
        load_thresholds(tmp_path / name, "software")
    assert str(caught.value).startswith(f"{tmp_path / name}: cannot read the thresholds: ")
