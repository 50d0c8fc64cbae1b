"""Claims proved here, in a real Chromium.

- From file:// and at a sub-path of a server alike: the table sorts, filters and chooses rows, by
  mouse and by keyboard; what is missing, failed or retracted stays last; ranks are those of the
  column; the address keeps it all, and a reload brings it back.
- The compare page shows what was chosen, number for number as the index prints it, with the tests
  of the pairs; a level that failed is said there too, and such an entry is never the better one.
- On a phone an entry's metrics stand with their values and intervals.
- Without script all content is there, and compare says so; offline nothing is missed.
- No page asks for anything but itself, writes an error to the console, or runs what an entry says.
- axe-core finds nothing on any kind of page, light on a desktop and dark on a phone; nothing is
  wider than 320 px but what scrolls by itself; targets are 24 px and more.

THREEDIE_SCREENSHOTS=FOLDER keeps a picture of each kind of page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.boards import EXAMPLES, SELFTESTS, Fake, many, write_board
from tests.leaderboard.browsers import chromium, missing
from tests.leaderboard.site.test_pages import KINDS, hostile_board
from tests.leaderboard.test_serve import serving
from threedie.leaderboard.site.build import build_site

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

COMPARED = "compare.html?e=sie-hypernet,seq-jepa,simclr"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds site/, of the examples."""
    made = tmp_path_factory.mktemp("browsed")
    build_site(write_board(made / "board", EXAMPLES, SELFTESTS), made / "site")
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(params=["file", "server"])
def base(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Where the site is: opened as files, and below the root of a server."""
    if request.param == "file":
        yield (folder / "site").as_uri() + "/"
    else:
        with serving(folder) as server:
            yield f"{server.address}site/"


@pytest.fixture
def watched(browser: Any) -> Iterator[Any]:
    """Opens pages; at the end none may have complained, or asked for anything but itself."""
    contexts, wrong = [], []

    def opened(address: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        root = address[: address.index("site/")]
        page.on("console", lambda m: wrong.append(m.text) if m.type != "log" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda asked: wrong.extend(foreign(asked, root)))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def foreign(asked: Any, root: str) -> list[str]:
    """The address of a request, unless it is for a page of the site."""
    own = asked.resource_type == "document" and asked.url.startswith(root)
    return [] if own else [str(asked.url)]


def slugs(page: Any) -> list[str]:
    """Ids of the rows that are seen, in their order."""
    links = page.locator("#entries tbody:first-of-type tr:visible th a")
    hrefs = links.evaluate_all("all => all.map(a => a.getAttribute('href'))")
    return [re.sub(r".*/|\.html$", "", href) for href in hrefs]


def column(page: Any, name: str) -> list[str]:
    """What the rows have in a column, its first line."""
    script = """name => {
      const table = document.getElementById("entries");
      const heads = [...table.tHead.rows[0].cells].map(c => c.textContent.trim());
      const rows = [...table.tBodies[0].rows].filter(r => !r.hidden);
      return rows.map(r => r.cells[heads.indexOf(name)].firstChild.textContent.trim());
    }"""
    found: list[str] = page.evaluate(script, name)
    return found


def values(texts: list[str]) -> list[float]:
    return [float(t.replace("−", "-")) for t in texts if t != "—"]


def test_sorting(watched: Any, base: str) -> None:
    page = watched(base + "index.html")
    page.get_by_role("button", name="Top-1").click()
    sorted_heads = page.locator("#entries th[aria-sort]")
    assert sorted_heads.all_inner_texts() == ["Top-1"]
    assert sorted_heads.get_attribute("aria-sort") == "descending"
    top1 = values(column(page, "Top-1"))
    assert top1[:-2] == sorted(top1[:-2], reverse=True)
    last = ["vicreg", "too-good"]  # failed, retracted: whatever their values
    assert slugs(page)[-2:] == last
    spoken = page.locator("#spoken")
    assert spoken.inner_text() == (
        "12 of 12 entries, sorted by Top-1, descending; ranks are by it."
    )
    assert spoken.get_attribute("role") == "status"
    assert column(page, "Rank")[slugs(page).index("supervised-r18")] == "1"
    page.get_by_role("button", name="Top-1").click()
    top1 = values(column(page, "Top-1"))
    assert top1[:-2] == sorted(top1[:-2])
    assert slugs(page)[-2:] == last
    assert page.url.endswith("index.html?sort=top-1")


@pytest.mark.parametrize("presses", [1, 2])
def test_what_is_missing_is_last(watched: Any, base: str, presses: int) -> None:
    page = watched(base + "index.html")
    for _ in range(presses):
        page.get_by_role("button", name="MRR").click()
    cells = column(page, "MRR")[:-1]
    assert cells.index("—") == len(cells) - cells.count("—")
    assert cells.count("—") == 4
    found = values(cells)
    assert found == sorted(found, reverse=presses == 1)
    ranks = dict(zip(slugs(page), column(page, "Rank"), strict=True))
    assert (ranks["simclr"], ranks["capsule"]) == ("—", "not ranked")


def test_every_column_sorts(watched: Any, base: str) -> None:
    page = watched(base + "index.html")
    before = set(slugs(page))
    for button in page.locator("#entries thead button").all():
        for _ in range(2):
            button.click()
            assert set(slugs(page)) == before
            assert page.locator("#entries th[aria-sort]").count() == 1
    page.get_by_role("button", name="Error°").click()
    assert "there are no ranks by it" in page.locator("#spoken").inner_text()
    page.get_by_role("button", name="Level").click()
    assert slugs(page)[0] == "equimod"  # fresh-render goes furthest
    assert page.locator("#spoken").inner_text().endswith("descending; no ranks are shown.")
    page.get_by_role("button", name="Top-1").click()
    page.get_by_role("button", name="Method").click()
    assert page.locator("#spoken").inner_text().endswith("ascending; ranks are by Top-1.")


def test_names_sort_as_text(watched: Any, tmp_path: Path) -> None:
    """Names that are numbers, or look like a missing value, are names."""
    names = ["b", "10", "9", "—", "A", "−3"]
    fakes = [Fake(slug=f"entry-{i}", name=name) for i, name in enumerate(names)]
    build_site(write_board(tmp_path / "board", fakes), tmp_path / "site")
    page = watched((tmp_path / "site/index.html").as_uri())
    for falling in (False, True):
        page.get_by_role("button", name="Method").click()
        expected = page.evaluate("all => all.sort((a, b) => a.localeCompare(b))", names)
        assert column(page, "Method") == (expected[::-1] if falling else expected)


def test_filters_and_the_address(watched: Any, base: str) -> None:
    page = watched(base + "index.html")
    page.get_by_label("Text", exact=True).fill("sie")
    assert slugs(page) == ["sie-hypernet", "sie-mlp"]
    assert page.locator("#spoken").inner_text().startswith("2 of 12 entries")
    page.get_by_label("Text", exact=True).fill("")
    page.get_by_label("Family").select_option("invariant")
    assert slugs(page) == ["simclr", "vicreg"]
    page.get_by_label("Family").select_option("")
    page.get_by_label("Level").select_option("re-probed")
    assert set(slugs(page)) == {"sie-hypernet", "sie-mlp", "equimod"}
    page.get_by_label("Level").select_option("")
    page.get_by_label("Track").select_option("open")
    assert slugs(page) == ["dino-open"]
    page.get_by_label("Track").select_option("closed")
    page.get_by_label("Text", exact=True).fill("s")
    page.get_by_role("button", name="Error°").click()
    before = slugs(page)
    assert "track=closed" in page.url
    assert "q=s" in page.url
    page.reload()
    assert slugs(page) == before
    assert page.get_by_label("Text", exact=True).input_value() == "s"
    assert page.locator("#entries th[aria-sort]").inner_text() == "Error°"


def test_an_address_that_says_nonsense(watched: Any, base: str) -> None:
    page = watched(base + "index.html?sort=nothing&family=x&level=%3Cscript%3E&e=a,b,,c&q=")
    assert len(slugs(page)) == 12
    assert page.locator("#chosen").is_hidden()
    page = watched(base + "compare.html?e=__proto__,nobody,constructor")
    assert page.locator("#whole").is_visible()


def test_choosing_and_comparing(watched: Any, base: str) -> None:
    page = watched(base + "index.html")
    page.get_by_label("Compare SIE, hypernet, split 256/256").check()
    assert page.locator("#chosen").inner_text().startswith("1 chosen; choose one more")
    assert page.locator("#chosen a").get_attribute("href") is None
    page.get_by_label("Compare seq-JEPA, 3 views").check()
    page.get_by_label("Compare SimCLR").check()
    page.get_by_label("Compare VICReg").check()
    assert page.get_by_label("Compare EquiMod, SimCLR").is_disabled()
    page.get_by_label("Compare VICReg").uncheck()
    assert page.get_by_label("Compare EquiMod, SimCLR").is_enabled()
    page.reload()
    assert page.get_by_label("Compare seq-JEPA, 3 views").is_checked()
    page.get_by_role("button", name="MRR").click()
    page.locator("#chosen a").click()
    assert re.search(r"compare\.html\?e=[a-z,-]*$", page.url)
    heads = page.locator("#compared thead th a").all_inner_texts()
    assert sorted(heads) == ["SIE", "SimCLR", "seq-JEPA"]
    assert page.locator("#whole").is_hidden()


def test_the_comparison(watched: Any, base: str) -> None:
    page = watched(base + COMPARED)
    row = page.locator("#compared tbody tr").first.inner_text().split()
    assert row[:3] == ["Rotation", "R²", "(uniform)"]
    assert [w for w in row if re.fullmatch(r"0\.\d{3}", w)][:3] == ["0.731", "0.716", "0.471"]
    assert page.locator("#compared tbody tr").first.locator("b").inner_text() == "0.731"
    assert "p =" in page.locator("#compared").inner_text()
    error = page.locator("#compared tr", has_text="Rotation error, median").first
    assert error.locator("b").inner_text() == "22.2"  # the lowest is the best
    assert page.locator("#compared td[aria-label='no value']").count() > 0
    page.get_by_label("Entry 3").select_option("")
    assert page.url.endswith("?e=sie-hypernet,seq-jepa")
    assert page.locator("#compared thead th").count() == 3
    page.reload()
    assert page.get_by_label("Entry 2").input_value() == "seq-jepa"
    page.get_by_label("Entry 2").select_option("")
    assert page.locator("#whole").is_visible()


def test_compared_numbers_are_rounded_once(watched: Any, tmp_path: Path) -> None:
    """-0.20650049 is -0.207; of five digits of it, -0.2065, a script makes -0.206."""
    odd = Fake(slug="odd-entry", name="Odd", r2=-0.20650049)
    board = write_board(tmp_path / "board", [odd, Fake(slug="even-entry", name="Even")])
    build_site(board, tmp_path / "site")
    address = (tmp_path / "site/index.html").as_uri()
    page = watched(address)
    assert column(page, "Rotation R²") == ["0.600", "−0.207"]
    page = watched(address.replace("index.html", "compare.html?e=odd-entry,even-entry"))
    row = page.locator("#compared tbody tr").first
    assert "−0.207\n−0.215 to −0.198" in row.locator("td").first.inner_text()
    assert row.locator("b").inner_text() == "0.600"


def test_comparing_one_that_failed(watched: Any, base: str) -> None:
    page = watched(base + "compare.html?e=vicreg,equimod,sie-hypernet")
    heads = page.locator("#compared table").first.locator("thead th")
    assert "✗ failed re-run" in heads.nth(1).inner_text()
    assert "failed" not in heads.nth(2).inner_text()
    top1 = page.locator("#compared tr", has_text="Top-1").first
    assert top1.locator("b").inner_text() == "0.862"
    page = watched(base + "compare.html?e=vicreg,sen")
    top1 = page.locator("#compared tr", has_text="Rotation R² (uniform)").first
    assert [t.split()[0] for t in top1.locator("td").all_inner_texts()] == ["0.389", "0.350"]
    assert top1.locator("b").inner_text() == "0.350"
    assert (
        "never of a retracted entry or one that failed"
        in page.locator("caption").first.inner_text()
    )


def test_metrics_of_one_entry_stand_apart(watched: Any, base: str) -> None:
    page = watched(base + "compare.html?e=simclr,sie-hypernet,supervised-r18")
    assert page.locator("#spoken").inner_text() == (
        "Comparing SimCLR, SIE (hypernet, split 256/256) and Supervised (ResNet-18)."
    )
    assert "MRR" not in page.locator("#compared table").first.locator("tbody").inner_text()
    more = page.locator("#compared details")
    assert "of one entry only" in more.locator("summary").inner_text()
    more.locator("summary").click()
    assert "MRR" in more.locator("tbody").inner_text()
    says = page.locator("#compared-caption").inner_text()
    assert "of no other metric does a verification hold the bootstrap replicates" in says


def test_a_phone_shows_an_entrys_numbers(watched: Any, folder: Path) -> None:
    address = (folder / "site/entry/sie-hypernet.html").as_uri()
    page = watched(address, viewport={"width": 390, "height": 844})
    row = page.locator("#metrics-title ~ .scroll tbody tr").first
    for i in range(2):
        box = row.locator("td").nth(i).bounding_box()
        assert box["x"] + box["width"] <= 390


def test_by_keyboard(watched: Any, base: str) -> None:
    page = watched(base + "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0  # seen when it has the focus
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash === '#main'")
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        active = page.evaluate(
            "[document.activeElement.textContent.trim(), document.activeElement.tagName,"
            " document.activeElement.getAttribute('role'), getComputedStyle(document.activeElement)"
            ".outlineStyle]"
        )
        seen.append(active)
        if active[:2] == ["Top-1", "BUTTON"]:
            break
    assert seen[-1][0] == "Top-1"
    assert all(outline != "none" for *_, outline in seen)
    assert ["DIV", "region"] in [active[1:3] for active in seen]
    page.keyboard.press("Enter")
    assert page.locator("#entries th[aria-sort]").inner_text() == "Top-1"
    assert page.evaluate("document.activeElement.textContent") == "Top-1"  # focus stays
    box = page.get_by_label("Compare SimCLR")
    box.focus()
    page.keyboard.press("Space")
    assert box.is_checked()


def test_method_pages_sort_and_choose(watched: Any, base: str) -> None:
    page = watched(base + "method/sie.html")
    page.get_by_role("button", name="Rotation R²").click()
    assert slugs(page) == ["sie-mlp", "sie-hypernet"]
    for box in page.locator("td input").all():
        box.check()
    page.locator("#chosen a").click()
    assert page.locator("#compared thead th a").count() == 2


def test_without_script(watched: Any, base: str) -> None:
    page = watched(base + "index.html", java_script_enabled=False)
    assert page.locator("#entries tbody tr").count() == 12 + 1 + 4
    assert page.locator("#filter").is_hidden()
    assert page.locator("thead button").count() == 0
    assert page.locator("#entries th[aria-sort]").inner_text() == "Rotation R²"
    page = watched(base + COMPARED, java_script_enabled=False)
    assert "Without script there is no comparison" in page.locator("main").inner_text()
    assert page.locator("#entries").is_visible()
    assert page.locator("#choose").is_hidden()


def test_offline(watched: Any, folder: Path, browser: Any) -> None:
    page = watched((folder / "site/index.html").as_uri())
    page.context.set_offline(True)
    for link in ("Compare", "Protocol", "Rules", "History", "Leaderboard"):
        page.get_by_role("link", name=link, exact=True).first.click()
        assert page.locator("h1").is_visible()
    page.get_by_role("link", name="seq-JEPA").click()
    assert page.locator("h1").inner_text() == "seq-JEPA 3 views"
    page.get_by_role("link", name="All entries of seq-JEPA").click()
    assert page.locator("h1").inner_text() == "seq-JEPA"


def test_nothing_of_an_entry_runs(watched: Any, tmp_path: Path) -> None:
    build_site(hostile_board(tmp_path / "board"), tmp_path / "site")
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    page = watched(pages[0].as_uri())
    for path in pages:
        page.goto(path.as_uri())
        assert page.evaluate("window.hit") is None
        assert page.locator("img, svg[onload], b b").count() == 0
    chosen = "hostile-0,hostile-1,hostile-4,hostile-8"
    page.goto((tmp_path / "site/compare.html").as_uri() + f"?e={chosen}")
    assert page.locator("#compared thead th a").count() == 4
    assert "<script>window.hit=1</script>" in page.locator("#compared thead").inner_text()
    assert page.evaluate("window.hit") is None
    assert page.locator("#compared img, #compared script").count() == 0
    page.goto((tmp_path / "site/index.html").as_uri())
    page.get_by_label("Text", exact=True).fill("<img")
    assert page.evaluate("window.hit") is None
    for link in page.locator("main a").all():
        assert not (link.get_attribute("href") or "").startswith("javascript")


def violations(page: Any) -> list[str]:
    """What axe-core finds: rule, and the first element."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['help']} ({v['nodes'][0]['html'][:200]})" for v in found]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("kind", [*KINDS, COMPARED])
