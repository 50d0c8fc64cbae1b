"""The whole way of a data set, with the program itself and a real S3-compatible server.

Claims:
- Two parts rendered into a bucket (real Blender) and merged there, downloaded: the bytes of one
  local run; so is a local run that was published and downloaded.
- A method trains from the bucket as it does from the download.
- Rendering into a bucket that is stopped by the store goes on without rendering anything again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.builders import Plan, build
from tests.faults import oracle
from tests.faults.fake_stage import RENDERER, fake_plan
from threedie.data.stores import open_store
from threedie.render.delivery import Delivery
from threedie.render.engine import render_dataset
from threedie.render.machine import Hardware
from threedie.render.outline import Outline
from threedie.render.progress import Progress

SMALL = ["--limit", "1", "--views", "2", "--size", "16", "--shard-size", "8", "--workers", "1"]
BENCH = [
    "bench",
    "--method",
    "vicreg",
    "--preset",
    "smoke",
    "--set",
    "epochs=1",
    "--device",
    "cpu",
    "--no-eval",
]


def run(*words: str, cwd: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "threedie", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.returncode == 0, f"3die {' '.join(words)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.mark.bpy
def test_parts_in_a_bucket_are_one_local_run(bucket: str, tmp_path: Path) -> None:
    run("render", "--out", "local", *SMALL, cwd=tmp_path)
    for part in ("1/2", "0/2"):
        where = f"{bucket}/parts"
        run(
            "render", "--out", where, "--staging", "st", "--shard-range", part, *SMALL, cwd=tmp_path
        )
    assert not list((tmp_path / "st").iterdir())
    assert "whole" in run("merge", f"{bucket}/parts", cwd=tmp_path)
    run("download", f"{bucket}/parts", "--out", "merged", cwd=tmp_path)
    run("publish", "local", f"{bucket}/local", cwd=tmp_path)
    run("download", f"{bucket}/local", "--out", "fetched", cwd=tmp_path)
    right = oracle.tree_hash(tmp_path / "local")
    assert oracle.tree_hash(tmp_path / "merged") == right
    assert oracle.tree_hash(tmp_path / "fetched") == right
    assert "nothing left to render" in run(
        "render", "--out", f"{bucket}/parts", *SMALL, cwd=tmp_path
    )


def test_a_bucket_trains_as_its_download_does(bucket: str, tmp_path: Path) -> None:
    objects = [f"o{i}" for i in range(12)]
    build(tmp_path / "set", Plan(objects=objects, views=4, size=64, image_format="jpg"))
    run("publish", "set", f"{bucket}/set", cwd=tmp_path)
    run("download", f"{bucket}/set", "--out", "down", cwd=tmp_path)
    assert oracle.tree_hash(tmp_path / "set") == oracle.tree_hash(tmp_path / "down")
    for data, name in ((f"{bucket}/set", "streamed"), ("down", "indexed")):
        run(*BENCH, "--data", data, "--name", name, cwd=tmp_path)
        assert list((tmp_path / "runs" / name / "checkpoints").iterdir())


def test_a_stopped_delivery_into_a_bucket_goes_on(bucket: str, tmp_path: Path) -> None:
    plan = fake_plan(tuple(f"o-{i}" for i in range(6)), objects_per_shard=2)
    made: list[str] = []

    class Seen(Progress):
        def rendered(self, obj: object) -> None:
            made.append(str(obj))

    class Interrupting(Seen):
        def shard(self, entry: object) -> None:
            raise KeyboardInterrupt

    def go_on(progress: Progress) -> None:
        delivery = Delivery(open_store(f"{bucket}/fake"))
        if delivery.begin(Outline.of(plan)) is None:
            render_dataset(
                plan,
                tmp_path / "staging",
                hardware=Hardware(workers=1, threads=1),
                progress=progress,
                renderer=RENDERER,
                delivery=delivery,
            )

    with pytest.raises(KeyboardInterrupt):
        go_on(Interrupting())
    go_on(Seen())
    go_on(Seen())
    assert len(made) == len(set(made)) == 6
    store = open_store(f"{bucket}/fake")
    assert store.list(".render/") == []
    assert store.size("dataset.json")
