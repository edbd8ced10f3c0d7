"""Reports of both halves as they might be, for tests that look at what becomes of them."""

from __future__ import annotations

from typing import Any

from harness.migrator.outcome import Outcome
from harness.migrator.report import ReceiverReport, SenderReport, SteeringReport

USAGE = {"cpu_s": 0.5, "peak_rss_bytes": 50 << 20, "threads_seen": 5}


def received(**other: Any) -> ReceiverReport:
    told = {
        "session": "ab", "threads": 1, "stream_bytes": 5, "batches": 1, "codec_cpu_s": 0.1, "window_peak_bytes": 5,
        "batches_digest": "ab", "sender_heard": True, "confirmed": True, "channels": 1,
        "tls": None,
    }  # fmt: skip
    return ReceiverReport(**USAGE | told | other)


def sent(**other: Any) -> SenderReport:
    told = {
        "session": "ab", "backend": "zlib", "level": 1, "fallback": None, "prepare_s": None, "prepared_histories": None,
        "tls": None, "steering": None, "policy": None, "threads": 2, "elapsed_s": 1.0, "stream_bytes": 5, "sent_bytes": 5,
        "sent_before_bytes": 3, "raw_pages": 1, "zero_pages": 0, "other_pages": 0, "opaque_bytes": 0, "opaque_reason": None,
        "batches": 4, "stored_batches": 0, "incompressible_batches": 0, "fallbacks": 0, "fallback_bytes": 0,
        "fallback_reason": None, "codec_cpu_s": 0.2, "window_bytes": 5, "window_peak_bytes": 5, "round_trip_s": 0.001,
        "batches_digest": "ab", "return_path": True, "outcome": Outcome.CONFIRMED, "counters": {}, "receiver": received(),
        "channels": (),
    }  # fmt: skip
    return SenderReport(**USAGE | told | other)


def steered(**other: Any) -> SteeringReport:
    told = {
        "parameter": "downtime-limit", "wanted_downtime_s": 0.3, "owners": {"downtime-limit": 300}, "restored": True,
        "decisions": (), "ended_early": None,
    }  # fmt: skip
    return SteeringReport(**told | other)
