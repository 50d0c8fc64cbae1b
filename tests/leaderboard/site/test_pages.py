"""Claims proved here, on the pages as html.parser reads them.

- Every page is well-formed, loads nothing, runs its own script only and says so in its policy;
  every relative link leads to a file of the site, every label and id to its target.
- One language, one h1, no heading level left out; a skip link, header, nav, main, footer; tables
  have a caption or a name and scopes; aria-sort stands on one column; what is missing has a label;
  scrolled tables can be reached by keyboard; the figure has a title and a description.
- Colours of text have a contrast of 4.5 and more, of marks 3, in both themes, by the tokens.
- Whatever stands in any text of an entry, a verification, a status, the rules or the board is
  text: no element, no attribute, no address but https, no sign that turns the direction of text.
- Data in a page are JSON that can't end their script element.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.boards import (
    EXAMPLES,
    SELFTESTS,
    Fake,
    Json,
    changed,
    looked_at,
    submission,
    write_board,
)
from tests.pages import Page
from threedie.benchmark.report.palette import DARK, LIGHT
from threedie.leaderboard.site.build import build_site
from threedie.leaderboard.site.compared import embedded

KINDS = (
    "index.html",
    "compare.html",
    "protocol.html",
    "rules.html",
    "history.html",
    "entry/sie-hypernet.html",
    "entry/too-good.html",
    "entry/vicreg.html",
    "entry/oracle.html",
    "method/sie.html",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    board = write_board(folder / "board", EXAMPLES, SELFTESTS)
    build_site(board, folder / "out")
    return folder / "out"


@pytest.fixture(params=KINDS)
def page(site: Path, request: pytest.FixtureRequest) -> Page:
    found = Page((site / request.param).read_bytes())
    found.place = (site / request.param).parent  # type: ignore[attr-defined]
    return found


def test_a_page_loads_nothing_and_runs_its_own_script(page: Page) -> None:
    assert not {"img", "iframe", "object", "embed", "base", "audio", "video"} & {
        tag for tag, _ in page.tags
    }
    (policy,) = [
        a["content"] or ""
        for a in page.all("meta")
        if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "https:" not in policy
    for tag in ("style", "script"):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page.source, re.S)
        digests = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in texts]
        allowed = re.findall(rf"{tag}-src '(sha256-[^']+|none)'", policy)
        assert allowed == [f"sha256-{d}" for d in digests] or (not texts and allowed == ["none"])
    assert [a for a in page.all("script") if a] in (
        [],
        [{"type": "application/json", "id": "data"}],
    )
    assert not any(name.startswith("on") or name == "style" for _, a in page.tags for name in a)
    assert {"name": "referrer", "content": "no-referrer"} in page.all("meta")


def test_links_lead_somewhere(page: Page, site: Path) -> None:
    place: Path = page.place  # type: ignore[attr-defined]
    for tag in ("a", "link"):
        for attributes in page.all(tag):
            href = attributes["href"] or ""
            if href.startswith("https://"):
                assert "noopener" in (attributes["rel"] or "")
            elif not href.startswith("data:image/svg+xml,"):
                name, _, anchor = href.partition("#")
                target = (place / name).resolve() if name else None
                assert target is None or (target.is_file() and target.is_relative_to(site))
                text = target.read_text() if target else page.source
                assert not anchor or f'id="{anchor}"' in text


def test_landmarks_headings_and_ids(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    for tag in ("h1", "main", "header", "footer", "nav", "title"):
        assert len(page.all(tag)) == 1 or (tag == "title" and page.all("svg"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    first = next(a for tag, a in page.tags if tag == "a")
    assert first == {"class": "skip", "href": "#main"}
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(ids)) == len(ids)
    for _, attributes in page.tags:
        for label in (attributes.get("aria-labelledby") or "").split():
            assert label in ids
    assert page.all("nav") == [{"aria-label": "Pages"}]


def test_tables_can_be_heard(page: Page) -> None:
    regions = [a for a in page.all("div") if a.get("class") == "scroll"]
    assert len(regions) == len(page.all("table"))
    for attributes in regions:
        assert attributes["tabindex"] == "0"
        assert attributes["role"] == "region"
        assert "aria-label" in attributes or "aria-labelledby" in attributes
    assert all(a.get("scope") in ("col", "row", "rowgroup") for a in page.all("th"))
    assert sum("aria-sort" in a for a in page.all("th")) <= 1
    for cell in re.findall(r"<td[^>]*>—</td>", page.source):
        assert "aria-label=" in cell


def test_what_is_missing_has_a_label(site: Path) -> None:
    rows = re.findall(r"<tr[^>]*data-f.*?</tr>", (site / "index.html").read_text(), re.S)
    assert len(rows) == 12
    for row in rows:
        values = re.findall(r"<td[^>]*>.*?</td>", row)[-5:]
        assert all("—" not in v or 'aria-label="no value"' in v for v in values)
    assert sum('aria-label="no value"' in row for row in rows) == 4


def test_an_entry_says_which_way_is_better(site: Path) -> None:
    text = (site / "entry/simclr.html").read_text()
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', text)
    assert heads[:4] == ["Metric", "Value", "95 % interval", "SD"]  # a phone shows the first three
    for title, better in (("Top-1", "higher"), ("Rotation error, mean", "lower")):
        row = re.findall(rf'<tr><th scope="row">{title}&nbsp;<.*?</tr>', text)[0]
        assert f'role="img" aria-label="{better} is better"' in row


def test_the_figure_has_words(site: Path) -> None:
    page = Page((site / "index.html").read_bytes())
    (figure,) = page.all("svg")
    assert figure["role"] == "img"
    named = (figure["aria-labelledby"] or "").split()
    assert [tag for tag, a in page.tags if a.get("id") in named] == ["title", "desc"]
    assert "Further right is better at classes" in page.text


def luminance(color: str) -> float:
    def linear(part: str) -> float:
        share = int(part, 16) / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    r, g, b = (linear(color[i : i + 2]) for i in (1, 3, 5))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(theme: dict[str, str]) -> None:
    style = Path(build_site.__code__.co_filename).with_name("style.css").read_text()
    used = set(re.findall(r"(?<![-\w])color: var\(--(\w+)\)", style))
    assert used == {"text", "dim", "link", "good", "warn", "bad"}
    for ground in ("page", "card"):
        for ink in used:
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
        for ink in ("s0", "s1", "s2", "s3", "dim", "link", "good", "bad", "warn"):
            assert contrast(theme[ink], theme[ground]) >= 3, (ink, ground)
    assert "animation" not in style
    assert "prefers-reduced-motion" in style
    assert ":focus-visible" in style
    assert "@media print" in style


HOSTILE = (
    "<script>window.hit=1</script>",
    '"><img src=x onerror="window.hit=1">',
    "'><svg/onload=window.hit=1>",
    "{{7*7}}{% raw %}${7*7}",
    "</title></style></script><script>window.hit=1</script>",
    "]]><!--<b>&lt;b&gt;&#60;b&#62;",
    "javascript:window.hit=1",
    "=HYPERLINK(1)",
    "مرحبا",
)
LONGEST_HOSTILE = HOSTILE[4]
BIDI = "\u202egnp\u202c\u2066x\u2069\u200f\x00\x1b"


def texts_of(body: Any, path: str = "") -> list[str]:
    """Dotted names of all texts in a JSON value."""
    if isinstance(body, str):
        return [path]
    if not isinstance(body, (dict, list)):
        return []
    pairs = body.items() if isinstance(body, dict) else enumerate(body)
    return [name for k, v in pairs for name in texts_of(v, f"{path}.{k}".lstrip("."))]


def accepted(path: str, text: str) -> bool:
    """Whether the schema lets this text stand in this field."""
    try:
        submission(Fake(slug="hostile-entry", variant="v", changes={path: text}))
    except ValueError:
        return False
    return True


def hostile_fakes() -> list[Fake]:
    """For each trick an entry that has it wherever a text can stand."""
    plain = submission(Fake(slug="hostile-entry", variant="v"))
    plain["training_data"]["pretrained_weights"] = None
    fields = [f for f in texts_of(plain) if f not in ("id", "submitted")]
    extra = {"selection.how": "fixed-rule", "track": "open"}
    found = []
    for i, trick in enumerate(HOSTILE):
        holds: Json = {f: trick for f in fields if accepted(f, trick)}
        more = {"selection.rule": trick, "training_data.pretrained_weights": trick}
        note = f"{trick} {BIDI}"
        verifies: Json = {
            "by": trick,
            "evaluator": {"threedie": note, "numpy": note, "python": note},
            "metrics.all.top5": {"value": None, "note": note, "per_seed": [None] * 3, "objects": 3},
            "checks": [{"name": "finite", "ok": True, "says": note}],
            "warnings": [{"name": "odd", "ok": False, "says": note}],
            "steps": [
                {
                    "level": "re-run",
                    "passed": False,
                    "runs": 3,
                    "on": "2026-02-04",
                    "says": note,
                    "checks": [{"name": "odd", "ok": False, "says": note}],
                    "deltas": {note: 0.5},
                    **looked_at(3),
                }
            ],
        }
        found.append(
            Fake(
                slug=f"hostile-{i}",
                changes={**extra, **more, **holds, "method.variant": trick},
                verifies=verifies,
                status=("disputed" if i % 2 else "retracted", note),
                card=f"# {note}\n\n{note} [a]({trick}) ![b]({trick})\n\n- {note}\n\n```\n{note}",
                config=note,
                bib=note,
            )
        )
    return found


def hostile_board(folder: Path) -> Path:
    """A board all of whose texts are tricks."""
    board = write_board(folder, hostile_fakes(), SELFTESTS, title=LONGEST_HOSTILE)
    path = board / "board.json"
    body = changed(
        json.loads(path.read_text()),
        {"data.name": HOSTILE[1], "data.recipe": HOSTILE[2], "address": "https://example.org/b"},
    )
    path.write_text(json.dumps(body))
    (board / "RULES.md").write_text("\n\n".join(f"# {t}\n\n{t} {BIDI}" for t in HOSTILE))
    stray = board / "entries/2026" / "<img src=x onerror=window.hit=1>"
    stray.mkdir()
    return board


def test_the_tricks_reach_the_fields() -> None:
    """The test below would prove nothing of fields that refuse every trick."""
    plain = submission(Fake(slug="hostile-entry", variant="v"))
    taken = {f for f in texts_of(plain) for t in HOSTILE if accepted(f, t)}
    assert {
        "method.name",
        "method.variant",
        "model.backbone",
        "compute.device",
        "reported.source",
        "submitter.name",
    } <= taken
    assert not {"method.paper", "method.code.url", "submitter.contact", "id", "track"} & taken


def test_whatever_an_entry_says_is_text(tmp_path: Path) -> None:
    board = hostile_board(tmp_path / "board")
    done = build_site(board, tmp_path / "site")
    assert f"{len(HOSTILE) + 1} entries in the board: {len(HOSTILE)} shown" in done.counts
    harmless = write_board(tmp_path / "harmless", [Fake(slug="x-y", variant="v")], SELFTESTS)
    build_site(harmless, tmp_path / "plain")
    known = {
        tag for p in (tmp_path / "plain").rglob("*.html") for tag, _ in Page(p.read_bytes()).tags
    }
    known |= {"noscript", "ol", "strong", "em", "time"}
    for path in (tmp_path / "site").rglob("*.html"):
        page = Page(path.read_bytes())  # which fails on what is not well-formed
        assert {tag for tag, _ in page.tags} <= known
        assert len([a for a in page.all("script") if not a]) <= 1
        for tag, attributes in page.tags:
            assert not any(name.startswith("on") for name in attributes), path
            for name in ("href", "src"):
                address = attributes.get(name) or ""
                assert not re.match(r"\s*(javascript|data:text|vbscript|file)", address, re.I)
            assert tag not in ("img", "base", "iframe")
        text = page.source
        assert not any(sign in text for sign in "\u202e\u2066\u200f\x00\x1b"), path
        assert "{{7*7}}" in text or "7*7" not in text
        if path.parent.name == "entry" and path.stem.startswith("hostile-"):
            assert page.text.count(HOSTILE[int(path.stem[8:])]) > 5


def test_the_other_files_are_what_they_are(tmp_path: Path) -> None:
    board = hostile_board(tmp_path / "board")
    build_site(board, tmp_path / "site")
    from xml.etree import ElementTree

    feed = ElementTree.fromstring((tmp_path / "site/feed.xml").read_bytes())
    assert {element.tag.split("}")[1] for element in feed.iter()} == {
        *("feed", "id", "title", "updated", "author", "name", "link", "entry", "summary")
    }
    for path in (tmp_path / "site").rglob("*.json"):
        json.loads(path.read_bytes())
        assert b"\xe2\x80\xae" not in path.read_bytes()


def test_embedded_data_can_not_end_their_element() -> None:
    body = {"a": "</script><!--<script>&amp;\u2028", "b": [1.5, None]}
    text = str(embedded(body))
    assert not {"<", ">", "&", "\u2028"} & set(text)
    assert json.loads(text) == body
