"""What is told of a foreign guest that counts its work on its console."""

from types import SimpleNamespace

import pytest
from small_scenario import load_minimal

from harness.guests.console import ConsoleEvent
from harness.guests.contract import make_guest
from harness.guests.image.console import Progress

TABLES = (
    '[guest]\nkind = "image"\nkernel = "k"\n[guest.ready]\nserial = "login:"\n[guest.progress]\nserial = "n=(.*)"\n'
)


@pytest.fixture
def guest(tmp_path):
    (tmp_path / "k").write_bytes(b"\x7fELF")
    return make_guest(load_minimal(tmp_path, tables=TABLES))


def told(guest, *counts):
    beats = [ConsoleEvent("source", at_s, Progress(value)) for at_s, value in counts]
    return guest.told(SimpleNamespace(consoles=SimpleNamespace(beats=lambda _: beats)), began_s=10.0)


def test_its_pace_before_and_during_a_migration_is_that_of_its_count(guest):
    found = told(guest, (8.0, 100), (9.5, 250), (10.0, 300), (10.5, 310), (12.0, 340))
    assert found == {"guest_operations_per_s_before": 100.0, "guest_operations_per_s_during": 20.0}


def test_too_few_lines_are_no_pace(guest):
    assert told(guest, (9.0, 1), (11.0, 2)) == {}
