"""Every kind of page, drawn once for all tests of a session: drawing is what tests of pages take their time for."""

from __future__ import annotations

import functools

import advice_samples
import bench_samples
import certificate_samples
import frontier_samples
import offload_samples
import report_samples
from every_sample import SAMPLES

from reports.advice.page import render_advice
from reports.bench.page import render_bench
from reports.certificate.page import render_certificate, render_certificate_comparison
from reports.run.charts.build import Charts, build
from reports.run.comparison import compare
from reports.run.page import render_comparison, render_report

__all__ = ["advice", "bench", "certificate", "certificates", "charts", "comparison", "report"]

_RESULTS = {**SAMPLES, "convergence": frontier_samples.convergence}


@functools.cache
def charts(name: str) -> Charts:
    """What a sample's page shows."""
    return build(_RESULTS[name]())


@functools.cache
def report(name: str) -> str:
    """A sample's page."""
    return render_report(_RESULTS[name]())


@functools.cache
def comparison() -> str:
    """Two results, of which one fell back."""
    return render_comparison(compare(report_samples.live(), offload_samples.offload(), ("before", "after")))


@functools.cache
def certificate(name: str) -> str:
    """A certificate's page."""
    return render_certificate(getattr(certificate_samples, name)())


@functools.cache
def certificates(a: str, b: str) -> str:
    """Two certificates side by side."""
    return render_certificate_comparison(*(getattr(certificate_samples, name)() for name in (a, b)))


@functools.cache
def advice() -> str:
    """An advice's page."""
    return render_advice(advice_samples.advice())


@functools.cache
def bench() -> str:
    """A bench's page."""
    return render_bench(bench_samples.bench())
