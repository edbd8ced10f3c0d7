"""A half that has ended has no file open any more: whoever runs many in one process would run out of them."""

from __future__ import annotations

import os
from pathlib import Path

from pairs import Pair, carry


def test_a_migration_leaves_no_file_open_in_its_process(tmp_path):
    data = os.urandom(5000)

    def migrate(name: str) -> int:
        folder = tmp_path / name
        folder.mkdir()
        with Pair(folder, without_return_path=True) as pair:
            assert carry(pair, data, []) == data
        return len(list(Path("/proc/self/fd").iterdir()))

    assert migrate("first") == migrate("second")
