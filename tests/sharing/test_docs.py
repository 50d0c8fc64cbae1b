"""docs/data.md's own lines, run one after the other against servers on this machine.

Claim: every line that needs no other place runs as it stands, with `https://host/path` and
`s3://bucket/path` replaced by a web server and a bucket here, and the published archive by our own
pictures in its layout; what comes out is whole, and a round trip is the same bytes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.data.builders import Plan, build
from tests.data.server import serving
from tests.faults import oracle
from tests.sharing.test_round_trips import run
from tests.test_readme import ROOT, lines
from threedie.data.verify import verify_dataset

ELSEWHERE = {
    "bench": "trains for minutes; test_round_trips trains from a bucket",
    "download 3diebench": "17 GB from the net; test_release converts an imitation of it",
}


def wanted() -> list[list[str]]:
    """The lines to run, in the order of the page."""
    found = lines(ROOT / "docs" / "data.md")
    return [w for w in found if not any(" ".join(w).startswith(start) for start in ELSEWHERE)]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """What a reader has at hand: shards somewhere, and the published archive with its list."""
    plan = Plan(classes=("03001627", "03797390"), views=2, size=64, image_format="jpg")
    build(tmp_path / "served", plan)
    export = ("export", "served", "--layout", "official", "--out")
    run(*export, "FOLDER", cwd=tmp_path)
    run(*export, "3DIEBench.tar", cwd=tmp_path)
    (tmp_path / "3DIEBench.tar").rename(tmp_path / "3DIEBench.tar.gz")  # known by its first bytes
    shutil.copy(tmp_path / "FOLDER" / "val_images.npy", tmp_path)
    (tmp_path / "shards").mkdir()
    for shard in (tmp_path / "served").glob("*.tar"):
        shutil.copy(shard, tmp_path / "shards")
    return tmp_path


def test_the_lines_of_data_md_run(workplace: Path, bucket: str) -> None:
    forced = ["--channel-order", "rgb"]  # these pictures have no floor that could tell
    with serving(workplace / "served") as server:
        here = {"https://host/path": server.url, "s3://bucket/path": f"{bucket}/path"}
        for words in wanted():
            at_hand = [here.get(word, word) for word in words]
            globbed = [
                str(p) for w in at_hand for p in (sorted(workplace.glob(w)) if "*" in w else [w])
            ]
            run(*globbed, *(forced if words[0] == "convert" else []), cwd=workplace)
    verbs = [words[0] for words in wanted()]
    assert verbs == ["download"] * 3 + ["publish", "convert", "convert", "export", "check", "check"]
    data = workplace / "data"
    for name in ("set", "val", "chairs", "3diebench", "mine"):
        assert verify_dataset(data / name).problems == [], name
    assert oracle.tree_hash(data / "set") == oracle.tree_hash(workplace / "served")
    assert (workplace / "mine.tar").read_bytes() == (workplace / "3DIEBench.tar.gz").read_bytes()
