"""Addresses are checked where the user wrote them, and guest memory does not leave the machine unasked."""

from __future__ import annotations

import socket

import pytest

from harness.errors import MissingError, PeerError, UserError
from harness.migrator import address as addresses
from harness.migrator.address import Address, connect, parse_address, resolve


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:/run/x.sock", Address(path="/run/x.sock")),
        ("tcp:127.0.0.1:4444", Address(host="127.0.0.1", port=4444)),
        ("tcp:[::1]:0", Address(host="::1", port=0)),
        ("tcp:localhost:1", Address(host="localhost", port=1)),
        ("tcp:[fe80::2%mgmt0]:4444", Address(host="fe80::2%mgmt0", port=4444)),
        ("tcp:[fe80::2%br-mgmt]:4444", Address(host="fe80::2%br-mgmt", port=4444)),
    ],
)
def test_addresses_are_read_and_written_alike(text, expected):
    assert parse_address(text, "--to") == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    ["", "unix:", "tcp:1.2.3.4", "tcp:host:99999", "tcp:host:x", "/path", "tcp:::1:5", "udp:a:1", "tcp:[name]:1"],
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
        resolve(address, "--to")
    assert resolve(address, "--to", insecure=True).places[0][1][0] == address.host


@pytest.mark.parametrize("text", ["tcp:127.0.0.1:1", "tcp:127.9.9.9:1", "tcp:[::1]:1", "unix:/x"])
def test_loopback_is_private(text):
    assert resolve(parse_address(text, "--to"), "--to").places


def test_an_address_of_one_interface_means_that_interface():
    endpoint = resolve(parse_address("tcp:[fe80::1%lo]:4444", "--to"), "--to", insecure=True)
    assert endpoint.places == ((socket.AF_INET6, ("fe80::1", 4444, 0, socket.if_nametoindex("lo"))),)


@pytest.mark.parametrize("insecure", [True, False])
def test_an_address_of_one_interface_needs_it_named(insecure):
    with pytest.raises(UserError, match=r"--to tcp:\[fe80::1\]:4444: .*name it .*tcp:\[fe80::1%eth0\]:4444"):
        resolve(parse_address("tcp:[fe80::1]:4444", "--to"), "--to", insecure=insecure)


def test_an_interface_that_there_is_not_is_the_users_error():
    with pytest.raises(UserError, match=r"--to tcp:\[fe80::1%nosuch0\]:4444: .*ip address"):
        resolve(parse_address("tcp:[fe80::1%nosuch0]:4444", "--to"), "--to", insecure=True)


def named(*hosts):
    """Stands for a name server that has these for every name, and counts."""
    asked = []

    def look_up(host, port, *_, **__):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    return look_up, asked


def test_a_name_must_mean_this_machine_alone(monkeypatch):
    look_up, _ = named("127.0.0.1", "192.0.2.1")
    monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)
    with pytest.raises(UserError, match="not a loopback address"):
        resolve(Address(host="here", port=1), "--to")


def test_what_was_checked_is_what_is_connected_to(monkeypatch):
    with socket.create_server(("127.0.0.2", 0)) as server:
        look_up, asked = named("127.0.0.2")
        monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)
        endpoint = resolve(Address(host="here", port=server.getsockname()[1]), "--to")
        with connect(endpoint, "start it", 5), server.accept()[0]:
            assert asked == ["here"]


def test_a_name_with_several_addresses_is_tried_at_each(monkeypatch):
    with socket.create_server(("127.0.0.3", 0)) as server:
        look_up, _ = named("127.0.0.2", "127.0.0.3")
        monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)
        with connect(resolve(Address(host="here", port=server.getsockname()[1]), "--to"), "start it", 5):
            pass


def test_nobody_there_says_what_to_start(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = Address(host="127.0.0.1", port=unused.getsockname()[1])
        with pytest.raises(PeerError, match="Connection refused; start it first"):
            connect(resolve(address, "--to"), "start it first", 2)
    with pytest.raises(MissingError, match="no such socket; start it first"):
        connect(resolve(Address(path=str(tmp_path / "none")), "--to"), "start it first", 2)


def test_a_connection_to_itself_is_nobody(monkeypatch):
    class FromThere(socket.socket):
        def connect(self, place):
            self.bind(place)
            super().connect(place)

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = Address(host="127.0.0.1", port=unused.getsockname()[1])
    monkeypatch.setattr(addresses.socket, "socket", FromThere)
    with pytest.raises(PeerError, match="Connection refused; start it first"):
        connect(resolve(address, "--to"), "start it first", 2)


def test_a_socket_that_may_not_be_used_is_told_as_that(tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(addresses, "reach", denied)
    endpoint = resolve(Address(path=str(tmp_path / "d")), "--to")
    with pytest.raises(PeerError, match="Permission denied; run this as the user that owns the socket") as caught:
        connect(endpoint, "start the destination QEMU first", 2)
    assert "start the destination" not in str(caught.value)
