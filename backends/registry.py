"""Which backends there are: a static table for ours, entry points in the group ``pageferry.backends`` for others'.

Nothing is imported before it is asked for by name. A name is taken once: where two distributions claim one, neither gets
it, and the error names both. One that cannot be imported or does not work here is reported by ``survey``, with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from backends.api import Backend, BackendError, BackendInfo, BackendUnavailable

GROUP = "pageferry.backends"

_OURS = "pageferry"
_BUILT_IN = {
    "none": "backends.none:NoneBackend",
    "zlib": "backends.zlib_:ZlibBackend",
    "isal": "backends.isal_:IsalBackend",
    "zlib-ng": "backends.zlib_ng_:ZlibNgBackend",
    "libdeflate": "backends.libdeflate:LibdeflateBackend",
    "lz4": "backends.lz4_:Lz4Backend",
    "zstd": "backends.zstd:ZstdBackend",
    "zstd-long": "backends.zstd_long:ZstdLongBackend",
    "opencl": "backends.opencl:OpenclBackend",
    "qatzip": "backends.qatzip:QatzipBackend",
}


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """One row of ``pageferry list backends``. ``origin`` is the distribution that brings it."""

    name: str
    origin: str
    available: bool
    version: str | None = None
    device: str | None = None
    levels: tuple[int, int] | None = None
    default_level: int | None = None
    reason: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class _Claim:
    """The distribution ``origin`` says that a name is a certain class."""

    point: EntryPoint
    origin: str

    @property
    def name(self) -> str:
        return self.point.name

    def __str__(self) -> str:
        return f"backend {self.name!r} of {self.origin} ({self.point.value})"


def names() -> list[str]:
    """Every claimed name, ours first. Whether it works here is ``survey``'s answer."""
    return list(dict.fromkeys(claim.name for claim in _claims()))


def load(name: str) -> type[Backend]:
    """The class behind ``name``, not probed.

    :raises BackendError: nobody, or more than one distribution, claims the name, or its module is broken.
    """
    claims = _claims()
    mine = [claim for claim in claims if claim.name == name]
    if not mine:
        known = list(dict.fromkeys(claim.name for claim in claims))
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise BackendError(f"unknown backend {name!r}; {hint}known: {', '.join(known)}")
    if len(mine) > 1:
        raise BackendError(f"{_conflict(mine)}; uninstall all but one of them")
    return _import(mine[0])


def create(name: str, level: int | None = None, **options: object) -> Backend:
    """A new instance for one thread. :raises BackendError: as ``load``, or level or options do not suit the backend."""
    return load(name)(level, **options)


def survey() -> list[BackendStatus]:
    """What is here, and why what is missing is missing: every backend is imported and probed. Raises nothing."""
    claims = _claims()
    return [_status(claim, [other for other in claims if other.name == claim.name]) for claim in claims]


def _claims() -> list[_Claim]:
    ours = [_Claim(EntryPoint(name, target, GROUP), _OURS) for name, target in _BUILT_IN.items()]
    theirs = [_Claim(point, _origin(point)) for point in entry_points(group=GROUP)]
    return ours + sorted(theirs, key=lambda claim: (claim.name, claim.origin))


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown distribution"


def _conflict(claims: Sequence[_Claim]) -> str:
    claimed = " and ".join(f"{claim.origin} ({claim.point.value})" for claim in claims)
    return f"backend name {claims[0].name!r} is claimed by {claimed}"


def _import(claim: _Claim) -> type[Backend]:
    try:
        found: object = claim.point.load()
    except Exception as exc:  # a plug-in's module may raise anything
        raise BackendError(f"{claim} cannot be imported: {_one_line(exc)}") from exc
    if not (isinstance(found, type) and issubclass(found, Backend)):
        raise BackendError(f"{claim} is not a subclass of backends.api.Backend")
    info: object = getattr(found, "info", None)
    if not isinstance(info, BackendInfo) or info.name != claim.name:
        raise BackendError(f"{claim} calls itself {getattr(info, 'name', None)!r} in its info")
    return found


def _status(claim: _Claim, claims: Sequence[_Claim]) -> BackendStatus:
    if len(claims) > 1:
        return _missing(claim, _conflict(claims), "uninstall all but one of them")
    try:
        cls = _import(claim)
    except BackendError as exc:
        return _missing(claim, str(exc), f"fix or uninstall {claim.origin}")
    try:
        version: str | None = cls.probe()
        reason = remedy = None
    except BackendUnavailable as exc:
        version, reason, remedy = None, exc.missing, exc.remedy
    except Exception as exc:  # a plug-in's probe may raise anything
        version, reason, remedy = None, f"its probe failed: {_one_line(exc)}", f"fix or uninstall {claim.origin}"
    info = cls.info
    return BackendStatus(
        claim.name, claim.origin, reason is None, version, info.device, info.levels, info.default_level, reason, remedy
    )


def _missing(claim: _Claim, reason: str, remedy: str) -> BackendStatus:
    return BackendStatus(claim.name, claim.origin, available=False, reason=reason, remedy=remedy)


def _one_line(exc: Exception) -> str:
    return " ".join(f"{type(exc).__name__}: {exc}".split())
