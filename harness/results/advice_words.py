"""An advice in words: why, what to type, and what to doubt. Numbers come in concluded; nothing is decided here but what to say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.results.advice import Bandwidth, Estimate, MethodAdvice, Question
from harness.results.doubt import Doubt
from harness.results.doubts import FewReplays
from harness.results.model import Guest
from harness.results.verdicts import Change
from harness.units import MIB, format_bandwidth, format_duration

_QEMU_NEAR = 1.10
_FEW = 5


def time_text(time_s: Estimate | None) -> str:
    """``4930 [4900, 5100] ms``; a word where there is no end."""
    if time_s is None:
        return "never"
    high = "never" if time_s.high is None else format_duration(time_s.high)
    return _with_interval(format_duration(time_s.value), format_duration(time_s.low), high)


def rate_text(rate: Estimate) -> str:
    """In 10^6 bytes a second: ``428 [410, 440]``."""
    return _with_interval(mib_text(rate.value), mib_text(rate.low), "-" if rate.high is None else mib_text(rate.high))


def pays_up_to(bound: Bandwidth | None) -> str:
    """``1.2 [1.1, 1.4] Gbit/s``."""
    return "-" if bound is None else _with_interval(*(bound_text(end) for end in (bound.value, bound.low, bound.high)))


def _with_interval(value: str, low: str, high: str) -> str:
    """The unit once where all three have the same one; no interval where it has no width."""
    if low == high:
        return value
    number, space, unit = value.partition(" ")
    if space and all(end.endswith(f" {unit}") for end in (low, high)):
        return f"{number} [{low.partition(' ')[0]}, {high.partition(' ')[0]}] {unit}"
    return f"{value} [{low}, {high}]"


def bound_text(bandwidth_bytes_per_s: float | None) -> str:
    """A break-even bandwidth; words where there is none."""
    if bandwidth_bytes_per_s is None:
        return "every link"
    return format_bandwidth(bandwidth_bytes_per_s) if bandwidth_bytes_per_s else "no link"


def because(
    question: Question, guest: Guest, chosen: MethodAdvice, apart: MethodAdvice, methods: Sequence[MethodAdvice]
) -> Iterator[str]:
    """The recommendation's reasons, the first one the most important. ``apart``: what would be chosen for halves on two hosts."""
    yield _times(question, chosen, methods)
    yield from _cheaper(chosen, methods)
    if chosen.break_even is not None:
        yield f"{chosen.method} is faster than no compression up to {pays_up_to(chosen.break_even)}."
    yield from _convergence(question, guest, chosen)
    yield _hosts(question, chosen, apart)


def _seconds(method: MethodAdvice) -> float:
    return math.inf if method.total_time_s is None else method.total_time_s.value


def _times(question: Question, chosen: MethodAdvice, methods: Sequence[MethodAdvice]) -> str:
    link = format_bandwidth(question.bandwidth_bytes_per_s)
    if not chosen.converges:
        most = mib_text(chosen.delivered_bytes_per_s.value)
        return f"At {link} no method converges; {chosen.method} delivers most, {most} MiB/s."
    others = sorted((method for method in methods if method is not chosen), key=_seconds)
    shown = [*others[:2], *(method for method in others[2:] if method.backend == "none")]
    beside = "".join(f"; {method.method} {_beside(method)}" for method in shown)
    pays = " No compression would shorten it." if chosen.backend == "none" else ""
    return f"At {link} {chosen.method} is expected to take {time_text(chosen.total_time_s)}{beside}.{pays}"


def _beside(method: MethodAdvice) -> str:
    return "does not converge" if method.total_time_s is None else format_duration(method.total_time_s.value)


def _cheaper(chosen: MethodAdvice, methods: Sequence[MethodAdvice]) -> Iterator[str]:
    quickest = min(methods, key=_seconds)
    if _seconds(quickest) < _seconds(chosen):
        yield (
            f"{quickest.method} would be {1 - _seconds(quickest) / _seconds(chosen):.1%} faster, which is within what the model "
            f"errs by, and takes {_cpu(quickest)} CPU seconds per GiB instead of {_cpu(chosen)}."
        )


def _cpu(method: MethodAdvice) -> str:
    return f"{method.sender_cpu_s_per_gib + method.receiver_cpu_s_per_gib:.1f}"


def _convergence(question: Question, guest: Guest, chosen: MethodAdvice) -> Iterator[str]:
    if question.dirty_bytes_per_s is None:
        return
    delivered, dirty = mib_text(chosen.delivered_bytes_per_s.value), mib_text(question.dirty_bytes_per_s)
    facts = f"the guest dirties {dirty} MiB/s, and {chosen.method} delivers {delivered} MiB/s"
    if chosen.converges:
        yield f"It converges, in about {chosen.passes} passes: {facts}."
        return
    enough_s = guest.working_set_bytes / chosen.delivered_bytes_per_s.value
    yield (
        f"It does not converge within a downtime limit of {format_duration(question.downtime_limit_s)}: {facts}. What helps is "
        f"to throttle the guest below that, or a downtime limit of {format_duration(enough_s)}, the working set in one go."
    )


