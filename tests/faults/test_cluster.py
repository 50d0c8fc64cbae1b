"""Ray: real nodes on this machine, one of them killed.

Claims:
- Shards made on three nodes are the bytes of one local run, also when a node is killed in the
  middle: its shards are made again elsewhere.
- Ctrl-C leaves what is delivered; the same run goes on and renders only the rest.
- No more tasks run than there are cores for.
- Every object is counted and every failure told once.
- What a task meets (a full store) is the driver's error; too few cores or no Ray are clear errors.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tests.faults import oracle
from tests.faults.conftest import ROOT
from tests.faults.fake_stage import RENDERER
from threedie.errors import ConfigError
from threedie.render import cluster
from threedie.render.cluster import Cluster
from threedie.render.engine import render_dataset
from threedie.render.machine import Hardware
from threedie.render.progress import Progress

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="no Ray: pip install 'threedie[cluster]'"
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.faults.ray_driver import the_plan

    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    render_dataset(
        the_plan(),
        folder,
        hardware=Hardware(workers=2, threads=1),
        progress=Progress(),
        renderer=RENDERER,
    )
    return folder


def drive(tmp_path: Path, *options: str) -> dict[str, object]:
    ended = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "tests.faults.ray_driver"),
            *(str(tmp_path / "out"), "--staging", str(tmp_path / "staging"), *options),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    assert lines, f"{ended.stdout}\n{ended.stderr}"
    said: dict[str, object] = json.loads(lines[-1])
    return said


def same(tmp_path: Path, undisturbed: Path) -> None:
    assert oracle.tree_hash(tmp_path / "out") == oracle.tree_hash(undisturbed)
    assert oracle.leftovers(tmp_path / "out") == []
    assert not any((tmp_path / "staging").rglob("*.tar"))


@needs_ray
def test_a_killed_node_changes_no_byte(tmp_path: Path, undisturbed: Path) -> None:
    said = drive(tmp_path, "--kill-node")
    assert said["killed"] == 1
    assert (said["objects"], said["failures"], said["shards"]) == (40, 1, 11)
    assert (said["seen"], said["told_failures"], said["told_shards"]) == (41, 1, 11)
    same(tmp_path, undisturbed)


@needs_ray
@pytest.mark.parametrize("connection", [(), ("--connected",)], ids=["ours", "the caller's"])
def test_a_stopped_run_goes_on(
    tmp_path: Path, undisturbed: Path, connection: tuple[str, ...]
) -> None:
    """A connection of ours ends its tasks when it is closed; a caller's goes on, so they must."""
    assert drive(tmp_path, "--stop", *connection)["stopped"] is True
    delivered = len(list((tmp_path / "out").glob("*.tar")))
    assert 1 <= delivered < 11
    said = drive(tmp_path)
    assert isinstance(said["rendered"], int)
    assert 0 < said["rendered"] < 40
    assert said["seen"] == 41
    same(tmp_path, undisturbed)
    assert drive(tmp_path)["rendered"] == 0


@needs_ray
def test_a_core_has_one_task(tmp_path: Path) -> None:
    assert drive(tmp_path)["at_once"] == 3


STRANGER = """
import os, subprocess, sys
from threedie.render.cluster import Cluster, _connected
with _connected(Cluster()) as ray:
    own = ray.get(ray.remote(lambda: 7).remote())
    address = ray.get_runtime_context().gcs_address
    other = f"import ray; ray.init(address='{address}', log_to_driver=False); print('IN')"
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    try:
        stranger = [sys.executable, "-c", other]
        said = subprocess.run(stranger, env=env, capture_output=True, timeout=9)
        tried = said.stdout + said.stderr
    except subprocess.TimeoutExpired as late:
        tried = (late.stdout or b"") + (late.stderr or b"")
where = "IN" if tried.startswith(b"IN") else "OUT"
print("OWN", own, "STRANGER", where, b"InvalidAuthToken" in tried)
"""


@needs_ray
def test_nobody_else_can_use_a_cluster_of_our_own() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STRANGER],
        env={k: v for k, v in os.environ.items() if not k.startswith("RAY_")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "OWN 7 STRANGER OUT True" in ended.stdout, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("options", "says"), [({"cpus": 0.5}, "--cpus-per-shard is 0.5"), ({"gpus": -1}, "--gpus")]
)
def test_nonsense_is_refused(options: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Cluster(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "[::1]:1"])
def test_a_cluster_that_is_not_there_is_told_without_pages_of_ray(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Ray itself tries for minutes and prints its own warnings meanwhile."""
    ray = types.SimpleNamespace(is_initialized=lambda: False, init=pytest.fail)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(cluster, "_ANSWER_S", 0.0)
    with (
        pytest.raises(ConfigError, match=rf"no Ray cluster answers at '{re.escape(address)}'"),
        cluster._connected(Cluster(address=address)),
    ):
        pass


def test_a_task_uses_what_it_asks_for() -> None:
    assert Cluster(cpus=4).hardware == Hardware(workers=4, threads=1)
    assert Cluster(cpus=8, gpus=2).hardware == Hardware(workers=2, threads=4)
