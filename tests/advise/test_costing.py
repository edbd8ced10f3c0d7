"""What is replayed for an advice; and the whole command on a tiny guest."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import advice_samples as samples
import pytest
import sample_streams as streams
from pydantic import TypeAdapter

from harness import cli
from harness.advise import costing
from harness.errors import MissingError
from harness.experiment.runner import run_scenario
from harness.guests.streamed import RecordedSettings
from harness.guests.stress.kind import StressSettings
from harness.migrator.carry.policy import FlightPolicy
from harness.migrator.choose.auto import CANDIDATES
from harness.migrator.spec import Spec
from harness.results.advice import Advice
from harness.results.result import load_result
from harness.streams.streamfile import open_stream

MIB = 1 << 20
TINY = """
description = "tiny"
[guest]
kind = "synthetic"
memory = "16MiB"
working_set = "1MiB"
dirty_rate = "1MiB/s"
[[method]]
name = "none"
engine = "pageferry"
backend = "none"
baseline = true
"""


def test_slow_batches_are_the_policys_own_smallest():
    size, rate = costing.slow_batches(2)
    policy = FlightPolicy(1 << 20, 2)
    for step in range(100):
        policy.delivered(step / 100, round(rate * 2 * step / 100))
    assert size < policy.batch_bytes
    assert 1e6 < rate < 1e9


def test_a_large_guest_is_measured_on_a_smaller_one_with_its_shares():
    with costing._shortened(StressSettings(memory_bytes=1 << 30, working_set_bytes=512 * MIB), 256 * MIB) as part:
        assert (part.memory_bytes, part.working_set_bytes) == (256 * MIB, 128 * MIB)
    small = StressSettings(memory_bytes=64 * MIB, working_set_bytes=8 * MIB)
    with costing._shortened(small, 256 * MIB) as part:
        assert part == small


def test_a_long_recordings_beginning_is_a_file_that_goes(tmp_path):
    path = tmp_path / "long.stream"
    path.write_bytes(streams.small_stream())
    with costing._shortened(RecordedSettings(path=str(path)), path.stat().st_size // 2) as part:
        short = Path(part.path)
        assert 0 < short.stat().st_size < path.stat().st_size
    assert not short.exists()
    with costing._shortened(RecordedSettings(path=str(path)), 1 << 20) as part:
        assert part.path == str(path)


def test_a_recordings_beginning_is_replayed_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    whole = RecordedSettings(stream="linux-idle")
    with costing._shortened(whole, 4 * MIB) as part:
        assert Path(part.path).stat().st_size < 5 * MIB < open_stream(whole.file).stream_bytes
        (run,) = run_scenario(
            costing._scenario(part, costing._methods(1)[:1], 1), tmp_path / "out", lambda _: None
        ).runs
    assert (run.status, run.verified) == ("completed", True), run.reason


def test_a_link_over_which_nothing_arrives_is_an_error(tmp_path, monkeypatch):
    def run_scenario(scenario, folder, on_event):
        limited = scenario.link.bandwidth_bytes_per_s is not None
        run = samples.run("none", 1000, 1.0, sender_s=1.0, receiver_s=0.0)
        return samples.Result(
            {"methods": []}, {}, (replace(run, status="failed", reason="no way") if limited else run,)
        )

    monkeypatch.setattr(costing, "run_scenario", run_scenario)
    settings = {"cores": 2, "repeats": 3, "folder": tmp_path, "progress": lambda _: nullcontext(print)}
    with pytest.raises(MissingError, match=r"none: could not be measured.*: no way"):
        costing.measure(
            StressSettings(memory_bytes=64 * MIB, working_set_bytes=8 * MIB),
            bandwidth_bytes_per_s=12_500_000,
            **settings,
        )


def test_the_links_part_is_what_uncompressed_runs_take_beyond_unlimited_ones(tmp_path, monkeypatch):
    asked = []

    def run_scenario(scenario, folder, on_event):
        asked.append((scenario.link.bandwidth_bytes_per_s, len(scenario.methods), scenario.methods[0].batch_bytes))
        cpu_s = 1.0 if scenario.link.bandwidth_bytes_per_s is None else 5.0
        runs = (samples.run("none", 1000, 1.0, sender_s=cpu_s, receiver_s=0.0),)
        return samples.Result({"methods": []}, {}, runs)

    monkeypatch.setattr(costing, "run_scenario", run_scenario)
    settings = {"cores": 2, "repeats": 3, "folder": tmp_path, "progress": lambda _: nullcontext(print)}
    found = costing.measure(
        StressSettings(memory_bytes=64 * MIB, working_set_bytes=8 * MIB), bandwidth_bytes_per_s=12_500_000, **settings
    )
    assert found.link.busy_s_per_byte == pytest.approx(4.0 / samples.STREAM_BYTES / 2)
    assert [bandwidth for bandwidth, *_ in asked] == [None, None, 12_500_000]
    every = len(CANDIDATES)
    assert [count for _, count, _ in asked] == [every, every, 1]
    assert asked[1][2] == costing.slow_batches(2)[0]
    unlimited = costing.measure(
        StressSettings(memory_bytes=64 * MIB, working_set_bytes=8 * MIB), bandwidth_bytes_per_s=None, **settings
    )
    assert unlimited.link == costing.Link(None)


def test_the_command_measures_a_tiny_guest_and_writes_page_and_data(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    few = (Spec("none", None), Spec("zlib", 1), Spec("nobody", None))
    monkeypatch.setattr(costing, "CANDIDATES", few)
    scenario, out, copy = tmp_path / "tiny.toml", tmp_path / "out", tmp_path / "copy.json"
    scenario.write_text(TINY)
    arguments = ["--guest", str(scenario), "--bandwidth", "100Mbit/s", "--repeats", "1", "--cores", "1"]
    assert cli.main(["advise", *arguments, "--out", str(out), "--json", str(copy)]) == 0
    said = capsys.readouterr().out
    advice = TypeAdapter(Advice).validate_json(copy.read_bytes())
    assert json.loads((out / "advice.json").read_text()) == json.loads(copy.read_text())
    assert advice.question.cores == 1
    assert [(method.method, method.n) for method in advice.methods] == [("none", 1), ("zlib-1", 1)]
    assert advice.method("zlib-1").ratio.value > 1.5
    assert advice.method("none").ratio.value < 1.01
    assert "nobody" in advice.missing
    assert f"100 Mbit/s: {advice.recommended}" in said
    assert "nobody: not measured: " in said
    assert "zlib-1" in (out / "advice.html").read_text()
    assert all(run.verified for run in load_result(out / "measured").runs if run.status == "completed")
