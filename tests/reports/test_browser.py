"""The pages in a real browser: Debian's chromium, driven through its path."""

import re

import advice_samples
import frontier_samples
import offload_samples
import pytest
import report_samples as samples
from every_sample import SAMPLES

from reports.advice import page as advice
from reports.run import page as report
from reports.site import page as site

pytestmark = pytest.mark.browser
WIDE, PHONE = (1400, 900), (390, 844)
INERT = ("file:", "data:", "blob:", "about:")

# The contrast of an element's text with the first opaque background behind it, by WCAG 2's formula.
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
    out = tmp_path_factory.mktemp("pages")
    for name in ("live", "codecs", "threads", "offload", "adaptive", "empty", "hostile"):
        report.write_report(SAMPLES[name](), out / f"{name}.html")
    report.write_comparison(samples.live(), offload_samples.offload(), out / "compare.html", ("before", "after"))
    report.write_report(frontier_samples.convergence(), out / "convergence.html")
    links = [(f"link {n}", frontier_samples.convergence(bandwidth)) for n, bandwidth in enumerate((37_500_000, None))]
    site.write_site(links, out / "links")
    site.write_site([("a", samples.live()), ("b", samples.empty())], out / "site")
    advice.write_advice(advice_samples.advice(), out / "advice.html")
    return out


class Opened:
    """A page with what it asked for and what it complained of."""

    def __init__(self, browser, file, size, **context):
        self.page = browser.new_page(viewport={"width": size[0], "height": size[1]}, **context)
        self.complaints, self.requests = [], []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.charts = self.page.locator("figure.chart").count()
        if context.get("java_script_enabled", True) and self.charts:
            self.page.wait_for_function(
                "document.querySelectorAll('.live svg').length === document.querySelectorAll('figure.chart').length"
            )

    def visible(self, selector):
        return sum(item.is_visible() for item in self.page.locator(selector).all())


@pytest.fixture
def visit(chromium, folder):
    opened = []

    def go(name, size=WIDE, **context):
        opened.append(Opened(chromium, folder / name, size, **context))
        return opened[-1]

    yield go
    for item in opened:
        item.page.close()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize(
    "name",
    [
        "live.html",
        "codecs.html",
        "threads.html",
        "offload.html",
        "adaptive.html",
        "convergence.html",
        "links/index.html",
        "empty.html",
        "compare.html",
        "advice.html",
        "site/index.html",
    ],
)
def test_pages_ask_for_nothing_complain_of_nothing_and_do_not_scroll_sideways(visit, name, size):
    opened = visit(name, size)
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(INERT)] == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_the_verdict_is_on_the_first_screen(visit):
    page = visit("live.html").page
    box = page.locator("table.verdict").bounding_box()
    assert box["y"] < 350
    assert box["y"] + box["height"] <= WIDE[1]
    assert page.locator(".said p").first.bounding_box()["y"] < box["y"]


def test_interactive_charts_take_the_static_ones_places(visit):
    opened = visit("live.html")
    assert opened.charts == 6
    assert opened.visible(".live svg") == 6
    assert opened.visible(".drawn svg") == 0


def test_without_javascript_every_static_chart_is_there(visit):
    opened = visit("live.html", java_script_enabled=False)
    assert opened.visible(".drawn svg") == 6
    assert opened.visible(".live svg") == 0


def test_print_shows_the_static_charts(visit):
    opened = visit("live.html")
    opened.page.emulate_media(media="print")
    assert opened.visible(".drawn svg") == 6
    assert opened.visible(".live svg") == 0


def test_a_chart_that_fails_to_start_stays_static(chromium, folder):
    broken = folder / "broken.html"
    text = (folder / "live.html").read_text(encoding="utf-8")
    broken.write_text(
        re.sub(r'"mark":\{"type":"bar"', '"mark":{"type":"no such mark"', text, count=1), encoding="utf-8"
    )
    page = chromium.new_page()
    page.goto(broken.as_uri())
    page.wait_for_function("document.querySelectorAll('figure.chart.on').length === 5")
    assert page.locator("#chart-cpu .drawn svg").is_visible()
    page.close()


def test_charts_fit_a_phone(visit):
    page = visit("live.html", PHONE).page
    for box in (item.bounding_box() for item in page.locator(".live svg").all()):
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_keeps_its_contrast(visit, scheme):
    page = visit("live.html", color_scheme=scheme).page
    for selector in (".said p", ".how", ".interval", ".effect.better", ".effect.worse", ".state",
                     ".state.trouble", ".note", ".contents a",
                     ".published .name", ".published th", ".warnings li", ".differs em", ".live svg text"):  # fmt: skip
        found = page.evaluate(CONTRAST, selector)
        assert found, selector
        assert min(found) >= 4.5, (selector, min(found))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_doubts_about_a_device_keep_their_contrast(visit, scheme):
    page = visit("offload.html", color_scheme=scheme).page
    for selector in (".alerts li", ".fallen", ".tag.doubt", ".group th", ".rate", "#offload .live svg text"):
        found = page.evaluate(CONTRAST, selector)
        assert found, selector
        assert min(found) >= 4.5, (selector, min(found))


def test_a_method_that_was_not_offloaded_is_said_so_before_the_table(visit):
    page = visit("offload.html").page
    alert = page.locator(".alerts li")
    assert "opencl-late is not a result of opencl" in alert.inner_text()
    assert alert.bounding_box()["y"] < page.locator(".said p").first.bounding_box()["y"]
    assert page.locator("table.verdict tr", has_text="opencl-late").locator(".tag.doubt").is_visible()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_offload_section_shows_its_chart_and_tables_and_fits(visit, size):
    page = visit("offload.html", size).page
    section = page.locator("#offload")
    assert section.locator("#chart-offload .live svg").is_visible()
    assert section.locator("table").count() == 3
    for item in section.locator(".chart, .scroll, .warnings").all():
        box = item.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]


def test_dark_is_dark(visit):
    def paper(scheme):
        return visit("live.html", color_scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert paper("light") == "rgb(246, 247, 249)"
    assert paper("dark") == "rgb(17, 21, 27)"


def test_markup_in_a_result_does_nothing(chromium, folder):
    page = chromium.new_page()
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto((folder / "hostile.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.live svg').length === 6")
    page.locator("#chart-cpu .live svg path[fill]").first.hover(force=True)
    page.wait_for_timeout(200)
    assert dialogs == []
    assert page.locator("img, body > table script").count() == 0
    page.close()


def test_the_policy_stops_scripts_that_are_not_the_pages_own(chromium, folder):
    planted = folder / "planted.html"
    text = (folder / "live.html").read_text(encoding="utf-8")
    planted.write_text(text.replace("</main>", "<script>window.planted = 1</script></main>"), encoding="utf-8")
    page = chromium.new_page()
    page.goto(planted.as_uri())
    page.wait_for_function("document.querySelectorAll('.live svg').length === 6")
    assert page.evaluate("window.planted") is None
    page.close()


def test_the_raw_result_downloads(visit):
    page = visit("live.html").page
    with page.expect_download() as waiting:
        page.locator("a.download").click()
    assert waiting.value.suggested_filename == "result.json"
