"""DEFLATE on an OpenCL device, as a backend. Raw deflate, one stream per batch, so that any host restores it in software."""

from __future__ import annotations

from collections.abc import Mapping

from backends.api import MAX_BATCH_BYTES, Backend, BackendError, BackendInfo, BackendUnavailable, Buffer
from backends.inflate import inflate
from backends.opencl.counters import COUNTERS
from backends.opencl.devices import ENVIRONMENT, DeviceConfig
from backends.opencl.errors import OpenclError, OpenclMissing
from backends.opencl.launch import FINAL_BLOCK
from backends.opencl.offload import Offload, OffloadConfig
from backends.opencl.probe import probe_in_child
from backends.opencl.sharing import acquire, release
from backends.restore import decoder_version, new_inflater

_BLOCKS = {"4KiB": 4096, "64KiB": 65536}
_STYLES = ("wi", "wg", "task")
_TIMEOUT_MS = 150
"""Leaves 50 ms of the 200 within which a lost device must cost a batch of up to 1 MiB no more. PoCL on a 2-core AMD EPYC,
3 threads, 1 MiB, 2026-11-24: the slowest of 13533 batches took 83 ms; beside two busy loops of nice 19 130 ms, n=10456; beside
two of nice 0 three of 11058 were late. That is how such a machine schedules: there a bare exchange between two processes took
up to 1.3 s. A false alarm costs a new worker, about 0.5 s of fallback."""

_VERIFY_EVERY = 64
"""Costs 3 % of the CPU time of PoCL's compression (same machine and day, n=15); verifying all halves its speed."""

_SLOTS = 3
"""One batch each on its way to the device, in the kernel, and on its way back. With PoCL on 2 cores, which has no ways, 3 threads
on 1, 2 and 3 slots reached 0.80, 0.92 and 0.91 of the kernel alone (same machine and day, n=15)."""


