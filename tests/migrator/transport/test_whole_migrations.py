"""A migration between run_sender and run_receiver over each kind of transport, somebody else's too: nothing else has to change."""

from __future__ import annotations

from pathlib import Path

import pytest
import sample_streams
import toy_turned
import toy_two
from distributions import install
from pairs import Pair, carry

from harness.errors import UserError
from harness.migrator.transport.registry import endpoint_for_halves, endpoint_for_qemu

POINTS = "[pageferry.transports]\nturned = toy_turned:TurnedEndpoint\ntwo = toy_two:TwoEndpoint\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, "toys", POINTS)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("backend", ["zlib", "zstd-long", "auto"])
@pytest.mark.parametrize("meet", ["memory:halves", "unix:{}/meet", "turned:127.0.0.1:0", "two:127.0.0.1:0"])
def test_what_leaves_is_what_entered(tmp_path, meet, backend):
    data = sample_streams.small_stream(7, sections=12)
    with Pair(tmp_path, backend, meet=meet.format(tmp_path)) as pair:
        assert carry(pair, data, [1, 5000]) == data
    assert (pair.sender.error, pair.receiver.error) == (None, None)
    assert pair.sender.result.batches_digest == pair.receiver.result.batches_digest


@pytest.mark.parametrize("toy", [toy_turned, toy_two])
def test_a_transport_takes_little(toy):
    assert len([line for line in Path(toy.__file__).read_text().splitlines() if line]) <= 40


@pytest.mark.usefixtures("installed")
def test_one_that_encrypts_may_leave_the_machine_and_is_named_to_who_errs():
    assert endpoint_for_halves("turned:192.0.2.1:4", "--to")
    with pytest.raises(
        UserError, match=r"--to tls:x: write unix:PATH or tcp:HOST:PORT, or turned:\.\.\., or two:\.\.\."
    ):
        endpoint_for_halves("tls:x", "--to")
    with pytest.raises(UserError, match=r"--from turned:127\.0\.0\.1:4: write unix:PATH or tcp:HOST:PORT$"):
        endpoint_for_qemu("turned:127.0.0.1:4", "--from")
