"""Claims proved here, on the whole evaluation, from pictures to results.

- An encoder that knows nothing scores the chance rows, under both protocols.
- One that outputs the true rotation gets r2 near 1 and, with the true predictor, MRR 1 and PRE 0.
- One that outputs the label gets top-1 100 % and the rotation of a constant.
- Rotating features or permuting objects changes nothing that should not change.
- Parts are evaluated apart; equal settings give equal bytes; what is recorded is what was done.
- One view, one axis, few classes, a missing split: nulls with a reason, or one clear line.
- A trained method brings its parts and predictor; cached features are read instead of pictures.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.benchmark.evaluation.fakes import (
    QUIET,
    FakeSplit,
    PosePredictor,
    fake_data,
    labels,
    looked_up,
    noise,
    numbers,
    poses,
    truth_of,
)
from threedie.baselines.method import Method
from threedie.benchmark.evaluation.evaluate import About, evaluate
from threedie.benchmark.evaluation.features import Features, statistics
from threedie.benchmark.evaluation.protocols import PROTOCOLS, ProbeSettings, Protocol
from threedie.benchmark.evaluation.retrieval import MovedSplit, rotation_errors
from threedie.errors import ConfigError
from threedie.manifests.results import Number, Results


def smaller(name: str, epochs: int, **changed: Any) -> Protocol:
    """A protocol with narrow probes: what is proved does not hang on their width."""
    own = PROTOCOLS[name].with_epochs(epochs)
    narrow = {
        key: replace(probe, hidden=(64,) * len(probe.hidden))
        for key in ("rotation", "color", "scene")
        if (probe := getattr(own, key)) is not None
    }
    return replace(own, resamples=200, **narrow, **changed)


_FINE = ProbeSettings(optimizer="adam", epochs=300, batch_size=8)
_LONGER: Any = {"epochs": 50, "hidden": (128, 128), "batch_size": 64}
V1, OFFICIAL = smaller("3die-v1", 8), smaller("sie-2023", 20)


def value(results: Results, name: str, part: str = "all") -> float:
    number = results.metrics[part][name]
    assert number.value is not None, number.note
    return number.value


def near(number: Number, expected: Number, slack: float) -> bool:
    """Whether the chance row is within the interval, give or take."""
    assert number.value is not None
    assert expected.value is not None
    low, high = (number.value if end is None else end for end in (number.low, number.high))
    return low - slack <= expected.value <= high + slack


class Guessing(PosePredictor):
    """Predicts something that has nothing to do with anything."""

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(int(z_NG.abs().sum() * 1e4))
        return torch.randn(e_NE.shape, generator=generator)


@pytest.mark.parametrize("protocol", [V1, OFFICIAL], ids=lambda p: p.name)
def test_knowing_nothing_scores_the_chance_rows(protocol: Protocol) -> None:
    data = fake_data(240, 120, 10, 8)
    found = evaluate(
        looked_up(data, noise(3)), data, predictor=Guessing(), protocol=protocol, **QUIET
    )
    compared = [name for name in found.metrics["all"] if name in found.chance]
    assert len(compared) >= 18
    for name in compared:
        number, expected = found.metrics["all"][name], found.chance[name]
        slack = 6.0 if "_deg" in name else 0.04  # what a probe loses by fitting noise
        assert near(number, expected, slack), (name, number, expected)
    assert found.chance["mrr_val"].value == pytest.approx(np.mean(1 / np.arange(1, 11)))


@pytest.mark.parametrize("protocol", [V1, OFFICIAL], ids=lambda p: p.name)
def test_knowing_the_rotation(protocol: Protocol) -> None:
    data = fake_data(500, 40, 8, 8)
    longer = replace(protocol, rotation=replace(protocol.rotation, **_LONGER))
    found = evaluate(
        looked_up(data, poses), data, predictor=PosePredictor(), protocol=longer, **QUIET
    )
    assert value(found, "rotation_r2_global") > 0.93
    assert value(found, "rotation_r2_uniform") > 0.9
    assert value(found, "rotation_geodesic_deg_median") < 15
    for split in ("train", "val"):
        assert value(found, f"mrr_{split}") == pytest.approx(1.0)
        assert value(found, f"h_at_1_{split}") == pytest.approx(1.0)
        assert value(found, f"pre_{split}") == pytest.approx(0.0, abs=1e-9)
    assert value(found, "pre_val_all") == pytest.approx(0.0, abs=1e-9)
    assert value(found, "equivariance_gain") == pytest.approx(1.0, abs=1e-6)
    assert near(found.metrics["all"]["top1"], found.chance["top1"], 0.06)
    assert found.references["identity"]["mrr_val"].value == pytest.approx(
        found.chance["mrr_val"].value
    )
    assert found.references["oracle"]["mrr_val"].value == pytest.approx(1.0)


@pytest.mark.parametrize("protocol", [V1, OFFICIAL], ids=lambda p: p.name)
def test_knowing_the_label(protocol: Protocol) -> None:
    data = fake_data(240, 160, 8, 8)
    slow = replace(
        protocol, classification=replace(protocol.classification, epochs=100, batch_size=16)
    )
    found = evaluate(looked_up(data, labels), data, protocol=slow, **QUIET)
    for name in ("top1", "top5", "balanced_top1"):
        assert value(found, name) == pytest.approx(1.0)
    for name in ("rotation_r2_global", "rotation_r2_uniform"):
        chance = found.chance[name].value
        assert value(found, name) == pytest.approx(chance, abs=0.06)
    if protocol.direct:
        assert value(found, "knn_top1") == pytest.approx(1.0)
        assert value(found, "view_cosine") == pytest.approx(1.0)
        assert value(found, "object_cosine") < 0.2
        ratio = found.metrics["all"]["between_over_within"]
        assert ratio.value is None
        assert "equal features" in (ratio.note or "")


_R2 = "rotation_r2_uniform"


def test_what_changes_nothing() -> None:
    """kNN, cosines and ranks are blind to a rotation of the features; all is to objects' order."""
    data = fake_data(64, 32, 6, 8)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))

    def values(split: FakeSplit) -> Any:
        own = np.concatenate([poses(split), labels(split)], axis=-1)
        return own + 0.1 * noise(12)(split)

    def measured(function: Any, splits: Any) -> dict[str, float]:
        found = evaluate(looked_up(splits, function), splits, protocol=quick, **QUIET)
        names = ("knn_top1", "view_cosine", "object_cosine", "effective_rank")
        return {name: value(found, name) for name in (*names, "between_over_within")}

    quick = smaller("3die-v1", 1)
    expected = measured(values, data)
    assert measured(lambda s: values(s) @ turn, data) == pytest.approx(expected, abs=1e-4)
    order = np.random.default_rng(1).permutation(32)
    shuffled = fake_data(64, 32, 6, 8)
    val = shuffled["val"]
    val.latents_NVL, val.labels_N = val.latents_NVL[order], val.labels_N[order]
    val.objects_N = val.objects_N[order]

    def permuted(split: FakeSplit) -> Any:
        return values(data["val"])[order] if split.name == "val" else values(split)

    found = measured(permuted, shuffled)
    assert found["view_cosine"] == pytest.approx(expected["view_cosine"], abs=0.02)  # other pairs
    del found["view_cosine"], expected["view_cosine"]
    assert found == pytest.approx(expected, abs=1e-4)


