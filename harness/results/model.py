"""What a method delivers on a link, predicted from what was measured of it without a limit. Pure: numbers in, numbers out.

N stream bytes take about N / min(P, r*B): P is the rate that the pair reaches where the link is no limit, and holds compressing,
restoring and carrying on the cores that it was measured on; r is stream bytes over *wire* bytes, headers included, so that
B is all that the link carries (as ``tc tbf`` limits it, and as the harness counts it). r of ``none`` is therefore below 1.
Two things differ on a slow link. It hands its packets over one by one, and each keeps the cores from their work: that is the
link's own part of P. And the pair makes smaller batches there, so that little waits when the guest stops, which shrink less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["ALWAYS", "NEVER", "UNLIMITED", "Cost", "Guest", "Link", "Migration", "break_even", "migration"]

NEVER, ALWAYS = 0.0, math.inf
"""Break-even bandwidths of a method that pays nowhere, and of one that pays everywhere."""

_KNEE = 4.5
"""Of 3.5 to 20 what errs least at worst. none, lz4, isal 1, zstd 1, 3 and 6, a mixed guest of 256 MiB, 25 Mbit/s to 2.5 Gbit/s,
30 points: median 1.0 %, worst 9.4 %; with a knee of 20 worst 20 % (n=7, at 100 Mbit/s 3, at 25 Mbit/s 1). A compressible guest, on
which it was not tuned, 100 Mbit/s to 1 Gbit/s, 18 points: 0.8 %, worst 9.9 % (n=2). 2-core Intel Xeon, 2026-11-25."""

_MOST_PASSES = 1000
_LOWEST, _HIGHEST, _STEPS = (
    1.0,
    1e15,
    60,
)  # bytes/s, from below any link to above; 60 halvings leave 1e-16 of their logarithm


@dataclass(frozen=True, slots=True)
class Link:
    """``bandwidth_bytes_per_s`` None: no limit. ``busy_s_per_byte``: for how long a byte on the wire keeps all cores busy."""

    bandwidth_bytes_per_s: float | None
    busy_s_per_byte: float = 0.0

    def at(self, bandwidth_bytes_per_s: float) -> Link:
        """Such a link of another bandwidth. A faster one hands over more packets at once: it takes no more of the cores in all."""
        own = self.bandwidth_bytes_per_s or bandwidth_bytes_per_s
        return Link(bandwidth_bytes_per_s, self.busy_s_per_byte * min(1.0, own / bandwidth_bytes_per_s))


UNLIMITED = Link(None)


@dataclass(frozen=True, slots=True)
class Cost:
    """One method. ``ratio``: stream bytes / wire bytes. ``pair_bytes_per_s``: stream bytes a second without a link limit.

    ``slow_ratio``: the ratio where no more than ``slow_bytes_per_s`` of stream are delivered; None: as everywhere.
    """

    ratio: float
    pair_bytes_per_s: float
    slow_ratio: float | None = None
    slow_bytes_per_s: float = 1.0

    def ratio_at(self, bandwidth_bytes_per_s: float) -> float:
        """On a link of such a bandwidth: between the two by the logarithm of the rate, as batches grow with it."""
        if self.slow_ratio is None or self.slow_bytes_per_s >= self.pair_bytes_per_s:
            return self.ratio
        rate = self.slow_ratio * bandwidth_bytes_per_s / self.slow_bytes_per_s
        share = math.log(max(rate, 1.0)) / math.log(self.pair_bytes_per_s / self.slow_bytes_per_s)
        return self.slow_ratio + (self.ratio - self.slow_ratio) * min(1.0, share)

    def delivered_bytes_per_s(self, link: Link) -> float:
        """Stream bytes a second over ``link``.

        Where pair and link allow the same, each waits for the other now and then, and less is delivered, by
        1 - 2 ** -(1 / knee); away from there soon all of the lesser one.
        """
        if link.bandwidth_bytes_per_s is None:
            return self.pair_bytes_per_s
        ratio = self.ratio_at(link.bandwidth_bytes_per_s)
        pair = 1 / (1 / self.pair_bytes_per_s + link.busy_s_per_byte / ratio)
        less, more = sorted((pair, ratio * link.bandwidth_bytes_per_s))
        return float(less / (1 + (less / more) ** _KNEE) ** (1 / _KNEE))

    def total_time_s(self, stream_bytes: float, link: Link) -> float:
        """Of a replay: the stream has its length, and nothing is dirtied meanwhile."""
        return stream_bytes / self.delivered_bytes_per_s(link)


def break_even(method: Cost, none: Cost, link: Link = UNLIMITED) -> float:
    """The bandwidth of a link like ``link`` above which ``method`` delivers less than ``none``, or ``NEVER`` or ``ALWAYS``.

    A method that does not shrink the stream pays nowhere; of others one that is no slower than the bare pair pays everywhere.
    """
    if method.ratio <= none.ratio:
        return NEVER
    if method.pair_bytes_per_s >= none.pair_bytes_per_s:
        return ALWAYS
    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        at = link.at(math.exp(middle))
        if method.delivered_bytes_per_s(at) > none.delivered_bytes_per_s(at):
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


@dataclass(frozen=True, slots=True)
class Guest:
    """What is to be moved: the stream of a first pass over memory, and a working set that is dirtied meanwhile."""

    first_pass_bytes: float
    working_set_bytes: float = 0.0
    dirty_bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Migration:
    """``converges``: what is left fits into the downtime limit at last. ``total_time_s`` is infinite where it never does.

    ``left_bytes``: at most so much is sent with the guest stopped.
    """

    total_time_s: float
    passes: int
    converges: bool
    left_bytes: float


def migration(method: Cost, guest: Guest, link: Link, downtime_limit_s: float) -> Migration:
    """Pass after pass: each sends what was dirtied during the one before, at most the working set, until what is left may be sent
    with the guest stopped. QEMU may stop it as soon as so little is left, so that is what is left at most."""
    rate = method.delivered_bytes_per_s(link)
    allowed_bytes = downtime_limit_s * rate
    pass_bytes, sent_bytes = guest.first_pass_bytes, 0.0
    for passes in range(1, _MOST_PASSES + 1):
        sent_bytes += pass_bytes
        dirtied_bytes = min(guest.working_set_bytes, guest.dirty_bytes_per_s * pass_bytes / rate)
        if dirtied_bytes <= allowed_bytes:
            total_s = (sent_bytes + dirtied_bytes) / rate
            return Migration(total_s, passes + (dirtied_bytes > 0), True, min(allowed_bytes, guest.first_pass_bytes))
        if dirtied_bytes >= pass_bytes:
            break
        pass_bytes = dirtied_bytes
    return Migration(math.inf, passes, False, dirtied_bytes)
