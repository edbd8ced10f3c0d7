"""Targets that read files of others: scenarios, hosts, results, certificates, recordings, settings, thresholds.

What is accepted is also used: a result becomes the table on the screen, a certificate its page, a recording its stream.
"""

from __future__ import annotations

import functools
import io
import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certificate_samples
import sample_streams
from recorded import save_recording
from report_samples import live
from rich.console import Console
from sample_reports import received, sent

import scenarios
from fuzz.target import Target, refused
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.document import WrongDocumentError, dumped, parsed
from harness.migrator.report import ReceiverReport, SenderReport
from harness.qualify.audit import audit
from harness.qualify.thresholds import load_thresholds
from harness.results import certificate, result
from harness.scenario.inventory import load_pairs
from harness.scenario.sweep import load_sweep
from harness.streams.recording import layout
from harness.streams.recording.reader import open_recording
from reports.certificate.page import render_certificate_comparison
from reports.terminal.summary import print_summary

__all__ = ["TARGETS"]

_SEALED = 1


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Of this process, until its end."""
    return tempfile.TemporaryDirectory(prefix="pageferry-fuzz-")


def _file(data: bytes, name: str) -> Path:
    path = Path(_folder().name) / name
    path.write_bytes(data)
    return path


# ---------------------------------------------------------------------------------------------------- TOML of a user


def _scenario(data: bytes) -> str | None:
    refused(lambda: load_sweep(_file(data, "mine.toml")))
    return None


def _scenario_seeds() -> list[bytes]:
    """Those of few cells: a sweep of many takes seconds."""
    found = [
        scenarios.find(name) for name in ("throttled", "native", "steps", "tls", "kubevirt-291", "guestperf-pause")
    ]
    return [path.read_bytes() for path in found if path is not None]


def _thresholds(data: bytes) -> str | None:
    refused(lambda: load_thresholds(_file(data, "lab.toml"), "software"))
    return None


def _hosts(data: bytes) -> str | None:
    refused(lambda: [(pair.port_range, pair.nics) for pair in load_pairs(_file(data, "hosts.toml")).values()])
    return None


def _host_seeds() -> list[bytes]:
    pair = b'source = "root@a"\ndestination = "b"\naddress = "10.0.0.2"\nports = "5000-5009"\nnic = "eth1"\n'
    return [
        b"[pair.lab]\n" + pair + b'destination_nic = "eth2"\nshape = true\nssh_config = "~/hosts"\n',
        b"[pair.x]\n" + pair,
    ]


def _threshold_seeds() -> list[bytes]:
    return [
        b"[software]\nlatency_p99_ms = {most = 5}\ncompress_mib_per_s = {least = 1.5, most = 2e3}\n[accelerator]\nratio = {}\n"
    ]


# --------------------------------------------------------------------------------------------- JSON that outlives us


def _document(load: Callable[[Path], Any], save: Callable[[Any, Path], None], data: bytes) -> str | None:
    """What is read can be saved, and is read as the same again."""
    found: list[Any] = []
    if refused(lambda: found.append(load(_file(data, "in.json")))):
        return None
    again = Path(_folder().name) / "again.json"
    save(found[0], again)
    return None if repr(load(again)) == repr(found[0]) else "it is not read as it was saved"


def _pages(data: bytes) -> str | None:
    """What is read can be shown: a result on the screen, a certificate (whose JSON has a "backend") as a page."""
    file = _file(data, "in.json")

    def show() -> None:
        if b'"backend"' in data[:40]:
            found = certificate.load_certificate(file)
            audit(found)
            render_certificate_comparison(found, found)
        else:
            print_summary(Console(file=io.StringIO(), width=120), result.load_result(file))

    refused(show)
    return None


def _result_seeds() -> list[bytes]:
    path = Path(_folder().name) / "seed.json"
    result.save_result(live(), path)
    whole = json.loads(path.read_bytes())
    methods = whole["scenario"]["methods"][:2]
    names = [method["name"] for method in methods]
    whole["scenario"]["methods"] = methods
    whole["runs"] = [{**run, "samples": run["samples"][:3]} for run in whole["runs"] if run["method"] in names][:6]
    whole["summary"] = {name: told for name, told in whole["summary"].items() if name in names}
    return [json.dumps(whole).encode()]


def _certificate_seeds() -> list[bytes]:
    path = Path(_folder().name) / "seed.json"
    certificate.save_certificate(certificate_samples.passing(), path)
    told = json.loads(path.read_bytes())
    for check in told["checks"]:
        check["data"] = {name: rows[:2] for name, rows in check["data"].items()}
    return [json.dumps(told).encode()]


_SETTINGS = (SendConfig, ReceiveConfig, SenderReport, ReceiverReport)


def _settings(data: bytes) -> str | None:
    """Of either half, and what either reports: what is taken comes back as it was."""
    cls, wrong = _SETTINGS[(data or b"\0")[0] % len(_SETTINGS)], None

    def read() -> None:
        nonlocal wrong
        found = parsed(cls, data[1:])
        if parsed(cls, dumped(found)) != found:
            wrong = f"{cls.__name__} does not come back as it was"

    refused(read, WrongDocumentError)
    return wrong


def _setting_seeds() -> list[bytes]:
    send = SendConfig(
        "unix:/run/a", "tcp:[::1]:4444", "zstd-long", level=3, threads=2, options={"window": "64MiB"}, downtime_s="shortest",
        qmp="unix:/run/q", socket_mode="0660",
    )  # fmt: skip
    examples = (send, ReceiveConfig("tcp:127.0.0.1:0", "unix:/run/b", threads=2, timeout_s=1.5), sent(), received())
    return [bytes([place]) + dumped(example) for place, example in enumerate(examples)]


# -------------------------------------------------------------------------------------------------------- recordings


def _recording(data: bytes) -> str | None:
    """The stream of a recording is as long as its index says, or it is refused. Flag 1: its blocks' sums are made right."""
    path = _file(_sealed(data[1:]) if data[:1] == bytes([_SEALED]) else data[1:], "in.pfs")
    wrong: str | None = None

    def read() -> None:
        nonlocal wrong
        recording = open_recording(path)
        stream_bytes = sum(map(len, recording.stream()))
        if stream_bytes != recording.index.facts.stream_bytes:
            wrong = f"{stream_bytes} bytes of stream, and the index says {recording.index.facts.stream_bytes}"

    refused(read)
    return wrong


