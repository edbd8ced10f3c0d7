"""What two hosts together show: their clocks and processors, beside what tests/hosts/test_pair.py shows of real ones."""

import pytest

from harness.doctor import pair as pair_doctor
from harness.experiment.environment import lacking
from harness.hosts.contract import ClockOffset
from harness.links.nic import Nic
from harness.results.stats import machine_doubts
from harness.scenario.inventory import Pair

PAIR = Pair(source="a", destination="b", address="192.0.2.2", nic="eth0")
FACTS = {"cpu_model": "EPYC", "cores": 8, "memory_available_bytes": 8 << 30}


def test_clocks_an_hour_apart_are_a_warning_and_the_error_of_both_counts():
    good = pair_doctor._clocks(ClockOffset(0.5, 0.001), ClockOffset(0.51, 0.002))
    assert (good.status, good.found) == ("ok", "the destination's is +10.00 ms from the source's, known to 3.00 ms")
    assert pair_doctor._clocks(ClockOffset(), ClockOffset(3600.0, 0.001)).status == "warn"


def test_two_models_of_processors_are_a_warning():
    assert pair_doctor._processors(PAIR, FACTS, FACTS, "").found == "both EPYC, 8 cores"
    assert pair_doctor._processors(PAIR, FACTS, FACTS | {"cores": 4}, "").found == "both EPYC, 8 and 4 cores"
    other = pair_doctor._processors(PAIR, FACTS, FACTS | {"cpu_model": "Xeon"}, "")
    assert (other.status, other.found) == ("warn", "a: EPYC, 8 cores; b: Xeon, 8 cores")


def test_one_model_of_which_one_lacks_features_is_a_warning_too():
    lacks = lacking({"sse2", "pku", "avx512f"}, {"sse2", "pku", "newer"})
    found = pair_doctor._processors(PAIR, FACTS, FACTS, lacks)
    assert (found.status, found.found) == ("warn", "a: EPYC, 8 cores; b: EPYC, 8 cores, lacks avx512f")
    assert lacking(map(str, range(20)), []).endswith(" and 12 more")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, []),
        (
            {"destination_cpu_lacks": "avx512f"},
            ["differ; the destination's lacks avx512f, and a program that uses it may"],
        ),
        ({"destination_cpu_model": "Xeon"}, ["the two hosts' differ (EPYC; Xeon): take two hosts of one model"]),
        ({"destination_cpu_model": "Xeon", "cpu_of_guest": "qemu64"}, []),
    ],
    ids=["same", "lacks", "other", "plain model"],
)
def test_a_result_warns_where_a_guest_has_its_hosts_processor_and_they_differ(changed, words):
    facts = {"cpu_of_guest": "host,-arch-capabilities", "source_cpu_model": "EPYC", "destination_cpu_model": "EPYC"}
    told = [doubt.sentence for doubt in machine_doubts(facts | changed)]
    assert len(told) == len(words)
    assert all(word in one for word, one in zip(words, told, strict=True))


def test_the_smaller_memory_limits_the_guest():
    assert pair_doctor._memory(PAIR, FACTS, FACTS | {"memory_available_bytes": 1 << 30}).means.endswith("some 1 GiB")


def test_interfaces_of_two_mtus_are_a_warning():
    small, large = (Nic(mtu, "noqueue", "bytes", None) for mtu in (1500, 9000))
    assert pair_doctor._mtu(PAIR, large, large).status == "ok"
    assert pair_doctor._mtu(PAIR, large, small).fix == "ip link set dev NIC mtu 1500"
