"""Claims proved here, on a card's Markdown.

- Paragraphs, headings, lists, code and emphasis become what they are; headings leave out no level.
- Links are https only, with rel="nofollow noopener ugc"; any other address stays text.
- No HTML, no picture, no attribute of the author's gets through, whatever is nested in what:
  checked on hand-written tricks and on random text.
- It takes time in proportion to its length, and is cut at a bound.
"""

from __future__ import annotations

import random

import pytest

from tests.pages import Page
from threedie.leaderboard.site.markdown import LONGEST, rendered

ALLOWED = {"p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "pre", "code", "strong", "em", "a"}


def page(text: str) -> Page:
    return Page(str(rendered(text)).encode())


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>"),
        ("# A\n## B\n# C", "<h3>A</h3>\n<h4>B</h4>\n<h3>C</h3>"),
        ("### deep\ntext", "<h3>deep</h3>\n<p>text</p>"),
        ("# A\n#### B", "<h3>A</h3>\n<h4>B</h4>"),
        ("- a\n* b\n  goes on\n\n- c", "<ul><li>a</li><li>b goes on</li><li>c</li></ul>"),
        ("1. a\n2) b\n\ntext", "<ol><li>a</li><li>b</li></ol>\n<p>text</p>"),
        ("`x < y` **b** *i*", "<p><code>x &lt; y</code> <strong>b</strong> <em>i</em></p>"),
        ("```py\na  <b>\n```\nend", '<pre tabindex="0">a  &lt;b&gt;</pre>\n<p>end</p>'),
        ("```\nnever closed", '<pre tabindex="0">never closed</pre>'),
        ("2 * 3 * 4 and a_b_c", "<p>2 * 3 * 4 and a_b_c</p>"),
        ("", ""),
        ("#nothing", "<p>#nothing</p>"),
    ],
)
def test_forms(text: str, html: str) -> None:
    assert str(rendered(text)) == html


def test_links_are_https_and_marked() -> None:
    (link,) = page("see [the *paper*](https://example.org/a?b=1&c=2)").all("a")
    assert link == {"href": "https://example.org/a?b=1&c=2", "rel": "nofollow noopener ugc"}


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "http://example.org/",
        "file:///etc/passwd",
        "//example.org/",
        "https://user@example.org/",
        'https://example.org/"onmouseover=alert(1)',
        "https://example.org:8443/",
        "https://localhost/",
        "https://exämple.org/",
        "entry/other.html",
        "\x01javascript:alert(1)",
    ],
)
def test_other_addresses_stay_text(url: str) -> None:
    found = page(f"[click]({url}) and ![picture]({url})")
    assert found.all("a") == []
    assert "[click](" in found.text


TRICKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<b>bold</b> <!-- --> <style>*{}</style> &lt;script&gt; &#x3c;script&#x3e;",
    "![x](https://example.org/x.png)",
    "[<img src=x onerror=alert(1)>](https://example.org/)",
    '[a](https://example.org/ "onclick=alert(1)")',
    "`</code><script>alert(1)</script>`",
    "```\n</pre><script>alert(1)</script>\n```",
    "**<script>*alert(1)*</script>**",
    "# <h1 onclick=alert(1)>x</h1>",
    "- <li onclick=alert(1)>x",
    "[ref]: javascript:alert(1)\n[ref]",
    "<https://example.org/><javascript:alert(1)>",
    "{{ 7*7 }} {% include 'base.html' %}",
    "\u202e\u2066gnp.exe\u2069 \x00\x1b[31m \ufeff",
]


@pytest.mark.parametrize("text", TRICKS)
def test_tricks_are_text(text: str) -> None:
    found = page(text)
    assert {tag for tag, _ in found.tags} <= ALLOWED
    for tag, attributes in found.tags:
        assert set(attributes) <= ({"href", "rel"} if tag == "a" else {"tabindex"})
    assert not any(sign in found.source for sign in "\u202e\u2066\x00\x1b\ufeff")


def test_random_text_gives_well_formed_html_of_few_tags() -> None:
    pieces = [
        *TRICKS,
        "*",
        "**",
        "`",
        "```\n",
        "\n",
        "\n\n",
        "- ",
        "1. ",
        "# ",
        "[",
        "](",
        ")",
        "https://example.org/",
        "<",
        ">",
        '"',
        "&",
        "word ",
    ]
    draw = random.Random(0)
    for _ in range(400):
        found = page("".join(draw.choices(pieces, k=30)))
        assert {tag for tag, _ in found.tags} <= ALLOWED


@pytest.mark.parametrize("piece", ["[", "*", "**a", "`", "[a](", "- ", "#"])
def test_it_is_bounded(piece: str) -> None:
    """200,000 of what a backtracking parser would drown in; a minute would be the symptom."""
    found = page(piece * 200_000)
    assert len(found.source) < 6 * LONGEST
    assert found.text.endswith("(cut here)")
