"""Runs that did not end well are told of before any figure."""

from __future__ import annotations

from small_results import small_result, small_run

from harness.results.search import Attempt
from reports.run import view
from reports.run.failures import failures

BROKE = {"total_s": None, "status": "failed", "error": "it broke", "verified": None}


def test_where_all_is_well_nothing_is_said():
    skipped = small_run("c", None, status="skipped", reason="not in this QEMU", verified=None)
    assert failures(small_result(small_run("a"), small_run("b"), skipped)) == ()


def test_every_method_that_failed_is_counted():
    late = small_run("b", None, status="timeout", verified=None)
    warmup = small_run("c", **BROKE, warmup=True)
    result = small_result(small_run("a"), small_run("b", **BROKE), small_run("b", **BROKE), late, warmup)
    assert failures(result) == ("4 of 5 runs did not complete: b (2 failed), b (1 did not end in time), c (1 failed).",)


def test_wrong_memory_is_told():
    result = small_result(small_run("a"), small_run("b", verified=False))
    assert failures(result) == ("1 of 2 runs arrived with wrong memory: b.",)


def test_a_search_that_finds_an_end_by_a_timeout_has_not_failed():
    attempt = Attempt("dirty_rate", 1.0, converged=False)
    assert failures(small_result(small_run("a", None, status="timeout", verified=None, attempt=attempt))) == ()


def test_the_sentence_on_what_was_verified_does_not_hide_them():
    page = view.page(small_result(small_run("original"), small_run("isal-1"), small_run("isal-1", **BROKE)))
    assert page.failures == ("1 of 3 runs did not complete: isal-1 (1 failed).",)
    assert "All 2 completed runs had their memory verified. 1 more did not complete." in page.verdict.sentences
