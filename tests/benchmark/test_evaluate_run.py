"""What `3die eval` takes.

Claims: an official model.pth or final_weights.pth, one's own encoder and a run folder are evaluated
and say what they were; what can't be together is refused; a finished evaluation is not done twice,
unless the data are others by now; no numbers take the place of other ones, or are lost where they
can't be written; an evaluation that is stopped is asked for again; predictions lie beside the
results that name their hash, and a run from before them is done, and gets them when asked.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from tests.data.builders import Plan, build
from tests.data.server import serving
from threedie.baselines import find_method
from threedie.baselines.encoders import build_encoder
from threedie.benchmark.bench import bench
from threedie.benchmark.evaluate_run import EvalRequest, evaluate_any
from threedie.benchmark.evaluation.frozen_truth import freeze
from threedie.benchmark.evaluation.items import from_bytes
from threedie.benchmark.reading.split import open_split
from threedie.benchmark.requests import BenchRequest
from threedie.benchmark.result_files import predictions_path
from threedie.benchmark.training.signals import Interrupted
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.results import Results

OUT = Console(file=io.StringIO(), width=100)
OWN = """
import torch

def build():
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("data")
    build(folder, Plan(objects=[f"o{i}" for i in range(5)], views=3, size=32))
    return str(folder)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def evaluated(data: str, folder: Path, **asked: object) -> Results:
    request = EvalRequest(data=data, out=folder / "r.json", probe_epochs=1, **asked)  # type: ignore[arg-type]
    return Results.read(evaluate_any(request, console=OUT))


def official(folder: Path, name: str) -> Path:
    """A checkpoint as the official code writes it, with weights of ours."""
    torch.manual_seed(3)
    backbone, dim = build_encoder("resnet18")
    kind = find_method("sie").load()
    method = kind(backbone, dim, kind.Config(), n_classes=55)
    path = folder / name
    if name == "model.pth":
        state = {f"module.{key}": value for key, value in method.state_dict().items()}
        torch.save({"epoch": 7, "model": state, "optimizer": {}}, path)
    else:
        torch.save(backbone.state_dict(), path)
    return path


def test_official_checkpoints(data: str, tmp_path: Path) -> None:
    whole = evaluated(data, tmp_path, checkpoint=official(tmp_path, "model.pth"), method="sie")
    assert set(whole.metrics) == {"all", "inv", "equi"}
    assert whole.metrics["all"]["mrr_val"].value is not None
    alone = evaluated(data, tmp_path, checkpoint=official(tmp_path, "final_weights.pth"))
    assert set(alone.metrics) == {"all"}
    assert alone.metrics["all"]["top1"] == whole.metrics["all"]["top1"]
    assert alone.encoder.checkpoint_sha256 != whole.encoder.checkpoint_sha256
    assert alone.protocol.settings["normalisation"]["order"] == "bgr"  # type: ignore[index,call-overload]


def test_a_checkpoint_that_does_not_fit(data: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"model": {"module.backbone.conv1.weight": torch.zeros(1)}}, path)
    with pytest.raises(ManifestError, match="another architecture"):
        evaluated(data, tmp_path, checkpoint=path)


