"""Every backend that we ship keeps the contract, and decodes what its format's other implementations write."""

from __future__ import annotations

import importlib
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import registry
from backends.api import MAX_BATCH_BYTES, Backend, BackendError, BackendUnavailable
from backends.conformance import RULES, check
from backends.conformance.samples import KINDS, sample

NAMES = ["none", "zlib", "isal", "zlib-ng", "libdeflate", "lz4", "zstd", "zstd-long"]
EXTREMES = [
    (name, level)
    for name, levels in {
        "zlib": (0, 9), "isal": (0, 3), "zlib-ng": (0, 9), "libdeflate": (0, 12), "lz4": (-64, 12), "zstd": (-50, 19),
    }.items()
    for level in levels
]  # fmt: skip
LIBRARIES = {"isal": "isal", "zlib-ng": "zlib_ng", "libdeflate": "deflate", "lz4": "lz4", "zstd": "zstandard"}
EXTRAS = {"isal": "isal", "zlib-ng": "zlibng", "libdeflate": "libdeflate", "lz4": "lz4", "zstd": "zstd"}
DISTRIBUTIONS = {"isal": "isal", "zlib-ng": "zlib-ng", "libdeflate": "deflate", "lz4": "lz4", "zstd": "zstandard"}


def available(name: str) -> type[Backend]:
    cls = registry.load(name)
    try:
        cls.probe()
    except BackendUnavailable as exc:
        pytest.skip(str(exc))
    return cls


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NAMES)
def test_backend_keeps_the_contract(name, rule):
    (finding,) = check(available(name), rules=[rule])
    assert finding.ok, f"{finding.rule}: {finding.evidence}"
    assert finding.evidence
    assert finding.judged == ((name, rule) != ("none", "gil"))


@pytest.mark.parametrize(("name", "level"), EXTREMES)
def test_contract_holds_at_the_extreme_levels(name, level):
    rules = ["buffers", "truncated", "trailing", "damaged", "wrong-size", "deterministic", "bomb"]
    broken = [finding for finding in check(available(name), level=level, rules=rules) if not finding.ok]
    assert not broken


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    pieces=st.lists(
        st.tuples(st.binary(min_size=1, max_size=64), st.integers(1, 300)) | st.binary(max_size=3000), max_size=8
    ),
    cut=st.integers(0, 7),
)
@pytest.mark.parametrize("name", NAMES)
def test_any_data_comes_back_from_any_offset(name, pieces, cut):
    data = b"".join(piece if isinstance(piece, bytes) else piece[0] * piece[1] for piece in pieces)
    backend = available(name)()
    view = memoryview(data)[cut:]
    assert bytes(backend.decompress(backend.compress(view), len(view))) == data[cut:]


def deflate_of(name: str, data: bytes) -> bytes:
    packed = bytes(available(name)().compress(data))
    return packed[4:] if name == "libdeflate" else packed


def framed_for(name: str, deflate: bytes) -> bytes:
    return struct.pack("<I", len(deflate)) + deflate if name == "libdeflate" else deflate


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", ["zlib", "isal", "zlib-ng", "libdeflate"])
@pytest.mark.parametrize("writer", ["zlib", "isal", "zlib-ng", "libdeflate"])
def test_deflate_backends_read_each_other(writer, reader, kind):
    data = sample(kind, 70_000)
    packed = framed_for(reader, deflate_of(writer, data))
    assert bytes(available(reader)().decompress(packed, len(data))) == data


def test_level_0_of_zlib_stores():
    data = sample("text", 4096)
    assert len(registry.create("zlib", 0).compress(data)) >= len(data)


@pytest.mark.parametrize("name", ["zlib", "zlib-ng", "libdeflate", "lz4", "zstd"])
def test_a_higher_level_packs_closer(name):
    cls = available(name)
    low, high = {"lz4": (-64, 9), "zstd": (-50, 9)}.get(name, (1, 9))
    data = sample("text", 200_000)
    assert len(cls(high).compress(data)) < len(cls(low).compress(data))


def test_lz4_levels_below_zero_accelerate_and_above_zero_search():
    available("lz4")
    block = importlib.import_module("lz4.block")
    data = sample("text", 100_000)
    expected = {
        -9: block.compress(data, store_size=False, mode="fast", acceleration=10),
        0: block.compress(data, store_size=False),
        9: block.compress(data, store_size=False, mode="high_compression", compression=9),
    }
    assert {level: registry.create("lz4", level).compress(data) for level in expected} == expected


def zstd_frame(content_bytes: int, body: bytes, window: int | None = None) -> bytes:
    """A frame with an 8-byte content size; a single segment unless it has a window descriptor."""
    descriptor = b"\xe0" if window is None else b"\xc0" + bytes([window])
    return b"\x28\xb5\x2f\xfd" + descriptor + struct.pack("<Q", content_bytes) + body


def zstd_block(kind: int, size: int, body: bytes) -> bytes:
    return ((size << 3) | (kind << 1) | 1).to_bytes(3, "little") + body