def _sealed(data: bytes) -> bytes:
    """Blocks as far as there are any; then an index's place and an end mark, where they were."""
    out, at, index_at = bytearray(data[: layout.HEADER.size]), layout.HEADER.size, 0
    while at + layout.BLOCK.size <= len(data) - layout.TRAILER.size:
        kind, length, _ = layout.BLOCK.unpack_from(data, at)
        body = data[at + layout.BLOCK.size : min(at + layout.BLOCK.size + length, len(data) - layout.TRAILER.size)]
        index_at = len(out)
        out += struct.pack(">4sIQ", kind, len(body), layout.block_sum(kind, body)) + body
        at += layout.BLOCK.size + len(body)
    return bytes(out) + layout.trailer(index_at)


def _recording_seeds() -> list[bytes]:
    path, stream = Path(_folder().name) / "seed.pfs", sample_streams.small_stream(5, sections=1, records=2)
    plain = save_recording(path, stream, chunk_bytes=4000).read_bytes()
    return [bytes([0]) + plain, bytes([_SEALED]) + plain]


_RESULT = functools.partial(_document, result.load_result, result.save_result)
_CERTIFICATE = functools.partial(_document, certificate.load_certificate, certificate.save_certificate)

TARGETS = (
    Target("scenarios", _scenario, _scenario_seeds, text=True),
    Target("thresholds", _thresholds, _threshold_seeds, text=True),
    Target("hosts", _hosts, _host_seeds, text=True),
    Target("results", _RESULT, _result_seeds, text=True, most_bytes=1 << 16),
    Target("certificates", _CERTIFICATE, _certificate_seeds, text=True, most_bytes=1 << 16),
    Target("pages", _pages, lambda: _result_seeds() + _certificate_seeds(), text=True, most_bytes=1 << 16),
    Target("settings", _settings, _setting_seeds, text=True),
    Target("recordings", _recording, _recording_seeds),
)
