"""How many processes made a site is not to be seen in it, and the death of one is told in a line."""

from __future__ import annotations

from functools import partial

import asked
import pytest
from site_samples import saved

from harness.errors import ResultError
from reports.site.crew import Crew
from reports.site.page import write_site


@pytest.fixture
def crew():
    made = Crew(2)
    yield made
    made.close()


def test_the_bytes_of_a_site_are_the_same_however_many_processes_make_it(tmp_path):
    files = [saved(tmp_path / "in", night=night, total_s=1 + night / 100) for night in range(1, 25)]
    files[7].write_text("{}")
    written = [write_site(files, tmp_path / str(count), count) for count in (1, 2)]
    assert written[0] == written[1]
    assert len(written[0].problems) == 1
    one, two = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "1", tmp_path / "2")
    )
    assert one == two


def test_much_is_spread_little_is_not_and_the_order_stays(crew):
    assert len(set(crew.each("pids", [asked.pid] * 8))) == 1
    assert list(crew.each("numbers", [partial(int, str(number)) for number in range(100)])) == list(range(100))
    assert 1 <= len(set(crew.each("pids", [asked.pid] * 100))) <= 2


def test_whoever_waits_is_told_how_far_it_is(tmp_path):
    told = []
    files = [saved(tmp_path / "in", night=night) for night in (1, 2, 3)]
    written = write_site(files, tmp_path / "site", 1, lambda *each: told.append(each))
    assert told[:3] == [("results read", done, 3) for done in (1, 2, 3)]
    assert told[3:] == [("files made", done, written.built) for done in range(1, written.built + 1)]


@pytest.mark.parametrize(
    ("question", "words"),
    [(asked.refuse, "no such figure"), (asked.die, r"a process that makes pages ended \(SIGTRAP\)")],
)
def test_an_error_there_is_one_here_and_a_death_is_a_line(crew, question, words):
    with pytest.raises(ResultError, match=words):
        list(crew.each("answers", [question] * 40))
