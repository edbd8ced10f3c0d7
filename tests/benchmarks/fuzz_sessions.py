"""Mutated sessions between the pair's halves, as many as you like: ``python tests/benchmarks/fuzz_sessions.py --sessions 100000``.

Each has a number, from ``--seed`` on, and the same number makes the same session; ``--sessions 1 --seed N`` runs one again. What
must hold is told in ``tests/fuzzing.py``. Exit status 1: something did not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from fuzzing import Fuzzer, fuzzer

_TELL_S = 2.0


def progress(made: Fuzzer, began_s: float, wrong: int) -> str:
    count, took_s = made.count, time.monotonic() - began_s
    errors = ", ".join(f"{name} {number}" for name, number in sorted(count.errors.items()))
    rate = count.sessions / took_s
    return f"{count.sessions} sessions, {rate:.0f}/s: {wrong} wrong, {count.done} done, {errors}; slowest {count.slowest_s:.1f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10_000, metavar="N")
    parser.add_argument("--seconds", type=float, default=float("inf"), metavar="S", help="stop after so long [never]")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the first session's number [0]")
    parser.add_argument("--no-greetings", action="store_true", help="leave HELLO, WELCOME and DONE alone")
    options = parser.parse_args()
    began_s = told_s = time.monotonic()
    wrong = 0
    with fuzzer(greetings=not options.no_greetings) as made:
        for number in range(options.seed, options.seed + options.sessions):
            if (found := made.run(number)) is not None:
                wrong += 1
                print(f"session {number}: {found}", flush=True)
            if time.monotonic() - told_s > _TELL_S:
                told_s = time.monotonic()
                print(progress(made, began_s, wrong), file=sys.stderr, flush=True)
            if told_s - began_s > options.seconds:
                break
        print(progress(made, began_s, wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
