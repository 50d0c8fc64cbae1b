"""Claims proved here, on the gallery and the contact sheet.

- The page is one well-formed file that loads nothing: no address but data: pictures, a policy that
  forbids the rest, no event attribute.
- Names out of the data are text and never markup, script, style or direction.
- Every picture has an alternative text and is small; the page keeps its bound or is refused.
- Classes, objects, counts, splits, latents, colors and failures are in the markup, without script.
- True RGB whatever is on disk; equal data give equal bytes, wherever they lie.
"""

from __future__ import annotations

import base64
import io
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.builders import Plan, build, label_of, latents_of, picture
from tests.pages import Page
from threedie.data.contact_sheet import write_contact_sheet
from threedie.data.gallery import (
    MAX_BYTES,
    printable,
    shown_color,
    write_gallery,
)
from threedie.errors import ConfigError, ManifestError


def page_of(tmp_path: Path, plan: Plan, **options: int) -> Page:
    """The gallery of a plan."""
    build(tmp_path / "data", plan)
    return Page(write_gallery(tmp_path / "data", tmp_path / "g.html", **options).read_bytes())


def thumbs(page: Page) -> list[Image.Image]:
    """The pictures of a page, decoded."""
    sources = [str(attrs["src"]) for attrs in page.all("img")]
    prefix = "data:image/jpeg;base64,"
    assert all(s.startswith(prefix) for s in sources)
    return [
        Image.open(io.BytesIO(base64.b64decode(s.removeprefix(prefix), validate=True)))
        for s in sources
    ]


def test_the_page_shows_what_there_is(tmp_path: Path) -> None:
    plan = Plan(size=200, views=4)
    page = page_of(tmp_path, plan, per_class=2, views=3)
    assert len(page.all("article")) == 3 * 2
    assert len(page.all("img")) == 3 * 2 * 3
    for told in (
        "3diebench, seed 7",
        "standard (8 samples)",
        "48 of 200 × 200, 4 views",
        "12 (9 train, 3 val)",
        "threedie 0.1.0, bpy 4.5.0",
        "png, rgb on disk",
        "chair 03001627 · label 18 · 4 objects (3 train, 1 val)",
        f"mug 03797390 · label {label_of('03797390', ())} · 4 objects (3 train, 1 val)",
        "zebra zebra · label 55 · 4 objects (3 train, 1 val)",
    ):
        assert told in page.text
    ids = [a["id"] for a in page.all("section")]
    links = [str(a["href"]) for a in page.all("a")]
    assert ids == [f"class-{label_of(c, plan.classes)}" for c in plan.classes]
    assert links == [f"#{i}" for i in ids]


def test_thumbnails_are_the_pictures_in_true_rgb(tmp_path: Path) -> None:
    for order in ("rgb", "bgr"):
        plan = Plan(size=200, channel_order=order)
        found = thumbs(page_of(tmp_path / order, plan, per_class=12))
        assert {image.size for image in found} == {(128, 128)}
        rows = [r for c in plan.classes for r in plan.listed if r[1] == c]
        for number, image in enumerate(found):
            row, view = divmod(number, plan.views)
            made = picture(plan.listed.index(rows[row]), view)[0, 0]
            shown = np.asarray(image.convert("RGB"))[64, 64]
            assert np.abs(shown.astype(int) - made.astype(int)).max() <= 4


def test_small_pictures_are_not_blown_up(tmp_path: Path) -> None:
    assert {i.size for i in thumbs(page_of(tmp_path, Plan(size=32)))} == {(32, 32)}


def test_latents_are_in_the_text_and_in_the_alternative_text(tmp_path: Path) -> None:
    plan = Plan(recipe="3diebench-t")
    page = page_of(tmp_path, plan)
    row = latents_of(plan, "zebra", "d")[2]
    degrees = [f"{np.degrees(x):.0f}°".replace("-", "−") for x in row]
    shift = [f"{x:.2f}".replace("-", "−") for x in row[7:]]
    words = f"rotation x {degrees[0]} y {degrees[1]} z {degrees[2]}"
    light = f"light θ {degrees[4]} φ {degrees[5]}, shift {' '.join(shift)}"
    assert f"zebra d, view 2: {words}, {light}" in [a["alt"] for a in page.all("img")]
    caption = f"x {degrees[0]} y {degrees[1]} z {degrees[2]} t {' '.join(shift)}"
    assert f"{caption} θ {degrees[4]} φ {degrees[5]}" in page.text


def test_the_dial_has_the_camera_at_the_bottom(tmp_path: Path) -> None:
    """The camera stands at +y and looks back, so +x is on the left of the picture."""
    plan = Plan()
    page = page_of(tmp_path, plan)
    dots = [a for a in page.all("circle") if a.get("class") == "dot"][1:]  # 0: the legend's
    row = latents_of(plan, "03001627", "a")[1]
    radius = 12 * row[4] / (np.pi / 4)
    assert float(str(dots[1]["cx"])) == pytest.approx(-radius * np.cos(row[5]), abs=0.06)
    assert float(str(dots[1]["cy"])) == pytest.approx(radius * np.sin(row[5]), abs=0.06)


