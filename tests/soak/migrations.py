"""Live migrations in a row, each verified, in one process, a line of JSON each:
``python tests/soak/migrations.py SEED FIRST COUNT``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from soak.cases import scenario_of, words_of
from soak.flat import held_by

from harness.errors import PageferryError
from harness.experiment.trial import Lab


def migrated(seed: int, number: int, logs: Path) -> dict[str, object]:
    """One of them, with what this process holds afterwards."""
    scenario, began_s = scenario_of(seed, number), time.monotonic()
    told: dict[str, object] = {"number": number, "what": words_of(scenario), "ok": False}
    try:
        with Lab(scenario) as lab:
            run = lab.run(scenario.methods[0], logs / str(number), lambda _: None)
        told |= {
            "ok": run.status == "completed" and run.verified is True,
            "why": run.reason,
            "took_s": run.total_time_s,
        }
    except PageferryError as exc:
        told |= {"why": f"{type(exc).__name__}: {exc}"}
    return told | {"all_s": time.monotonic() - began_s, "held": asdict(held_by())}


def main() -> None:
    seed, first, count = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="pageferry-soak-") as logs:
        for number in range(first, first + count):
            print(json.dumps(migrated(seed, number, Path(logs))), flush=True)


if __name__ == "__main__":
    main()
