"""A plausible result of ``auto`` beside fixed choices. See ``report_samples``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from report_samples import ENVIRONMENT, LIVE, run, scenario, summarised

from harness.results.result import Result

# time in s, choice, then 10^6 bytes/s: link (0: never the limit), predicted, compression, decompression; and the ratio
DECISIONS: tuple[tuple[float, str, float, float, float, float, float], ...] = (
    (0.0, "none", 0, 16000, 8000, 8000, 1.0),
    (0.03, "isal:1", 109, 309, 186, 1100, 2.84),
    (0.09, "zstd:3", 131, 436, 223, 711, 3.33),
    (0.34, "zstd:1", 121, 422, 404, 1203, 3.49),
)


SHARES = {"none": 0.02, "isal:1": 0.02, "zstd:3": 0.04, "zstd:1": 0.92}


def decisions(random: np.random.Generator, table: Sequence[tuple[Any, ...]]) -> tuple[dict[str, Any], ...]:
    """As the policy notes them; what was measured differs from run to run, priors do not."""
    rates = ("link", "predicted", "compress", "decompress")
    found = []
    for t_s, choice, *mib_per_s, ratio in table:
        noise = random.normal(1, 0.02) if t_s else 1.0
        by_name = {
            f"{name}_bytes_per_s": rate * 1e6 * noise or None for name, rate in zip(rates, mib_per_s, strict=True)
        }
        found.append({"t_s": t_s * noise, "choice": choice, **by_name, "ratio": ratio})
    return tuple(found)


def adaptive(repeats: int = 5) -> Result:
    """A method that chooses its codec beside two that do not, every run of it with four decisions."""
    random = np.random.default_rng(23)
    methods: list[dict[str, Any]] = [{"name": name, **LIVE[name][0]} for name in ("original", "zstd-1")]
    methods.append({"name": "auto", "engine": "pageferry", "backend": "auto", "threads": 2})
    figures = {"original": LIVE["original"][1], "zstd-1": LIVE["zstd-1"][1], "auto": LIVE["zstd-1"][1]}
    runs = []
    for repeat in range(repeats + 1):
        for name, medians in figures.items():
            whole = run(random, name, repeat, medians, warmup=repeat == 0)
            if name == "auto":
                shares = {f"sender_share_{choice}": share for choice, share in SHARES.items()}
                counters = {**whole.counters, **shares}
                whole = replace(whole, counters=counters, decisions=decisions(random, DECISIONS))
            runs.append(whole)
    shape = scenario(methods, name="adaptive", description="Does auto find what is best on this link?", repeats=repeats)
    return summarised(Result(shape, ENVIRONMENT, tuple(runs)))
