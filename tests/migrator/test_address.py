"""Addresses are checked where the user wrote them, and guest memory does not leave the machine unasked."""

from __future__ import annotations

import socket

import pytest

from harness.errors import MissingError, PeerError, UserError
from harness.migrator.address import Address, connect, listen, parse_address, require_private


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:/run/x.sock", Address(path="/run/x.sock")),
        ("tcp:127.0.0.1:4444", Address(host="127.0.0.1", port=4444)),
        ("tcp:[::1]:0", Address(host="::1", port=0)),
        ("tcp:localhost:1", Address(host="localhost", port=1)),
    ],
)
def test_addresses_are_read_and_written_alike(text, expected):
    assert parse_address(text, "--to") == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text", ["", "unix:", "tcp:1.2.3.4", "tcp:host:99999", "tcp:host:x", "/path", "tcp:::1:5", "udp:a:1"]
)
def test_a_bad_address_names_option_value_and_form(text):
    with pytest.raises(UserError, match=r"--to .*write unix:PATH or tcp:HOST:PORT"):
        parse_address(text, "--to")


def test_a_path_too_long_for_a_socket_says_how_long_it_may_be():
    with pytest.raises(UserError, match="at most 107 bytes, this one 120"):
        parse_address("unix:/" + "x" * 119, "--from")


@pytest.mark.parametrize("text", ["tcp:192.0.2.1:4444", "tcp:0.0.0.0:4444", "tcp:[2001:db8::1]:1"])
def test_beyond_loopback_needs_insecure_and_says_why(text):
    address = parse_address(text, "--to")
    with pytest.raises(UserError, match=r"unencrypted .*--insecure"):
        require_private(address, "--to", insecure=False)
    require_private(address, "--to", insecure=True)


@pytest.mark.parametrize("text", ["tcp:127.0.0.1:1", "tcp:127.9.9.9:1", "tcp:[::1]:1", "unix:/x"])
def test_loopback_is_private(text):
    require_private(parse_address(text, "--to"), "--to", insecure=False)


def test_a_port_in_use_is_one_clear_error():
    with listen(Address(host="127.0.0.1", port=0), "--listen") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError, match=f"--listen tcp:127.0.0.1:{port}: cannot listen there: Address already in use"
        ):
            listen(Address(host="127.0.0.1", port=port), "--listen")


def test_a_leftover_socket_file_is_replaced_but_a_live_one_is_not(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(path)
    with listen(Address(path=path), "--from"), pytest.raises(UserError, match="Address already in use"):
        listen(Address(path=path), "--from")


def test_an_ordinary_file_is_never_removed(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(UserError, match="Address already in use"):
        listen(Address(path=str(path)), "--from")
    assert path.read_text() == "data"


def test_nobody_there_says_what_to_start(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = Address(host="127.0.0.1", port=unused.getsockname()[1])
        with pytest.raises(PeerError, match="Connection refused; start it first"):
            connect(address, "--to", "start it first", 2)
    with pytest.raises(MissingError, match="no such socket; start it first"):
        connect(Address(path=str(tmp_path / "none")), "--to", "start it first", 2)