@pytest.mark.parametrize(
    ("packed", "raw_bytes", "says"),
    [
        pytest.param(zstd_frame(1 << 60, zstd_block(0, 0, b"")), 4096, "announces 1152921504606846976", id="huge-size"),
        pytest.param(zstd_frame(4096, b"", window=0xFF), 4096, "frame of 14 bytes", id="huge-window"),
        pytest.param(zstd_frame(MAX_BATCH_BYTES, b"", window=0xA8), MAX_BATCH_BYTES, "memory", id="window-2-gib"),
        pytest.param(zstd_frame(4096, zstd_block(1, 100_000, b"a")), 4096, "too small", id="block-larger-than-size"),
        pytest.param(zstd_frame(4096, zstd_block(1, 4095, b"a")), 4096, "frame of", id="block-smaller-than-size"),
        pytest.param(zstd_frame(0, zstd_block(1, 4096, b"a")), 0, "hold nothing", id="data-behind-size-zero"),
        pytest.param(b"\x50\x2a\x4d\x18" + struct.pack("<I", 4096) + bytes(4096), 4096, "announces 0", id="skippable"),
        pytest.param(b"\x50\x2a\x4d\x18" + bytes(4), 0, "hold nothing", id="skippable-for-nothing"),
        pytest.param(b"", 4096, "frame of 0 bytes", id="nothing"),
    ],
)
def test_zstd_refuses_hostile_frames(packed, raw_bytes, says):
    with pytest.raises(BackendError, match=says) as caught:
        available("zstd")().decompress(packed, raw_bytes)
    assert "\n" not in str(caught.value)


def test_zstd_refuses_a_frame_without_a_size_because_the_binding_lets_bytes_behind_it_pass():
    cls = available("zstd")
    zstandard = importlib.import_module("zstandard")
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 4095)
    assert zstandard.ZstdDecompressor().decompress(packed + b"x", 4096, allow_extra_data=False) == b"a" * 4095
    with pytest.raises(BackendError, match="announces no size"):
        cls().decompress(packed + b"x", 4096)


def test_zstd_frames_carry_size_and_no_checksum():
    cls = available("zstd")
    zstandard = importlib.import_module("zstandard")
    header = zstandard.get_frame_parameters(cls().compress(bytes(5000)))
    assert (header.content_size, header.has_checksum, header.dict_id) == (5000, False, 0)


def test_libdeflate_refuses_a_length_that_is_not_the_streams():
    backend = available("libdeflate")()
    packed = bytes(backend.compress(b"guest" * 100))
    longer = struct.pack("<I", len(packed) - 3) + packed[4:]
    with pytest.raises(
        BackendError, match=f"{len(packed) - 4} bytes of deflate where {len(packed) - 3} were announced"
    ):
        backend.decompress(longer, 500)


@pytest.mark.parametrize("name", NAMES)
def test_an_error_names_backend_and_sizes_in_one_line(name):
    backend = available(name)()
    packed = bytes(backend.compress(b"x" * 100))
    with pytest.raises(BackendError) as caught:
        backend.decompress(packed, 99)
    text = str(caught.value)
    assert text.startswith(f"backend {name!r}: ")
    assert "99" in text
    assert str(len(packed)) in text or name == "libdeflate"
    assert "\n" not in text


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_names_distribution_and_extra(name, monkeypatch):
    for module in [loaded for loaded in sys.modules if loaded.partition(".")[0] == LIBRARIES[name]]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [_Without(LIBRARIES[name]), *sys.meta_path])
    cls = registry.load(name)
    for attempt in (cls.probe, cls):
        with pytest.raises(BackendUnavailable) as caught:
            attempt()
        assert caught.value.missing == f"the distribution {DISTRIBUTIONS[name]!r} is not installed"
        assert caught.value.remedy == f'{sys.executable} -m pip install "pageferry[{EXTRAS[name]}]"'
    (status,) = [status for status in registry.survey() if status.name == name]
    assert (status.available, status.version) == (False, None)
    assert (status.reason, status.remedy) == (caught.value.missing, caught.value.remedy)


class _Without:
    """An import hook on a machine without one package."""

    def __init__(self, package):
        self._package = package

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] == self._package:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def test_a_library_that_does_not_load_says_why(monkeypatch, tmp_path):
    (tmp_path / "lz4.py").write_text('raise ImportError("liblz4.so.1:\\n cannot open shared object file")\n')
    for module in [loaded for loaded in sys.modules if loaded.partition(".")[0] == "lz4"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailable, match=r"'lz4' does not load .liblz4.so.1: cannot open shared"):
        registry.load("lz4").probe()


def test_importing_the_backends_loads_no_codec_library():
    script = (
        "import sys; from backends import registry; [registry.load(name) for name in registry.names()]; "
        f"print(sorted(set({[*sorted(LIBRARIES.values()), 'pyopencl']}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_zlib_reference_writes_what_the_standard_library_writes():
    data = sample("runs", 50_000)
    assert registry.create("zlib", 6).compress(data) == zlib.compress(data, 6, -15)
