"""How soon a history shows a regression, and how often one that is not there: ``python tests/benchmarks/history.py``.

Each night adds a figure, and the whole history is read anew, as ``pageferry report`` does. False: a change of which an A/A series
was accused on any night, each place counted once. Found: the share of series in which a night at most ``within`` after the change
accuses a place at most two nights from it. Seeds are fixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from harness.results.changes import LEAST_NIGHTS, changes

Noise = Callable[[np.random.Generator, int, float], np.ndarray]


def _alike(rng: np.random.Generator, n: int, cv: float) -> np.ndarray:
    steps, level = rng.normal(0, cv * np.sqrt(1 - 0.3**2), n), 0.0
    return np.array([level := 0.3 * level + step for step in steps])


NOISES: dict[str, Noise] = {
    "normal": lambda rng, n, cv: rng.normal(0, cv, n),
    "heavy tails (t, 4)": lambda rng, n, cv: rng.standard_t(4, n) * cv / np.sqrt(2),
    "one night of 20 is 10 % slow": lambda rng, n, cv: rng.normal(0, cv, n) + 0.1 * (rng.random(n) < 0.05),
    "neighbours alike (AR 0.3)": _alike,
}


def false_changes(noise: Noise, cv: float, series: int, nights: int, seed: int = 1) -> int:
    """In ``series`` A/A series of so many nights."""
    rng, found = np.random.default_rng(seed), 0
    for _ in range(series):
        figures = np.exp(noise(rng, nights, cv))
        accused: set[int] = set()
        for night in range(LEAST_NIGHTS, nights + 1):
            at = {change.at for change in changes(figures[:night])}
            found += sum(all(abs(one - other) > 2 for other in accused) for one in at)
            accused |= at
    return found


def found_within(
    noise: Noise, cv: float, within: int, *, series: int, nights: int, shift: float, seed: int = 2
) -> float:
    """The share of series whose shift in the ``nights``-th night is found by then."""
    rng, found = np.random.default_rng(seed), 0
    for _ in range(series):
        logs = noise(rng, nights + within, cv)
        logs[nights:] += np.log1p(shift)
        ends = range(nights + 1, nights + within + 1)
        found += any(abs(c.at - nights) <= 2 and c.shift > 0 for end in ends for c in changes(np.exp(logs[:end])))
    return found / series


def main() -> None:
    """Print the table of docs/site.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=100)
    series = parser.parse_args().series
    print(
        "| nights differ by | of a cv of | false changes in 1,000 nights | 5 % found in 3 nights | in 5 | 10 % found in 3 |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, noise in NOISES.items():
        for cv in (0.005, 0.01, 0.015, 0.02):
            false = false_changes(noise, cv, series, 100) / series * 10
            cells = [
                found_within(noise, cv, within, series=2 * series, nights=27, shift=shift)
                for within, shift in ((3, 0.05), (5, 0.05), (3, 0.1))
            ]
            print(f"| {name} | {cv:.1%} | {false:.1f} |", " | ".join(f"{cell:.0%}" for cell in cells), "|", flush=True)


if __name__ == "__main__":
    main()
