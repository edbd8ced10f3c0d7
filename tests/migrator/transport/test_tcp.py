"""Addresses are checked where the user wrote them, and guest memory does not leave the machine unasked."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from harness.errors import MissingError, PeerError, UserError
from harness.migrator.transport import sockets, tcp
from harness.migrator.transport.contract import Access
from harness.migrator.transport.registry import endpoint_for_halves, endpoint_for_qemu
from harness.migrator.transport.sockets import SocketEndpoint


@pytest.mark.parametrize(
    "text",
    ["tcp:127.0.0.1:4444", "tcp:[::1]:0", "tcp:localhost:1", "tcp:[fe80::2%lo]:4444", "unix:/run/x.sock"],
)
def test_an_address_is_told_as_it_was_written(text):
    assert str(endpoint_for_qemu(text, "--to", insecure=True)) == f"--to {text}"


@pytest.mark.parametrize(
    "text",
    ["", "unix:", "tcp:1.2.3.4", "tcp:host:99999", "tcp:host:x", "/path", "tcp:::1:5", "udp:a:1", "tcp:[name]:1"],
)
def test_a_bad_address_names_option_value_and_form(text):
    for endpoint in (endpoint_for_halves, endpoint_for_qemu):
        with pytest.raises(UserError, match=r"--to .*write unix:PATH or tcp:HOST:PORT"):
            endpoint(text, "--to")


def test_a_path_too_long_for_a_socket_says_how_long_it_may_be():
    with pytest.raises(UserError, match="at most 107 bytes, this one 120"):
        endpoint_for_qemu("unix:/" + "x" * 119, "--from")


@pytest.mark.parametrize("text", ["tcp:192.0.2.1:4444", "tcp:0.0.0.0:4444", "tcp:[2001:db8::1]:1"])
def test_beyond_loopback_needs_insecure_and_says_why(text):
    with pytest.raises(UserError, match=r"unencrypted .*--insecure"):
        endpoint_for_halves(text, "--to")
    assert endpoint_for_qemu(text, "--to", insecure=True).places[0][1][0] in text


@pytest.mark.parametrize("text", ["tcp:127.0.0.1:1", "tcp:127.9.9.9:1", "tcp:[::1]:1", "unix:/x"])
def test_loopback_is_private(text):
    assert endpoint_for_qemu(text, "--to").places


def test_an_address_of_one_interface_means_that_interface():
    endpoint = endpoint_for_qemu("tcp:[fe80::1%lo]:4444", "--to", insecure=True)
    assert endpoint.places == ((socket.AF_INET6, ("fe80::1", 4444, 0, socket.if_nametoindex("lo"))),)


@pytest.mark.parametrize("insecure", [True, False])
def test_an_address_of_one_interface_needs_it_named(insecure):
    with pytest.raises(UserError, match=r"--to tcp:\[fe80::1\]:4444: .*name it .*tcp:\[fe80::1%eth0\]:4444"):
        endpoint_for_qemu("tcp:[fe80::1]:4444", "--to", insecure=insecure)


def test_an_interface_that_there_is_not_is_the_users_error():
    with pytest.raises(UserError, match=r"--to tcp:\[fe80::1%nosuch0\]:4444: .*ip address"):
        endpoint_for_qemu("tcp:[fe80::1%nosuch0]:4444", "--to", insecure=True)


def named(*hosts):
    """Stands for a name server that has these for every name, and counts."""
    asked = []

    def look_up(host, port, *_, **__):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    return look_up, asked


def test_a_name_must_mean_this_machine_alone(monkeypatch):
    look_up, _ = named("127.0.0.1", "192.0.2.1")
    monkeypatch.setattr(tcp.socket, "getaddrinfo", look_up)
    with pytest.raises(UserError, match="not a loopback address"):
        endpoint_for_qemu("tcp:here:1", "--to")


def test_what_was_checked_is_what_is_connected_to(monkeypatch):
    with socket.create_server(("127.0.0.2", 0)) as server:
        look_up, asked = named("127.0.0.2")
        monkeypatch.setattr(tcp.socket, "getaddrinfo", look_up)
        endpoint = endpoint_for_qemu(f"tcp:here:{server.getsockname()[1]}", "--to")
        with endpoint.connect("start it", 5), server.accept()[0]:
            assert asked == ["here"]


def test_a_name_with_several_addresses_is_tried_at_each(monkeypatch):
    with socket.create_server(("127.0.0.3", 0)) as server:
        look_up, _ = named("127.0.0.2", "127.0.0.3")
        monkeypatch.setattr(tcp.socket, "getaddrinfo", look_up)
        with endpoint_for_qemu(f"tcp:here:{server.getsockname()[1]}", "--to").connect("start it", 5):
            pass


def test_nobody_there_says_what_to_start(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp:127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(PeerError, match="Connection refused; start it first"):
            endpoint_for_qemu(address, "--to").connect("start it first", 2)
    with pytest.raises(MissingError, match="no such socket; start it first"):
        endpoint_for_qemu(f"unix:{tmp_path}/none", "--to").connect("start it first", 2)


def test_a_connection_to_itself_is_nobody(monkeypatch):
    class FromThere(socket.socket):
        def connect(self, place):
            self.bind(place)
            super().connect(place)

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp:127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setattr(sockets.socket, "socket", FromThere)
    with pytest.raises(PeerError, match="Connection refused; start it first"):
        endpoint_for_qemu(address, "--to").connect("start it first", 2)


def test_a_socket_that_may_not_be_used_is_told_as_that(tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(SocketEndpoint, "reach", denied)
    endpoint = endpoint_for_qemu(f"unix:{tmp_path}/d", "--to")
    with pytest.raises(PeerError, match="Permission denied; run this as the user that owns the socket") as caught:
        endpoint.connect("start the destination QEMU first", 2)
    assert "start the destination" not in str(caught.value)


def test_a_port_in_use_is_one_clear_error():
    with endpoint_for_qemu("tcp:127.0.0.1:0", "--listen").listen() as taken:
        port = taken.address.rpartition(":")[2]
        with pytest.raises(
            UserError, match=f"--listen tcp:127.0.0.1:{port}: cannot listen there: Address already in use; `ss"
        ):
            endpoint_for_qemu(taken.address, "--listen").listen()


@pytest.mark.parametrize(
    ("text", "bound"),
    [("tcp:*:0", "tcp:127.0.0.1:"), ("tcp:localhost:0", "tcp:127.0.0.1:"), ("tcp:[::1]:0", "tcp:[::1]:")],
)
def test_what_is_told_is_what_is_bound(text, bound):
    with endpoint_for_qemu(text, "--listen").listen() as listener:
        assert listener.address.startswith(bound)
        assert not listener.address.endswith(":0")
        endpoint_for_qemu(listener.address, "--to").reach(5).close()


@pytest.mark.parametrize("access", [Access(), Access(owner="root")])
def test_a_files_access_means_nothing_to_a_port(access):
    with pytest.raises(
        UserError, match=r"--from tcp:127.0.0.1:0: --socket-mode.* has none; leave them out, or write unix"
    ):
        endpoint_for_qemu("tcp:127.0.0.1:0", "--from").listen(access)


def test_the_kernel_tells_of_the_way_to_the_peer():
    with endpoint_for_halves("tcp:127.0.0.1:0", "--listen").listen() as listener:
        near = endpoint_for_halves(listener.address, "--to").dial(5)
        far = listener.accept()
        with closing(near), closing(far):
            assert (near.unsent_bytes(), near.peer_silence_s()) == (0, 0.0)
            with pytest.raises(TimeoutError):
                near.send_parts([bytes(16 << 20)], 0.01)
            assert near.unsent_bytes() > 0
            assert 0 < near.path().shortest_round_trip_s < 1
            assert near.path().bytes_per_s > 0
