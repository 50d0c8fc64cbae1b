"""Claims proved here, on figures.

- A value stands where its axis says, hand-checked; intervals and chance are drawn.
- Published values are hollow, of the same kind of R², and only beside the published rotations.
- Curves are means over seeds; long logs are thinned without losing their ends.
- The SVG and the PNG of a figure show the same; equal input gives equal bytes.
"""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.benchmark.report.cases import FLAT, Json, body, changed, curve, number, run_folder
from threedie.benchmark.grouping import read_entries
from threedie.benchmark.report import figures
from threedie.benchmark.report.canvas import Box, Drawing, Line, Mark, Words, style_of
from threedie.benchmark.report.chart import WIDTH, Chart, linear, logarithmic
from threedie.benchmark.report.palette import LIGHT, heat
from threedie.benchmark.report.png import file_png
from threedie.benchmark.report.rotation_curves import curve as curve_of
from threedie.benchmark.report.runs import GroupReport, read_groups
from threedie.benchmark.report.scatter import scatter
from threedie.benchmark.report.svg import file_svg, inline_svg
from threedie.benchmark.report.training_curves import thinned, training
from threedie.benchmark.report.write import write_figures
from threedie.manifests.literature import literature


def group_of(folder: Path, *wholes: Json) -> GroupReport:
    runs = [run_folder(folder / str(i), whole) for i, whole in enumerate(wholes)]
    (group,) = read_groups(read_entries(runs)[0])
    return group


def marks(sheet: Drawing) -> list[Mark]:
    """Those of the field; the legend's come with words right of them."""
    return [s for s in sheet.shapes if isinstance(s, Mark) and s.says]


def test_a_value_stands_where_the_axis_says() -> None:
    sheet = Drawing("x", "t", "d", WIDTH, 300.0)
    chart = Chart(sheet, linear("x", [0.0, 1.0]), linear("y", [0.0, 10.0]))
    left, bottom = chart.at(-0.06, -0.6)
    right, top = chart.at(1.06, 10.6)
    assert chart.at(0.5, 5.0) == pytest.approx(((left + right) / 2, (top + bottom) / 2))
    assert chart.at(99, -99) == (right, bottom)  # never beyond the frame
    ticks = [s.text for s in sheet.shapes if isinstance(s, Words)]
    assert ticks[:6] == ["0", "2", "4", "6", "8", "10"]


def test_ticks_are_round() -> None:
    assert linear("", [0.31, 0.42]).ticks == pytest.approx((0.325, 0.35, 0.375, 0.4, 0.425))
    assert logarithmic("", [0.02, 30.0]).ticks == pytest.approx((0.1, 1.0, 10.0))
    assert logarithmic("", [1.0, 4.0]).ticks == pytest.approx((1.0, 2.0))
    assert 0.5 in linear("", [0.5]).ticks


def test_scatter_shows_means_intervals_and_chance(tmp_path: Path) -> None:
    group = group_of(tmp_path, body(seed=0, top1=0.4), body(seed=1, top1=0.6), body("vicreg"))
    sheet = scatter(group, "global", "s")
    assert sheet is not None
    ours = [m for m in marks(sheet) if not m.hollow]
    assert [m.says for m in ours] == [
        "sie: top-1 0.500, R² 0.400",
        "vicreg: top-1 0.500, R² 0.400",
    ]
    assert ours[0].shape != ours[1].shape
    across = [s for s in sheet.shapes if isinstance(s, Line) and s.ink == ours[0].ink]
    assert across[0].points[0][0] < ours[0].at[0] < across[0].points[1][0]
    assert len([s for s in sheet.shapes if isinstance(s, Line) and s.dashed]) == 2
    assert ("sie", "0.500", "0.400", "here") in sheet.rows


def test_published_values_stay_with_their_kind(tmp_path: Path) -> None:
    for kind, sources in (
        ("global", {"ContextSSL (figures)", "EquiCaps (README)"}),
        ("uniform", {"seq-JEPA, Table 1", "seq-JEPA, Table 11"}),
    ):
        sheet = scatter(group_of(tmp_path / kind, body()), kind, "s")  # type: ignore[arg-type]
        assert sheet is not None
        hollow = [m for m in marks(sheet) if m.hollow]
        assert len(hollow) == sum(q.r2_kind == kind for q in literature())
        assert all(any(source in m.says for source in sources) for m in hollow)
        assert any("128 px, batch 512, 1000 epochs" in m.says for m in hollow)
    yaw = scatter(group_of(tmp_path, changed(body(), dataset__recipe="yaw")), "global", "s")
    assert yaw is not None
    assert not [m for m in marks(yaw) if m.hollow]


def test_literature_is_shares_and_says_its_source() -> None:
    assert len(literature()) == 26
    for quoted in literature():
        assert quoted.source
        shares = (quoted.top1, quoted.rotation_r2, quoted.mrr, quoted.h_at_1, quoted.h_at_5)
        assert all(share is None or 0 < share < 1 for share in shares)
        assert (quoted.rotation_r2 is None) == (quoted.r2_kind is None)
    sie = [q for q in literature() if q.method == "SIE" and q.size == 256]
    assert [(q.rotation_r2, q.r2_kind, q.mrr) for q in sie] == [(0.721, "uniform", 0.411)]


