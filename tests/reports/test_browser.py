"""The pages in a real browser: Debian's chromium, driven through its path."""

import re

import frontier_samples
import pytest
import rendered
import report_samples as samples
from browser_page import PHONE, WIDE, Opened
from site_samples import saved

from reports.run.page import render_report
from reports.site import page as site

pytestmark = pytest.mark.browser


class Drawn:
    """A folder whose pages are drawn when they are first asked for."""

    def __init__(self, out):
        self._out = out

    def __truediv__(self, name):
        path = self._out / name
        if not path.exists():
            _draw(self._out, name)
        return path


def _draw(out, name):
    if name == "links/index.html":
        rates = enumerate((37_500_000, None))
        site.write_index({f"link {n}": frontier_samples.convergence(rate) for n, rate in rates}, out / "links")
    elif name.startswith("site/"):
        _draw_site(out)
    else:
        of = {"compare.html": rendered.comparison, "advice.html": rendered.advice, "many.html": _many}
        text = of[name]() if name in of else rendered.report(name.removesuffix(".html"))
        (out / name).write_text(text, encoding="utf-8")


def _many():
    return render_report(samples.many_methods())


def _draw_site(out):
    totals = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0, 1.1, 1.11, 1.1]
    nights = [saved(out / "in", night=night, total_s=total_s) for night, total_s in enumerate(totals, 1)]
    site.write_site([*nights, saved(out / "in", night=10, name="codecs+link.bandwidth=100Mbit/s+" * 4)], out / "site")
    for made, name in (("history/*.html", "history/one.html"), ("runs/*01T*/index.html", "runs/one/index.html")):
        (out / "site" / name).parent.mkdir(exist_ok=True)
        (out / "site" / name).symlink_to(next((out / "site").glob(made)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return Drawn(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize(
    "name",
    [
        "live.html",
        "codecs.html",
        "threads.html",
        "offload.html",
        "felt.html",
        "adaptive.html",
        "convergence.html",
        "links/index.html",
        "empty.html",
        "compare.html",
        "advice.html",
        "site/index.html",
        "site/history/one.html",
        "site/runs/one/index.html",
    ],
)
def test_pages_ask_for_nothing_complain_of_nothing_and_do_not_scroll_sideways(visit, name):
    opened = visit(name, PHONE)
    assert opened.width() <= PHONE[0]
    opened.resize(WIDE)
    assert opened.width() <= WIDE[0]
    assert (opened.complaints, opened.asked) == ([], [])


@pytest.mark.parametrize("width", [1200, 840])
@pytest.mark.parametrize(("name", "tables"), [("live", 1), ("felt", 2)])
def test_no_column_of_the_methods_tables_is_cut_off(visit, name, tables, width):
    opened = visit(f"{name}.html", (width, 900))
    assert opened.visible("table.verdict") == tables
    whole = "boxes => boxes.map(box => box.scrollWidth - box.clientWidth)"
    assert max(opened.page.locator(".scroll:has(table.verdict)").evaluate_all(whole)) <= 0


def test_a_comparison_is_not_cut_off_on_a_phone(visit):
    opened = visit("compare.html", PHONE)
    boxes = opened.page.locator(".scroll")
    assert max(boxes.evaluate_all("boxes => boxes.map(box => box.scrollWidth - box.clientWidth)")) <= 0
    assert (
        opened.visible("table.compare td[data-label='Verdict']")
        == opened.page.locator("table.compare tbody tr").count()
    )


def test_the_verdict_is_on_the_first_screen(visit):
    page = visit("live.html").page
    box = page.locator("table.verdict").first.bounding_box()
    assert box["y"] < 350
    assert box["y"] + box["height"] <= WIDE[1]
    assert page.locator(".said p").first.bounding_box()["y"] < box["y"]


def test_interactive_charts_take_the_static_ones_places_but_not_in_print(visit):
    opened = visit("live.html")
    assert opened.page.locator("figure.chart").count() == 7
    assert (opened.visible(".live svg"), opened.visible(".drawn svg")) == (7, 0)
    opened.page.emulate_media(media="print")
    assert (opened.visible(".live svg"), opened.visible(".drawn svg")) == (0, 7)


def test_without_javascript_every_static_chart_is_there(visit):
    opened = visit("live.html", java_script_enabled=False)
    assert (opened.visible(".live svg"), opened.visible(".drawn svg")) == (0, 7)


def test_a_chart_that_fails_to_start_stays_static(chromium, folder):
    text = (folder / "live.html").read_text(encoding="utf-8")
    broken = (folder / "live.html").with_name("broken.html")
    broken.write_text(
        re.sub(r'"mark":\{"type":"bar"', '"mark":{"type":"no such mark"', text, count=1), encoding="utf-8"
    )
    page = chromium.new_page()
    page.goto(broken.as_uri())
    page.wait_for_function("document.querySelectorAll('figure.chart.on').length === 6")
    assert page.locator("#chart-cpu .drawn svg").is_visible()
    page.close()


def test_charts_fit_a_phone(visit):
    page = visit("live.html", PHONE).page
    for box in (item.bounding_box() for item in page.locator(".live svg").all()):
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE[0]


TEXTS = {
    "live.html": (".said p", ".how", ".interval", ".effect.better", ".effect.worse", ".state", ".state.trouble", ".note",
                  ".contents a", ".published .name", ".published th", ".warnings li", ".differs td", ".live svg text"),
    "offload.html": (".alerts li", ".fallen", ".tag.doubt", ".group th", ".rate", "#offload .live svg text"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_text_keeps_its_contrast_in_the_light_and_in_the_dark(visit, name):
    opened = visit(name)
    for scheme, paper in (("light", "rgb(246, 247, 249)"), ("dark", "rgb(17, 21, 27)")):
        opened.page.emulate_media(color_scheme=scheme)
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
        for selector in TEXTS[name]:
            assert opened.contrast(selector) >= 4.5, (scheme, selector)


def test_a_method_that_was_not_offloaded_is_said_so_before_the_table(visit):
    page = visit("offload.html").page
    alert = page.locator(".alerts li")
    assert "opencl-late is not a result of opencl" in alert.inner_text()
    assert alert.bounding_box()["y"] < page.locator(".said p").first.bounding_box()["y"]
    assert page.locator("table.verdict tr", has_text="opencl-late").locator(".tag.doubt").is_visible()


def test_the_offload_section_shows_its_chart_and_tables_and_fits(visit):
    opened = visit("offload.html", PHONE)
    section = opened.page.locator("#offload")
    assert section.locator("#chart-offload .live svg").is_visible()
    assert section.locator("table").count() == 3
    for size in (PHONE, WIDE):
        opened.resize(size)
        for item in section.locator(".chart, .scroll, .warnings").all():
            box = item.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= size[0]


def test_markup_in_a_result_does_nothing(visit):
    opened = visit("hostile.html")
    bar = opened.page.locator("#chart-cpu .live svg .mark-rect path").nth(8)  # after 2, 2 and 4 parts of other methods
    bar.hover(force=True)
    box = bar.bounding_box()
    opened.page.mouse.move(
        box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2
    )  # a first move may only leave others
    assert samples.HOSTILE in opened.page.wait_for_selector("#vg-tooltip-element.visible").inner_text()
    assert opened.complaints == []
    assert opened.page.locator("img, body > table script").count() == 0


def test_the_policy_stops_scripts_that_are_not_the_pages_own(chromium, folder):
    text = (folder / "live.html").read_text(encoding="utf-8")
    planted = text.replace("</main>", "<script>window.planted = 1</script></main>")
    page = (folder / "live.html").with_name("planted.html")
    page.write_text(planted, encoding="utf-8")
    opened = Opened(chromium, page)
    assert opened.page.evaluate("window.planted") is None
    opened.page.close()


def test_the_raw_result_downloads(visit):
    page = visit("live.html").page
    with page.expect_download() as waiting:
        page.locator("a.download").click()
    assert waiting.value.suggested_filename == "result.json"


# What axe-core 4.10 found to be missing, by hand on these pages: names of images and of landmarks.
_NAMES = """
() => {
  const name = (node) => node.getAttribute("aria-label") ||
    (node.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent || "").join(" ");
  const exposed = (selector) => [...document.querySelectorAll(selector)].filter((node) => !node.closest("[aria-hidden=true]"));
  const regions = exposed("section, nav, [role=region]").map(name);
  return {
    unnamed: exposed("svg, [role=img], [role^=graphics]").filter((node) => !name(node)).length,
    images: exposed("[role=img]").length,
    regions: regions.length,
    alike: regions.filter((each, at) => !each.trim() || regions.indexOf(each) !== at),
    main: document.querySelectorAll("main").length,
  };
}
"""


@pytest.mark.parametrize("name", ["live.html", "convergence.html", "advice.html", "compare.html", "links/index.html"])
def test_images_and_landmarks_have_names_of_their_own(visit, name):
    opened = visit(name)
    found = opened.page.evaluate(_NAMES)
    assert (found["unnamed"], found["alike"], found["main"]) == (0, [], 1)
    assert found["images"] == opened.page.locator("figure.chart").count()
    assert found["regions"] or "index" in name


@pytest.mark.parametrize("name", ["live", "many"])
def test_in_print_nothing_is_folded_or_wider_than_the_paper(visit, name):
    opened = visit(f"{name}.html")
    opened.resize((700, 990))  # what A4 has between our margins
    opened.page.emulate_media(media="print")
    seen = "folded => folded.lastElementChild.checkVisibility({contentVisibilityAuto: true})"
    folded = opened.page.locator("details").all()
    assert len(folded) > 1
    assert all(each.evaluate(seen) for each in folded)
    assert opened.width() <= 700


@pytest.mark.parametrize(
    "name", ["compare.html", "advice.html", "links/index.html", "site/index.html", "site/history/one.html"]
)
def test_in_print_no_other_page_is_wider_than_the_paper(visit, name):
    opened = visit(name, (700, 990))
    opened.page.emulate_media(media="print")
    assert opened.width() <= 700


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_no_text_of_a_chart_reaches_out_of_its_frame(visit, size):
    opened = visit("live.html", size)
    out = """
    () => [...document.querySelectorAll("figure.chart .live text")].filter((text) => {
      const [own, frame] = [text, text.closest("figure")].map((node) => node.getBoundingClientRect());
      return own.width && (own.left < frame.left || own.right > frame.right || own.bottom > frame.bottom);
    }).map((text) => text.textContent)
    """
    assert opened.page.evaluate(out) == []


def test_a_site_is_searched_without_a_server_and_read_without_a_script(visit):
    page = visit("site/index.html").page
    rows = page.locator("#every tbody tr")
    page.fill("[name=words]", "link.bandwidth")
    assert [row.is_visible() for row in rows.all()].count(True) == 1
    assert page.locator(".filters output").text_content() == "1 of 11"
    page.reload()  # what was asked for is in the address
    assert [row.is_visible() for row in rows.all()].count(True) == 1
    without = visit("site/index.html", java_script_enabled=False)
    assert without.visible("#every tbody tr") == 11
    assert without.visible(".filters") == 0
    assert "total time +10" in without.page.locator("#regressions").text_content()