def test_ones_own_encoder(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "encoder_of_this_test.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    found = evaluated(data, tmp_path, encoder="encoder_of_this_test:build")
    assert found.encoder.dim == 12
    assert found.encoder.name == "encoder_of_this_test:build"
    assert found.protocol.changed  # by probe_epochs


def test_a_run_is_trained_evaluated_and_left_alone(data: str, tmp_path: Path) -> None:
    request = BenchRequest(
        methods=("vicreg",),
        data=data,
        preset="smoke",
        settings=("size=32", "batch_size=8", "epochs=1", "threads=1", "projector=16,16"),
        out=tmp_path,
        name="mine",
        evaluate=False,
    )
    assert bench(request, console=OUT) == [tmp_path / "mine"]
    first = evaluated(data, tmp_path, checkpoint=tmp_path / "mine")
    assert first.encoder.name == "vicreg"
    settings = first.encoder.config["settings"]
    assert isinstance(settings, dict)
    assert settings["projector"] == [16, 16]
    again = evaluated(data, tmp_path, checkpoint=tmp_path / "mine")
    assert again.metrics == first.metrics
    with pytest.raises(ConfigError, match="leave out"):
        evaluated(data, tmp_path, checkpoint=tmp_path / "mine", encoder="resnet18")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "--checkpoint RUN, or --encoder"),
        ({"encoder": "resnet18", "batch_size": 0}, "--batch-size"),
        ({"encoder": "resnet18", "seed": -1}, "--seed"),
        ({"encoder": "resnet18", "size": 4}, "--size"),
        ({"encoder": "resnet18", "out": Path("x.txt")}, r"\.json"),
        ({"encoder": "resnet18", "method": "seie"}, "sie"),
        ({"encoder": "resnet18", "protocol": "v1"}, "3die-v1"),
    ],
)
def test_what_is_refused_at_once(asked: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        EvalRequest(data="d", **asked)  # type: ignore[arg-type]


def test_weights_from_two_places(data: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such"):
        evaluated(data, tmp_path, checkpoint=tmp_path / "gone.pth")
    with pytest.raises(ConfigError, match="no such folder"):
        evaluate_any(EvalRequest(data="gone", encoder="resnet18"), console=OUT)


def asked(data: str, out: Path) -> BenchRequest:
    """An untrained run of seconds."""
    return BenchRequest(
        methods=("random",),
        data=data,
        preset="smoke",
        settings=("size=32", "batch_size=8", "threads=1"),
        out=out,
        name="mine",
    )


def test_no_numbers_take_the_place_of_others(data: str, tmp_path: Path) -> None:
    (run,) = bench(asked(data, tmp_path), console=OUT)
    first = (run / "results.json").read_bytes()
    other = tmp_path / "other set"
    build(other, Plan(objects=[f"p{i}" for i in range(5)], views=3, size=32))
    wanted: list[dict[str, Any]] = [
        {"data": str(other)},
        {"data": data, "size": 16},
        {"data": data, "seed": 1},
        {"data": data, "normalise": "imagenet"},
    ]
    names = [evaluate_any(EvalRequest(checkpoint=run, **w), console=OUT).name for w in wanted]
    assert names[0].startswith("results-3die-v1-other_set-")
    assert names[1:] == [f"results-3die-v1-{p}.json" for p in ("size16", "seed1", "imagenet")]
    bench(asked(data, tmp_path), console=OUT)
    assert (run / "results.json").read_bytes() == first


def test_predictions_lie_beside_their_results(data: str, tmp_path: Path) -> None:
    (run,) = bench(asked(data, tmp_path), console=OUT)
    found = Results.read(run / "results.json")
    content = (run / "predictions.npz").read_bytes()
    assert found.predictions is not None
    assert found.predictions.sha256 == hashlib.sha256(content).hexdigest()
    items = from_bytes(content, "it")
    assert (items.about.protocol, items.about.seed) == ("3die-v1/1", 0)
    assert items.about.checkpoint_sha256 == found.encoder.checkpoint_sha256
    train, val = (open_split(data, name) for name in ("train", "val"))
    assert items.about.list_sha256 == freeze("3die-v1/1", train, val).sha256
    for protocol in ("3die-v1", "sie-2023"):
        request = EvalRequest(data=data, checkpoint=run, protocol=protocol, seed=1, probe_epochs=1)
        path = evaluate_any(request, console=OUT)
        beside = path.with_name(path.name.replace("results", "predictions")).with_suffix(".npz")
        assert beside.is_file() == (protocol == "3die-v1")


def test_a_run_from_before_predictions(data: str, tmp_path: Path) -> None:
    (run,) = bench(asked(data, tmp_path), console=OUT)
    body = json.loads((run / "results.json").read_text())
    del body["predictions"]
    (run / "results.json").write_text(json.dumps(body))
    (run / "predictions.npz").unlink()
    bench(asked(data, tmp_path), console=OUT)
    assert Results.read(run / "results.json").predictions is None  # it is done, and left alone
    evaluate_any(EvalRequest(data=data, checkpoint=run), console=OUT)
    assert Results.read(run / "results.json").predictions is not None
    assert (run / "predictions.npz").is_file()


@pytest.mark.parametrize(
    ("results", "predictions"),
    [
        ("results.json", "predictions.npz"),
        ("results-3die-v1-seed1.json", "predictions-3die-v1-seed1.npz"),
        ("r.json", "r-predictions.npz"),
        ("resultsx.json", "resultsx-predictions.npz"),
    ],
)
def test_names_of_predictions(results: str, predictions: str) -> None:
    assert predictions_path(Path("a") / results) == Path("a") / predictions


def test_another_val_split_is_evaluated_anew(data: str, tmp_path: Path) -> None:
    (run,) = bench(asked(data, tmp_path), console=OUT)
    body = json.loads((run / "results.json").read_text())
    body["dataset"]["splits"]["val"]["hash"] = "ab" * 32
    (run / "results.json").write_text(json.dumps(body))
    bench(asked(data, tmp_path), console=OUT)
    found = Results.read(run / "results.json").dataset.splits["val"].hash
    assert found == open_split(data, "val").data_hash


def test_numbers_that_cannot_be_written_are_read_at_least(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Results, path: Path) -> None:
        raise StorageError("no space left")

    said = io.StringIO()
    request = EvalRequest(data=data, encoder="resnet18", probe_epochs=1, out=tmp_path / "r.json")
    monkeypatch.setattr(Results, "write", full)
    with pytest.raises(StorageError, match="no space"):
        evaluate_any(request, console=Console(file=said, width=100))
    assert "top-1" in said.getvalue()


def test_a_folder_that_cannot_be_written_is_found_first(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    request = EvalRequest(data=data, encoder="resnet18", probe_epochs=1, out=tmp_path / "r.json")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StorageError, match="cannot write results into"):
        evaluate_any(request, console=Console(file=said, width=100))
    assert said.getvalue() == ""  # nothing was begun


def test_a_stopped_evaluation_is_asked_for_again(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("threedie.benchmark.bench.evaluate_run", stop)
    with pytest.raises(Interrupted, match="is trained, but not evaluated; run the same") as stopped:
        bench(asked(data, tmp_path), console=OUT)
    assert stopped.value.exit_code == 75


def test_a_streamed_set_is_trained_on_and_evaluated_elsewhere(data: str, tmp_path: Path) -> None:
    said = io.StringIO()
    with serving(Path(data)) as server:
        bench(asked(f"{server.url}/?token=t", tmp_path), console=Console(file=said, width=300))
    assert said.getvalue().startswith(f"reading {server.url}/ …")
    assert f"3die eval --checkpoint {tmp_path}/mine --data FOLDER" in said.getvalue()
    assert not (tmp_path / "mine" / "results.json").exists()
