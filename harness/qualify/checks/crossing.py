"""Cross-decoding with independent implementations of the same format, both ways."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from backends import registry
from backends.api import Backend, BackendError
from backends.conformance import KINDS, sample
from harness.qualify.check import Bench, Check, Failed, Found, NotApplicable, check

CHECKS: list[Check] = []

_SIZES = (1, 4096, 65_537, 300_000)
_WBITS = {"deflate": -15, "zlib": 15, "gzip": 31}
_STRATEGIES = {
    "filtered": zlib.Z_FILTERED,
    "Huffman only": zlib.Z_HUFFMAN_ONLY,
    "runs only": zlib.Z_RLE,
    "fixed codes": zlib.Z_FIXED,
}


@dataclass(frozen=True, slots=True)
class _Partner:
    """Another implementation: one way to restore, several ways to compress."""

    name: str
    inflate: Callable[[bytes, int], bytes]
    deflates: Mapping[str, Callable[[bytes], bytes]]


@check(
    CHECKS,
    "crossing.encode",
    "what it compresses, other implementations of the format restore",
    "only the source needs the card: the destination restores with whatever it has",
)
def _encode(bench: Bench) -> Found:
    partners = list(_partners(bench))
    count = 0
    with bench.rig() as rig:
        for kind in KINDS:
            for size in _SIZES:
                data = sample(kind, size)
                packed = rig.pack(data)
                for partner in partners:
                    _require(partner.inflate, packed, data, f"{size} bytes of {kind}, restored by {partner.name}")
                    count += 1
    return Found(f"{count} batches restored by {_names(partners)}")


@check(
    CHECKS,
    "crossing.decode",
    "what other implementations of the format compress, it restores",
    "the source may fall back to another codec of the format, at any level",
)
def _decode(bench: Bench) -> Found:
    partners = list(_partners(bench))
    count = 0
    with bench.rig() as rig:
        for kind in KINDS:
            for size in _SIZES:
                data = sample(kind, size)
                for partner in partners:
                    for how, deflate in partner.deflates.items():
                        what = f"{size} bytes of {kind}, compressed by {partner.name}, {how}"
                        _require(lambda packed, raw: bytes(rig.unpack(packed, raw)), deflate(data), data, what)
                        count += 1
    return Found(f"{count} batches compressed by {_names(partners)}")


def _require(inflate: Callable[[bytes, int], bytes], packed: bytes, data: bytes, what: str) -> None:
    try:
        raw = inflate(packed, len(data))
    except (BackendError, zlib.error) as exc:
        raise Failed(f"{what}: {' '.join(str(exc).split())}") from exc
    if raw != data:
        raise Failed(f"{what}: {len(raw)} bytes, not the {len(data)} that were compressed")


def _names(partners: list[_Partner]) -> str:
    return ", ".join(partner.name for partner in partners)


def _partners(bench: Bench) -> Iterator[_Partner]:
    """:raises NotApplicable: there is none, or the format is not a standard."""
    if bench.info.format is None:
        raise NotApplicable("its format is no standard that it names in info.format")
    found = [*_stdlib(bench), *_backends(bench)]
    if not found:
        raise NotApplicable(f"no other implementation of {bench.info.format} is installed here")
    yield from found


def _stdlib(bench: Bench) -> Iterator[_Partner]:
    wbits = _WBITS.get(bench.info.format or "")
    if wbits is None or bench.job.backend == "zlib":
        return

    def inflate(packed: bytes, raw_bytes: int) -> bytes:
        decoder = zlib.decompressobj(wbits)
        raw = decoder.decompress(packed, raw_bytes + 1)
        if not decoder.eof or decoder.unused_data:
            raise zlib.error("no end, or bytes behind it")
        return raw

    def deflate(level: int, strategy: int, flushed: bool) -> Callable[[bytes], bytes]:
        def run(data: bytes) -> bytes:
            encoder = zlib.compressobj(level, zlib.DEFLATED, wbits, 9, strategy)
            middle = len(data) // 3 if flushed else 0
            start = encoder.compress(data[:middle]) + (encoder.flush(zlib.Z_FULL_FLUSH) if flushed else b"")
            return start + encoder.compress(data[middle:]) + encoder.flush()

        return run

    ways = {f"level {level}": deflate(level, zlib.Z_DEFAULT_STRATEGY, flushed=False) for level in (0, 1, 6, 9)}
    ways |= {how: deflate(6, strategy, flushed=False) for how, strategy in _STRATEGIES.items()}
    ways["flushed in the middle"] = deflate(6, zlib.Z_DEFAULT_STRATEGY, flushed=True)
    yield _Partner(f"zlib {zlib.ZLIB_RUNTIME_VERSION}", inflate, ways)


def _backends(bench: Bench) -> Iterator[_Partner]:
    """Our codecs of the same format that work here and are not the one in question."""
    for status in registry.survey():
        if not status.available or status.origin != "pageferry" or status.name in (bench.job.backend, "zlib"):
            continue
        cls = registry.load(status.name)
        if cls.info.format != bench.info.format or cls.info.device != "cpu":
            continue
        yield _Partner(
            status.name,
            lambda packed, raw_bytes, cls=cls: bytes(cls().decompress(packed, raw_bytes)),  # type: ignore[misc]
            {f"level {level}": _compressor(cls, level) for level in _some_levels(cls)},
        )


def _compressor(cls: type[Backend], level: int | None) -> Callable[[bytes], bytes]:
    return lambda data: bytes(cls(level).compress(data))


def _some_levels(cls: type[Backend]) -> list[int | None]:
    low, high = cls.info.levels or (0, -1)
    return [*sorted({max(low, 0), cls.info.default_level or low, high})] if high >= low else [None]
