"""What a result says of its set-up: what is unusual of a guest and of the processors is named, what is usual is not."""

from dataclasses import replace

import pytest
import report_samples as samples

from reports import facts


@pytest.mark.parametrize(
    ("guest", "words"),
    [
        ({"cpus": 1, "numa": 1, "hugepages": False}, "512 MiB stress guest (kvm), 64 MiB working set"),
        ({"numa": 2}, "512 MiB stress guest (kvm), 2 NUMA nodes, 64 MiB working set"),
        (
            {"cpus": 4, "hugepages": "2MiB"},
            "512 MiB stress guest (kvm), 4 processors, memory in huge pages of 2MiB, 64 MiB working set",
        ),
    ],
    ids=["usual", "nodes", "processors and huge pages"],
)
def test_what_is_unusual_of_a_guest_is_named(guest, words):
    result = samples.live()
    scenario = {**result.scenario, "guest": {**result.scenario["guest"], **guest}}
    assert facts.guest_text(replace(result, scenario=scenario)).startswith(f"{words} dirtied at")


def test_an_emulated_guest_is_called_so_where_a_page_begins():
    result = samples.live()
    emulated = replace(result, environment={**result.environment, "accel": "tcg"})
    assert " guest (emulated by QEMU's TCG: its times say little of one under KVM)," in facts.guest_text(emulated)


def test_the_processors_that_parties_are_held_to_are_named():
    result = samples.live()
    pin = {"source_qemu": "0-3", "destination_qemu": None, "sender": "4", "receiver": None}
    held = replace(result, scenario={**result.scenario, "pin": pin})
    assert facts.machine_text(held) == f"{facts.machine_text(result)}; source QEMU on 0-3, sender on 4"


def test_a_link_that_changes_is_told_with_its_steps():
    result = samples.live()
    steps = [{"after_s": 0.3, "bandwidth_bytes_per_s": 12_500_000}, {"after_s": 20, "bandwidth_bytes_per_s": None}]
    changing = replace(result, scenario={**result.scenario, "link": {**result.scenario["link"], "steps": steps}})
    assert facts.link_text(changing).startswith("1 Gbit/s, then 100 Mbit/s after 300 ms, then unlimited after 20.0 s")
    assert "then" not in facts.link_text(result)


def test_the_shortest_downtime_is_told_in_place_of_a_limit():
    result = samples.live()
    steered = replace(result, scenario={**result.scenario, "downtime": "shortest", "downtime_cost_share": 0.1})
    assert facts.plan_text(steered).endswith("shortest downtime, for 10\u00a0% more time at most")
    assert "downtime limit" not in facts.plan_text(steered)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ({"engine": "qemu", "switch_after_passes": None}, "QEMU"),
        ({"engine": "qemu", "switch_after_passes": 0}, "QEMU, post-copy after 0 passes"),
        ({"engine": "qemu", "switch_after_passes": 1}, "QEMU, post-copy after 1 pass"),
        ({"engine": "pageferry", "backend": "zstd", "steer": True}, "pageferry, zstd, steered"),
        ({"engine": "pageferry", "backend": "zstd", "downtime": "shortest"}, "pageferry, zstd, shortest downtime"),
    ],
)
def test_what_a_method_does_to_its_guest_is_told(method, words):
    assert facts.method_text(method) == words
