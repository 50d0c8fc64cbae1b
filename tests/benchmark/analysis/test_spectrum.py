"""Claims proved here, on the predictor's matrices and on steering.

- Singular values, condition, and the distances from a turn and from the identity are those of
  matrices known by hand; both distances are blind to a scale, and see a factor in one direction.
- A shift is no part of the matrix; a predictor with ReLU is no matrix, and gets its Jacobian.
- On the data's span, what the data never reach does not count.
- A prediction that ignores the move has no variance over moves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.benchmark.analysis.made import Moves, embedded_of, right, still
from tests.benchmark.evaluation.fakes import FakeSplit, noise
from threedie.baselines.predictors import PredictorSettings, build_predictor
from threedie.benchmark.analysis.embedded import Embedded
from threedie.benchmark.analysis.laws import draw_triples
from threedie.benchmark.analysis.spectrum import MOVES, is_affine, spectra
from threedie.benchmark.analysis.steering import measure_steering
from threedie.benchmark.evaluation.bootstrap import Resampler
from threedie.manifests.analysis import Spectrum

E = 4


class Matrix:
    """e ↦ W(q)·e + c."""

    latent_group = "rotation"

    def __init__(self, of: Callable[[Tensor], Tensor], shift: float = 0.0) -> None:
        self._of, self._shift = of, shift

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        return torch.einsum("nij,nj->ni", self._of(z_NG), e_NE) + self._shift


class Learnt(nn.Module):
    """A predictor of the product, with its first weights."""

    latent_group = "rotation"

    def __init__(self, **settings: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = build_predictor(PredictorSettings(**settings), E, 4)  # type: ignore[arg-type]

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        moved: Tensor = self.net(e_NE, z_NG)
        return moved


def made(predictor: object, values: object = None) -> Embedded:
    split = FakeSplit("val", 8, 5, 2)
    return embedded_of(split, predictor, noise(E)(split) if values is None else values)  # type: ignore[arg-type]


def looked_at(embedded: Embedded) -> tuple[list[Spectrum], list[Spectrum], bool]:
    """On everything, on the data's span, and whether the predictor is affine."""
    triples = draw_triples(embedded.n_objects, embedded.n_views, 0)
    affine = is_affine(embedded, triples)
    found = spectra(embedded, triples, affine=affine)
    assert len(found) == 2 * (MOVES + 1)
    assert [s.move for s in found[:3]] == ["identity", "identity", "drawn"]
    assert found[0].angle_deg == pytest.approx(0, abs=1e-9)
    return [s for s in found if s.on == "all"], [s for s in found if s.on == "data"], affine


def fixed(matrix: Tensor, shift: float = 0.0) -> Matrix:
    return Matrix(lambda z: matrix.double().expand(len(z), E, E), shift)


def test_a_stretch_by_hand() -> None:
    whole, _, affine = looked_at(made(fixed(torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0])), 7.0)))
    assert affine
    s = whole[3]
    assert s.width == E
    assert (s.quantiles[0], s.quantiles[3], s.quantiles[-1]) == pytest.approx((1, 2.5, 4))
    assert s.condition == pytest.approx(4)
    expected = np.sqrt(1 - 2.5**2 / 7.5)  # mean 2.5, mean square 7.5: diagonal, so both alike
    assert s.orthogonality_error == pytest.approx(expected)
    assert s.identity_error == pytest.approx(expected)
    share = np.arange(1, 5) / 10
    assert s.effective_rank == pytest.approx(np.exp(-(share * np.log(share)).sum()))


@pytest.mark.parametrize("scale", [1.0, 2.0, -0.5])
def test_multiples_of_the_identity_and_of_turns(scale: float) -> None:
    whole, _, _ = looked_at(made(fixed(scale * torch.eye(E))))
    assert whole[0].identity_error == pytest.approx(0, abs=1e-7)
    assert whole[0].condition == pytest.approx(1)
    turn, _ = torch.linalg.qr(torch.randn(E, E, generator=torch.Generator().manual_seed(1)))
    whole, _, _ = looked_at(made(fixed(scale * turn)))
    assert whole[0].orthogonality_error == pytest.approx(0, abs=1e-3)
    trace = float(turn.trace())
    assert whole[0].identity_error == pytest.approx(np.sqrt(1 - trace**2 / E**2), abs=1e-5)