def test_parts_are_evaluated_apart() -> None:
    data = fake_data(160, 40, 6, 8)

    def values(split: FakeSplit) -> Any:
        return np.concatenate([labels(split), poses(split)], axis=-1)

    parts = {"all": slice(None), "inv": slice(0, 8), "equi": slice(8, 12)}
    found = evaluate(
        looked_up(data, values), data, parts=parts, protocol=smaller("3die-v1", 60), **QUIET
    )
    assert found.encoder.parts == {"all": (0, 12), "inv": (0, 8), "equi": (8, 12)}
    assert value(found, "top1", "inv") == 1.0
    assert value(found, "top1", "equi") < 0.4
    assert value(found, _R2, "equi") > 0.6
    assert value(found, _R2, "inv") < 0.1
    assert value(found, "top1") == 1.0
    assert value(found, _R2) > 0.4


def test_equal_settings_give_equal_numbers() -> None:
    data = fake_data(48, 16, 5, 8)

    def run(seed: int, **changed: Any) -> Results:
        return evaluate(
            looked_up(data, poses),
            data,
            predictor=PosePredictor(),
            protocol=smaller("3die-v1", 2),
            seed=seed,
            **QUIET,
            **changed,
        )

    one, same, other = run(0), run(0), run(1)
    assert one.metrics == same.metrics
    assert one.curves == same.curves
    assert one.metrics != other.metrics
    batched = run(0, batch_size=7)
    for name, number in one.metrics["all"].items():
        assert batched.metrics["all"][name].value == pytest.approx(number.value, abs=1e-4), name


