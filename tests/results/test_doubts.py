"""Doubts come back from a file as they were told; older files' sentences stay; what is wrong is one line with its place."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ResultError
from harness.results.doubt_lists import read_doubts, tell_doubts
from harness.results.doubts import KINDS, FewRuns, NotPreallocated, Said, Spread
from harness.results.result import Result, Run, load_result, save_result

VALUES = {
    "str": st.text(max_size=9),
    "int": st.integers(0, 9999),
    "float": st.floats(0, 1e9),
    "str | None": st.none() | st.text(max_size=9),
    "float | None": st.none() | st.floats(-1e9, 1e9),
}


@st.composite
def doubts(draw):
    kind = draw(st.sampled_from(sorted(KINDS.values(), key=lambda each: each.kind)))
    return kind(**{field.name: draw(VALUES[field.type]) for field in dataclasses.fields(kind)})


@given(st.lists(doubts(), max_size=4))
@settings(deadline=None)
def test_what_is_told_is_read(found):
    told = json.loads(json.dumps(tell_doubts(tuple(found))))
    assert read_doubts(told) == tuple(found)
    assert all(set(entry) == {"kind", "subject", "weight", "sentence", "values"} for entry in told)


def test_a_file_has_a_sentence_for_each_doubt(tmp_path):
    run = Run("b", 1, warmup=False, status="completed", doubts=(Said("noisy"),))
    result = Result(
        {"methods": [{"name": "b"}]},
        {},
        (run,),
        doubts=(FewRuns("b", 1), Spread("b", "total_time_s", "total time", 0.2)),
    )
    save_result(result, tmp_path / "result.json")
    told = json.loads((tmp_path / "result.json").read_text())
    assert told["warnings"] == [
        "b: only one run; nothing is known of its spread.",
        "b: total time varies widely from run to run (standard deviation 20% of the mean).",
    ]
    assert told["runs"][0]["warnings"] == ["noisy"]
    assert told["doubts"][1]["values"] == {
        "method": "b", "metric": "total_time_s", "title": "total time", "share": 0.2,
    }  # fmt: skip
    assert load_result(tmp_path) == result


def _saved(tmp_path, **told):
    scenario = {"methods": [{"name": "a"}, {"name": "a: b"}]}
    (tmp_path / "result.json").write_text(json.dumps({"scenario": scenario, "environment": {}} | told))
    return tmp_path


def test_sentences_of_an_older_file_are_said_of_the_methods_that_they_name(tmp_path):
    run = {"method": "a", "repeat": 1, "warmup": False, "status": "completed", "warnings": ["a: noisy"]}
    sentences = ["a: only 3 runs.", "a: b: slow", "ab: x", "busy"]
    result = load_result(_saved(tmp_path, warnings=sentences, runs=[run]))
    assert result.warnings == tuple(sentences)
    assert [(doubt.of_method, doubt.words) for doubt in result.doubts] == [
        ("a", "only 3 runs."), ("a: b", "slow"), (None, "ab: x"), (None, "busy"),
    ]  # fmt: skip
    assert result.runs[0].doubts == (Said("a: noisy"),)


def test_a_kind_of_a_newer_version_is_said(tmp_path):
    told = [{"kind": "moonlight", "sentence": "a: the moon shone", "values": {"phase": 1}}]
    assert load_result(_saved(tmp_path, doubts=told)).doubts == (Said("a: the moon shone"),)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("x", "doubts are a list"),
        ([1], "entry 0: a doubt is a table with a kind"),
        ([{"kind": 3}], "entry 0: a doubt is a table with a kind"),
        ([{"kind": "few_runs"}], "entry 0: values None are no table"),
        (
            [{"kind": "few_runs", "values": {"method": "a", "runs": "two"}}],
            "entry 0 .few_runs.: values.runs: 'two' is no int",
        ),
        (
            [{"kind": "few_runs", "values": {"method": "a", "runs": True}}],
            "entry 0 .few_runs.: values.runs: True is no int",
        ),
        ([{"kind": "spread", "values": {"method": "a", "share": 1}}], "values.metric: None is no str"),
        ([{"kind": "moonlight"}], "entry 0 .moonlight.: sentence: None is no str"),
    ],
)
def test_what_is_no_doubt_is_one_line_with_its_place(told, words, tmp_path):
    with pytest.raises(ResultError, match=words) as caught:
        load_result(_saved(tmp_path, doubts=told))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'result.json'}: not a pageferry result: doubts: ")


@pytest.mark.parametrize("warnings", ["x", [1], [None]])
def test_an_older_files_warnings_are_checked_too(warnings, tmp_path):
    with pytest.raises(ResultError, match="not a pageferry result: "):
        load_result(_saved(tmp_path, warnings=warnings))


def test_an_older_files_guest_had_its_memory_touched_first_and_that_is_said(tmp_path):
    environment, scenario = {"accel": "kvm"}, {"guest": {"kind": "stress", "seed": 1}, "methods": []}
    few = {"kind": "few_runs", "sentence": "", "values": {"method": "a", "runs": 1}}
    result = load_result(_saved(tmp_path, environment=environment, scenario=scenario, doubts=[few]))
    assert result.doubts == (NotPreallocated("the result is from before guest.prealloc"), FewRuns("a", 1))
    assert result.scenario["guest"] == {
        "kind": "stress", "seed": 1, "prealloc": False, "hugepages": False, "cpus": 1, "numa": 1,
    }  # fmt: skip
    save_result(result, tmp_path / "result.json")
    assert load_result(tmp_path) == result


@pytest.mark.parametrize(
    ("environment", "guest"),
    [({"accel": "kvm"}, {"kind": "stress", "prealloc": True}), ({}, {"kind": "synthetic"})],
    ids=["newer", "replay"],
)
def test_it_is_said_of_no_other(tmp_path, environment, guest):
    scenario = {"guest": guest, "methods": []}
    result = load_result(_saved(tmp_path, environment=environment, scenario=scenario))
    assert (result.doubts, result.scenario) == ((), scenario)
