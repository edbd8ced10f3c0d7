"""A half that has ended has no file open and no thread any more: whoever runs many in one process would run out of them."""

from __future__ import annotations

import os

from pairs import Pair, carry

from harness.faults.leftovers import left_since, look


def test_a_migration_leaves_no_file_open_in_its_process(tmp_path):
    data, empty = os.urandom(5000), tmp_path / "empty"
    empty.mkdir()

    def migrate(name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        with Pair(folder, without_return_path=True) as pair:
            assert carry(pair, data, []) == data

    migrate("first")
    before = look(empty)
    migrate("second")
    assert left_since(before, empty) == ()
