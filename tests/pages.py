"""Reading a page as a browser would, strictly: for tests of what we write as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}
Tag = tuple[str, dict[str, str | None]]


class Page(HTMLParser):
    """All tags and the text of a page; fails on a tag that is not closed, or twice an attribute."""

    def __init__(self, source: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source.decode("utf-8")
        self.tags: list[Tag] = []
        self.inside: list[tuple[str, str]] = []
        """(the innermost tag, text)."""
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.inside.append((self._open[-1] if self._open else "", data))

    @property
    def text(self) -> str:
        """What is to be read, in single spaces."""
        words = [text for tag, text in self.inside if tag not in ("script", "style")]
        return " ".join(" ".join(words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each tag of a kind."""
        return [attrs for name, attrs in self.tags if name == tag]
