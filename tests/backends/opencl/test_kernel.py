"""The DEFLATE kernels alone: each fragment is a whole stream to two independent inflaters, and never longer than stored."""

from __future__ import annotations

import functools
import hashlib
import random
import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.opencl import contract
from backends.opencl.contract import LAST, Geometry

igzip = pytest.importorskip("isal.igzip_lib", reason="isal is not installed: an independent inflater")
cl = pytest.importorskip("pyopencl", reason='pyopencl is not installed: pip install "pageferry[opencl]"')
Kernels = pytest.importorskip("opencl_kernels").Kernels

SHAPES = [(style, block) for style in contract.STYLES for block in contract.BLOCK_BYTES]
GOLDEN = {
    ("wi", 4096): "1f306b4ea0981fea12aaffb40756abd46613d485c87b458303810b8d1a3435c2",
    ("wg", 4096): "60ad7873a9a622860a2b6b6a14f2c6544c30e5282da8b74263c3092855201d92",
    ("wi", 65536): "de898024e8949f2323a9925f156081bd07ed5eb5e9d1cbc1d08a457aa6ed0c79",
    ("wg", 65536): "f967f87f1177654b93609b93a969c0d7172158962680af97a5a8070b9f9ce8b4",
}
"""SHA-256 of all fragments of ``corpus()``. The task style's are the work-item style's."""


@pytest.fixture(scope="session")
def kernels(real_device):
    devices = [device for platform in cl.get_platforms() for device in platform.get_devices()]
    device = next(
        d for d in devices if (d.platform.name.strip(), d.name.strip()) == (real_device.platform, real_device.name)
    )

    @functools.cache
    def get(style: str, block: int, *, cpu_builtins: bool = False) -> Kernels:
        return Kernels(device, block, style, cpu_builtins=cpu_builtins)

    return get


@pytest.fixture(params=SHAPES, ids=lambda shape: f"{shape[0]}-{shape[1]}")
def shape(request, kernels):
    return kernels(*request.param)


def inflated(stream: bytes) -> bytes:
    """By zlib, after ISA-L has said the same."""
    inflater = zlib.decompressobj(-15)
    raw = inflater.decompress(stream)
    assert inflater.eof
    assert not inflater.unused_data
    other = igzip.IgzipDecompressor(igzip.DECOMP_DEFLATE)
    assert other.decompress(stream, len(raw) + 1) == raw
    assert other.eof
    return raw


