"""Pages say the same where no style applies: in their bare text, and served where a policy forbids style and script inside them."""

from html.parser import HTMLParser

import frontier_samples
import pytest
import rendered
import report_samples as samples
from parsed_page import VOID
from site_samples import saved

from reports.site import page as site

BLOCKS = {"td", "th", "p", "li", "dt", "dd", "h1", "h2", "h3", "h4", "summary", "nav", "pre", "figcaption", "div"}
SILENT = {"style", "script", "svg", "title"}


class Joined(HTMLParser):
    """Finds texts of two elements that are one word in their block's bare text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.before, self.fresh, self.found = [], " ", True, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open += [] if tag in VOID else [tag]
        self._border(tag)

    def handle_endtag(self, tag):
        self.open.pop()
        self._border(tag)

    def _border(self, tag):
        if tag in BLOCKS:
            self.before = " "
        self.fresh = True

    def handle_data(self, data):
        if SILENT & set(self.open):
            return
        if self.fresh and _part_of_a_word(self.before[-1]) and _part_of_a_word(data[0]):
            self.found.append((self.before[-20:], data[:20]))
        self.before, self.fresh = data, False


def _part_of_a_word(char):
    return char.isalnum() or char in "%+-\u2212"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    found = {name: rendered.report(name) for name in ("live", "offload", "adaptive", "all_failed", "convergence")}
    found |= {name: rendered.certificate(name) for name in ("passing", "failing", "stand_in")}
    found |= {"compare": rendered.comparison(), "certificates": rendered.certificates("passing", "failing")}
    out = tmp_path_factory.mktemp("pages")
    links = [(f"link {n}", frontier_samples.convergence(rate)) for n, rate in enumerate((37_500_000, None))]
    site.write_index({"a": samples.one_method(), **dict(links)}, out)
    found |= {"advice": rendered.advice(), "campaign": (out / "index.html").read_text()}
    site.write_site([saved(out / "in", night=night) for night in (1, 2)], out / "site")
    return found | {str(path): path.read_text() for path in (out / "site").rglob("*.html")}


def test_no_two_texts_become_one_word(pages):
    for name, text in pages.items():
        assert Joined(text).found == [], name


def test_two_texts_that_become_one_word_are_found():
    assert Joined("<td><b>113</b><i>76 to 139</i></td>").found == [("113", "76 to 139")]
    assert Joined("<td><b>113</b> <i>76</i></td><td>5</td>").found == []


@pytest.mark.browser
def test_a_page_under_a_policy_of_no_style_keeps_a_value_and_its_interval_apart(pages, chromium):
    """As artefact stores of CI systems serve pages."""
    policy = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self'"
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
    page = chromium.new_page()
    page.route("**/*", lambda route: route.fulfill(headers=headers, body=pages["live"]))
    page.goto("http://report.test/")
    row = page.locator("table.verdict tbody tr", has_text="zstd-1").first
    shown = [" ".join(text.split()) for text in row.locator("th, td").all_inner_texts()]
    assert shown[0].startswith("zstd-1 (fastest): pageferry, zstd level 1")
    assert shown[1:3] == ["1 251, \u221256 % (better) (1 244 to 1 280)", "175, \u221236 % (better) (169 to 180)"]
    assert page.locator("figure.chart svg").first.is_visible()
    page.close()