def test_what_is_recorded() -> None:
    data, told = fake_data(48, 16, 6, 8), list[tuple[str, int, int]]()
    about = About(
        name="looked-up", config={"lr": 0.1, "path": Path("x")}, checkpoint_sha256="a" * 64
    )
    found = evaluate(
        looked_up(data, poses),
        data,
        about=about,
        probe_epochs=1,
        seed=3,
        on_progress=lambda *a: told.append(a),
        **QUIET,
    )
    assert found.protocol.name == "3die-v1"
    assert found.protocol.changed == ("rotation", "scene")
    assert found.protocol.settings["size"] == 4
    assert found.protocol.settings["hemisphere"] == "positive-w"
    assert found.encoder.config == {"lr": 0.1, "path": "x"}
    assert found.encoder.checkpoint_sha256 == "a" * 64
    assert (found.dataset.views, found.dataset.classes, found.seed) == (6, 8, 3)
    assert found.dataset.splits["val"].objects == 16
    assert found.device == "cpu"
    assert found.seconds["total"] >= found.seconds["probes"] > 0
    assert found.versions.torch == str(torch.__version__)
    stages = {stage for stage, _, _ in told}
    assert {"features train", "features val", "rotation probe, all"} <= stages
    assert all(0 <= done <= total for _, done, total in told)
    number = found.metrics["all"]["top1"]
    assert (number.n, number.low is None) == (16, False)
    points = found.curves["all"]["rotation_geodesic_deg"].points
    assert len(points) == 6
    assert set(found.per_class["all"]["top1"]) == {f"class{i}" for i in range(8)}
    assert found.curves["all"]["top1"].axis == "absolute"
    assert Results.model_validate(json.loads(found.to_bytes())) == found
    assert evaluate(looked_up(data, poses), data, **QUIET, probe_epochs=1).encoder.name == "encoder"


def test_no_number_is_nan_and_every_null_says_why() -> None:
    data = fake_data(24, 8, 3, 4, law="yaw")
    found = evaluate(
        looked_up(data, noise(4)),
        data,
        predictor=PosePredictor(),
        protocol=smaller("3die-v1", 1),
        **QUIET,
    )
    all_numbers = [n for part in found.metrics.values() for n in part.values()]
    all_numbers += [p for part in found.curves.values() for c in part.values() for p in c.points]
    assert all(n.note if n.value is None else math.isfinite(n.value) for n in all_numbers)


def test_an_encoder_that_gives_one_vector_for_all_is_named() -> None:
    data, quick = fake_data(32, 8, 4, 4), smaller("3die-v1", 1)
    same = looked_up(data, lambda split: np.ones((len(split), split.n_views, 3)))
    assert any(
        "part 'all' is collapsed" in n for n in evaluate(same, data, protocol=quick, **QUIET).notes
    )
    other = evaluate(looked_up(data, noise(3)), data, protocol=quick, **QUIET)
    assert not any("collapsed" in note for note in other.notes)


def test_one_axis_leaves_constant_outputs_out() -> None:
    data = fake_data(200, 30, 8, 8, law="yaw")
    found = evaluate(looked_up(data, poses), data, protocol=smaller("3die-v1", 30), **QUIET)
    assert value(found, _R2) > 0.5
    for name in ("floor_hue_r2_global", "light_direction_r2_uniform", "light_hue_geodesic_deg"):
        assert found.metrics["all"][name].value is None
        assert found.metrics["all"][name].note
        assert name not in found.chance


def test_one_view_per_object() -> None:
    data = fake_data(64, 16, 1, 8)
    official = replace(smaller("sie-2023", 40), classification=_FINE)
    for protocol in (smaller("3die-v1", 1), official):
        found = evaluate(
            looked_up(data, labels), data, predictor=PosePredictor(), protocol=protocol, **QUIET
        )
        assert value(found, "top1") > 0.9
        for name in ("rotation_r2_global", "mrr_val", "pre_val", "equivariance_gain"):
            number = found.metrics["all"][name]
            assert (number.value, number.n) == (None, 0)
            assert "one view" in (number.note or "")


def test_few_classes() -> None:
    quick = smaller("3die-v1", 1)
    four = fake_data(32, 8, 2, 4)
    found = evaluate(looked_up(four, labels), four, protocol=quick, **QUIET)
    assert found.metrics["all"]["top5"].value is None
    assert "4 classes" in (found.metrics["all"]["top5"].note or "")
    assert value(found, "top1") == 1.0
    one = fake_data(32, 8, 2, 1)
    found = evaluate(looked_up(one, poses), one, protocol=quick, **QUIET)
    assert found.metrics["all"]["top1"].note == "the train split has one class"
    assert found.metrics["all"]["knn_top1"].value is None


