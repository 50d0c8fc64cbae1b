"""What `3die analyze` does with a trained run.

Claims: a run of every kind of predictor is analyzed end to end, into its own folder or another;
the same command gives the same bytes, and leaves results and checkpoints alone; a method without a
predictor gives its factors; what can't be is refused before anything is read.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.data.builders import Plan, build
from threedie import files
from threedie.benchmark.analyze_run import analyze_run
from threedie.benchmark.bench import bench
from threedie.benchmark.requests import AnalyzeRequest, BenchRequest, parse_axes
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.analysis import FILE_NAME, Analysis

OUT = Console(file=io.StringIO(), width=100)
TINY = (
    "encoder=tests.benchmark.training.tiny:tiny",
    "size=32",
    "batch_size=8",
    "epochs=1",
    "threads=1",
    "projector=16,16,12",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("data")
    build(folder, Plan(objects=[f"o{i}" for i in range(5)], views=4, size=32))
    return str(folder)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def trained(data: str, folder: Path, method: str, *settings: str) -> Path:
    request = BenchRequest(
        methods=(method,),
        data=data,
        preset="smoke",
        settings=(*TINY, *settings),
        out=folder,
        name="run",
        evaluate=False,
    )
    (run,) = bench(request, console=OUT)
    return run


@pytest.mark.parametrize(
    ("method", "settings", "affine"),
    [
        ("sie-color", (), True),
        ("equimod", ("predictor=mlp", "predictor_hidden=8"), False),
    ],
)
def test_a_run_end_to_end(
    data: str, tmp_path: Path, method: str, settings: tuple[str, ...], affine: bool
) -> None:
    run = trained(data, tmp_path, method, *settings)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    said = Console(file=io.StringIO(), width=100)
    request = AnalyzeRequest(run=run, data=data, angles=4, objects=2)
    path = analyze_run(request, console=said)
    assert path == run / FILE_NAME
    found = Analysis.read(path)
    assert found.encoder.name == method
    assert found.predictor is not None
    assert found.predictor.affine is affine
    assert found.settings.objects == found.settings.of_objects == 3
    hues = {"floor_hue", "light_hue"} if method == "sie-color" else set()
    assert {s.name for s in found.sweeps} == {"rotation_x", "rotation_y", "rotation_z"} | hues
    assert found.numbers["double_cover_cosine_error"].value is not None
    if method == "sie-color":
        assert found.factors["equi"]["rotation_x"].score.value is not None
        assert found.numbers["hues_gain"].value is not None
    text = said.file.getvalue()  # type: ignore[attr-defined]
    assert "q = identity" in text
    assert "q and −q" in text
    elsewhere = tmp_path / "elsewhere"
    again = analyze_run(
        AnalyzeRequest(run=run, data=data, angles=4, objects=2, out=elsewhere), console=OUT
    )
    assert again == elsewhere / FILE_NAME
    assert again.read_bytes() == path.read_bytes()
    assert {p: p.read_bytes() for p in before} == before


def test_a_method_without_a_predictor(data: str, tmp_path: Path) -> None:
    run = trained(data, tmp_path, "vicreg")
    said = Console(file=io.StringIO(), width=100)
    path = analyze_run(AnalyzeRequest(run=run, data=data), console=said)
    found = Analysis.read(path)
    assert found.predictor is None
    assert found.factors["all"]["class"].score.value is not None
    assert "vicreg has no predictor" in said.file.getvalue()  # type: ignore[attr-defined]


def test_a_full_disk_leaves_the_old_file(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(data, tmp_path, "sen")
    request = AnalyzeRequest(run=run, data=data, angles=2, objects=0, probes=False)
    path = analyze_run(request, console=OUT)
    old = path.read_bytes()
    put = files.put

    def full(target: Path, content: object) -> object:
        if target == path:
            raise StorageError("no space left")
        return put(target, content)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(files, "put", full)
        with pytest.raises(StorageError):
            analyze_run(request, console=OUT)
    assert path.read_bytes() == old


def test_what_is_refused_at_once(data: str, tmp_path: Path) -> None:
    for asked, says in (
        ({"run": tmp_path / "gone"}, "no run folder"),
        ({"data": str(tmp_path / "gone")}, "no such folder"),
        ({"angles": 1}, "--angles"),
        ({"objects": -1}, "--objects"),
        ({"seed": -1}, "--seed"),
    ):
        with pytest.raises(ConfigError, match=says):
            AnalyzeRequest(**{"run": tmp_path, "data": data, **asked})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="--axis is 'x,w'"):
        parse_axes("x,w")
    assert parse_axes(" Z,x,z") == ("x", "z")
    with pytest.raises(ManifestError, match="holds no run"):
        analyze_run(AnalyzeRequest(run=tmp_path, data=data), console=OUT)


def test_a_results_file_that_is_none_is_named(data: str, tmp_path: Path) -> None:
    run = trained(data, tmp_path, "sen")
    (run / "results.json").write_text("{}")
    with pytest.raises(ManifestError, match=r"results\.json"):
        analyze_run(AnalyzeRequest(run=run, data=data, probes=False), console=OUT)
