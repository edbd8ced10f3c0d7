"""Settings and reports as JSON: what goes in comes out, and what cannot be is one line that says what and what else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.api import MAX_BATCH_BYTES
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.document import WrongDocumentError, dumped, from_document, parsed, to_document

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MODE = st.from_regex("0?[0-7]{3}", fullmatch=True)
THREADS = st.none() | st.integers(1, 256)
TIMES = st.floats(1e-6, 1e9)
SCALAR = st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
SOCKET = {"socket_mode": st.none() | MODE, "socket_owner": st.none() | TEXT, "socket_group": st.none() | TEXT}
LINK = SOCKET | {
    "tls": st.none() | TEXT,
    "token_file": st.none() | TEXT,
    "tls_peer": st.none() | st.from_regex("[a-z0-9:]{1,9}", fullmatch=True),
}
SENT = st.builds(
    SendConfig, TEXT, TEXT, TEXT, level=st.none() | st.integers(), threads=THREADS, decompress_threads=THREADS,
    batch_bytes=st.none() | st.integers(16 << 10, MAX_BATCH_BYTES),
    inflight_bytes=st.none() | st.integers(1), options=st.dictionaries(TEXT, SCALAR),
    fallback=st.none() | TEXT, qmp=st.none() | TEXT, downtime_s=st.none() | TIMES | st.just("shortest"), wait_s=TIMES,
    insecure=st.booleans(), without_return_path=st.booleans(), **LINK,
)  # fmt: skip
RECEIVED = st.builds(
    ReceiveConfig, TEXT, TEXT, threads=THREADS, timeout_s=st.none() | TIMES, wait_s=TIMES, insecure=st.booleans(), **LINK
)  # fmt: skip
LEAST = {"source": "unix:/s", "target": "tcp:h:1", "backend": "zstd"}


def typed(options):
    return {name: (type(value), value) for name, value in options.items()}


@given(SENT)
def test_a_senders_settings_come_out_as_they_went_in(config):
    again = parsed(SendConfig, dumped(config))
    assert again == config
    assert typed(again.options) == typed(config.options)  # True == 1 == 1.0


@given(RECEIVED)
def test_a_receivers_settings_come_out_as_they_went_in(config):
    assert parsed(ReceiveConfig, dumped(config)) == config


def test_what_a_document_leaves_out_is_as_by_default():
    assert from_document(SendConfig, LEAST) == SendConfig("unix:/s", "tcp:h:1", "zstd")


def test_settings_are_named_by_their_fields():
    assert to_document(ReceiveConfig("a", "b", socket_mode="0660")) == {
        "listen": "a", "target": "b", "threads": None, "timeout_s": None, "wait_s": 60.0, "linger_s": 60.0, "insecure": False,
        "max_channels": 17, "tls": None, "tls_peer": None, "token_file": None, "socket_mode": "0660", "socket_owner": None,
        "socket_group": None, "qmp": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"thread": 3}, "'thread': unknown key; did you mean 'threads'? known: socket_mode, "),
        ({"threads": "3"}, 'threads = "3": must be a whole number'),
        ({"threads": True}, "threads = true: must be a whole number"),
        ({"threads": 2.0}, "threads = 2.0: must be a whole number"),
        ({"threads": 0}, "threads = 0: must be from 1 to 256"),
        ({"threads": 257}, "threads = 257: must be from 1 to 256"),
        ({"batch_bytes": 0}, "batch_bytes = 0: must be from 16384 to 4194304"),
        ({"backend": None}, "backend = null: must be text"),
        ({"wait_s": None}, "wait_s = null: must be a number"),
        ({"wait_s": 0}, "wait_s = 0.0: must be at least 1e-06"),
        ({"wait_s": "60s"}, 'wait_s = "60s": must be a number'),
        ({"wait_s": float("inf")}, "wait_s = Infinity: must be a number"),
        ({"wait_s": 1 << 2000}, "must be a number"),
        ({"downtime_s": float("nan")}, "downtime_s = NaN: must be a number"),
        ({"downtime_s": "short"}, "downtime_s = \"short\": must be a number or 'shortest'"),
        ({"downtime_cost_share": 1.5}, "downtime_cost_share = 1.5: must be from 0.0 to 1.0"),
        ({"insecure": "yes"}, 'insecure = "yes": must be true or false'),
        ({"options": ["a=1"]}, 'options = ["a=1"]: must be a table'),
        ({"options": {"a": [1]}}, "options.a = [1]: must be true or false or a whole number or a number or text"),
        ({"socket_mode": "1777"}, 'socket_mode = "1777": write a mode as chmod does, such as 0660'),
        ({"socket_mode": 660}, "socket_mode = 660: must be text"),
        ({"qmp": "x" * 200, "level": "y" * 200}, 'level = "yyyyyyyyyy'),
    ],
)
def test_what_cannot_be_is_one_line(wrong, line):
    with pytest.raises(WrongDocumentError) as caught:
        from_document(SendConfig, LEAST | wrong)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_no_batch_may_be_larger_than_backends_take():
    with pytest.raises(WrongDocumentError, match=f"must be from 16384 to {MAX_BATCH_BYTES}$"):
        from_document(SendConfig, LEAST | {"batch_bytes": MAX_BATCH_BYTES + 1})


@pytest.mark.parametrize("name", LEAST)
def test_a_setting_without_a_default_has_to_be_there(name):
    with pytest.raises(WrongDocumentError, match=f"^{name}: is missing; add it$"):
        from_document(SendConfig, {key: value for key, value in LEAST.items() if key != name})


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b"null", b"3", json.dumps([LEAST]).encode()])
def test_what_is_no_table_is_one_line(text):
    with pytest.raises(WrongDocumentError, match=r"not JSON: |must be a table"):
        parsed(SendConfig, text)
