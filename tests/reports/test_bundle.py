"""The charts' script is bundled once, and what the cache holds is used only where it is whole."""

from __future__ import annotations

import pytest

from reports.drawing import bundle


@pytest.fixture
def made(monkeypatch, tmp_path):
    """How often it was bundled; each process starts with an empty memory."""
    calls = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("reports.drawing.vega.bundle", lambda *_: calls.append(1) or "let a;\nlet b;")
    monkeypatch.setattr(bundle, "javascript", bundle.javascript.__wrapped__)
    return calls


def test_it_is_bundled_once_for_all_processes(made):
    assert [bundle.javascript() for _ in range(3)] == ["let a;\nlet b;"] * 3
    assert len(made) == 1


@pytest.mark.parametrize("damage", [b"", b"let x;", b"\xff", b"// sha256 0\nlet a;\nlet b;"], ids=repr)
def test_a_damaged_copy_is_made_anew(made, damage):
    bundle.javascript()
    bundle._file().write_bytes(damage)
    assert bundle.javascript() == bundle.javascript() == "let a;\nlet b;"
    assert len(made) == 2


def test_without_a_cache_it_is_bundled_each_time(made, monkeypatch, tmp_path):
    (tmp_path / "pageferry").write_text("no folder")
    assert bundle.javascript() == bundle.javascript() == "let a;\nlet b;"
    assert len(made) == 2

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", no_home)
    assert bundle.javascript() == "let a;\nlet b;"