def _hosts(question: Question, chosen: MethodAdvice, apart: MethodAdvice) -> str:
    cores = f"{question.cores} core{'s' if question.cores > 1 else ''}"
    here, most = mib_text(chosen.pair_bytes_per_s.value), mib_text(chosen.apart_bytes_per_s)
    said = (
        f"Sender and receiver shared {cores} here: {chosen.method} reached {here} MiB/s without a link limit. By its CPU time it "
        f"could reach at most {most} MiB/s on two hosts with {cores} each"
    )
    if apart.method == chosen.method:
        return f"{said}; the advice would be the same."
    return f"{said}; if every method did reach its own most, {apart.method} would be advised."


def mib_text(bytes_per_s: float) -> str:
    """MiB a second, three digits below a hundred."""
    return f"{bytes_per_s / MIB:.0f}" if bytes_per_s >= 100 * MIB else f"{bytes_per_s / MIB:.3g}"


def _limits(question: Question) -> tuple[str, str]:
    """QEMU's own cap is 128 MiB/s of uncompressed stream unless it is raised, and would be the limit instead of the link."""
    limit_ms = round(question.downtime_limit_s * 1e3)
    return "migrate_set_parameter max-bandwidth 1T", f"migrate_set_parameter downtime-limit {limit_ms}"


def commands(question: Question, chosen: MethodAdvice) -> tuple[str, ...]:
    """What to type to migrate so; QEMU alone where nothing pays, for the pair would only be in its way."""
    if chosen.backend == "none":
        return ("# source QEMU's monitor", *_limits(question), "migrate -d tcp:DESTINATION:4444")
    level = "" if chosen.level is None else f" --level {chosen.level}"
    return (
        "# destination host, after its QEMU",
        "pageferry receive --listen tcp:127.0.0.1:4444 --to unix:/run/pf-dst.sock",
        "# source host, here through ssh -L 4444:127.0.0.1:4444 DESTINATION",
        "pageferry send --from unix:/run/pf-src.sock --to tcp:127.0.0.1:4444 "
        f"--backend {chosen.backend}{level} --threads {question.cores}",
        "# source QEMU's monitor",
        *_limits(question),
        "migrate_set_capability return-path on",
        "migrate -d unix:/run/pf-src.sock",
    )


def qemu_settings(
    question: Question, chosen: MethodAdvice, methods: Sequence[MethodAdvice]
) -> tuple[tuple[str, ...], str]:
    """QEMU's multifd with zstd where zstd is advised or nearly as fast, and why it may serve; else nothing."""
    zstds = [method for method in methods if method.backend == "zstd"]
    near = [method for method in zstds if _seconds(method) <= _QEMU_NEAR * _seconds(chosen)]
    if chosen.backend == "none" or not (near and chosen.converges):
        return (), ""
    zstd = chosen if chosen in near else min(near, key=_seconds)
    settings = (
        "# both QEMUs' monitors, before the destination listens",
        "migrate_set_capability multifd on",
        f"migrate_set_parameter multifd-channels {max(2, question.cores)}",
        "migrate_set_parameter multifd-compression zstd",
        *_qemu_level(zstd.level or 1),
        "# source QEMU's monitor",
        *_limits(question),
        "migrate -d tcp:DESTINATION:4444",
    )
    longer = _seconds(zstd) / _seconds(chosen) - 1
    how = f"{abs(longer):.0%} {'longer' if longer > 0 else 'less time'} than {chosen.method}"
    slower = "" if zstd is chosen else f", which through our pair takes {how}"
    bandwidth = format_bandwidth(question.bandwidth_bytes_per_s).replace(" ", "")
    why = (
        f"QEMU's own multifd compresses with the same library: zstd level {zstd.level}{slower}. It was not measured here; "
        f"`pageferry run native --set link.bandwidth={bandwidth}` puts both side by side."
    )
    return settings, why


def _qemu_level(level: int) -> tuple[str, ...]:
    """Before 9.0 QEMU answers success to a level and keeps level 1."""
    if level == 1:
        return ()
    return (
        f"# QEMU 9.0 or later; an older one is started with -global migration.multifd-zstd-level={level} instead",
        f"migrate_set_parameter multifd-zstd-level {level}",
    )


def uncertainty(chosen: str, other: str, change: Change) -> Iterator[str]:
    """Where replays do not tell the chosen method from ``other``, the fastest of the rest; ``change``: of its total times."""
    if change.word == "same":
        yield f"{other} takes the same, within {change.smallest:.0%}."
    elif change.word == "unclear":
        times = f"{abs(change.ratio - 1):.1%} {'less' if change.ratio < 1 else 'more'}"
        more = (
            f": {change.needed} replays of each would probably tell (--repeats {change.needed})"
            if change.needed
            else ""
        )
        yield f"Not certain: {other} seems to take {times} time than {chosen}, and {change.runs} replays of each cannot tell{more}."


def doubts(methods: Sequence[MethodAdvice]) -> Iterator[Doubt]:
    """All that makes the figures doubtful."""
    fewest = min(method.n for method in methods)
    if fewest < _FEW:
        yield FewReplays(fewest)
