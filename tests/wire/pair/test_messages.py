"""Every message comes out as it went in; with any field missing, of another type or out of bounds it is refused in one line.

The cases are made from the messages' own declarations: a new message, or a new field, is covered by being declared.
"""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator
from itertools import accumulate

import pytest
from frames import EXAMPLES, document, raw, read, split_frames, told_by, whole
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.wire.pair.fields import WrongMessageError
from harness.wire.pair.forms import Control, Document, Fixed, Message
from harness.wire.pair.frame import HEADER_BYTES, Header, Kind, encode_header
from harness.wire.pair.messages import MESSAGES, Ack, Batch, Error

JSON = (
    None, True, -1, 0, 1.5, 32, 33, 256, 257, 1 << 70, 10**300, "", "x" * 65, "a\nb", "\ud800", "é", [], ["zlib"] * 33, ["x" * 65],
    ["a", 3], ["a\x1b"], {}, {"a": []}, {"a": None},
)  # fmt: skip
NUMBERS = (0, 1, 2, 7, 9, 10, 16, 17, 255, 256, 257, 1 << 16, (4 << 20) + (1 << 18) + 1, (1 << 32) - 1, 1 << 63)


def of_form(form: type[Message]) -> list[type[Message]]:
    return [cls for cls in MESSAGES.values() if issubclass(cls, form)]


def refusal(frame: bytes) -> str:
    with pytest.raises(WrongMessageError) as caught:
        read(frame)
    words = str(caught.value)
    assert words.isprintable()
    assert len(words) < 300
    return words


def test_there_is_an_example_of_every_kind() -> None:
    assert EXAMPLES.keys() == MESSAGES.keys() == set(Kind)


@pytest.mark.parametrize("message", [*EXAMPLES.values()], ids=lambda message: message.kind.name)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    assert read(whole(message)) == message
    assert list(split_frames(whole(message) * 2)) == [whole(message)] * 2


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 1 << 60))
@settings(max_examples=50, deadline=None)
def test_times_travel_to_the_microsecond_and_long_ones_are_cut(short_s, waited_s, now_s, received_bytes) -> None:
    came = read(whole(Ack(1, 2, short_s, 0.0, waited_s, now_s, received_bytes)))
    assert (came.received_bytes, came.now_s, came.waited_s) == (
        received_bytes,
        pytest.approx(now_s, abs=1e-6),
        pytest.approx(waited_s, abs=1e-6),
    )
    assert came.restore_s == pytest.approx(min(short_s, 4294.967295), abs=1e-6)


def test_an_errors_words_are_cut_and_read_whatever_they_are() -> None:
    assert len(read(whole(Error("é" * 3000))).text) == 1000
    assert read(raw(Kind.ERROR, b"a\xff")).text == "a\ufffd"


def missing_fields() -> Iterator[tuple[type[Message], str]]:
    for cls in of_form(Document):
        yield from ((cls, field.name) for field in cls.declared)


@pytest.mark.parametrize(("cls", "name"), [*missing_fields()], ids=str)
def test_a_document_without_a_field_is_refused_by_its_name(cls, name) -> None:
    told = told_by(EXAMPLES[cls.kind])
    del told[name]
    assert refusal(document(cls.kind, told)).startswith(f"{name} is missing: must be ")


def wrong_values() -> Iterator[tuple[type[Message], str, object]]:
    for cls in of_form(Document):
        for field in cls.declared:
            yield from ((cls, field.name, value) for value in JSON if not field.kind.fits(value))


@pytest.mark.parametrize(("cls", "name", "value"), [*wrong_values()], ids=lambda part: repr(part)[:20])
def test_a_documents_field_of_another_type_or_out_of_bounds_is_refused(cls, name, value) -> None:
    told = told_by(EXAMPLES[cls.kind])
    assert refusal(document(cls.kind, told | {name: value})).startswith(f"{name} = ")


@pytest.mark.parametrize("cls", of_form(Document))
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"9" * 5000, "it is not JSON"),
        (b"[]", "it is not a table"),
        (b"[" * 30_000, "it has more than 64 lists and tables"),
        (b"{}", "it speaks protocol None, this is 1; install the same pageferry on both sides"),
        (b'{"protocol": 1.0}', "it speaks protocol 1.0"),
        (b'{"protocol": true}', "it speaks protocol True"),
        (b'{"protocol": 2}', "it speaks protocol 2"),
    ],
    ids=lambda part: repr(part)[:20],
)
def test_what_is_no_document_of_ours_is_refused(cls, body, words) -> None:
    assert refusal(raw(cls.kind, body)).startswith(words)


