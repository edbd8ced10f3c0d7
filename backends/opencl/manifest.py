"""The manifest beside a saved program binary: what it was built for, and the hash that tells whether it is whole.

A driver that is handed a truncated binary may crash its process, so everything is checked here before it sees a byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.opencl import contract
from backends.opencl.errors import OpenclError, one_line

if TYPE_CHECKING:
    from backends.opencl.devices import DeviceConfig, DeviceRow

FORMAT = 1
MAX_BINARY_BYTES = 1 << 30
MAX_MANIFEST_BYTES = 1 << 16
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Manifest:
    """``format`` is this record's own version. ``kernels`` are the names in the program; ``driver`` its driver's version."""

    format: int
    sha256: str
    size_bytes: int
    device: str
    platform: str
    driver: str
    abi: int
    kernels: tuple[str, ...]
    block_bytes: int
    style: str
    made_with: str


def manifest_path(binary: str | Path) -> Path:
    """F.json for F."""
    return Path(f"{binary}.json")


def describe(
    program: bytes,
    row: DeviceRow,
    *,
    block_bytes: int,
    style: str,
    made_with: str,
    kernels: Sequence[str] = contract.KERNELS,
) -> Manifest:
    """The manifest of ``program``, built for ``row``."""
    return Manifest(
        format=FORMAT,
        sha256=hashlib.sha256(program).hexdigest(),
        size_bytes=len(program),
        device=row.name,
        platform=row.platform,
        driver=row.driver,
        abi=contract.ABI,
        kernels=tuple(kernels),
        block_bytes=block_bytes,
        style=style,
        made_with=made_with,
    )


def write_manifest(manifest: Manifest, binary: str | Path) -> Path:
    """Beside ``binary``, whole or not at all. :raises OpenclError: it cannot be written."""
    path = manifest_path(binary)
    write_whole(path, (json.dumps(asdict(manifest), indent=1) + "\n").encode())
    return path


def write_whole(path: Path, data: bytes) -> None:
    """The file has all of ``data`` or is as it was. :raises OpenclError: it cannot be written."""
    temporary = path.with_name(f".pageferry-{secrets.token_hex(8)}.tmp")
    try:
        with os.fdopen(os.open(temporary, _NEW, 0o666), "wb") as file:
            file.write(data)
        temporary.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OpenclError(f"{path}: cannot be written: {exc.strerror}; free space or choose another place") from exc


def load_manifest(path: str | Path) -> Manifest:
    """The manifest in the file ``path``. :raises OpenclError: it cannot be read or is no manifest of ours."""
    path = Path(path)
    data = read_bounded(path, MAX_MANIFEST_BYTES)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise OpenclError(f"{path}: is not JSON ({one_line(exc)}); build the binary again") from exc
    if not isinstance(document, dict) or set(document) != {field.name for field in fields(Manifest)}:
        names = ", ".join(field.name for field in fields(Manifest))
        raise OpenclError(f"{path}: is no manifest of a binary, which has {names}; build the binary again")
    _check_types(path, document)
    return Manifest(**document | {"kernels": tuple(document["kernels"])})


def _check_types(path: Path, document: dict[str, Any]) -> None:
    for field in fields(Manifest):
        value = document[field.name]
        if field.type == "int":
            right = type(value) is int and value >= 0
        elif field.type == "str":
            right = isinstance(value, str)
        else:
            right = isinstance(value, list) and all(isinstance(name, str) for name in value)
        if not right:
            raise OpenclError(f"{path}: {field.name} is {one_line(repr(value))}; build the binary again")


def check_binary(path: str | Path) -> Manifest:
    """The manifest of the binary ``path``, after both were checked. No driver is asked.

    :raises OpenclError: the manifest is missing, or the binary is not the one that it describes or not one for us.
    """
    return read_binary(path)[0]


def read_binary(path: str | Path) -> tuple[Manifest, bytes]:
    """As ``check_binary``, and the very bytes that were checked."""
    manifest = load_manifest(manifest_path(path))
    check_claims(manifest, path)
    program = read_bounded(Path(path), MAX_BINARY_BYTES)
    again = f"build it again, or copy {path} and {path}.json together"
    if len(program) != manifest.size_bytes:
        raise OpenclError(f"{path}: has {len(program)} bytes, its manifest says {manifest.size_bytes}; {again}")
    if (digest := hashlib.sha256(program).hexdigest()) != manifest.sha256:
        raise OpenclError(f"{path}: has SHA-256 {digest[:16]}..., its manifest says {manifest.sha256[:16]}...; {again}")
    return manifest, program


def check_claims(manifest: Manifest, path: str | Path) -> None:
    """:raises OpenclError: by its manifest the binary ``path`` is none that this version can use."""
    if manifest.format != FORMAT:
        raise OpenclError(f"{path}.json: format is {manifest.format}, known is {FORMAT}; build the binary again")
    if manifest.abi != contract.ABI:
        raise OpenclError(f"{path}: made for ABI {manifest.abi}, this version needs {contract.ABI}; build it again")
    if lacks := [name for name in contract.KERNELS if name not in manifest.kernels]:
        raise OpenclError(f"{path}: lacks the kernels {', '.join(lacks)}; build it from a source that has them")
    for what, value, known in (
        ("style", manifest.style, contract.STYLES),
        ("block_bytes", manifest.block_bytes, contract.BLOCK_BYTES),
    ):
        if value not in known:
            raise OpenclError(
                f"{path}.json: {what} is {value!r}, known are {', '.join(map(str, known))}; build it again"
            )


def check_config(manifest: Manifest, config: DeviceConfig) -> None:
    """:raises OpenclError: the scenario asks for what the binary was not built with."""
    if manifest.block_bytes != config.block_bytes:
        asked = f"blocks of {config.block_bytes} bytes are asked for"
        raise OpenclError(
            f"{config.binary}: built for blocks of {manifest.block_bytes} bytes, {asked}; set block to match"
        )
    if config.style not in {None, manifest.style}:
        raise OpenclError(
            f"{config.binary}: built in style {manifest.style}, {config.style} is asked for; leave style out"
        )


def check_device(manifest: Manifest, row: DeviceRow, binary: str) -> None:
    """:raises OpenclError: the binary was built for another device, platform or driver than ``row``'s."""
    built = (manifest.platform, manifest.device, manifest.driver)
    if built != (row.platform, row.name, row.driver):
        here = f"{row.platform} / {row.name}, driver {row.driver}"
        raise OpenclError(
            f"{binary}: built for {' / '.join(built[:2])}, driver {built[2]}; here is {here}; build it again"
        )


def read_bounded(path: Path, limit_bytes: int) -> bytes:
    """A regular file's bytes. :raises OpenclError: it cannot be read, is none, or has more than ``limit_bytes``."""
    try:
        with open(path, "rb", opener=_open) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise OpenclError(f"{path}: is not a regular file; name a saved binary")
            if found.st_size > limit_bytes:
                raise OpenclError(
                    f"{path}: has {found.st_size} bytes, above the bound of {limit_bytes}; name a saved binary"
                )
            return file.read(found.st_size)
    except OSError as exc:
        remedy = (
            "make the manifest with `pageferry opencl manifest`" if path.suffix == ".json" else "name a saved binary"
        )
        raise OpenclError(f"{path}: {exc.strerror}; {remedy}") from exc


def _open(path: str, flags: int) -> int:
    """A pipe in a file's place must not make us wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)
