"""Each codec thread's encoders: one for each choice, and for each channel of a codec that keeps history. Made when first used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from harness.migrator.carry.codec import Encoder, Job, Packed
from harness.migrator.carry.serial import Serial
from harness.migrator.choose.chooser import with_trial

_Key = tuple[int, bool, Serial | None]


class Encoders:
    """``open_encoder`` as ``Crew``'s; ``first``: the history of the first choice, which each thread opens at once. What trials do
    is not counted."""

    def __init__(self, open_encoder: Callable[[int, Serial | None], Encoder], first: Serial | None) -> None:
        self._open_encoder = open_encoder
        self._first = first
        self.counted: list[Encoder] = []

    def open_worker(self) -> tuple[Callable[[Job], Packed], Callable[[], None]]:
        """For one thread: how it compresses a batch, and closes what it opened."""
        mine: dict[_Key, Encoder] = {}

        def encoder(choice: int, serial: Serial | None = None, *, counted: bool = True) -> Encoder:
            key = (choice, counted, serial)
            if key not in mine:
                mine[key] = self._open_encoder(choice, serial)
                if counted:
                    self.counted.append(mine[key])
            return mine[key]

        def encode(job: Job) -> Packed:
            packed = encoder(job.choice, job.serial).encode(job)
            return packed if job.trial is None else with_trial(packed, encoder(job.trial, counted=False))

        def close() -> None:
            for each in mine.values():
                each.close()

        encoder(0, self._first)
        return encode, close

    def counters(self) -> dict[str, int | float]:
        """The backends' own, summed over each that compressed, once also where several threads share it."""
        return _summed(
            backend.counters() for backend in {id(each.backend): each.backend for each in self.counted}.values()
        )


def _summed(counters: Iterable[Mapping[str, int | float]]) -> dict[str, int | float]:
    total: dict[str, int | float] = {}
    for each in counters:
        for key, value in each.items():
            total[key] = total.get(key, 0) + value
    return total
