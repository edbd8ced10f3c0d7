"""What the rule of inference attains on made-up runs whose truth is known: ``python tests/benchmarks/inference.py [SAMPLES]``.

It calls the functions that reports and ``pageferry compare`` call. Four shapes of data: normal, lognormal, normal with one run in
twenty half as long again, and two modes (three runs in ten a fifth longer), each with a standard deviation of ``CV`` of the middle
where it says nothing else. Four tables come out as Markdown, as docs/statistics.md has them; 5,000 samples take two minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.results.inference import median_interval, p_value, visible_shift
from harness.results.metrics import METRICS, shown_in
from harness.results.verdicts import Change, judge

Draw = Callable[[np.random.Generator, tuple[int, ...], float], NDArray[np.float64]]
METHODS = ("original", "qemu-zlib-1", "zlib-1", "isal-1", "zstd-1")
PRIMARY = [metric for metric in METRICS.values() if metric.primary]
CV, SHIFT = 0.02, 1.05


def normal(random: np.random.Generator, size: tuple[int, ...], cv: float) -> NDArray[np.float64]:
    return random.normal(1.0, cv, size)


def lognormal(random: np.random.Generator, size: tuple[int, ...], cv: float) -> NDArray[np.float64]:
    return random.lognormal(0.0, 5 * cv, size)


def outliers(random: np.random.Generator, size: tuple[int, ...], cv: float) -> NDArray[np.float64]:
    return random.normal(1.0, cv, size) * np.where(random.random(size) < 0.05, 1.5, 1.0)


def bimodal(random: np.random.Generator, size: tuple[int, ...], cv: float) -> NDArray[np.float64]:
    return random.normal(1.0, cv, size) * np.where(random.random(size) < 0.3, 1.2, 1.0)


SHAPES: dict[str, Draw] = {"normal": normal, "lognormal": lognormal, "outliers": outliers, "two modes": bimodal}


def covered(draw: Draw, count: int, samples: int) -> float:
    """How often the interval holds the median of the distribution, which a sample of two million is near enough to."""
    random = np.random.default_rng([count, *draw.__name__.encode()])
    truth = float(np.median(draw(np.random.default_rng(1), (2_000_001,), CV)))
    found = (median_interval(row) for row in draw(random, (samples, count), CV).tolist())
    return sum(each.low <= truth <= each.high for each in found) / samples


def compared(random: np.random.Generator, draw: Draw, count: int, cv: float) -> list[Change]:
    """Of two results of the same thing, every figure apart. What is no primary metric has no verdict, so it is not drawn."""
    found: list[Change] = []
    for metric in PRIMARY:
        values = draw(random, (len(METHODS), 2, count), cv)
        found += judge(
            metric, {name: (new, old) for name, (new, old) in zip(METHODS, values.tolist(), strict=True)}
        ).values()
    return found


def alarms(draw: Draw, count: int, samples: int) -> tuple[float, float]:
    """Share of comparisons of like with like that call any figure better or worse, and any total time."""
    random = np.random.default_rng([count, *draw.__name__.encode()])
    wrong = [
        [change.metric.key for change in compared(random, draw, count, CV) if change.word in ("better", "worse")]
        for _ in range(samples)
    ]
    return sum(map(bool, wrong)) / samples, sum("total_time_s" in keys for keys in wrong) / samples


def total_times(methods: int, shifted: int, size: tuple[int, int], cv: float, shift: float) -> list[Change]:
    """Of ``size[0]`` comparisons of so many methods, ``size[1]`` runs each: the first method, which is one of the shifted."""
    random, metric = np.random.default_rng(200 + size[1]), METRICS["total_time_s"]
    found = []
    for _ in range(size[0]):
        values = normal(random, (methods, 2, size[1]), cv)
        values[:shifted, 0] *= shift
        found.append(judge(metric, dict(zip(METHODS, map(tuple, values.tolist()))))[METHODS[0]])  # noqa: B905 - a part of them
    return found


def share(changes: Sequence[Change], word: str) -> float:
    return sum(change.word == word for change in changes) / len(changes)


def coverage_table(samples: int) -> Iterator[Sequence[str]]:
    yield ("n", "attained by its words", *SHAPES)
    for count in range(3, 31):
        said = median_interval([float(value) for value in range(count)]).coverage
        yield str(count), percent(said), *(percent(covered(draw, count, samples)) for draw in SHAPES.values())


def alarm_table(samples: int) -> Iterator[Sequence[str]]:
    yield ("n", *(f"{name}: {what}" for name in SHAPES for what in ("any figure", "total time")))
    for count in (3, 6, 7, 10, 20):
        yield str(count), *(percent(part) for draw in SHAPES.values() for part in alarms(draw, count, samples))


def power_table(samples: int) -> Iterator[Sequence[str]]:
    found = "5 % slower, found:"
    yield (
        "cv",
        "n",
        f"{found} alone",
        f"{found} one of five",
        f"{found} each of five",
        "no change: the same",
        "says it sees",
        "of that found",
    )
    for cv in (CV, 0.05):
        for count in (6, 7, 10, 15, 20, 30):
            size = samples, count
            slower = [total_times(*which, size, cv, SHIFT) for which in ((1, 1), (5, 1), (5, 5))]
            sees = visible_shift(cv, count, count, 0.01) or 0.0
            claimed, still = total_times(1, 1, size, cv, 1 + sees), total_times(1, 1, size, cv, 1.0)
            known = (*(share(each, "worse") for each in slower), share(still, "same"), sees, share(claimed, "worse"))
            yield f"{cv * 100:.0f} %", str(count), *map(percent, known)


def rank_test(new: NDArray[np.float64], old: NDArray[np.float64]) -> list[float]:
    return [p_value(*sides) for sides in zip(new.tolist(), old.tolist(), strict=True)]


def score_test(new: NDArray[np.float64], old: NDArray[np.float64]) -> NDArray[np.float64]:
    """Van der Waerden's, exact: normal scores, to two digits, in place of ranks."""
    count, both = new.shape[1], np.concatenate([new, old], axis=1)
    scores = np.rint(100 * stats.norm.ppf(np.arange(1, both.shape[1] + 1) / (both.shape[1] + 1))).astype(int)
    scores -= scores[0]
    ways = np.zeros((count + 1, int(scores[-count:].sum()) + 1))
    ways[0, 0] = 1
    for score in scores.tolist():
        for chosen in range(count, 0, -1):
            ways[chosen, score:] += ways[chosen - 1, : ways.shape[1] - score]
    below = np.concatenate([[0.0], np.cumsum(ways[count])]) / ways[count].sum()
    sums = scores[both.argsort(axis=1).argsort(axis=1)[:, :count]].sum(axis=1)
    return np.minimum(1.0, 2 * np.minimum(below[sums + 1], 1 - below[sums]))


