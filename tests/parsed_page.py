"""A page as a parser reads it: what it is made of, and what it says."""

from __future__ import annotations

from html.parser import HTMLParser

__all__ = ["VOID", "Page"]

VOID = {"meta", "link", "br", "img", "hr", "input"}
ACTIVE = ("img", "iframe", "object", "embed", "base")


class Page(HTMLParser):
    """Holds a page to balanced elements. ``text``: all outside of style and script, spaces as they are.

    ``scripts``: of each its type, and its text.
    """

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.scripts, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == [], f"unclosed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        elif "style" not in self.open:
            self.text += data

    def words(self):
        """The text with single spaces."""
        return " ".join(self.text.split())

    def kinds(self):
        """Of each script its type."""
        return [kind for kind, _ in self.scripts]

    def policy(self):
        """What the page lets itself do."""
        return next(a["content"] for _, a in self.tags if a.get("http-equiv") == "Content-Security-Policy")

    def download(self):
        """The attributes of the link to the raw data."""
        return next(attrs for tag, attrs in self.tags if tag == "a" and "download" in attrs)

    def foreign(self):
        """What would be loaded from elsewhere."""
        named = ("src", "href", "action", "data", "srcset", "xlink:href")
        links = [attrs.get(name) or "#" for _, attrs in self.tags for name in named]
        return [link for link in links if not link.startswith(("#", "data:"))]

    def active(self):
        """Elements and attributes that no page of ours has: markup that came with a text."""
        found = [tag for tag, _ in self.tags if tag in ACTIVE]
        return found + [name for _, attrs in self.tags for name in attrs if name.startswith("on")]