def test_curves_are_means_over_seeds(tmp_path: Path) -> None:
    other = changed(body(seed=1), curves={"all": {"top1": curve("absolute", 0.45, 0.5, 0.75)}})
    sheet = curve_of(group_of(tmp_path, body(seed=0), other), "top1", "c")
    assert sheet is not None
    assert sheet.rows[0] == ("sie", "0 to 60", "0.350", "0.150 to 0.550")  # of .25 and .45, ± .1
    assert curve_of(group_of(tmp_path / "b", body()), "mrr_val", "c") is None


def test_a_bin_without_a_value_is_left_out(tmp_path: Path) -> None:
    holed = curve("relative", 0.2, 0.4, 0.6)
    holed["points"][1] = number(None)
    sheet = curve_of(
        group_of(tmp_path, changed(body(), curves={"all": {"mrr_val": holed}})), "mrr_val", "c"
    )
    assert sheet is not None
    assert [row[1] for row in sheet.rows] == ["0 to 60", "120 to 180"]


def test_a_long_log_is_thinned_to_its_means() -> None:
    log = [{"step": i, "loss": float(i)} for i in range(1, 1001)]
    rows = thinned(log)
    assert len(rows) == 77  # 13 lines each
    assert rows[0] == {"step": 13, "loss": 7.0}
    assert rows[-1]["step"] == 1000
    assert thinned(log[:80]) == log[:80]


def test_panels_are_what_the_log_has(tmp_path: Path) -> None:
    group = group_of(tmp_path, body())
    panels = training(group.runs[0], "t")
    assert [p.name for p in panels] == ["t-loss", "t-online", "t-repr"]
    assert [row[0] for row in panels[0].rows] == ["loss", "invariance"]
    assert panels[0].rows[0] == ("loss", "9", str(FLAT[-1]["loss"]))
    bare = run_folder(tmp_path / "bare", body(), log=None)
    (alone,) = read_groups(read_entries([bare])[0])
    assert training(alone.runs[0], "t") == []


def test_the_class_map_shades_by_value(tmp_path: Path) -> None:
    sheet = figures.class_map(group_of(tmp_path, body()), "m")
    assert sheet is not None
    assert [s.ink for s in sheet.shapes if isinstance(s, Box)] == ["h5", "h0"]  # chair .75, mug .25
    assert {"chair", "mug", "0.75", "0.25"} <= {
        s.text for s in sheet.shapes if isinstance(s, Words)
    }
    assert [heat(share) for share in (-1, 0, 0.5, 1, 2)] == ["h0", "h0", "h3", "h5", "h5"]


def test_series_can_be_told_apart() -> None:
    assert len({style_of(i) for i in range(56)}) == 56


def drawing() -> Drawing:
    """A blue box, and a red line below it."""
    sheet = Drawing("d", "a <title>", "b & c", 100.0, 60.0)
    sheet.add(Box((10.0, 10.0), (30.0, 20.0), "s0"))
    sheet.line([(10.0, 50.0), (90.0, 50.0)], "s6", width=4)
    sheet.add(Words((50.0, 20.0), "<b>$x$ R²"))
    return sheet


def test_svg_and_png_show_the_same() -> None:
    pixels = np.asarray(Image.open(io.BytesIO(file_png(drawing(), dpi=96))).convert("RGB"))
    assert pixels.shape == (60, 100, 3)
    for (x, y), ink in {(25, 20): "s0", (50, 50): "s6", (80, 35): "card"}.items():
        assert "#" + bytes(pixels[y, x]).hex() == LIGHT[ink]
    root = ElementTree.fromstring(file_svg(drawing()))
    space = "{http://www.w3.org/2000/svg}"
    assert [e.tag.removeprefix(space) for e in root] == [
        "title", "desc", "style", "rect", "rect", "path", "text",
    ]  # fmt: skip
    assert root.findtext(f"{space}text") == "<b>$x$ R²"
    assert root[4].attrib == {"class": "f-s0", "x": "10", "y": "10", "width": "30", "height": "20"}
    assert f".f-s0{{fill:{LIGHT['s0']}}}" in str(root.findtext(f"{space}style"))
    assert '<title id="i-t">a &lt;title&gt;</title>' in inline_svg(drawing(), "i")


def test_files_of_every_figure(tmp_path: Path) -> None:
    group = group_of(tmp_path, body(), body("vicreg"))
    written = write_figures([group], tmp_path / "one")
    names = {path.name for path in written}
    assert len(written) == 2 * (2 + 1 + 1 + 2 * 3)  # scatters, curve, classes, panels of two runs
    assert {"group-1-classes.svg", "run-1-sie-s0-loss.png", "run-2-vicreg-s0-repr.svg"} <= names
    for path in write_figures([group], tmp_path / "two"):
        assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()