def test_colors_are_srgb_of_the_linear_color_that_is_rendered() -> None:
    assert shown_color(0.0, (0.0, 1.0)) == "#ffffff"
    assert shown_color(0.0, (0.0, 0.0)) == "#000000"
    assert shown_color(0.0, (1.0, 1.0)) == "#ff0000"
    assert shown_color(1 / 3, (1.0, 0.5)) == "#00bc00"  # 0.5 linear is 188 on a screen
    assert shown_color(0.0, (1.0, 0.002)) == "#070000"  # the straight foot of the curve


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    page = page_of(tmp_path, Plan())
    policy = next(a for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(
        rule.strip().split(" ", 1) for rule in str(policy["content"]).split(";") if rule.strip()
    )
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert set(rules) == {
        "default-src",
        "img-src",
        "style-src",
        "script-src",
        "base-uri",
        "form-action",
    }
    bare = re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", "", page.source)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|fetch\(|import\(", bare, re.IGNORECASE)
    assert not {"link", "iframe", "object", "embed", "form", "base"} & {t for t, _ in page.tags}
    for tag, attrs in page.tags:
        assert not any(name.startswith("on") for name in attrs), tag
        for name in ("src", "href", "action", "srcset", "poster", "data"):
            if name in attrs:
                assert str(attrs[name]).startswith(("#", "data:image/jpeg;base64,"))


def test_every_picture_and_control_has_words(tmp_path: Path) -> None:
    page = page_of(tmp_path, Plan())
    assert all(len(str(a.get("alt"))) > 20 for a in page.all("img"))
    assert all(a.get("aria-label") for _, a in page.tags if a.get("role") == "img")
    assert all(a.get("aria-hidden") == "true" for a in page.all("svg"))
    assert page.all("html")[0] == {"lang": "en"}
    assert any(a.get("name") == "viewport" for a in page.all("meta"))
    for rule in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem"):
        assert rule in page.source


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "' onload='alert(1)",
    "{{7*7}}",
    "{% raw %}",
    "</title></style><svg onload=alert(1)>",
    "javascript:alert(1)",
    "a\u202egnp.exe",
    "\x1b]0;owned\x07",
    "-->",
    "&lt;b&gt;",
    "x" * 10_000,
]