def check(kernels, data: bytes) -> list[bytes]:
    block_bytes = kernels.geometry.block_bytes
    fragments, statuses = kernels.deflate(data)
    for number, (fragment, status) in enumerate(zip(fragments, statuses, strict=True)):
        block = data[number * block_bytes : (number + 1) * block_bytes]
        assert inflated(fragment + LAST) == block
        assert len(fragment) <= len(block) + 5 * -(-len(block) // 65535), "storing is shorter"
        assert (status == contract.ZERO) == (not any(block))
        stored = fragment[0] & 7 == 0
        assert status != contract.STORED or stored
    assert inflated(b"".join(fragments) + LAST) == data
    return fragments


# ---------------------------------------------------------------- any data


def pieces(rng: random.Random, size: int) -> bytes:
    """Runs, repeats from afar, skewed and plain random bytes, in turns."""
    out = bytearray()
    while len(out) < size:
        kind = rng.randrange(5)
        count = rng.randrange(1, 600)
        if kind == 0:
            out += bytes([rng.randrange(256)]) * count
        elif kind == 1 and out:
            start = rng.randrange(len(out))
            out += out[start : start + count]
        elif kind == 2:
            out += bytes(min(255, int(rng.expovariate(0.1))) for _ in range(count))
        elif kind == 3:
            out += rng.randbytes(rng.randrange(1, 9)) * (count // 4)
        else:
            out += rng.randbytes(count)
    return bytes(out[:size])


@given(
    seed=st.integers(0, 1 << 32),
    size=st.one_of(st.integers(1, 40), st.integers(1, 4096 * 3), st.integers(65000, 140_000)),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_batch_of_any_length_comes_back(shape, seed, size):
    check(shape, pieces(random.Random(seed), size))


@given(data=st.binary(min_size=1, max_size=300))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_short_bytes_come_back(shape, data):
    check(shape, data)


# ---------------------------------------------------------------- data that is hard for one part


def fibonacci() -> bytes:
    """Frequencies whose Huffman tree is as deep as can be: codes must be limited."""
    counts, rng = [1, 1], random.Random(1)
    while sum(counts) + counts[-1] + counts[-2] < 65000:
        counts.append(counts[-1] + counts[-2])
    data = bytearray(b"".join(bytes([symbol * 9]) * count for symbol, count in enumerate(counts)))
    rng.shuffle(data)
    return bytes(data)


def every_distance() -> bytes:
    """A marker again at distances around each power of two, up to the window's edge and beyond it."""
    rng, out = random.Random(2), bytearray()
    for distance in [d + more for d in (1 << n for n in range(3, 16)) for more in (-1, 0, 1)]:
        marker = rng.randbytes(8)
        out += marker + rng.randbytes(max(0, distance - 8)) + marker
    return bytes(out)


HARD: dict[str, Callable[[], bytes]] = {
    "deep trees": fibonacci,
    "distances": every_distance,
    "beyond the window": lambda: (m := random.Random(3).randbytes(200)) + random.Random(4).randbytes(33_000) + m,
    "zeros": lambda: bytes(140_000),
    "one byte that is not zero": lambda: bytes(4000) + b"\1" + bytes(70_000),
    "random": lambda: random.Random(5).randbytes(140_000),
    "exactly one stored piece": lambda: random.Random(6).randbytes(65535),
    "one byte above a stored piece": lambda: random.Random(7).randbytes(65536),
    "two symbols": lambda: bytes(random.Random(8).choices(b"ab", k=70_000)),
    "no match, skewed literals": lambda: bytes(b"aaab"[random.Random(9).getrandbits(2)] ^ i * 89 & 64 for i in range(4000)),
    "lengths around 258": lambda: b"".join(bytes([n % 251]) + b"x" * n for n in (*range(1, 12), *range(250, 270), 516, 517, 1032)),
    "periods": lambda: b"".join((random.Random(n).randbytes(n) * (900 // n + 3))[:900] for n in range(1, 300, 7)),
    "entropy ladder": lambda: b"".join(bytes(random.Random(n).choices(range(n), k=512)) for n in range(1, 256, 3)),
    "text": lambda: b"".join(b"page %d of batch %d was dirty; " % (n * 7919 % 1000, n % 13) for n in range(5000)),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_data_that_is_hard_for_one_part_comes_back(shape, name):
    check(shape, HARD[name]())


@pytest.mark.parametrize("size", [*range(1, 20), 255, 256, 257, 4095, 4096, 4097, 65535, 65536, 65537])
def test_every_edge_of_a_size_comes_back(kernels, size):
    for style, block in SHAPES:
        check(kernels(style, block), (b"abcdefgh" * (size // 8 + 1))[:size])


# ---------------------------------------------------------------- what the contract says


def forms(kernels, data: bytes) -> set[int]:
    """The block types (RFC 1951, 3.2.3) that fragments begin with."""
    return {fragment[0] >> 1 & 3 for fragment in kernels.deflate(data)[0]}


def test_each_form_is_chosen_where_it_is_the_shortest(shape):
    assert forms(shape, random.Random(1).randbytes(4096)) == {0}
    assert forms(shape, b"a" * 40) == {1}
    assert forms(shape, HARD["text"]()[:4096]) == {2}


def test_compressible_data_shrinks_as_much_as_by_zlib_1(kernels):
    data = corpus()
    for block in contract.BLOCK_BYTES:
        ours = sum(map(len, kernels("wi", block).deflate(data)[0]))
        theirs = sum(len(zlib.compress(data[at : at + block], 1)) - 6 for at in range(0, len(data), block))
        assert ours < 1.03 * theirs


def test_a_batch_ends_where_it_is_said_to_end(shape):
    data = pieces(random.Random(11), 70_001)
    assert shape.deflate(data, behind=0)[0] == shape.deflate(data, behind=data[-1])[0]


def test_gather_puts_each_fragment_where_it_is_told(shape):
    fragments, _ = shape.deflate(pieces(random.Random(12), 200_000))
    offsets, at = [], 3
    for fragment in fragments:
        offsets.append(at)
        at += len(fragment) + 5
    joined = shape.gather(offsets, at)
    gap = b"\xc5" * 5
    assert joined == b"\xc5" * 3 + b"".join(fragment + gap for fragment in fragments)


@pytest.mark.parametrize(("style", "block"), SHAPES)
def test_the_program_tells_what_it_is(kernels, style, block):
    magic, abi, block_bytes, stride, number, width, scratch_bytes, _ = kernels(style, block).info
    assert (magic, abi, block_bytes) == (contract.MAGIC, contract.ABI, block)
    assert stride == Geometry(block).slot_stride_bytes
    assert contract.STYLES[number] == style
    assert (width > 1) == (style == "wg")
    assert scratch_bytes >= block


# ---------------------------------------------------------------- the same bytes everywhere


def corpus() -> bytes:
    hard = b"".join(HARD[name]() for name in HARD if name != "random")
    return pieces(random.Random(13), 300_000) + hard


def fingerprint(kernels) -> str:
    sha = hashlib.sha256()
    for fragment in kernels.deflate(corpus())[0]:
        sha.update(len(fragment).to_bytes(4, "little") + fragment)
    return sha.hexdigest()


@pytest.mark.parametrize(("style", "block"), SHAPES)
def test_the_bytes_are_those_of_every_other_device(kernels, style, block):
    """A change of parser or code maker changes them: look at the ratios, then renew the constants."""
    golden = GOLDEN["wi" if style == "task" else style, block]
    assert fingerprint(kernels(style, block)) == golden
    assert fingerprint(kernels(style, block)) == golden, "a second run gave other bytes"


@pytest.mark.parametrize("block", contract.BLOCK_BYTES)
def test_a_compilers_own_accesses_change_no_byte(kernels, real_device, block):
    if real_device.type != "CPU":
        pytest.skip(f"CPU_BUILTINS is for CPUs; this device is {real_device}")
    assert fingerprint(kernels("wi", block, cpu_builtins=True)) == GOLDEN["wi", block]