def mean_test(new: NDArray[np.float64], old: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(stats.ttest_ind(np.log(new), np.log(old), axis=1).pvalue)


def test_table(samples: int) -> Iterator[Sequence[str]]:
    """Ten runs of each, one of five methods longer by 5 %: its p, the smallest of them, is held to 0.01 / 5."""
    yield "5 % slower, found:", "ranks", "normal scores", "Student's t"
    for name, draw in SHAPES.items():
        random = np.random.default_rng(7)
        new, old = (draw(random, (samples, 10), CV) for _ in "ab")
        found = (np.mean(np.asarray(test(new * SHIFT, old)) <= 0.01 / 5) for test in (rank_test, score_test, mean_test))
        yield name, *map(percent, map(float, found))


def percent(part: float) -> str:
    return f"{part * 100:.1f} %"


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    print(f"{samples} samples a cell; {len(METHODS)} methods, {len(shown_in('comparison')) * len(METHODS)} figures\n")
    tables = {"Coverage": coverage_table, "False alarms": alarm_table, "Power": power_table, "Other tests": test_table}
    for title, table in tables.items():
        head, *rows = table(samples)
        print(f"### {title}\n\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
        print("\n".join(f"| {' | '.join(row)} |" for row in rows), "\n", flush=True)


if __name__ == "__main__":
    main()
