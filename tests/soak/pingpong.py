"""One guest there and back again through two pairs that serve for ever: ``python tests/soak/pingpong.py SEED HOPS``. A JSON line
for each hop, and one for the memory in the end.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from soak.cases import MIB
from soak.flat import held_by

from harness.faults.live.guest import LiveGuest, open_stress, until
from harness.guests.stress.kind import StressSettings
from harness.hosts.local import HERE
from harness.hosts.ours import OwnProcess
from harness.qemu.migration import migrate

PATIENCE_S = 120.0
READY = "pageferry: ready: "


class Ferry:
    """A pair in ``folder`` that carries one migration after another."""

    def __init__(self, folder: Path, backend: str) -> None:
        folder.mkdir()
        self.source, self.destination = f"unix:{folder}/s", f"unix:{folder}/d"
        link = f"unix:{folder}/link"
        receive = ("receive", "--keep", "--listen", link, "--to", self.destination)
        send = ("send", "--keep", "--from", self.source, "--to", link, "--backend", backend)
        self.halves = tuple(
            OwnProcess(argv[0], HERE.program(*argv), host=HERE, log=folder / f"{argv[0]}.log")
            for argv in (receive, send)
        )
        self._crossings = 0

    def await_ready(self) -> None:
        """For the next migration: each says so once for each."""
        self._crossings += 1
        for half in self.halves:
            said = until(
                lambda half=half: half.log.read_text().count(READY) >= self._crossings, time.monotonic() + PATIENCE_S
            )
            assert said, f"{half.name} is not ready again: {half.child.last_words()}"


@contextlib.contextmanager
def ferries(folder: Path) -> Iterator[list[Ferry]]:
    """Two, for there and back."""
    both = [Ferry(folder / "there", "zstd"), Ferry(folder / "back", "zlib")]
    with contextlib.ExitStack() as stack:
        for half in (half for ferry in both for half in ferry.halves):
            stack.callback(half.stop)
            half.start()
        yield both


def there_and_back(seed: int, hops: int) -> Iterator[dict[str, object]]:
    """What became of each hop, with what the two halves held that were ready for it; then of the guest's memory."""
    fill = {"text": 0.6, "heap": 0.4}
    settings = StressSettings(memory=32 * MIB, working_set=4 * MIB, dirty_rate=MIB, fill=fill, seed=seed)
    kind = open_stress(settings)
    with (
        tempfile.TemporaryDirectory(prefix="pf-") as name,
        LiveGuest(kind, Path(name)) as guest,
        ferries(Path(name)) as both,
    ):
        first = here = guest.boot()
        for hop in range(hops):
            ferry, began_s = both[hop % 2], time.monotonic()
            ferry.await_ready()
            held = {f"{half.name}-{hop % 2}": asdict(held_by(half.child.pid)) for half in ferry.halves}
            there = guest.await_at(ferry.destination)
            outcome = migrate(here.qemu, there.qemu, ferry.source, timeout_s=PATIENCE_S)
            ok = outcome.status == "completed" and there.runs() and not here.runs()
            found = there.check()
            yield {
                "hop": hop,
                "ok": ok and found.ok,
                "line": found.line,
                "all_s": time.monotonic() - began_s,
                "held": held,
            }
            if here is not first:
                guest.end(here)
            here = there
        whole = guest.compare(first, here)
        yield {"ok": all(each.ok for each in whole), "memory": [each.line for each in whole]}


def main() -> None:
    for told in there_and_back(*map(int, sys.argv[1:])):
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
