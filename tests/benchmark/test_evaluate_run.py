"""What `3die eval` takes.

Claims: an official model.pth or final_weights.pth, one's own encoder and a run folder are evaluated
and say what they were; what can't be together is refused; a finished evaluation is not done twice.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.data.builders import Plan, build
from threedie.baselines import find_method
from threedie.baselines.encoders import build_encoder
from threedie.benchmark.bench import bench
from threedie.benchmark.evaluate_run import EvalRequest, evaluate_any
from threedie.benchmark.requests import BenchRequest
from threedie.errors import ConfigError, ManifestError
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