def test_a_collapse_by_hand() -> None:
    one = torch.zeros(E, E)
    one[0, 0] = 3.0
    whole, _, _ = looked_at(made(fixed(one)))
    assert whole[0].condition is None
    assert whole[0].effective_rank == pytest.approx(1)
    assert whole[0].orthogonality_error == pytest.approx(np.sqrt(3) / 2)
    nothing, _, _ = looked_at(made(fixed(torch.zeros(E, E))))
    assert nothing[0].effective_rank is None
    assert nothing[0].orthogonality_error is None


def test_only_the_span_of_the_data_counts() -> None:
    """Data in the first two columns; the matrix turns those and stretches the others."""
    values = noise(E)(FakeSplit("val", 8, 5, 2))
    values[..., 2:] = 0
    values[..., 3] = 30  # a mean is no span
    matrix = torch.tensor([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 50, 0], [0, 0, 0, 0]])
    whole, data, _ = looked_at(made(fixed(matrix), values))
    assert (whole[0].width, data[0].width) == (4, 2)
    assert whole[0].condition is None
    assert data[0].condition == pytest.approx(1)
    assert data[0].orthogonality_error == pytest.approx(0, abs=1e-7)
    assert data[0].identity_error == pytest.approx(1)  # a quarter turn


@pytest.mark.parametrize(
    ("settings", "affine"),
    [
        ({}, True),
        ({"predictor": "deep", "hypernetwork_bias": True}, True),
        ({"predictor_hidden": (6,), "predictor_bias": True}, True),
        ({"predictor_hidden": (6,), "predictor_relu": True}, False),
        ({"predictor": "mlp"}, True),
        ({"predictor": "mlp", "predictor_hidden": (6, 6)}, False),
    ],
)
def test_predictors_of_the_product(settings: dict[str, object], affine: bool) -> None:
    """The matrix of the first drawn move is the derivative, by differences."""
    predictor = Learnt(**settings)
    embedded = made(predictor)
    whole, _, found = looked_at(embedded)
    assert found is affine
    triples = draw_triples(8, 5, 0)
    n, a, b = (x[:1] for x in (triples.object_R, triples.a_R, triples.b_R))
    z, e = embedded.latents(n, a, b), embedded.rows(n, a)
    step = 1e-6 * torch.eye(E, dtype=torch.float64)
    ends = [embedded.predict(e + sign * step, z.repeat(E, axis=0)) for sign in (1, -1)]
    numeric = ((ends[0] - ends[1]) / 2e-6).T
    expected = torch.linalg.svdvals(numeric)
    assert whole[1].quantiles[-1] == pytest.approx(float(expected[0]), rel=1e-5)
    assert whole[1].quantiles[0] == pytest.approx(float(expected[-1]), abs=1e-7)
    assert next(predictor.parameters()).dtype == torch.float32  # a copy is looked at


def test_a_kink_that_no_view_crosses_is_found() -> None:
    """Views are within 1e-3; the predictor is the identity up to a length of 1."""

    class Kinked(Matrix):
        def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
            return e_NE + torch.relu(e_NE - 1)

    values = 1e-3 * noise(E)(FakeSplit("val", 8, 5, 2))
    whole, _, affine = looked_at(made(Kinked(lambda z: z), values))
    assert not affine
    assert whole[0].quantiles == pytest.approx([1] * 7)


def steering(embedded: Embedded) -> tuple[float, float]:
    triples = draw_triples(embedded.n_objects, embedded.n_views, 0)
    found = measure_steering(embedded, triples, Resampler(embedded.n_objects, seed=0))
    moved, view = found["moved_share"].value, found["view_share"].value
    assert moved is not None
    assert view is not None
    return moved, view


def test_a_prediction_that_ignores_the_move_has_no_share() -> None:
    split = FakeSplit("val", 12, 6, 3)
    assert steering(embedded_of(split, Moves(still)))[0] == 0
    moved, view = steering(embedded_of(split, Moves(right)))
    assert abs(moved - view) < 0.15
    assert moved > 0.3


def test_a_sign_is_no_move() -> None:
    """The opposite point for −q, and nothing else: such a predictor ignores the rotation."""
    flips = Matrix(lambda z: torch.sign(z[:, 3])[:, None, None] * torch.eye(E).double())
    assert steering(made(flips))[0] == pytest.approx(0, abs=1e-9)