@pytest.mark.parametrize("cls", of_form(Document))
def test_a_field_that_nobody_declared_is_refused(cls) -> None:
    assert refusal(document(cls.kind, told_by(EXAMPLES[cls.kind]) | {"x" * 99: 1})).startswith(
        "it has the unknown field 'xxx"
    )


def cut_lengths() -> Iterator[tuple[type[Message], int]]:
    for cls in of_form(Fixed):
        begins = accumulate((struct.calcsize(f"<{field.kind.code}") for field in cls.declared), initial=0)
        yield from ((cls, length) for length in (*begins, cls.packing.size + 1) if length != cls.packing.size)


@pytest.mark.parametrize(("cls", "length"), [*cut_lengths()], ids=str)
def test_a_message_of_fixed_length_without_its_last_fields_or_with_more_is_refused(cls, length) -> None:
    assert refusal(raw(cls.kind, bytes(length))) == f"a body of {length} bytes: must be {cls.packing.size}"


def out_of_bounds() -> Iterator[tuple[type[Message], int, int]]:
    for cls in of_form(Fixed):
        for at, field in enumerate(cls.declared):
            most = 1 << 8 * struct.calcsize(f"<{field.kind.code}")
            yield from ((cls, at, n) for n in NUMBERS if n < most and field.kind.fits and not field.kind.fits(n))


@pytest.mark.parametrize(("cls", "at", "value"), [*out_of_bounds()], ids=str)
def test_a_fixed_field_out_of_bounds_is_refused_by_its_name(cls, at, value) -> None:
    values = list(cls.packing.unpack(whole(EXAMPLES[cls.kind])[HEADER_BYTES:]))
    values[at] = value
    assert refusal(raw(cls.kind, cls.packing.pack(*values))).startswith(f"{cls.declared[at].name} = {value}: must be ")


def header_fields() -> Iterator[tuple[Kind, str]]:
    for cls in of_form(Control):
        yield from ((cls.kind, name) for name in Header._fields if name not in ("kind", "body_bytes", "body_digest"))


@pytest.mark.parametrize(("kind", "name"), [*header_fields()], ids=str)
def test_only_a_batch_has_fields_of_a_batch(kind, name) -> None:
    _, body = EXAMPLES[kind].frame()
    frame = raw(kind, bytes(body[0]), **{name: 1})
    assert refusal(frame) == "its header has fields of a batch: must be 0"


def batch_fields() -> Iterator[tuple[str, int]]:
    for field in Batch.checked:
        most = 1 << 8 * struct.calcsize(f"<{field.kind.code}")
        yield from ((field.name, number) for number in NUMBERS if number < most and not field.kind.fits(number))


@pytest.mark.parametrize(("name", "value"), [*batch_fields()], ids=str)
def test_a_batchs_field_out_of_bounds_is_refused_by_its_name(name, value) -> None:
    header, body = EXAMPLES[Kind.BATCH].frame()
    frame = encode_header(header._replace(**{name: value})) + body[0]
    assert refusal(frame).startswith(f"{name} = {value}: must be ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"raw_bytes": 4}, "a stored slice of 4 bytes travels as 3"),
        ({"layout": 1, "raw_bytes": 1, "body_bytes": 8455170}, "a slice of 1 bytes travels as 8455170"),
        ({"plan_bytes": 4}, "a plan of 4 bytes"),
        ({"pages": 1 << 20}, "a plan of 0 bytes, 1048576 pages of 2\\^12 bytes: out of bounds"),
    ],
    ids=str,
)
def test_a_batchs_fields_must_fit_each_other(change, words) -> None:
    header, _ = EXAMPLES[Kind.BATCH].frame()
    with pytest.raises(WrongMessageError, match=words):
        Batch.require_possible(header._replace(**change))


@pytest.mark.parametrize("cls", [*MESSAGES.values()])
def test_a_size_is_checked_before_anything_is_allocated(cls) -> None:
    header, _ = EXAMPLES[cls.kind].frame()
    tracemalloc.start()
    with pytest.raises(WrongMessageError):
        cls.require_possible(header._replace(body_bytes=(1 << 32) - 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 16


@pytest.mark.parametrize("cls", [cls for cls in of_form(Control) if len(whole(EXAMPLES[cls.kind])) > HEADER_BYTES])
def test_a_damaged_body_is_noticed(cls) -> None:
    frame = bytearray(whole(EXAMPLES[cls.kind]))
    frame[-1] ^= 1
    assert refusal(bytes(frame)).endswith("bytes were damaged on the way")
