"""What no honest peer sends: it must end in an error, never in a crash, a hang, or a page that is wrong and not noticed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backends import registry
from backends.conformance import sample
from harness.errors import PageferryError
from harness.migrator.carry.codec import Decoder, Encoder, Job
from harness.qualify.check import Bench, Check, Failed, Found, NotApplicable, check
from harness.qualify.checks.contract import rule_check
from harness.wire.batch import PageBatch
from harness.wire.pair.frame import digest
from harness.wire.pair.messages import Batch, Layout

CHECKS: list[Check] = []

rule_check(CHECKS, "hostile.truncated", "truncated", "links break in the middle of a batch")
rule_check(
    CHECKS, "hostile.trailing", "trailing", "bytes that nobody asked for are a sign of a mix-up, or of an attack"
)
rule_check(CHECKS, "hostile.damaged", "damaged", "damage must not crash the receiver, nor grow in it")
rule_check(CHECKS, "hostile.wrong-size", "wrong-size", "a batch of another size is another batch")
rule_check(CHECKS, "hostile.absurd-size", "absurd-size", "a peer must not be able to make us take memory")
rule_check(CHECKS, "hostile.bomb", "bomb", "a few bytes must not become gigabytes")
rule_check(CHECKS, "hostile.recovery", "recovery", "one bad batch must not end the others")

_PAGES = 2
_STEP = 7
"""Every bit of a small batch is flipped by ``hostile.damaged``; of whole pages, one of so many."""


@check(
    CHECKS,
    "hostile.pages",
    "no damaged batch reaches a guest: the codec or the frame's digest refuses it",
    "a codec without a checksum restores damaged data to wrong pages, and says that all is well",
)
def _pages(bench: Bench) -> Found:
    if bench.info.stateful:
        raise NotApplicable("it keeps history: a damaged batch ends it, and what follows is refused")
    data = sample("text", _PAGES * 4096)
    encoder = Encoder(bench.make())
    decoder = Decoder((lambda: registry.create("none"), bench.cls))
    try:
        packed = encoder.encode(Job(0, PageBatch(memoryview(data))))
        if packed.message.layout is Layout.STORED:
            raise Failed(f"{len(data)} bytes of text did not shrink, so that there is no frame to damage")
        body = b"".join(packed.message.parts)
        refused = wrong = unchanged = 0
        for what, damaged in _damages(body):
            got = _delivered(decoder, packed.message, damaged)
            refused += got is None
            unchanged += got == data
            if got is not None and got != data:
                wrong += 1
                raise Failed(f"{what} of {len(body)} bytes: {len(got)} wrong bytes would have reached the guest")
    finally:
        encoder.close()
        decoder.close()
    return Found(f"{refused + unchanged} damaged batches: {refused} refused, {unchanged} restored right, none wrong")


def _damages(body: bytes) -> Iterator[tuple[str, bytes]]:
    for bit in range(0, 8 * len(body), _STEP):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit}", bytes(flipped)
    for kept in range(0, len(body), len(body) // 50 + 1):
        yield f"cut to {kept}", body[:kept]


def _delivered(decoder: Decoder, batch: Batch, body: bytes) -> bytes | None:
    """What a guest would get. The body's digest is made to fit, as of damage before it was taken."""
    try:
        return bytes(decoder.decode((replace(batch, body_digest=digest(body), parts=(body,)),))[0].raw)
    except PageferryError:
        return None
