"""Predictions for the frozen list, as an evaluation writes them.

Claims: where the list holds every view, metrics computed from the file are those of results.json
(rotations, whose pairs are others, those of an independent count); no number of results.json hangs
on whether the file is asked for; parts, one view, no predictor, few classes, unknown classes and
ties are told rightly; the seed is the run's; changed settings are no protocol's; a protocol without
a list refuses; a file that can't be written costs no numbers; equal evaluations give equal bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.benchmark.evaluation.fakes import (
    QUIET,
    FakeSplit,
    PosePredictor,
    fake_data,
    labels,
    looked_up,
    noise,
    poses,
)
from threedie import files
from threedie.benchmark.evaluation.evaluate import About, evaluate
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth, freeze
from threedie.benchmark.evaluation.items import Items, from_bytes
from threedie.benchmark.evaluation.listed import halved, likeliest, training_seed
from threedie.benchmark.evaluation.protocols import PROTOCOLS, Protocol
from threedie.errors import ConfigError, StorageError
from threedie.manifests.results import Results


def smaller(epochs: int = 3) -> Protocol:
    """Narrow probes of `3die-v1`, trained for a moment."""
    own = PROTOCOLS["3die-v1"].with_epochs(epochs)
    assert own.scene is not None
    narrow = [replace(probe, hidden=(32,)) for probe in (own.rotation, own.scene)]
    return replace(own, rotation=narrow[0], scene=narrow[1], resamples=50)


class Clumsy(PosePredictor):
    """Moves a pose, and is a bit off."""

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        shaken = torch.sin(1e3 * e_NE + 7e2 * z_NG)
        return super().predict(e_NE, z_NG) + 0.4 * shaken


def evaluated(
    data: dict[str, Any], values: Any, tmp_path: Path, **asked: Any
) -> tuple[Results, Items, FrozenTruth]:
    """Results, what stands in the file, and what it is judged by."""
    path = tmp_path / "predictions.npz"
    wanted = {"protocol": smaller(), **QUIET, **asked}
    results = evaluate(looked_up(data, values), data, predictions=path, **wanted)
    truth = freeze("3die-v1/1", data["train"], data["val"])
    return results, from_bytes(path.read_bytes(), "it"), truth


def muddled(split: FakeSplit) -> Any:
    """(N, V, D) that tell class and pose, but not well."""
    own = np.concatenate([poses(split), 0.7 * labels(split)], axis=-1)
    return own + 0.35 * noise(own.shape[-1])(split)


PARTS = {"all": slice(0, 12), "inv": slice(4, 12), "equi": slice(0, 4)}


class OfPart(Clumsy):
    """Moves the pose that stands in the first four columns."""

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND[:, :4]


def test_metrics_from_the_items_are_those_of_the_results(tmp_path: Path) -> None:
    data = fake_data(64, 24, 7, 8)
    results, items, truth = evaluated(data, muddled, tmp_path, parts=PARTS, predictor=OfPart())
    flat = truth.listed.flat_M
    assert sorted(flat) == list(range(24 * 7))  # the list holds every view
    assert items.row_M.tolist() == flat.tolist()
    classes = truth.labels_N[truth.listed.object_M]
    for part in PARTS:
        hits = items.top5[part] == classes[:, None]
        found = results.metrics[part]
        assert hits[:, 0].mean() == pytest.approx(found["top1"].value, abs=1e-12)
        assert hits.any(axis=1).mean() == pytest.approx(found["top5"].value, abs=1e-12)
        per_class = [hits[classes == k, 0].mean() for k in range(8)]
        assert np.mean(per_class) == pytest.approx(found["balanced_top1"].value, abs=1e-12)
    own = results.metrics["all"]
    assert items.greater_M is not None
    assert items.equal_M is not None
    assert items.nearest_M is not None
    assert items.equal_M.max() == 1  # so that a rank is a rank
    rank = items.greater_M + 1
    assert (1 / rank).mean() == pytest.approx(own["mrr_val"].value, abs=1e-12)
    for k in (1, 2, 5):
        assert (rank <= k).mean() == pytest.approx(own[f"h_at_{k}_val"].value, abs=1e-12)
    q = poses(data["val"]).reshape(-1, 4)
    distance = 1 - (q[items.nearest_M] * q[flat]).sum(axis=1) ** 2
    assert distance.mean() == pytest.approx(own["pre_val"].value, abs=1e-12)
    target = truth.truth.scene_NV7.reshape(-1, 7)[flat, 4:]
    residual = np.square(target - items.scene["all"][:, 4:]).sum(axis=0)
    r2 = 1 - residual / np.square(target - target.mean(axis=0)).sum(axis=0)
    assert r2.mean() == pytest.approx(own["light_direction_r2_uniform"].value, abs=2e-3)


def test_rotations_are_those_of_the_lists_pairs(tmp_path: Path) -> None:
    """With a probe that knows the pose, rows are near their own rotation, and not the next one."""
    data = fake_data(300, 12, 6, 8)
    long = replace(smaller(40), rotation=replace(smaller(40).rotation, hidden=(64, 64)))
    results, items, truth = evaluated(data, poses, tmp_path, protocol=long)
    target = truth.truth.relative(truth.listed.pairs(), "positive-w")
    predicted = items.rotation["all"]
    r2 = 1 - np.square(target - predicted).sum(axis=0) / np.square(
        target - target.mean(axis=0)
    ).sum(axis=0)
    assert results.metrics["all"]["rotation_r2_uniform"].value == pytest.approx(r2.mean(), abs=0.1)
    assert r2.mean() > 0.6
    apart = np.abs(target - predicted).sum(axis=1)
    assert np.median(apart) < np.median(np.abs(target - np.roll(predicted, 1, axis=0)).sum(axis=1))


def test_results_do_not_hang_on_predictions(tmp_path: Path) -> None:
    data = fake_data(40, 12, 5, 8)
    asked: dict[str, Any] = {"predictor": OfPart(), "parts": PARTS}
    results, _, truth = evaluated(data, muddled, tmp_path, **asked)
    without = evaluate(looked_up(data, muddled), data, protocol=smaller(), **QUIET, **asked)
    assert without.predictions is None
    for field in ("metrics", "curves", "per_class", "chance", "references", "notes"):
        assert getattr(without, field) == getattr(results, field)
    content = (tmp_path / "predictions.npz").read_bytes()
    assert results.predictions is not None
    assert results.predictions.sha256 == hashlib.sha256(content).hexdigest()
    assert results.predictions.list_sha256 == truth.sha256
    evaluated(data, muddled, tmp_path, **asked)
    assert (tmp_path / "predictions.npz").read_bytes() == content


def test_what_it_says_of_itself(tmp_path: Path) -> None:
    data = fake_data(24, 8, 4, 8)
    about = About(config={"seed": 17}, checkpoint_sha256="c" * 64)
    _, items, truth = evaluated(data, labels, tmp_path, about=about, seed=2)
    assert items.about.seed == 17
    assert items.about.checkpoint_sha256 == "c" * 64
    assert items.about.list_sha256 == truth.sha256
    assert items.about.protocol == "3die-v1/1+changed"
    assert items.about.classes == 8
    assert items.about.parts == ("all",)
    own = PROTOCOLS["3die-v1"]
    _, items, _ = evaluated(data, labels, tmp_path, seed=2, protocol=own)
    assert (items.about.seed, items.about.protocol) == (2, "3die-v1/1")
    for foreign in (None, "7", True, -1):
        assert training_seed({"seed": foreign}, 5) == 5


def test_one_view_no_predictor_and_few_classes(tmp_path: Path) -> None:
    one = fake_data(24, 8, 1, 3)
    _, items, _ = evaluated(one, labels, tmp_path, predictor=PosePredictor())
    assert items.top5["all"].shape == (8, 3)
    assert set(items.scene) == {"all"}
    assert not items.rotation
    assert not items.has_predictor
    _, items, _ = evaluated(fake_data(24, 8, 4, 3), labels, tmp_path)
    assert items.rotation["all"].shape == (32, 4)
    assert items.greater_M is None
    single = fake_data(24, 8, 2, 1)
    _, items, _ = evaluated(single, poses, tmp_path, predictor=PosePredictor())
    assert items.top5["all"].tolist() == [[0]] * 16


def test_classes_that_train_does_not_have(tmp_path: Path) -> None:
    data = fake_data(32, 8, 3, 4)
    data["val"].labels_N = np.array([0, 1, 2, 3, 0, 1, 50, 50])
    results, items, truth = evaluated(data, noise(6), tmp_path)
    assert items.top5["all"].max() < 4
    hits = items.top5["all"][:, 0] == truth.labels_N[truth.listed.object_M]
    assert hits.mean() == pytest.approx(results.metrics["all"]["top1"].value, abs=1e-12)


def test_of_equal_logits_the_lower_class_is_likelier() -> None:
    logits = np.array([[1.0, 3.0, 3.0, 0.0, 1.0, 1.0, 9.0]])
    assert likeliest(logits).tolist() == [[6, 1, 2, 0, 4]]


def test_a_protocol_without_a_list_refuses(tmp_path: Path) -> None:
    data = fake_data(24, 8, 4, 3)
    with pytest.raises(ConfigError, match="sie-2023 has no frozen list"):
        evaluated(data, labels, tmp_path, protocol="sie-2023")


def test_a_file_that_cannot_be_written_costs_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: Any) -> None:
        raise StorageError("no space left")

    data = fake_data(24, 8, 4, 3)
    monkeypatch.setattr(files, "put", full)
    found = evaluate(
        looked_up(data, labels), data, protocol=smaller(), predictions=tmp_path / "p", **QUIET
    )
    assert found.predictions is None
    assert found.metrics["all"]["top1"].value is not None
    assert "predictions were not written: no space left" in found.notes


def test_numbers_too_large_for_half_precision_are_the_largest() -> None:
    assert halved(np.array([1e9, -1e9, 0.5])).tolist() == [65504.0, -65504.0, 0.5]
