"""Text with units <-> integers. Used where a human writes or reads: TOML, the command line, reports.

Inside the program every quantity is a plain number whose name carries its unit, and "no limit" is ``None``, spelled
"unlimited" outside.
"""

from __future__ import annotations

import re

PAGE_BYTES = 4096
"""Of a guest's page on x86, and of whatever a user sizes in pages."""

MIB = 1 << 20

_BINARY = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DECIMAL = {"kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES = _BINARY | _DECIMAL
_BITS = {"bit/s": 1, "kbit/s": 10**3, "Kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_LARGEST = float(1 << 60)
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z/%]+)\s*")


def _parse(text: str, what: str, factors: dict[str, float]) -> float:
    known = ", ".join(factors)
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a {what}: write a number and a unit ({known})")
    number, unit = match.groups()
    if unit not in factors:
        raise ValueError(f"{text!r}: unknown unit {unit!r} for a {what}; known: {known}")
    value = float(number) * factors[unit]
    if value > _LARGEST:
        raise ValueError(f"{text!r} is too large for a {what}")
    return value


def parse_bytes(text: str) -> int:
    """``"512MiB"`` -> bytes. :raises ValueError: with the value and the known units."""
    return round(_parse(text, "size", dict(_BYTES)))


def parse_rate(text: str) -> int:
    """``"20MiB/s"`` -> bytes per second. :raises ValueError: with the value and the known units."""
    return round(_parse(text, "rate", {f"{unit}/s": factor for unit, factor in _BYTES.items()}))


def parse_bandwidth(text: str) -> int | None:
    """``"1Gbit/s"`` or ``"100MB/s"`` -> bytes per second; ``"unlimited"`` -> None. :raises ValueError: as above."""
    if text == "unlimited":
        return None
    per_second = {unit: bits / 8 for unit, bits in _BITS.items()} | {f"{u}/s": f for u, f in _BYTES.items()}
    value = round(_parse(text, 'bandwidth (or "unlimited")', per_second))
    if value <= 0:
        raise ValueError(f"{text!r}: a bandwidth must be above zero")
    return value


def parse_duration(text: str) -> float:
    """``"300ms"`` -> seconds. :raises ValueError: with the value and the known units."""
    return _parse(text, "duration", _SECONDS)


def parse_share(text: str) -> float:
    """``"10%"`` -> 0.1. :raises ValueError: with the value and the unit."""
    return _parse(text, "share", {"%": 0.01})


def format_bytes(count: float) -> str:
    """Binary units, three significant digits: ``format_bytes(3 << 20) == "3 MiB"``."""
    for unit, factor in reversed(_BINARY.items()):
        if count >= factor:
            return f"{count / factor:.3g} {unit}" if count / factor < 1000 else f"{count / factor:.0f} {unit}"
    return f"{count:.3g} B"


def format_rate(bytes_per_s: float) -> str:
    """The same a second: ``format_rate(20 << 20) == "20 MiB/s"``."""
    return f"{format_bytes(bytes_per_s)}/s"


def format_bandwidth(bytes_per_s: float | None) -> str:
    """Bits per second as networks are named: ``format_bandwidth(125_000_000) == "1 Gbit/s"``."""
    if bytes_per_s is None:
        return "unlimited"
    bits = bytes_per_s * 8
    for unit, factor in reversed(list(_BITS.items())):
        if bits >= factor:
            return f"{bits / factor:.3g} {unit}"
    return f"{bits:.3g} bit/s"


def format_duration(seconds: float) -> str:
    """Milliseconds below ten seconds, seconds above."""
    return f"{seconds * 1e3:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def format_round_trip(delay_s: float, jitter_s: float) -> str:
    """Of a link with that delay in each direction: ``format_round_trip(0.05, 0.005) == "100 to 110 ms round trip"``."""
    return f"{_span(2 * delay_s, 2 * jitter_s)} round trip"


def format_delay(delay_s: float, jitter_s: float) -> str:
    """``format_delay(0.05, 0) == "50 ms each way, 100 ms round trip"``."""
    return f"{_span(delay_s, jitter_s)} each way, {format_round_trip(delay_s, jitter_s)}"


def _span(least_s: float, more_s: float) -> str:
    to = f" to {(least_s + more_s) * 1e3:.4g}" if more_s else ""
    return f"{least_s * 1e3:.4g}{to} ms"
