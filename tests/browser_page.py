"""A page in a browser: what it asked for, what it complained of, and how well its text can be read."""

from __future__ import annotations

__all__ = ["PHONE", "WIDE", "Opened"]

WIDE, PHONE = (1400, 900), (390, 844)
_INERT = ("file:", "data:", "blob:", "about:")
_DRAWN = "document.querySelectorAll('.live svg').length === document.querySelectorAll('figure.chart').length"

# The contrast of an element's text with the first opaque background behind it, by WCAG 2's formula.
_CONTRAST = """
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


class Opened:
    """A page whose charts are drawn. ``asked``: what it wanted of a network."""

    def __init__(self, browser, file, size=WIDE, **context):
        self.page = browser.new_page(viewport={"width": size[0], "height": size[1]}, **context)
        self.page.set_default_timeout(120_000)  # a busy machine's browser takes more than the usual 30 s
        self.complaints, self.asked = [], []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda r: None if r.url.startswith(_INERT) else self.asked.append(r.url))
        self.page.goto(file.as_uri())
        if context.get("java_script_enabled", True):
            self.page.wait_for_function(_DRAWN)

    def resize(self, size):
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def width(self):
        """Of all that it holds; more than the window's where it scrolls sideways."""
        return self.page.evaluate("document.documentElement.scrollWidth")

    def visible(self, selector):
        return sum(item.is_visible() for item in self.page.locator(selector).all())

    def contrast(self, selector):
        """The least of all texts of ``selector``, of which there is one."""
        return min(self.page.evaluate(_CONTRAST, selector))
