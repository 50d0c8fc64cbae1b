"""Claims proved here, on predictors.

- A hypernetwork's predictor equals the naive one that makes each object's matrices, in value and
  in every gradient: linear and deep, hidden layers, ReLU, biases of either kind.
- What backward keeps is far smaller than N matrices, and grows with N·C·E, not with N·E².
- Layout: per layer weight (row-major, out × in), then bias; an MLP sees z first.
- A linear hypernetwork without bias is linear in z; z = 0 gives 0.
- Settings that an MLP would ignore are refused.

Shape suffixes: N = objects in the batch, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from threedie.baselines.predictors import (
    HyperPredictor,
    MLPPredictor,
    PredictorSettings,
    build_predictor,
    written_linear,
)
from threedie.errors import ConfigError

N, E, G = 9, 5, 4
VARIANTS = list(product(("linear", "deep"), ((), (7,), (7, 3)), (False, True), (False, True)))


def draw(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)


def naive(predictor: HyperPredictor, e_NE: Tensor, z_NG: Tensor) -> Tensor:
    """Object by object, with its own matrices."""
    outs = []
    for row, numbers in enumerate(predictor.hypernet(z_NG)):
        out, start = e_NE[row], 0
        for layer, (wide, narrow) in enumerate(predictor.shapes):
            if layer and predictor.relu:
                out = F.relu(out)
            out = numbers[start : start + wide * narrow].view(narrow, wide) @ out
            start += wide * narrow
            if predictor.bias:
                out = out + numbers[start : start + narrow]
                start += narrow
        assert start == len(numbers)
        outs.append(out)
    return torch.stack(outs)


@pytest.mark.parametrize(("kind", "hidden", "biases", "relu"), VARIANTS)
def test_equals_the_naive_product(
    kind: Any, hidden: tuple[int, ...], biases: bool, relu: bool
) -> None:
    torch.manual_seed(1)
    settings = PredictorSettings(
        predictor=kind,
        predictor_hidden=hidden,
        predictor_relu=relu,
        predictor_bias=biases,
        hypernetwork_bias=not biases,
    )
    predictor = build_predictor(settings, E, G).double()
    assert isinstance(predictor, HyperPredictor)
    e, z = draw(N, E, seed=1), draw(N, G, seed=2)
    leaves = [e, z, *predictor.parameters()]
    ours, expected = predictor(e, z), naive(predictor, e, z)
    torch.testing.assert_close(ours, expected)
    weight = draw(N, E, seed=3).detach()
    for a, b in zip(
        torch.autograd.grad((ours * weight).sum(), leaves),
        torch.autograd.grad((expected * weight).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_a_product_by_hand() -> None:
    """W = q₁·[[1, 2], [3, 4]] + q₂·I, so that q = (1, 10) moves (1, 1) to (13, 17)."""
    basis = torch.tensor([[1.0, 1.0], [2.0, 0.0], [3.0, 0.0], [4.0, 1.0]])
    moved = written_linear(torch.ones(1, 2), torch.tensor([[1.0, 10.0]]), basis)
    assert moved.tolist() == [[13.0, 17.0]]


def test_backward_keeps_no_matrix_per_object() -> None:
    n, e = 64, 96
    predictor = build_predictor(PredictorSettings(), e, G)
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        moved = predictor(torch.randn(n, e, requires_grad=True), torch.randn(n, G))
    torch.autograd.backward(moved.sum())
    assert max(kept) == max(n * G * e, G * e * e) < n * e * e / 10


def test_a_linear_hypernetwork_is_linear_in_z() -> None:
    torch.manual_seed(0)
    predictor = build_predictor(PredictorSettings(), E, G).double()
    e, z = draw(N, E, seed=1), draw(N, G, seed=2)
    torch.testing.assert_close(predictor(e, 3 * z), 3 * predictor(e, z))
    torch.testing.assert_close(predictor(2 * e, z), 2 * predictor(e, z))
    assert not predictor(e, torch.zeros_like(z)).any()


def test_official_names_and_shapes() -> None:
    deep = PredictorSettings(predictor="deep", predictor_bias=True, hypernetwork_bias=True)
    shapes = {k: tuple(v.shape) for k, v in build_predictor(deep, 6, 4).state_dict().items()}
    assert shapes == {
        "hypernet.net.0.weight": (4, 4),
        "hypernet.net.0.bias": (4,),
        "hypernet.net.2.weight": (4, 4),
        "hypernet.net.2.bias": (4,),
        "hypernet.net.4.weight": (42, 4),
        "hypernet.net.4.bias": (42,),
    }
    plain = build_predictor(PredictorSettings(predictor_hidden=(10,)), 6, 4).state_dict()
    assert {k: tuple(v.shape) for k, v in plain.items()} == {"hypernet.net.0.weight": (120, 4)}


def test_an_mlp_sees_z_first() -> None:
    predictor = build_predictor(PredictorSettings(predictor="mlp", predictor_hidden=(3,)), E, G)
    assert isinstance(predictor, MLPPredictor)
    e, z = torch.randn(N, E), torch.randn(N, G)
    first, last = predictor.pred[0], predictor.pred[2]
    assert isinstance(first, torch.nn.Linear)
    expected = last(F.relu(first(torch.cat([z, e], dim=1))))
    torch.testing.assert_close(predictor(e, z), expected)
    assert tuple(first.weight.shape) == (3, G + E)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"predictor": "cubic"}, "predictor is 'cubic'; it must be one of 'linear', 'deep', 'mlp'"),
        ({"latents": "light"}, "latents is 'light'"),
        ({"predictor_hidden": (3, 0)}, "predictor_hidden is"),
        ({"predictor": "mlp", "predictor_relu": True}, "predictor_relu is True; it must be left"),
        ({"predictor_bias": "no"}, "predictor_bias is 'no'; it must be true or false"),
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PredictorSettings(**wrong)
    assert says in str(caught.value)
