import re
from dataclasses import replace
from xml.etree import ElementTree

import certificate_samples as samples
import pytest

from harness.errors import ResultError
from reports.certificate import junit
from reports.printable import printable

CASES = ["passing", "failing", "stand_in", "hostile", "empty"]


def parsed(certificate):
    return ElementTree.fromstring(junit.render_junit(certificate).encode())


def statuses(certificate, status):
    return sum(check.status == status for check in certificate.checks)


@pytest.mark.parametrize("name", CASES)
def test_the_counts_are_the_statuses(name):
    certificate = getattr(samples, name)()
    root = parsed(certificate)
    wanted = {"tests": len(certificate.checks), "failures": statuses(certificate, "fail"),
              "skipped": statuses(certificate, "n/a"), "errors": 0}  # fmt: skip
    assert {key: int(root.get(key)) for key in wanted} == wanted
    assert {key: sum(int(suite.get(key)) for suite in root) for key in wanted} == wanted
    assert len(root.findall(".//testcase/failure")) == wanted["failures"]
    assert len(root.findall(".//testcase/skipped")) == wanted["skipped"]
    assert len(root.findall(".//testcase")) == wanted["tests"]


@pytest.mark.parametrize("name", ["failing", "hostile"])
def test_every_failure_stands_with_its_evidence_and_command(name):
    certificate = getattr(samples, name)()
    cases = {case.get("name"): case for case in parsed(certificate).iter("testcase")}
    for check in (printable(check) for check in certificate.checks if check.status == "fail"):
        said = cases[f"{check.id}: {check.title}"].find("failure")
        assert check.evidence in said.text
        assert f"reproduce: {check.command}" in said.text
        assert all(measurement.name in said.text for measurement in check.measurements)
        assert said.get("message")
        assert len(said.get("message")) <= 300


def test_a_group_is_a_suite_and_says_what_was_tested():
    root = parsed(samples.failing())
    assert [suite.get("name") for suite in root] == [
        "contract", "crossing", "hostile", "faults", "endurance", "speed", "cost", "migration"]  # fmt: skip
    suite = root.find("testsuite[@name='speed']")
    assert suite.get("time") == "138.100"
    assert suite.get("timestamp") == "2026-11-22T21:08:50"
    assert {case.get("classname") for case in suite.iter("testcase")} == {"pageferry.opencl.speed"}
    told = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert told["class"] == "accelerator"
    assert told["verdict"] == "fail"
    assert told["identity.pcie"] == samples.IDENTITY["pcie"]
    assert "latency_p99_ms: 20.0004\u00a0ms, at most 20, outside its limit" in suite.find(".//failure").text


def test_what_does_not_apply_says_why():
    said = next(
        case.find("skipped") for case in parsed(samples.passing()).iter("testcase") if "postcopy" in case.get("name")
    )
    assert said.get("message") == "this kernel's userfaultfd is closed to us: vm.unprivileged_userfaultfd is 0"


def test_measurements_are_output():
    case = next(case for case in parsed(samples.passing()).iter("testcase") if case.get("name").startswith("cost.cpu"))
    assert case.find("system-out").text == "cpu_vs_isal_1: 0.143, at most 0.5"


def test_nothing_certified_is_no_success():
    root = parsed(samples.nothing())
    assert (root.get("tests"), root.get("errors"), root.get("skipped")) == ("2", "1", "1")
    assert "nothing is certified" in root.find(".//error").get("message")


def test_hostile_text_makes_no_element_and_no_forbidden_character():
    text = junit.render_junit(samples.hostile())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]", text)
    known = {"testsuites", "testsuite", "properties", "property", "testcase", "failure", "skipped", "system-out"}
    assert {element.tag for element in ElementTree.fromstring(text.encode()).iter()} <= known


def test_text_that_no_encoding_holds_is_replaced():
    broken = replace(samples.empty(), version="\ud800\u202e1.0")
    assert parsed(broken).find(".//property[@name='version']").get("value") == "\ufffd\ufffd1.0"


def test_the_same_certificate_gives_the_same_bytes(tmp_path):
    for name in ("a.xml", "b.xml"):
        junit.write_junit(samples.failing(), tmp_path / "new" / name)
    assert (tmp_path / "new/a.xml").read_bytes() == (tmp_path / "new/b.xml").read_bytes()
    assert [path.name for path in sorted((tmp_path / "new").iterdir())] == ["a.xml", "b.xml"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ResultError, match="taken"):
        junit.write_junit(samples.empty(), tmp_path / "taken" / "certificate.xml")
