"""Claims proved here, on official checkpoints.

- `model.pth` (epoch, model with `module.`, optimizer) loads into every method whole, and its
  backbone alone; `final_weights.pth` loads as a backbone. Probes are left out and listed.
- A missing, extra or misshapen name is an error that names the first few, with both shapes.
- Code in a pickle does not run; damaged, empty and foreign files are one line each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from threedie.baselines import METHODS
from threedie.baselines.method import Method
from threedie.baselines.official import load_backbone, load_method
from threedie.errors import ConfigError, ManifestError

D = 8
PROBES = {"evaluator.classifier.weight": torch.zeros(3, D), "evaluator.head.bias": torch.zeros(3)}


def build(name: str, seed: int, **settings: Any) -> Method:
    torch.manual_seed(seed)
    kind = METHODS[name].load()
    chosen = {**METHODS[name].settings, "projector": (8, 6, 6), **settings}
    backbone = nn.Sequential(nn.Linear(5, D), nn.BatchNorm1d(D))
    return kind(backbone, D, kind.Config(**chosen), n_classes=3)


def save(path: Path, state: dict[str, Tensor], *, drop: str = "", **more: Tensor) -> Path:
    """As main.py writes it."""
    named = {f"module.{key}": value for key, value in {**state, **PROBES, **more}.items()}
    named.pop(drop, None)
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(2))]).state_dict()
    torch.save({"epoch": 12, "model": named, "optimizer": optimizer}, path)
    return path


OFFICIAL = [name for name in METHODS if name not in ("random", "supervised")]


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_whole_method(name: str, tmp_path: Path) -> None:
    theirs, ours = build(name, 1), build(name, 2)
    loaded = load_method(ours, save(tmp_path / "model.pth", theirs.state_dict()))
    assert loaded.epoch == 12
    assert loaded.ignored == tuple(sorted(PROBES))
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[key], rtol=0, atol=0)


def test_a_backbone_alone(tmp_path: Path) -> None:
    theirs, ours = build("sie", 1), build("sie", 2)
    whole = save(tmp_path / "model.pth", theirs.state_dict())
    torch.save(theirs.backbone.state_dict(), tmp_path / "final_weights.pth")
    for path in (whole, tmp_path / "final_weights.pth"):
        loaded = load_backbone(ours.backbone, path)
        for key, value in ours.backbone.state_dict().items():
            torch.testing.assert_close(value, theirs.backbone.state_dict()[key])
        heads = {key for key in theirs.state_dict() if not key.startswith("backbone.")}
        assert set(loaded.ignored) == (heads | set(PROBES) if path == whole else set())
        for parameter in ours.backbone.parameters():
            nn.init.zeros_(parameter)


def test_heads_are_not_in_final_weights(tmp_path: Path) -> None:
    method = build("sie", 1)
    torch.save(method.backbone.state_dict(), tmp_path / "final_weights.pth")
    with pytest.raises(ConfigError, match="holds a backbone alone"):
        load_method(method, tmp_path / "final_weights.pth")


def test_a_missing_name(tmp_path: Path) -> None:
    method = build("sie", 1)
    path = save(tmp_path / "m.pth", method.state_dict(), drop="module.projector_inv.0.bias")
    with pytest.raises(ManifestError, match=r"projector_inv\.0\.bias is missing, expected \(4,\)"):
        load_method(method, path)


def test_an_extra_name(tmp_path: Path) -> None:
    method = build("sie", 1)
    path = save(tmp_path / "m.pth", method.state_dict(), predictor2=torch.zeros(2, 3))
    with pytest.raises(ManifestError, match=r"predictor2 is unknown, found \(2, 3\)"):
        load_method(method, path)
    with pytest.raises(ManifestError, match="predictor2 is unknown"):
        load_backbone(method.backbone, path)


def test_another_architecture(tmp_path: Path) -> None:
    """The first few names, with both shapes, and how many more there are; nothing is loaded."""
    method = build("sie", 1)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    wider = build("sie", 2, projector=(10, 6, 6))
    path = save(tmp_path / "m.pth", wider.state_dict())
    with pytest.raises(ManifestError) as caught:
        load_method(method, path)
    assert "projector_equi.0.bias is (5,), expected (4,)" in str(caught.value)
    assert "and 10 more" in str(caught.value)
    for key, value in method.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    method = build("vicreg", 1)
    state = method.state_dict()
    state["projector.0.bias"][1] = torch.nan
    path = save(tmp_path / "m.pth", state)
    with pytest.raises(ManifestError, match=r"not finite, in projector\.0\.bias"):
        load_method(build("vicreg", 2), path)


class Bomb:
    """Pickles into a call."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    torch.save({"model": {"module.backbone.w": Bomb(mark)}}, tmp_path / "model.pth")
    with pytest.raises(ManifestError, match="holds more than tensors"):
        load_method(build("sie", 1), tmp_path / "model.pth")
    assert not mark.exists()


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    method = build("sie", 1)
    whole = save(tmp_path / "model.pth", method.state_dict()).read_bytes()
    for name, content in (
        ("empty.pth", b""),
        ("text.pth", b"not a checkpoint\n"),
        ("short.pth", whole[: len(whole) // 2]),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ManifestError, match=name) as caught:
            load_method(method, tmp_path / name)
        assert "\n" not in str(caught.value)
    odd: list[object] = [[1, 2], {}, {"model": {}}, {"a": 3}]
    for thing in odd:
        torch.save(thing, tmp_path / "odd.pth")
        with pytest.raises(ManifestError, match=r"odd\.pth"):
            load_backbone(method.backbone, tmp_path / "odd.pth")
    with pytest.raises(ConfigError, match=r"no checkpoint at .*nowhere\.pth"):
        load_method(method, tmp_path / "nowhere.pth")
    with pytest.raises(ConfigError, match="no checkpoint at"):
        load_method(method, tmp_path)
