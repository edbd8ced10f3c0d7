"""Fuzzes one target with Atheris until its time is over: ``python tests/fuzz/child.py TARGET``, libFuzzer's own options behind it.

Half of the inputs are libFuzzer's own changes, half are ``edits``: those know words, lines and JSON.
"""

from __future__ import annotations

import random
import shlex
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["harness", "backends", "tomllib"]):
    from fuzz.edits import edited, random_edits
    from fuzz.limits import judged
    from fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv[1]]

    def one_input(data: bytes) -> None:
        if (wrong := judged(target, data)) is not None:
            raise AssertionError(wrong)

    def mutate(data: bytes, most_bytes: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return atheris.Mutate(data, most_bytes)
        return edited(data, random_edits(rng, target.text), most_bytes)

    # libFuzzer starts itself anew, through a shell, to merge.
    again = shlex.join([sys.executable, __file__, target.name])
    atheris.Setup([again, f"-max_len={target.most_bytes}", *sys.argv[2:]], one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
