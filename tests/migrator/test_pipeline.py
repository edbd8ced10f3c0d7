"""Order is kept, the window bounds, and one failed thread stops all of them and reaches the caller."""

from __future__ import annotations

import threading
import time

import pytest

from harness.migrator.carry import pipeline
from harness.migrator.carry.pipeline import Failure, OrderedPipeline, Window, Workers, spawn


def make(work, deliver, workers=4, on_failure=lambda: None):
    return begun(Workers("test", workers, lambda: (work, lambda: None), Failure(on_failure)), deliver)


def begun(workers, deliver):
    workers.start()
    pipeline = OrderedPipeline(workers, deliver)
    pipeline.start()
    return pipeline, workers


def test_results_are_delivered_in_the_order_of_submission():
    seen: list[int] = []

    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item

    pipeline, workers = make(work, seen.append)
    for item in range(60):
        pipeline.submit(item)
    pipeline.stop()
    pipeline.join()
    workers.join()
    assert seen == list(range(60))


def test_pipelines_that_share_their_workers_keep_an_order_each():
    seen: list[list[int]] = [[], [], []]
    first, workers = make(lambda item: item, seen[0].append, workers=2)
    pipelines = [first, *(OrderedPipeline(workers, each.append) for each in seen[1:])]
    for other in pipelines[1:]:
        other.start()
    for item in range(40):
        for number, each in enumerate(pipelines):
            each.submit(100 * number + item)
    for each in pipelines:
        each.stop()
        each.join()
    workers.join()
    assert seen == [[100 * number + item for item in range(40)] for number in range(3)]


def test_what_is_urgent_waits_for_no_room():
    window = Window(1000)
    urgent = window.beside(lambda: False, unbounded=True)
    assert window.acquire(1000)
    assert urgent.acquire(500)
    assert urgent.acquire(500)
    assert window.all_in_flight_bytes == 2000


def test_what_is_hurried_passes_sooner_and_once():
    window = Window(1 << 20)
    other = window.beside(lambda: False)
    assert other.acquire(1 << 20)
    assert window.acquire(1000)  # of each one batch
    assert not window.has_room(200_000)
    window.hurry()
    assert (window.has_room(200_000), other.has_room(200_000), window.has_room(2 << 20)) == (True, False, False)
    for _ in range(2):  # what a socket holds, in whole batches
        assert window.acquire(200_000)
    assert not window.has_room(200_000)


@pytest.mark.parametrize("place", ["work", "deliver", "open"])
def test_a_failure_anywhere_reaches_the_caller_and_ends_every_thread(place):
    before = set(threading.enumerate())
    stopped = threading.Event()

    def fail(where: str, item: int) -> int:
        if place == where and item == 5:
            raise RuntimeError(f"planted in {where}")
        return item

    def open_worker():
        if place == "open":
            raise RuntimeError("planted in open")
        return (lambda item: fail("work", item)), (lambda: None)

    failure = Failure(lambda: (stopped.set(), pipeline.stop()))
    workers = Workers("test", 3, open_worker, failure)
    pipeline = OrderedPipeline(workers, lambda item: fail("deliver", item))
    pipeline.start()
    workers.start()
    for item in range(20):
        pipeline.submit(item)
    pipeline.stop()
    with pytest.raises(RuntimeError, match=f"planted in {place}"):
        pipeline.join()
    workers.join()
    assert stopped.is_set()
    assert set(threading.enumerate()) <= before


def test_a_worker_that_cannot_be_opened_keeps_nobody_waiting_for_what_was_queued_before():
    queued = threading.Event()

    def open_worker():
        queued.wait()
        raise RuntimeError("planted in open")

    failure = Failure(lambda: None)
    pipeline, workers = begun(Workers("test", 1, open_worker, failure), lambda _: None)
    pipeline.submit(0)
    pipeline.stop()
    queued.set()
    joined = spawn("join", workers.join, Failure(lambda: None))
    joined.join(timeout=120)
    assert not joined.is_alive()
    assert str(failure.error) == "planted in open"


def test_every_worker_is_closed_once():
    closed: list[int] = []
    workers = Workers("test", 5, lambda: ((lambda i: i), lambda: closed.append(1)), Failure(lambda: None))
    pipeline, _ = begun(workers, lambda _: None)
    pipeline.stop()
    pipeline.join()
    workers.join()
    assert len(closed) == 5


def test_only_the_first_failure_is_kept():
    calls: list[int] = []
    failure = Failure(lambda: calls.append(1))
    failure.set(ValueError("first"))
    failure.set(ValueError("second"))
    with pytest.raises(ValueError, match="first"):
        failure.check()
    assert calls == [1]


def test_a_spawned_thread_hands_its_exception_over():
    failure = Failure(lambda: None)
    spawn("dies", lambda: (_ for _ in ()).throw(OSError("planted")), failure).join()
    assert isinstance(failure.error, OSError)


def test_the_window_blocks_until_bytes_arrive_and_always_lets_one_batch_pass():
    window = Window(100)
    assert window.acquire(500)
    waited = threading.Event()

    def second() -> None:
        window.acquire(60)
        waited.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not waited.wait(0.05)
    window.release(500)
    assert waited.wait(120)
    thread.join()
    assert (window.in_flight_bytes, window.peak_bytes) == (60, 500)


def test_closing_the_window_wakes_who_waits():
    window = Window(10)
    window.acquire(10)
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(window.acquire(10)))
    thread.start()
    window.close()
    thread.join(timeout=120)
    assert results == [False]


def test_a_full_window_lets_the_rest_through_once_the_other_end_has_gone():
    gone = threading.Event()
    window = Window(100, gone.is_set)
    assert window.acquire(100)
    waiting = threading.Thread(target=window.acquire, args=(50,))
    waiting.start()
    gone.set()
    waiting.join(120)
    assert not waiting.is_alive()
    assert window.in_flight_bytes == 150


def test_who_has_gone_once_is_not_waited_for_again(monkeypatch):
    """Each batch behind the first waited for the next look: half a second, while the guest stood still."""
    monkeypatch.setattr(pipeline, "_LOOK_S", 0.001)
    window = Window(100, lambda: True)
    assert window.acquire(100)
    assert window.acquire(50)
    monkeypatch.setattr(pipeline, "_LOOK_S", 3600)
    assert window.acquire(50)
    assert window.in_flight_bytes == 200


def test_of_each_window_beside_others_one_batch_passes_while_another_has_all():
    first = Window(100)
    second = first.beside(lambda: False)
    assert first.acquire(100)
    assert not first.has_room(1)
    assert second.acquire(60)
    assert not second.has_room(1)
    assert (first.all_in_flight_bytes, first.in_flight_bytes, second.in_flight_bytes) == (160, 100, 60)
    first.release(100)
    assert second.acquire(40)
    first.close()
    assert not second.has_room(1)
    assert first.has_room(1 << 40)
