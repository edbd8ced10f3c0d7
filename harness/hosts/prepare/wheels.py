"""Wheels of what is installed here: a host gets the same versions, byte for byte, and nothing is asked of an index.

A wheel is a zip of a distribution's files, with a list of them: https://packaging.python.org/specifications/binary-distribution-format
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from email.parser import Parser
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from harness.errors import MissingError

_OURS = "pageferry"
_PACKAGES = ("harness", "backends", "scenarios", "reports")
_EXTRAS = "all"
_OF_AN_INSTALLATION = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_QUICKLY = 1
"""Zlib's level: a copy over a lab's network is short."""


def needed() -> list[Distribution]:
    """Pageferry, what it needs, and those of its codecs' libraries that are installed here.

    :raises MissingError: something that it cannot do without is not installed as a distribution here.
    """
    found: dict[str, Distribution] = {}
    _follow(_OURS, frozenset({_EXTRAS}), found, set())
    return list(found.values())


def _follow(name: str, extras: frozenset[str], found: dict[str, Distribution], seen: set[object]) -> None:
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    found[_normal(name)] = mine = distribution(name)
    for text in mine.requires or ():
        requirement = Requirement(text)
        if _applies(requirement, ("",)) or _is_here(requirement, extras):
            _check_here(requirement)
            _follow(requirement.name, frozenset(requirement.extras), found, seen)


def _applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


def _is_here(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Asked for by an extra, and installed."""
    if not _applies(requirement, extras):
        return False
    try:
        distribution(requirement.name)
    except PackageNotFoundError:
        return False
    return True


def _check_here(requirement: Requirement) -> None:
    try:
        distribution(requirement.name)
    except PackageNotFoundError as exc:
        raise MissingError(
            f"{requirement.name}: not installed here, and pageferry needs it: install pageferry by pip"
        ) from exc


def pack(packed: Distribution, folder: Path) -> Path:
    """Its wheel, in ``folder``. :raises MissingError: nobody wrote down here which files it has."""
    about = packed.read_text("WHEEL")
    if about is None or packed.files is None:
        raise MissingError(
            f"{packed.name}: was not installed by pip here, so it cannot be packed for a host: make a venv, and install "
            "pageferry in it by pip"
        )
    path = folder / f"{_normal(packed.name)}-{packed.version.replace('-', '_')}-{_tag(about)}.whl"
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_QUICKLY) as wheel:
        for name, file in _files(packed):
            data = file.read_bytes()
            info = zipfile.ZipInfo.from_file(file, name, strict_timestamps=False)
            wheel.writestr(info, data, zipfile.ZIP_DEFLATED, _QUICKLY)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(data)}\n")
        record = f"{_info_folder(packed)}/RECORD"
        wheel.writestr(record, "".join([*lines, f"{record},,\n"]))
    return path


def _tag(about: str) -> str:
    """``cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64``: what its tags have in each place."""
    tags = [tag.split("-") for tag in Parser().parsestr(about).get_all("Tag", [])]
    return "-".join(".".join(sorted(set(place))) for place in zip(*tags, strict=True))


def _files(packed: Distribution) -> Iterator[tuple[str, Path]]:
    """With their names in the wheel; scripts are made anew where it is installed."""
    editable = json.loads(packed.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable", False)
    if editable:
        yield from _of_checkout()
    info = _info_folder(packed)
    for file in packed.files or ():
        name = file.as_posix()
        ours = name.startswith(f"{info}/") and file.name not in _OF_AN_INSTALLATION
        theirs = not editable and not name.startswith(("..", f"{info}/")) and file.suffix != ".pyc"
        if ours or theirs:
            yield name, Path(str(packed.locate_file(file)))


def _of_checkout() -> Iterator[tuple[str, Path]]:
    root = Path(__file__).resolve().parents[3]
    for package in _PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                yield file.relative_to(root).as_posix(), file


def _info_folder(packed: Distribution) -> str:
    return next(file.parts[0] for file in packed.files or () if file.name == "METADATA")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
