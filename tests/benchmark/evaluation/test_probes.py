"""Claims proved here, on probes.

- The logistic probe reaches the optimum of its convex objective, which SciPy finds as well.
- Heads start as torch's own layers do; weights decay and biases do not; the rate ends at zero.
- `sie-2023` on an encoder with BatchNorm is the official procedure, step by step: batch statistics
  while it learns, val in eval mode with the statistics that drifted; the encoder is then put back.
- Where features do not depend on the batch, cached ones give what pictures give.
- A probe that diverges is refused; budgets are what the settings say.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor, nn

from tests.benchmark.evaluation.fakes import SIZE, FakeSplit, fake_data, looked_up, noise, truth_of
from threedie.benchmark.evaluation import official_probes, probes
from threedie.benchmark.evaluation.encoder import NORMALISATIONS, Encoder
from threedie.benchmark.evaluation.features import (
    Features,
    Gather,
    encode_blocks,
    in_memory,
)
from threedie.benchmark.evaluation.heads import (
    _logistic_gradient,
    fit_logistic,
    make_head,
    make_optimizer,
    train_head,
)
from threedie.benchmark.evaluation.official_probes import (
    cached_stream,
    live_stream,
    train_and_judge,
)
from threedie.benchmark.evaluation.protocols import (
    PROTOCOLS,
    ProbeSettings,
    Protocol,
    find_protocol,
)
from threedie.benchmark.evaluation.targets import object_pairs
from threedie.errors import ConfigError

CPU, ALL = torch.device("cpu"), slice(None)


def quiet(*_: object) -> None:
    """No progress."""


def test_the_logistic_probe_reaches_the_optimum() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)).astype(np.float32), rng.integers(3, size=60)
    settings = ProbeSettings(optimizer="lbfgs", epochs=100, weight_decay=0.05)
    gather = Gather(Features(data_MD=x, n_views=1), ALL, CPU)
    linear = fit_logistic(gather, torch.from_numpy(y), 3, settings)

    def objective(flat: Any) -> float:
        weight, bias = flat[:9].reshape(3, 3), flat[9:]
        logits = x.astype(float) @ weight.T + bias
        log_sum = np.log(np.exp(logits).sum(axis=1))
        entropy = (log_sum - logits[np.arange(60), y]).mean()
        return float(entropy + 0.05 / 2 * (weight**2).sum())

    best = minimize(objective, np.zeros(12), tol=1e-12)
    ours = np.concatenate([linear.weight.detach().numpy().ravel(), linear.bias.detach().numpy()])
    assert objective(ours) == pytest.approx(best.fun, abs=1e-6)
    assert linear.weight.detach().numpy() == pytest.approx(best.x[:9].reshape(3, 3), abs=2e-3)


def test_the_logistic_gradient_is_autograds() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 4, generator=generator), torch.arange(30) % 3
    linear = make_head(4, (), 3, seed=1, device=CPU)[0]
    assert isinstance(linear, nn.Linear)
    gather = Gather(Features(data_MD=x.numpy(), n_views=1), ALL, CPU)
    loss = _logistic_gradient(linear, gather, y, 0.3)
    found = [p.grad.clone() for p in linear.parameters() if p.grad is not None]
    expected = F.cross_entropy(linear(x), y) + 0.3 / 2 * linear.weight.square().sum()
    gradients = torch.autograd.grad(expected, list(linear.parameters()))
    assert torch.allclose(loss, expected)
    assert len(found) == 2
    for ours, autograds in zip(found, gradients, strict=True):
        assert torch.allclose(ours, autograds, atol=1e-6)


def test_heads_start_as_torchs_layers_do() -> None:
    head: Any = make_head(400, (300,), 4, seed=0, device=CPU)
    assert [type(layer).__name__ for layer in head] == ["Linear", "ReLU", "Linear"]
    torch.manual_seed(0)
    for ours, torchs in ((head[0], nn.Linear(400, 300)), (head[2], nn.Linear(300, 4))):
        bound = ours.in_features**-0.5
        for name in ("weight", "bias"):
            a, b = getattr(ours, name), getattr(torchs, name)
            assert a.shape == b.shape
            assert float(a.detach().abs().max()) <= bound
        assert float(ours.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    same, other = (list(make_head(400, (300,), 4, seed=s, device=CPU)) for s in (0, 1))
    assert torch.equal(head[2].weight, next(same[2].parameters()))
    assert not torch.equal(head[2].weight, next(other[2].parameters()))


def test_weights_decay_and_biases_do_not() -> None:
    head = make_head(4, (), 2, seed=0, device=CPU)
    before = [p.detach().clone() for p in head.parameters()]
    optimizer = make_optimizer(head, ProbeSettings(epochs=1, weight_decay=0.5, learning_rate=0.1))
    for parameter in head.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    weight, bias = head.parameters()
    assert torch.allclose(weight, before[0] * (1 - 0.1 * 0.5))
    assert torch.equal(bias, before[1])


def test_the_rate_falls_to_zero_and_steps_are_told() -> None:
    rates, told = list[float](), list[tuple[int, int]]()

    class Recorded(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            rates.append(float(self.weight.detach()[0, 0]))
            return x.sum() * self.weight

    # Adam's first steps move a weight by the rate, while its gradient stays the same.
    head = Recorded(1, 1, bias=False)
    nn.init.zeros_(head.weight)
    batches = [(torch.ones(1, 1), torch.zeros(1, 1))] * 101
    settings = ProbeSettings(epochs=1, learning_rate=0.01)
    train_head(
        head,
        batches,
        steps=100,
        settings=settings,
        loss=lambda out, _: out.sum(),
        on_step=lambda *a: told.append(a),
    )
    moves = -np.diff(rates)
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(100) / 100)) / 2
    assert moves == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert told[:3] == [(1, 100), (51, 100), (100, 100)]


def test_a_probe_that_diverges_is_refused() -> None:
    head = make_head(2, (), 1, seed=0, device=CPU)
    batches = [(torch.full((4, 2), 1e30), torch.zeros(4, 1))]
    with pytest.raises(ConfigError, match="standardises"):
        train_head(
            head,
            batches,
            steps=1,
            settings=ProbeSettings(epochs=1),
            loss=F.mse_loss,
            on_step=quiet,
        )


def test_budgets() -> None:
    settings = ProbeSettings(epochs=10, min_steps=500, most_epochs=200)
    assert probes.n_steps(12_800, settings) == 500
    assert probes.n_steps(100, settings) == 200
    assert probes.n_steps(20_000, settings) == 10 * 79
    quick = PROTOCOLS["3die-v1"].with_epochs(2)
    assert probes.n_steps(100, quick.rotation) == 2
    assert quick.classification == PROTOCOLS["3die-v1"].classification
    assert quick.scene is not None
    assert quick.scene.epochs == 2
    assert PROTOCOLS["sie-2023"].with_epochs(7).classification.epochs == 7
    with pytest.raises(ConfigError, match="at least 1 epoch"):
        quick.with_epochs(0)
    with pytest.raises(ConfigError, match=r"unknown protocol 'sie2023'. Did you mean 'sie-2023'"):
        find_protocol("sie2023")


def test_the_official_settings_are_the_official_ones() -> None:
    """facts: Adam 1e-3 constant, no decay, batch 256, 300 epochs (colour 50), raw quaternions."""
    official = PROTOCOLS["sie-2023"]
    for probe in (official.classification, official.rotation, official.color):
        assert probe is not None
        assert (probe.optimizer, probe.learning_rate, probe.weight_decay) == ("adam", 1e-3, 0.0)
        assert probe.batch_size == 256
    assert official.color is not None
    epochs = [p.epochs for p in (official.classification, official.rotation, official.color)]
    assert epochs == [300, 300, 50]
    assert official.classification.hidden == ()
    assert official.rotation.hidden == official.color.hidden == (1024, 1024)
    assert (official.batchnorm, official.hemisphere, official.views) == ("train", "scipy", "one")
    assert not official.standardise


def test_protocols_are_pinned() -> None:
    """A setting that changes moves numbers: give the protocol a new version, then pin it here."""
    found = {}
    for name, protocol in PROTOCOLS.items():
        text = json.dumps(protocol.settings(), sort_keys=True)
        found[name] = (protocol.version, hashlib.sha256(text.encode()).hexdigest()[:16])
    assert found == {
        "3die-v1": (1, "c857a5abd532806c"),
        "sie-2023": (1, "0976786b964dd37b"),
    }


# sie-2023, step by step.

QUICK = replace(
    PROTOCOLS["sie-2023"],
    classification=ProbeSettings(optimizer="adam", epochs=3, batch_size=16),
    rotation=ProbeSettings(optimizer="adam", epochs=2, batch_size=16, hidden=(8,)),
    color=ProbeSettings(optimizer="adam", epochs=1, batch_size=16, hidden=(8,)),
)
PARTS = {"all": slice(0, 6), "equi": slice(2, 6)}


def net() -> Any:
    torch.manual_seed(1)
    first = nn.Linear(3 * SIZE * SIZE, 6)
    nn.init.normal_(first.weight, std=300.0)  # the pictures' numbers are small
    return nn.Sequential(nn.Flatten(), first, nn.BatchNorm1d(6), nn.Tanh())


def pictures(split: FakeSplit, rows: Any, views: Any) -> Tensor:
    out = np.empty((len(rows), SIZE, SIZE, 3), dtype=np.uint8)
    split.read(rows, views, SIZE, out)
    return torch.from_numpy(out).permute(0, 3, 1, 2).float() / 255


def step_by_step(data: Any, name: str, part: str) -> Any:
    """What the official scripts do, for one probe on one part; its own loop and optimiser."""
    train, val, module = data["train"], data["val"], net()
    settings = getattr(QUICK, name)
    pair, outputs = name != "classification", {"classification": 4, "rotation": 4, "color": 2}
    width = (PARTS[part].stop - PARTS[part].start) * (2 if pair else 1)
    head = make_head(width, settings.hidden, outputs[name], seed=5, device=CPU)
    adam = torch.optim.Adam(head.parameters(), lr=1e-3)

    def features(split: FakeSplit, pairs: Any, cut: slice) -> Tensor:
        with torch.no_grad():
            x = module(pictures(split, pairs.object_R[cut], pairs.first_R[cut]))
            y = module(pictures(split, pairs.object_R[cut], pairs.second_R[cut]))
        both = [v[:, PARTS[part]] for v in (x, y)]
        return torch.cat(both, dim=1) if pair else both[0]

    for epoch in range(settings.epochs):
        rng = np.random.Generator(np.random.PCG64([5, official_probes._TRAIN, epoch]))
        pairs = object_pairs(len(train), train.n_views, rng)
        truth = truth_of(train)
        target = {
            "classification": torch.from_numpy(truth.class_N[pairs.object_R]),
            "rotation": torch.from_numpy(truth.relative(pairs, "scipy")).float(),
            "color": torch.from_numpy(truth.hue_change(pairs)).float(),
        }[name]
        module.train()
        for i in range(0, len(train), 16):
            cut = slice(i, i + 16)
            out = head(features(train, pairs, cut))
            loss = F.cross_entropy if name == "classification" else F.mse_loss
            adam.zero_grad()
            torch.autograd.backward(loss(out, target[cut]))
            adam.step()
    module.eval()
    rng = np.random.Generator(np.random.PCG64([5, official_probes._VAL]))
    judged = object_pairs(len(val), val.n_views, rng)
    return head(features(val, judged, slice(None))).detach().numpy()


def official(data: Any, streams: Any, protocol: Protocol = QUICK) -> Any:
    return train_and_judge(
        protocol,
        PARTS,
        (streams[0], truth_of(data["train"])),
        (streams[1], truth_of(data["val"])),
        dim=6,
        n_classes=4,
        device=CPU,
        seed=5,
        on_progress=quiet,
    )


def test_sie_2023_is_the_official_procedure() -> None:
    data, module = fake_data(40, 12, 6, 4), net()
    before = copy.deepcopy(module.state_dict())
    encoder = Encoder(module, device=CPU, normalisation=NORMALISATIONS["none"])
    streams = [
        live_stream(encoder, data["train"], SIZE, "train"),
        live_stream(encoder, data["val"], SIZE, "eval"),
    ]
    with encoder.kept():
        judged = official(data, streams)
    # All probes run in one stream, so a probe that ends early is judged with the same statistics
    # that a run of its own would have; the last digits are of summing in another order.
    for name in ("classification", "rotation", "color"):
        for part in PARTS:
            expected = step_by_step(data, name, part)
            assert judged.outputs[name][part] == pytest.approx(expected, abs=1e-5), (name, part)
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_eval_mode_would_give_other_numbers() -> None:
    """So that the test above can fail: batch statistics are no detail."""
    data = fake_data(40, 12, 6, 4)
    found = []
    for mode in ("train", "eval"):
        encoder = Encoder(net(), device=CPU, normalisation=NORMALISATIONS["none"])
        streams = [
            live_stream(encoder, data["train"], SIZE, mode),
            live_stream(encoder, data["val"], SIZE, "eval"),
        ]
        found.append(official(data, streams).outputs["rotation"]["all"])
    assert np.abs(found[0] - found[1]).max() > 1e-2


def test_cached_features_give_what_pictures_give() -> None:
    data = fake_data(40, 12, 6, 4)
    encoder = Encoder(looked_up(data, noise(6)), device=CPU, normalisation=NORMALISATIONS["none"])
    live = [live_stream(encoder, data[name], SIZE, "train") for name in ("train", "val")]
    cached = []
    for name in ("train", "val"):
        split = data[name]
        blocks = encode_blocks(encoder, split, size=SIZE, batch_size=50, on_progress=quiet)
        features = Features(data_MD=in_memory(blocks, len(split) * 6), n_views=6)
        cached.append(cached_stream(Gather(features, ALL, CPU), 6))
    one, other = official(data, live), official(data, cached)
    for name in one.outputs:
        for part in PARTS:
            assert one.outputs[name][part] == pytest.approx(other.outputs[name][part], abs=1e-6)
    assert np.array_equal(one.pairs.second_R, other.pairs.second_R)
