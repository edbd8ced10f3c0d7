"""Every plausible result by name, for tests that go through all kinds of pages."""

from __future__ import annotations

import choice_samples
import felt_samples
import offload_samples
import replay_samples
import report_samples

__all__ = ["SAMPLES"]

SAMPLES = {
    "live": report_samples.live,
    "empty": report_samples.empty,
    "all_failed": report_samples.all_failed,
    "one_method": report_samples.one_method,
    "hostile": report_samples.hostile,
    "codecs": replay_samples.codecs,
    "threads": replay_samples.threads,
    "felt": felt_samples.felt_result,
    "offload": offload_samples.offload,
    "adaptive": choice_samples.adaptive,
}
