"""Certificates' pages in a real browser."""

import certificate_samples as samples
import pytest
import rendered
from browser_page import PHONE, WIDE
from certificate_charts import CHARTS

pytestmark = pytest.mark.browser
CASES = ["passing", "failing", "stand_in", "hostile", "empty", "nothing"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("certificates")
    pages = {name: rendered.certificate(name) for name in CASES}
    for name, text in (pages | {"compare": rendered.certificates("passing", "hostile")}).items():
        (out / f"{name}.html").write_text(text, encoding="utf-8")
    return out


@pytest.mark.parametrize("name", [*CASES, "compare"])
def test_a_browser_complains_of_nothing_asks_for_nothing_and_does_not_scroll_sideways(visit, name):
    opened = visit(f"{name}.html", PHONE)
    opened.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert opened.width() <= PHONE[0]
    opened.resize(WIDE)
    assert opened.width() <= WIDE[0]
    assert (opened.complaints, opened.asked) == ([], [])


def test_verdict_and_device_are_on_the_first_screen(visit):
    page = visit("failing.html").page
    assert page.locator(".ruling .word").bounding_box()["y"] < 120
    device = page.locator(".identity").first.bounding_box()
    assert device["y"] + device["height"] <= WIDE[1]


def test_without_javascript_every_chart_is_there(visit):
    assert visit("passing.html", java_script_enabled=False).visible(".drawn svg") == len(CHARTS)


def test_one_click_selects_the_whole_command(visit):
    page = visit("failing.html").page
    page.locator(".failure pre.command").first.click()
    assert page.evaluate("getSelection().toString()").strip() == samples.failing().checks[0].command


TEXTS = {
    "failing": (".ruling .word", ".counts", ".identity dt", ".identity dd", ".mark", ".lines b", ".lines .limit", ".failure h4",
                "pre", ".checks summary", ".checks .how", ".checks .note", ".live svg text"),
    "stand_in": (".ruling .word", ".warnings li", ".said p"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_text_keeps_its_contrast(visit, name):
    opened = visit(f"{name}.html")
    for scheme in ("light", "dark"):
        opened.page.emulate_media(color_scheme=scheme)
        for selector in TEXTS[name]:
            assert opened.contrast(selector) >= 4.5, (scheme, selector)