def test_foreign_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    failures = [
        {"object": f"zebra/{name}", "stage": name[:50], "error": name, "attempts": 1}
        for name in HOSTILE
    ]
    plan = Plan(classes=("03001627", *HOSTILE), objects=HOSTILE, failures=failures, views=1)
    page = page_of(tmp_path, plan, per_class=99)
    plain = page_of(tmp_path / "plain", Plan(classes=("03001627", "zebra"), views=1))
    kinds = {tag for tag, _ in page.tags}
    assert kinds == {tag for tag, _ in plain.tags} | {"details", "summary", "table"} | {
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert len(page.all("script")) == 1
    assert len(page.all("img")) == len(plan.listed)
    assert {name for _, a in page.tags for name in a if name.startswith("on")} == set()
    for name in HOSTILE[:8]:
        assert name in page.text
    assert "\u202e" not in page.source
    assert "\x1b" not in page.source
    assert "x" * 1000 not in page.source


def test_names_fit_to_be_shown() -> None:
    assert printable("plain name-ü") == "plain name-ü"
    assert printable("a\u202eb\x00c\nd\ud800") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert printable("x" * 200) == "x" * 119 + "…"


def test_a_name_with_a_lone_surrogate_can_be_written(tmp_path: Path) -> None:
    plan = Plan(objects=("a\ud800", "b"))
    assert "a\ufffd" in page_of(tmp_path, plan).text


def test_failures_are_a_table(tmp_path: Path) -> None:
    failures = [
        {"object": f"zebra/bad-{i}", "stage": "import", "error": f"why {i}", "attempts": 2}
        for i in range(250)
    ]
    page = page_of(tmp_path, Plan(failures=failures))
    assert "250 objects could not be rendered" in page.text
    assert "zebra/bad-7 import why 7 2" in page.text
    assert len(page.all("tr")) == 201
    assert "The first 200 are shown" in page.text
    one = page_of(tmp_path / "one", Plan(failures=failures[:1]))
    assert "1 object could not be rendered" in one.text
    assert len(page_of(tmp_path / "none", Plan()).all("table")) == 0


def test_a_class_without_objects_says_so(tmp_path: Path) -> None:
    manifest = build(tmp_path / "data")
    more = manifest.classes[2].model_copy(
        update={"class_id": "yak", "name": "yak", "label": 56, "objects": 0}
    )
    manifest.model_copy(update={"classes": (*manifest.classes, more)}).write(tmp_path / "data")
    page = Page(write_gallery(tmp_path / "data", tmp_path / "g.html").read_bytes())
    assert "No object of this class is in the shards." in page.text


def test_objects_are_of_both_splits_and_spread(tmp_path: Path) -> None:
    plan = Plan(classes=("zebra",), objects=[f"{i:02d}" for i in range(20)], views=1)
    page = page_of(tmp_path, plan, per_class=4)
    assert [a["data-split"] for a in page.all("article")] == ["train"] * 3 + ["val"]
    shown = re.findall(r"<h3><bdi>(\d+)</bdi>", page.source)
    assert shown == ["00", "06", "12", "19"]


def test_equal_data_give_equal_bytes_wherever_they_lie(tmp_path: Path) -> None:
    pages, sheets = [], []
    for name in ("a", "b/c"):
        folder = tmp_path / name
        folder.parent.mkdir(exist_ok=True)
        build(folder)
        pages.append(write_gallery(folder, folder / "g.html").read_bytes())
        sheet = write_contact_sheet(folder, folder / "s.png", classes=2, views=2, thumb=32)
        sheets.append(sheet.read_bytes())
    assert pages[0] == pages[1]
    assert sheets[0] == sheets[1]
    assert str(tmp_path).encode() not in pages[0]


def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of pictures that do not compress."""
    rng = np.random.Generator(np.random.PCG64(0))
    noise = rng.integers(0, 256, (128, 128, 3), np.uint8)
    monkeypatch.setattr("tests.data.builders.picture", lambda *_: noise)
    build(tmp_path / "data", Plan(size=128, views=2))
    return tmp_path / "data"


def test_a_page_that_is_too_large_gets_smaller_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = noisy(tmp_path, monkeypatch)
    out = tmp_path / "g.html"
    whole = write_gallery(folder, out).stat().st_size
    sizes = set()
    for bound in (whole - 1, whole // 2, whole // 4):
        assert write_gallery(folder, out, max_bytes=bound).stat().st_size <= bound
        sizes |= {image.size[0] for image in thumbs(Page(out.read_bytes()))}
    assert sizes == {128, 96, 64}
    before = out.read_bytes()
    with pytest.raises(ConfigError, match="fewer objects"):
        write_gallery(folder, out, max_bytes=1000)
    assert out.read_bytes() == before


def test_the_bound_is_what_a_browser_opens_at_ease() -> None:
    assert MAX_BYTES == 20 * 2**20


@pytest.mark.parametrize("options", [{"per_class": 0}, {"views": 0}])
def test_an_empty_gallery_is_refused(tmp_path: Path, options: dict[str, int]) -> None:
    build(tmp_path / "data")
    with pytest.raises(ConfigError, match="shows nothing"):
        write_gallery(tmp_path / "data", tmp_path / "g.html", **options)


def test_a_damaged_data_set_gives_no_page(tmp_path: Path) -> None:
    build(tmp_path / "data")
    path = tmp_path / "data" / "train-000000.tar"
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    for write in (
        partial(write_gallery, tmp_path / "data"),
        partial(write_contact_sheet, tmp_path / "data", classes=3, views=1, thumb=32),
    ):
        with pytest.raises(ManifestError, match=r"train-000000\.tar"):
            write(tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("classes", "views", "thumb", "size"),
    [
        (3, 2, 64, (3 * 130 + 2 * 8, 64)),  # all beside each other
        (2, 3, 300, (3 * 300 + 2 * 9, 2 * 300 + 9)),  # one under the other
        (1, 9, 16, (3 * 16 + 2 * 2, 16)),  # no more views than there are
    ],
)
def test_a_contact_sheet_is_a_tidy_grid(
    tmp_path: Path, classes: int, views: int, thumb: int, size: tuple[int, int]
) -> None:
    build(tmp_path / "data", Plan(channel_order="bgr"))
    out = write_contact_sheet(
        tmp_path / "data", tmp_path / "s.png", classes=classes, views=views, thumb=thumb
    )
    with Image.open(out) as sheet:
        assert (sheet.format, sheet.mode, sheet.size) == ("PNG", "RGBA", size)
        assert sheet.getpixel((thumb - 2, thumb - 2)) == (*picture(0, 0)[0, 0].tolist(), 255)
        right = (2 * thumb + max(2, thumb // 32) - 2, thumb - 2)
        assert sheet.getpixel(right) == (*picture(0, 1)[0, 0].tolist(), 255)
        assert sheet.getpixel((thumb, thumb // 2)) == (0, 0, 0, 0)


@pytest.mark.parametrize("options", [(0, 1, 32), (1, 0, 32), (1, 1, 4)])
def test_an_empty_contact_sheet_is_refused(tmp_path: Path, options: tuple[int, int, int]) -> None:
    build(tmp_path / "data")
    classes, views, thumb = options
    with pytest.raises(ConfigError, match="is empty"):
        write_contact_sheet(
            tmp_path / "data", tmp_path / "s.png", classes=classes, views=views, thumb=thumb
        )
