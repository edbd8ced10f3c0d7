"""Vega, in a process of its own: V8 ends the process that it runs in where it gets no memory, and a page is not to go with it.

V8 reserves 64 GiB of addresses, of which it uses few: under a smaller ``ulimit -v`` there are no charts. The process starts with
the first chart, and draws all of this process's.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

import vl_convert

from reports.helper import Helper, HelperEndedError, start

_UNDRAWN = (
    "charts could not be drawn ({}): drawing takes memory, and 64 GiB of addresses where `ulimit -v` limits them; all else "
    "is there, and `pageferry report` draws them where there is room"
)


class _Vega:
    """``missed``: how much was asked for and not drawn. ``why``: of the last of it, until somebody took note."""

    def __init__(self) -> None:
        self.missed, self.why = 0, ""
        self._one_by_one = Lock()
        self._helper: Helper | None = None
        self._hopeless = False

    def ask(self, asked: Callable[[], str]) -> str | None:
        """None where the process did not live to answer. After one that never drew anything no other is started."""
        with self._one_by_one:
            answer = None if self._hopeless else self._answer(asked)
            self.missed += answer is None
            return answer

    def _answer(self, asked: Callable[[], str]) -> str | None:
        helper, fresh = self._helper, self._helper is None or not self._helper.alive
        try:
            if helper is None or fresh:
                helper = self._helper = start()
                atexit.register(helper.end)
            return helper.ask(asked)
        except (HelperEndedError, OSError) as exc:
            self._hopeless, self.why = fresh, _UNDRAWN.format(exc)
            return None


_VEGA = _Vega()


def svg(spec: dict[str, Any], version: str) -> str | None:
    """``spec`` of that version of Vega-Lite, drawn; None where it could not be."""
    return _VEGA.ask(partial(_svg, spec, version))


def bundle(snippet: str, version: str) -> str | None:
    """``snippet`` and all that it needs, as JavaScript; None where it could not be made."""
    return _VEGA.ask(partial(_bundle, snippet, version))


def missed() -> int:
    """How much this process asked for until now, and did not get."""
    return _VEGA.missed


def undrawn() -> str:
    """Why something was not drawn, in a sentence for the terminal; empty where all was, or it was said before."""
    why, _VEGA.why = _VEGA.why, ""
    return why


def _svg(spec: dict[str, Any], version: str) -> str:
    return str(vl_convert.vegalite_to_svg(spec, vl_version=version))


def _bundle(snippet: str, version: str) -> str:
    return str(vl_convert.javascript_bundle(snippet, vl_version=version))
