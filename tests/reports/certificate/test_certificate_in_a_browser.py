"""Certificates' pages in a real browser."""

import certificate_samples as samples
import pytest
from certificate_charts import CHARTS

from reports.certificate import page as certificate

CASES = ["passing", "failing", "stand_in", "hostile", "empty", "nothing"]
WIDE, PHONE = (1400, 900), (390, 844)

CONTRAST = """
(selector) => {
  const parts = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = (text) => {
    const [r, g, b] = parts(text).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const found = parts(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] === 1) return getComputedStyle(node).backgroundColor;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll(selector)].map((node) => {
    const style = getComputedStyle(node);
    const a = light(node instanceof SVGElement ? style.fill : style.color), b = light(behind(node));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("certificates")
    for name in CASES:
        certificate.write_certificate_page(getattr(samples, name)(), out / f"{name}.html")
    certificate.write_certificate_comparison(samples.passing(), samples.hostile(), out / "compare.html", ("A", "B"))
    return out


@pytest.fixture
def visit(chromium, folder):
    opened = []

    def go(name, size=WIDE, **context):
        page = chromium.new_page(viewport={"width": size[0], "height": size[1]}, **context)
        opened.append(page)
        page.complaints, page.requests = [], []
        page.on("console", lambda m: page.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (page.complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto((folder / f"{name}.html").as_uri())
        if context.get("java_script_enabled", True):
            page.wait_for_function(
                "document.querySelectorAll('.live svg').length === document.querySelectorAll('figure.chart').length"
            )
        return page

    yield go
    for page in opened:
        page.close()


@pytest.mark.browser
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("name", [*CASES, "compare"])
def test_a_browser_complains_of_nothing_asks_for_nothing_and_does_not_scroll_sideways(visit, name, size):
    page = visit(name, size)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.browser
def test_verdict_and_device_are_on_the_first_screen(visit):
    page = visit("failing")
    assert page.locator(".ruling .word").bounding_box()["y"] < 120
    device = page.locator(".identity").first.bounding_box()
    assert device["y"] + device["height"] <= WIDE[1]


@pytest.mark.browser
def test_without_javascript_every_chart_is_there(visit):
    page = visit("passing", java_script_enabled=False)
    assert sum(item.is_visible() for item in page.locator(".drawn svg").all()) == len(CHARTS)


@pytest.mark.browser
def test_one_click_selects_the_whole_command(visit):
    page = visit("failing")
    page.locator(".failure pre.command").first.click()
    assert page.evaluate("getSelection().toString()").strip() == samples.failing().checks[0].command


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_keeps_its_contrast(visit, scheme):
    page = visit("failing", color_scheme=scheme)
    for selector in (".ruling .word", ".counts", ".identity dt", ".identity dd", ".mark", ".lines b", ".lines .limit",
                     ".failure h4", "pre", ".checks summary", ".checks .how", ".checks .note", ".live svg text"):  # fmt: skip
        found = page.evaluate(CONTRAST, selector)
        assert found, selector
        assert min(found) >= 4.5, (selector, min(found))
    passed = visit("stand_in", color_scheme=scheme)
    assert min(passed.evaluate(CONTRAST, ".ruling .word, .warnings li, .said p")) >= 4.5