def test_axe_finds_nothing(watched: Any, folder: Path, kind: str, width: int, scheme: str) -> None:
    address = (folder / "site").as_uri() + f"/{kind}"
    size = {"width": width, "height": 900}
    page = watched(address, viewport=size, color_scheme=scheme, reduced_motion="reduce")
    assert violations(page) == []
    keep = os.environ.get("THREEDIE_SCREENSHOTS")
    if keep:
        name = re.sub(r"[^a-z0-9]+", "-", kind.removesuffix(".html"))
        page.screenshot(path=f"{keep}/{name}-{width}-{scheme}.png", full_page=True)


def test_axe_finds_nothing_in_use(watched: Any, folder: Path) -> None:
    page = watched((folder / "site/index.html").as_uri() + "?e=simclr,vicreg&sort=mrr&q=i")
    page.get_by_label("Text", exact=True).fill("no row has this")
    assert slugs(page) == []
    assert violations(page) == []
    page.get_by_label("Text", exact=True).fill("")
    assert violations(page) == []


@pytest.mark.parametrize("kind", [*KINDS, COMPARED])
def test_narrow_pages_scroll_one_way(watched: Any, folder: Path, kind: str) -> None:
    page = watched((folder / "site").as_uri() + f"/{kind}", viewport={"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, summary, nav a, th a")]
          .map(e => [e.getBoundingClientRect(), e.outerHTML])
          .filter(([box]) => box.width > 0 && Math.min(box.width, box.height) < 23.5)
          .map(([box, html]) => html.slice(0, 99))"""
    )
    assert small == []


def test_paper_has_the_table_and_no_controls(watched: Any, folder: Path) -> None:
    page = watched((folder / "site/index.html").as_uri())
    page.emulate_media(media="print")
    assert page.locator("#filter").is_hidden()
    assert page.locator("nav").is_hidden()
    assert page.locator("#entries").is_visible()


def test_500_rows_sort(watched: Any, tmp_path: Path) -> None:
    build_site(write_board(tmp_path / "board", many(500), SELFTESTS), tmp_path / "site")
    page = watched((tmp_path / "site/index.html").as_uri())
    page.get_by_role("button", name="Top-1").click()
    found = values(column(page, "Top-1"))
    assert len(found) == 500
    assert found == sorted(found, reverse=True)
