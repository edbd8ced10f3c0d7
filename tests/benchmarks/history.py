"""How soon a history shows a regression, and how often one that is not there: ``python tests/benchmarks/history.py``.

Each night adds a figure, and the whole history is read anew, as ``pageferry report`` does. False: a change of which an A/A series
was accused on any night, each place counted once. Found: the share of series in which a night at most ``within`` after the change
accuses a place at most two nights from it. Beside it what is possible: a CUSUM that is told the level, the spread and the size of
the shift beforehand, with one false alarm in 1,000 nights of the same noise. Seeds are fixed.
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


def _alarms(scores: np.ndarray, step: float, most: float) -> list[tuple[int, bool]]:
    """When a two-sided CUSUM (Page 1954) of standard deviations calls, beginning anew after each call, and whether upwards."""
    up = down = 0.0
    calls = []
    for night, score in enumerate(scores.tolist()):
        up, down = max(0.0, up + score - step / 2), max(0.0, down - score - step / 2)
        if max(up, down) > most:
            calls.append((night, up > down))
            up = down = 0.0
    return calls


def possible_within(
    noise: Noise, cv: float, within: int, *, series: int, nights: int, shift: float, seed: int = 3
) -> float:
    """As ``found_within``, of the CUSUM that knows everything but the night."""
    rng, step = np.random.default_rng(seed), np.log1p(shift) / cv
    alike = noise(rng, 100_000, cv) / cv
    low, high = 0.0, 50.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if len(_alarms(alike, step, middle)) > len(alike) / 1000 else (low, middle)
    found = 0
    for _ in range(series):
        scores = noise(rng, nights + within, cv) / cv
        scores[nights:] += step
        found += any(night >= nights and upwards for night, upwards in _alarms(scores, step, high))
    return found / series


def main() -> None:
    """Print the table of docs/site.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=40)
    series = parser.parse_args().series
    print(
        "| nights differ by | of a cv of | false changes in 1,000 nights | 5 % found in 3 nights | if all were known | in 5 | "
        "if all were known | 10 % found in 3 |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, noise in NOISES.items():
        for cv in (0.005, 0.01, 0.015, 0.02, 0.03, 0.05):
            false = false_changes(noise, cv, series, 100) / series * 10
            cells = [
                f"{found(noise, cv, within, series=2 * series, nights=27, shift=shift):.0%}"
                if found is found_within or name == "normal"  # of other noise it is not the best that there is
                else ""
                for found, within, shift in (
                    (found_within, 3, 0.05),
                    (possible_within, 3, 0.05),
                    (found_within, 5, 0.05),
                    (possible_within, 5, 0.05),
                    (found_within, 3, 0.1),
                )
            ]
            print(f"| {name} | {cv:.1%} | {false:.1f} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
