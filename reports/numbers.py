"""Numbers -> text for a reader: fixed units per metric, three or more significant digits, no arithmetic left for templates.

Knows metrics and their units, not results. A value that is missing or not finite is a dash.
"""

from __future__ import annotations

import math

from harness.results.metrics import Metric
from harness.results.verdicts import Change

DASH = "\u2013"
MINUS = "\u2212"
_MOST_FIGURE = 1e15
_GROUP = "\u202f"  # a narrow space that does not break: 1 234 567 without commas that half the world reads as a point


def amount(value: float | None, digits: int = 0) -> str:
    """``amount(307783)`` -> ``307 783`` (a narrow space groups thousands); a dash for what is not a number."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:,.{digits}f}".replace(",", _GROUP).replace("-", MINUS)


def shown_digits(metric: Metric, value: float) -> int:
    """Behind the point, of ``value`` in the shown unit. Small figures get one more: a downtime of 3.4 ms is not 3 ms."""
    unit = metric.unit
    return unit.digits + 1 if unit.shown in ("ms", "MiB") and 0 < value < 10 else unit.digits


def scaled(metric: Metric, value: float | None) -> str:
    """The stored ``value`` in the metric's shown unit, without the unit's name."""
    if value is None or not math.isfinite(value):
        return DASH
    shown = value * metric.unit.factor
    return amount(shown, shown_digits(metric, shown))


def interval_text(metric: Metric, interval: tuple[float, float] | None) -> str | None:
    """``1 380 to 1 431``; None where there is no interval."""
    if interval is None or not all(map(math.isfinite, interval)):
        return None
    return " to ".join(scaled(metric, end) for end in interval)


def with_interval(metric: Metric, median: float | None, interval: tuple[float, float] | None) -> str:
    """``1 405 (1 380 to 1 431)``, in a table whose cells hold no second line; alone where the interval is that figure."""
    figure, known = scaled(metric, median), interval_text(metric, interval)
    return figure if known in (None, f"{figure} to {figure}") else f"{figure} ({known})"


def percent(change: float) -> str:
    """A change in percent with its sign: whole from ten on, one decimal below.."""
    digits = 0 if abs(change) >= 9.95 else 1
    text = amount(abs(change), digits)
    if not text.strip("0."):
        return "±0\u00a0%"
    return f"{MINUS if change < 0 else '+'}{text}\u00a0%"


def share_percent(share: float | None) -> str:
    """A part of a whole in percent, one decimal below ten: ``share_percent(0.62)`` -> ``62 %``; a dash for None."""
    return DASH if share is None else f"{amount(share * 100, 0 if share >= 0.0995 or not share else 1)}\u00a0%"


def effect_percent(ratio: float | None) -> str | None:
    """A ratio against the baseline as a change in percent; None where there is none."""
    return None if ratio is None or not math.isfinite(ratio) else percent((ratio - 1) * 100)


def effect_interval(interval: tuple[float, float] | None) -> str | None:
    """The interval of a ratio as that of a change in percent: ``-60 % to -52 %``; None where there is none."""
    return None if interval is None else " to ".join(percent((end - 1) * 100) for end in interval)


def change_details(change: Change) -> str:
    """``-55 % to -48 % with 99.8 %, p < 0.001``; where it cannot be told, what could have been seen."""
    known = [p_text(change.p_value) or ""]
    if change.interval is not None:
        known.insert(0, f"{effect_interval(change.interval)} with {confidence(change)}")
    if change.word == "unclear":
        known.append(change.power_words)
    return ", ".join(known)


def confidence(change: Change) -> str:
    """Of its interval: ``99.8 %``."""
    return f"{100 * (1 - change.level):.3g}\u00a0%"


def p_text(p_value: float | None) -> str | None:
    """``p = 0.008``, ``p < 0.001``."""
    if p_value is None or not math.isfinite(p_value):
        return None
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def finite(value: object) -> float | None:
    """What a file says is a number, if it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def figure_text(value: object) -> str:
    """One raw figure for a reader: four significant digits, or whole above that; a dash for what is missing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float) or abs(value) >= _MOST_FIGURE:
        return str(value)
    if isinstance(value, int):
        return amount(value)
    digits = 0 if not value else max(0, 3 - math.floor(math.log10(abs(value))))
    text = amount(value, min(digits, 9))
    return text.rstrip("0").rstrip(".") if "." in text else text


def plural(count: int, noun: str) -> str:
    """``plural(2, "run")`` -> ``2 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