class OpenclBackend(Backend):
    """One codec thread's view of a device that all share. A batch that the device fails at is a ``BackendError``.

    Options: ``device`` (``opencl:PLATFORM:DEVICE``, ``gpu``, ``accelerator``, ``cpu``), ``binary`` (a saved program), ``block``
    (4KiB or 64KiB), ``style`` (wi, wg, task), ``timeout_ms`` (of a batch of up to 1 MiB), ``verify_every`` (1: all batches are
    restored and compared before they are used), ``slots`` (batches under way at once).
    """

    info = BackendInfo(
        name="opencl",
        device="opencl",
        # The whole path against the kernel alone, 1, 2, 4 MiB: 0.85, 0.89, 0.91 with blocks of 64 KiB, 0.87, 0.92, 0.93 with 4 KiB
        # (PoCL, 3 threads, 2-core AMD EPYC, 2026-11-24, n=7). Larger ones are longer under way when the guest waits.
        batch_bytes=2 << 20,
        # ISA-L inflates 1 MiB in 1.2 ms, PoCL deflates it in 3.4 ms of CPU time: 0.35. A card is faster, and will need more.
        # 2-core AMD EPYC, 2026-11-24, n=50.
        decompress_share=0.5,
        format="deflate",
        needs="pyopencl",
        extra="opencl",
        faults=("death", "stall", "wrong-data"),
        options=("device", "binary", "block", "style", "timeout_ms", "verify_every", "slots"),
    )

    def __init__(self, level: int | None = None, **options: object) -> None:
        """:raises BackendError: an option that nobody knows, or a value that it cannot have."""
        super().__init__(level, **options)
        self._config = OffloadConfig(
            DeviceConfig(
                device=self._text("device"),
                binary=self._text("binary"),
                block_bytes=self._block_bytes(),
                style=self._style(),
            ),
            slots=self._whole("slots", _SLOTS, 1, 16),
            limit_s=self._whole("timeout_ms", _TIMEOUT_MS, 1, 3_600_000) / 1000,
            verify_every=self._whole("verify_every", _VERIFY_EVERY, 1, 1 << 30),
        )
        self._counts: dict[str, int | float] = dict.fromkeys(COUNTERS, 0)
        self._offload: Offload | None = None
        self._holds = False

    @classmethod
    def probe(cls) -> str:
        """The device that works here, a CPU if there is no other. It has compressed a little, in a process of its own."""
        try:
            rows = probe_in_child(DeviceConfig(cpu_allowed=True))
        except OpenclMissing as exc:
            raise BackendUnavailable(cls.info.name, exc.missing, exc.remedy) from exc
        except OpenclError as exc:
            raise BackendUnavailable(cls.info.name, str(exc), "fix its driver, or use another backend") from exc
        row = next(row for row in rows if row.chosen)
        on_request = ", only where device = cpu asks for it" if row.type == "CPU" else ""
        return f"{row.version}, driver {row.driver}: {row.name} ({row.type}{on_request})"

    @classmethod
    def probe_decoder(cls) -> str:
        """The library that restores."""
        return decoder_version()

    def open(self) -> None:
        """Start the device's worker process, if no other instance has, and wait until it has passed its self-test."""
        try:
            self._shared().wait_started()
        except OpenclMissing as exc:
            here = "(CPU)" in exc.missing and self._config.device.device is None
            remedy = f"{exc.remedy}: --option device=cpu, or {ENVIRONMENT}=cpu" if here else exc.remedy
            raise BackendUnavailable(self.info.name, exc.missing, remedy) from exc
        except OpenclError as exc:
            raise self._error(str(exc)) from exc

    def compress(self, data: Buffer) -> bytes:
        """One raw deflate stream."""
        batch = memoryview(data).cast("B")
        if len(batch) > MAX_BATCH_BYTES:
            raise self._error(f"cannot compress {len(batch)} bytes: a batch has 0..{MAX_BATCH_BYTES}")
        if not batch:
            return FINAL_BLOCK
        try:
            return self._shared().compress(batch, self._counts)
        except OpenclError as exc:
            raise self._error(str(exc)) from exc

    def decompress(self, data: Buffer, raw_bytes: int) -> bytes:
        """One raw deflate stream back, in software."""
        self._checked_raw_bytes(raw_bytes)
        return inflate(self.info, *new_inflater(), data, raw_bytes)

    def counters(self) -> Mapping[str, int | float]:
        """See ``counters.COUNTERS``. Asked for after the last batch, by one thread at a time."""
        if self._offload is not None:
            self._offload.claim(self._counts)
        return {f"offload_{name}": value for name, value in self._counts.items()}

    def identity(self) -> Mapping[str, str]:
        """As the open device tells it; a saved program is a card's bitstream."""
        try:
            told = self._shared().worker().identity
        except OpenclError as exc:
            raise self._error(str(exc)) from exc
        names = {"binary_sha256": "bitstream_sha256"}
        words = {True: "yes", False: "no"}
        return {
            names.get(name, name): words[value] if isinstance(value, bool) else str(value)
            for name, value in told.items()
            if value is not None
        }

    def inject(self, fault: str) -> None:
        """Into the worker of all instances that share the device."""
        if fault not in self.info.faults:
            raise self._error(f"cannot inject {fault!r}; known: {', '.join(self.info.faults)}")
        try:
            self._shared().worker().inject(fault)
        except OpenclError as exc:
            raise self._error(str(exc)) from exc

    def close(self) -> None:
        """The last instance's ends the worker."""
        if self._holds and self._offload is not None:
            self._holds = False
            release(self._offload)

    def _shared(self) -> Offload:
        if self._offload is None or not self._holds or self._offload.is_inherited:
            self._offload = acquire(self._config)
            self._holds = True
        return self._offload

    # ------------------------------------------------------------------ options

    def _text(self, name: str) -> str | None:
        value = self.options.get(name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self._wrong(name, "text")
        return value

    def _style(self) -> str | None:
        style = self._text("style")
        if style is not None and style not in _STYLES:
            raise self._wrong("style", f"one of {', '.join(_STYLES)}")
        return style

    def _block_bytes(self) -> int:
        value = self.options.get("block", "64KiB")
        if isinstance(value, str) and value in _BLOCKS:
            return _BLOCKS[value]
        if not isinstance(value, int) or value not in _BLOCKS.values():
            raise self._wrong("block", f"one of {', '.join(_BLOCKS)}")
        return value

    def _whole(self, name: str, default: int, low: int, high: int) -> int:
        value = self.options.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(name, f"a whole number from {low} to {high}")
        return value

    def _wrong(self, name: str, wanted: str) -> BackendError:
        return self._error(f"option {name} = {self.options[name]!r}: must be {wanted}")
