"""docs/reference/result.md has every field of a result, as the models have them."""

from __future__ import annotations

import dataclasses

import pytest
from result_page import PAGE, PARTS, described, page

from harness.results.doubts import KINDS
from harness.results.metrics import METRICS


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python tests/result_page.py`"


@pytest.mark.parametrize("part", PARTS)
def test_every_field_is_described(part):
    assert [field.name for field in dataclasses.fields(part)] == list(described(part))


def test_every_metric_and_every_doubt_is_on_the_page():
    assert all(f"| `{name}` |" in page() for name in [*METRICS, *KINDS])