def test_classes_that_train_does_not_have_are_misses() -> None:
    data = fake_data(32, 8, 3, 4)
    data["val"].labels_N = np.array([0, 1, 2, 3, 0, 1, 50, 50])
    data["val"].n_classes = data["train"].n_classes = 51

    def first_class(split: FakeSplit) -> Any:
        """Looks like the first class, so that a guess of it must not count."""
        one_hot = np.eye(51)[np.where(split.labels_N == 50, 0, split.labels_N)]
        return np.repeat(one_hot[:, None], split.n_views, axis=1)

    found = evaluate(looked_up(data, first_class), data, protocol=smaller("3die-v1", 1), **QUIET)
    assert value(found, "top1") == value(found, "knn_top1") == pytest.approx(6 / 8)
    assert value(found, "balanced_top1") == pytest.approx(4 / 5)
    assert any("2 val objects are of classes" in note for note in found.notes)


class TinyMethod(Method):
    """A method as the trainer leaves it: a backbone with BatchNorm, a projector and a predictor."""

    def __init__(self, *, moves: bool = True) -> None:
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.BatchNorm1d(6))
        super().__init__(backbone, 6, None, n_classes=8)
        self.head, self.moves = nn.Linear(4, 5), moves

    @property
    def has_predictor(self) -> bool:
        return self.moves

    def parts(self) -> dict[str, slice]:
        return {"all": slice(0, 6), "inv": slice(0, 2), "equi": slice(2, 6)}

    def embed(self, r_ND: Tensor) -> Tensor:
        embedded: Tensor = self.head(r_ND[:, 2:])
        return embedded

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        return e_NE * z_NG.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("name", ["3die-v1", "sie-2023"])
def test_a_method_brings_its_parts_and_predictor(name: str) -> None:
    data, method = fake_data(32, 16, 4, 8), TinyMethod().train()
    before = {key: tensor.clone() for key, tensor in method.state_dict().items()}
    found = evaluate(method, data, protocol=smaller(name, 2), **QUIET)
    assert set(found.metrics) == {"all", "inv", "equi"}
    assert found.metrics["all"]["mrr_val"].value is not None
    assert "mrr_val" not in found.metrics["equi"]
    assert method.training
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())
    assert ("batch statistics" in " ".join(found.notes)) == (name == "sie-2023")
    without = evaluate(TinyMethod(moves=False), data, protocol=smaller(name, 1), **QUIET)
    assert without.metrics["all"]["mrr_val"].note == "this encoder has no predictor"
    assert any("no predictor" in note for note in without.notes)


def test_val_is_read_in_eval_mode_whatever_the_protocol() -> None:
    data, seen = fake_data(32, 16, 4, 8), set[tuple[str, bool]]()
    module = TinyMethod().backbone

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, images: Tensor) -> Tensor:
            splits, _, _ = numbers(images)
            seen.update((("train", "val")[split], self.training) for split in splits)
            found: Tensor = self.inner(images)
            return found

    evaluate(Watched(), data, protocol=smaller("sie-2023", 2), **QUIET)
    assert seen == {("train", True), ("val", False)}
    seen.clear()
    evaluate(Watched(), data, protocol=smaller("3die-v1", 1), **QUIET)
    assert seen == {("train", False), ("val", False)}


def test_pre_val_all_has_the_views_of_both_splits_as_candidates() -> None:
    """Val's own views are far off, so that its neighbours are train's."""

    def values(split: FakeSplit) -> Any:
        return poses(split) * [1, 1, -1, 1] if split.name == "val" else poses(split)

    data = fake_data(60, 12, 6, 8)
    found = evaluate(
        looked_up(data, values),
        data,
        predictor=PosePredictor(),
        protocol=smaller("3die-v1", 1),
        **QUIET,
    )
    features = {
        name: Features(
            data_MD=values(split).reshape(-1, 4).astype(np.float32), n_views=split.n_views
        )
        for name, split in data.items()
    }
    moved = {
        name: MovedSplit(
            features[name], truth_of(data[name]), PosePredictor(), device=torch.device("cpu")
        )
        for name in data
    }
    for name, targets in (("pre_val", ["val"]), ("pre_val_all", ["train", "val"])):
        errors = rotation_errors(moved["val"], [moved[t] for t in targets], lambda *_: None, "")
        assert value(found, name) == pytest.approx(errors.mean(), abs=1e-6)
    assert abs(value(found, "pre_val") - value(found, "pre_val_all")) > 0.01


