"""Claims proved here, on retrieval looked at: a real run of a tiny method, asked through the page.

Ranks and their mean are the evaluation's own, pictures are the data set's in true RGB, what can't
be looked at says why and costs itself only, and equal input gives equal bytes.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tests.data.builders import Plan, build
from tests.pages import Page
from threedie.benchmark.bench import bench
from threedie.benchmark.report.write import write_report
from threedie.benchmark.requests import BenchRequest
from threedie.manifests.results import Results

PLAN = Plan(objects=[f"o{i}" for i in range(6)], views=4, size=32, channel_order="bgr")
TINY = ("encoder=tests.benchmark.training.tiny:tiny", "size=32", "projector=16,16,12", "threads=1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and a run of SIE and VICReg on it."""
    folder = tmp_path_factory.mktemp("home")
    build(folder / "data", PLAN)
    request = BenchRequest(
        methods=("sie", "vicreg"),
        data=str(folder / "data"),
        preset="smoke",
        settings=(*TINY, "device=cpu", "epochs=2", "batch_size=8"),
        out=folder / "runs",
    )
    bench(request, console=Console(file=io.StringIO(), width=100))
    return folder


def test_the_gallery_is_the_evaluation_looked_at(home: Path) -> None:
    runs = sorted((home / "runs").iterdir())
    data = str(home / "data")
    out, _ = write_report(runs, home / "a.html", data=data)
    page = Page(out.read_bytes())
    results = Results.read(runs[0] / "results.json")
    mrr = results.metrics["all"]["mrr_val"].value
    assert mrr is not None
    assert f"3 of 3 val objects were asked, mean reciprocal rank {mrr:.3f}." in page.text
    ranks = [int(r) for r in re.findall(r"about \([^)]*\): rank (\d) of 4", page.text)]
    assert len(ranks) == 6  # the easiest and the hardest question to each of three objects
    assert len(page.all("img")) == 6 * (2 + 4)
    right = [a for a in page.all("li") if a.get("class") == "right"]
    assert len(right) == 6  # all four views are shown, one of them is the right one
    write_report(runs, home / "b.html", data=data)
    assert (home / "b.html").read_bytes() == out.read_bytes()
    assert "3diebench, seed 7" in page.text  # the data set's card
    assert str(home) not in page.source


def test_pictures_are_true_rgb(home: Path) -> None:
    runs = sorted((home / "runs").iterdir())[:1]
    out, _ = write_report(runs, home / "c.html", data=str(home / "data"))
    for attrs in Page(out.read_bytes()).all("img"):
        content = base64.b64decode(str(attrs["src"]).partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(content))).astype(int)
        assert pixels.shape == (32, 32, 3)
        assert pixels[..., 2].mean() > 200  # the builders' blue is always high
        (view,) = re.findall(r"view (\d)", str(attrs["alt"]))
        assert abs(pixels[..., 1].mean() - (20 + 40 * int(view))) < 12


def test_what_can_not_be_looked_at_says_why(home: Path, tmp_path: Path) -> None:
    run = sorted((home / "runs").iterdir())[0]
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    shutil.rmtree(moved / "checkpoints")
    out, _ = write_report([moved], tmp_path / "a.html", data=str(home / "data"))
    page = Page(out.read_bytes())
    assert "has no checkpoint yet" in page.text
    assert str(tmp_path) not in page.source
    build(tmp_path / "other", Plan(objects=["p", "q", "r"], views=4))
    out, _ = write_report([run], tmp_path / "b.html", data=str(tmp_path / "other"))
    assert "give that data set" in Page(out.read_bytes()).text
