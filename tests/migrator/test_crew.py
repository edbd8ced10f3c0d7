"""Who compresses is settled before a guest depends on it."""

from __future__ import annotations

import pytest

from backends import registry
from harness.migrator.carry.crew import crew_of


@pytest.mark.parametrize("backend", ["isal", "zstd-long", "auto"])
def test_nothing_is_looked_up_while_pages_flow(monkeypatch, backend):
    crew = crew_of(backend, None, {}, None, threads=2)

    def search() -> None:
        pytest.fail("a codec thread searched the installed distributions")

    monkeypatch.setattr(registry, "_claims", search)
    for choice in range(max(1, len(crew.candidates))):
        crew.open_encoder(choice, crew.serials.get(choice)).close()
    crew.close()