def test_features_are_standardised_by_train_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = fake_data(24, 8, 3, 8), list[int]()

    def recorded(features: Features, columns: slice) -> Any:
        asked.append(features.n_objects)
        return statistics(features, columns)

    monkeypatch.setattr("threedie.benchmark.evaluation.stages.statistics", recorded)
    evaluate(looked_up(data, poses), data, protocol=smaller("3die-v1", 1), **QUIET)
    assert asked == [24]


def test_cached_features_are_read_instead_of_pictures(tmp_path: Path) -> None:
    data, quick = fake_data(24, 8, 3, 8), smaller("3die-v1", 1)

    def run(**changed: Any) -> Results:
        encoder = looked_up(data, poses)
        return evaluate(encoder, data, protocol=quick, cache=tmp_path / "f", **{**QUIET, **changed})

    known, pictures = About(key="poses"), 24 * 3 + 8 * 3
    first = run(about=known)
    reads = [split.reads for split in data.values()]
    assert sum(reads) == pictures + 1  # and one to learn D
    again = run(about=known)
    assert sum(split.reads for split in data.values()) == pictures + 2
    assert first.metrics == again.metrics
    run(about=About(key="others"))
    assert sum(split.reads for split in data.values()) == 2 * pictures + 3
    anonymous = run()
    assert any("no identity" in note for note in anonymous.notes)
    assert len(list((tmp_path / "f").glob("*.npy"))) == 4
    for path in (tmp_path / "f").glob("*.npy"):
        path.write_bytes(path.read_bytes()[:-4])
    mended = run(about=known)
    assert mended.metrics == first.metrics
    assert sum("damaged" in note for note in mended.notes) == 2


def test_whatever_decides_features_is_in_their_key(tmp_path: Path) -> None:
    data, quick = fake_data(8, 4, 2, 2), smaller("3die-v1", 1)
    other = fake_data(8, 4, 2, 2, law="yaw")

    def files_after(splits: Any = data, **changed: Any) -> int:
        settings = {"about": About(checkpoint_sha256="a" * 64), **QUIET, **changed}

        def encode(images: Tensor) -> Tensor:
            return images.mean(dim=(2, 3))

        evaluate(encode, splits, protocol=quick, cache=tmp_path, **settings)
        return len(list(tmp_path.glob("*.npy")))

    assert files_after() == files_after(seed=5) == files_after(batch_size=3) == 2
    assert files_after(size=2) == 4
    assert files_after(normalise="imagenet") == 6
    assert files_after(precision="bf16") == 8
    assert files_after(about=About(checkpoint_sha256="b" * 64)) == 10
    assert files_after(other) == 12


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"protocol": "3die-v2"}, "unknown protocol '3die-v2'.*3die-v1"),
        ({"device": "cuda:7"}, "'cuda:7'"),
        ({"normalise": "zca"}, "unknown normalisation 'zca'"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"probe_epochs": 0}, "at least 1 epoch"),
        ({"seed": -1}, "seed is -1"),
        ({"parts": {"equi": slice(2, 9)}}, "part 'equi' is columns 2:9 of a representation of 4"),
        ({"parts": {"equi": slice(3, 3)}}, "part 'equi'"),
        ({"parts": {"equi": slice(0, 4, 2)}}, "part 'equi'"),
    ],
)
def test_wrong_arguments_are_one_clear_line(changed: Any, told: str) -> None:
    data = fake_data(8, 4, 2, 2)
    with pytest.raises(ConfigError, match=told) as caught:
        evaluate(looked_up(data, poses), data, **{**QUIET, **changed})
    assert "\n" not in str(caught.value)


def test_wrong_data_and_encoders_are_one_clear_line(tmp_path: Path) -> None:
    data = fake_data(8, 4, 2, 2)
    with pytest.raises(ConfigError, match="val is not there"):
        evaluate(looked_up(data, poses), {"train": data["train"]}, **QUIET)
    with pytest.raises(ConfigError, match="the encoder is int"):
        evaluate(3, data, **QUIET)
    with pytest.raises(Exception, match=str(tmp_path)):
        evaluate(looked_up(data, poses), tmp_path / "nothing", **QUIET)
