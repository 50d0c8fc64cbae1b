"""Claims proved here, on every method of METHODS.

- Each loss equals a float64 reference written from its paper's equations, term by term.
- Every projection has a row per object (so that rows of ranks can be put together), in any order.
- Every parameter that is trained gets a gradient; what is retrieved is what was trained.
- Parts, predictors and what they see: SIE's equivariant part knows only its own columns.
- METHODS: one file and one Config per home, settings that exist, a row in docs/methods.md (P4).
- Settings out of range are refused, naming field, value and range.

Shape suffixes: N = objects, D = representation, E = embedding, G = latent numbers, K = classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.baselines import references as ref
from threedie import baselines
from threedie.baselines import METHODS
from threedie.baselines.method import Method, frozen
from threedie.errors import ConfigError
from threedie.manifests.latents import LATENT_GROUPS

N, D, K = 10, 12, 5
DOCS = Path(__file__).parents[2] / "docs" / "methods.md"
Arrays = Mapping[str, np.ndarray[Any, np.dtype[np.float64]]]


def build(name: str, **settings: Any) -> Method:
    """A small one, in double precision, with weights of its own seed."""
    torch.manual_seed(0)
    kind = METHODS[name].load()
    chosen: dict[str, Any] = {**METHODS[name].settings, **settings}
    if "projector" in kind.Config.__dataclass_fields__:
        chosen.setdefault("projector", (9, 8, 6))
    return kind(nn.Identity(), D, kind.Config(**chosen), n_classes=K).double()


def batch(method: Method) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(N, D, generator=generator, dtype=torch.float64)
    y = x + 0.5 * torch.randn(N, D, generator=generator, dtype=torch.float64)
    z = torch.randn(N, method.latent_size, generator=generator, dtype=torch.float64)
    return x.requires_grad_(), y, z, torch.arange(N) % K


def vicreg(x: Any, y: Any, moved: Any) -> tuple[float, float, float]:
    """Invariance of (moved, y), and variance and covariance of (x, y)."""
    std = (ref.hinge(x) + ref.hinge(y)) / 2
    return ref.squared(moved, y), std, ref.covariance(x) + ref.covariance(y)


def sie_reference(p: Arrays, method: Method) -> dict[str, float]:
    x = np.concatenate([p["inv_x"], p["equi_x"]], 1) if "inv_x" in p else p["equi_x"]
    y = np.concatenate([p["inv_y"], p["equi_y"]], 1) if "inv_y" in p else p["equi_y"]
    _, std, cov = vicreg(x, y, x)
    equi = ref.squared(p["moved"], p["equi_y"])
    terms = {"equivariance": equi, "variance": std, "covariance": cov}
    loss = 10 * std + cov
    if "inv_x" in p:
        terms["invariance"] = ref.squared(p["inv_x"], p["inv_y"])
        loss += 10 * terms["invariance"] + 4.5 * equi
    else:
        loss += 10 * equi
    if method.config.predictor_variance:
        terms["moved_variance"] = ref.hinge(p["moved"]) / 2
        loss += 10 * terms["moved_variance"]
    return {"loss": loss, **terms}


def vicreg_reference(p: Arrays, method: Method) -> dict[str, float]:
    kept = 5 if method.config.free_part else 6  # of 6 numbers, an eighth is one
    _, std, cov = vicreg(p["x"], p["y"], p["x"])
    inv = ref.squared(p["x"][:, :kept], p["y"][:, :kept])
    loss = 10 * inv + 10 * std + cov
    return {"loss": loss, "invariance": inv, "variance": std, "covariance": cov}


def simclr_reference(p: Arrays, _: Method) -> dict[str, float]:
    found = ref.contrast(p["x"], p["y"], 0.1)
    return {"loss": found, "invariance": found}


def augself_reference(p: Arrays, _: Method) -> dict[str, float]:
    inv, error = ref.contrast(p["x"], p["y"], 0.1), float(p["error_N"].mean())
    return {"loss": inv + error, "invariance": inv, "equivariance": error}


def sen_reference(p: Arrays, _: Method) -> dict[str, float]:
    found = ref.contrast(p["moved"], p["equi_y"], 0.1)
    return {"loss": found, "equivariance": found}


def equimod_reference(p: Arrays, method: Method) -> dict[str, float]:
    inv = ref.contrast(p["inv_x"], p["inv_y"], 0.1)
    equi = ref.contrast(p["moved"], p["equi_y"], 0.1)
    factor = 1.0 if method.latent_group == "rotation+color" else 0.45
    return {"loss": inv + factor * equi, "invariance": inv, "equivariance": equi}


def equimod_vicreg_reference(p: Arrays, _: Method) -> dict[str, float]:
    inv, std_i, cov_i = vicreg(p["inv_x"], p["inv_y"], p["inv_x"])
    equi, std_e, cov_e = vicreg(p["equi_x"], p["equi_y"], p["moved"])
    loss = 10 * inv + 10 * std_i + cov_i + 0.45 * (10 * equi + 10 * std_e + cov_e)
    terms = {"invariance": inv, "equivariance": equi}
    return {"loss": loss, **terms, "variance": std_i + std_e, "covariance": cov_i + cov_e}


def supervised_reference(p: Arrays, _: Method) -> dict[str, float]:
    surprise, error = float(p["surprise_N"].mean()), float(p["error_N"].mean())
    return {"loss": surprise + error, "classification": surprise, "regression": error}


REFERENCES = {
    "augself": augself_reference,
    "equimod": equimod_reference,
    "equimod_vicreg": equimod_vicreg_reference,
    "sen": sen_reference,
    "sie": sie_reference,
    "simclr": simclr_reference,
    "supervised": supervised_reference,
    "untrained": lambda p, m: {"loss": 0.0},
    "vicreg": vicreg_reference,
}
"""By file. Coefficients are written as numbers on purpose: the defaults are tested too."""


@pytest.mark.parametrize("name", METHODS)
def test_loss_from_the_equations(name: str) -> None:
    method = build(name)
    projections = method(*batch(method)).projections
    arrays = {key: value.detach().numpy() for key, value in projections.items()}
    expected = REFERENCES[METHODS[name].home.partition(":")[0]](arrays, method)
    found = {key: value.item() for key, value in method.terms(projections).items()}
    assert found == pytest.approx(expected, rel=1e-9)


def test_heads_that_read_both_views() -> None:
    """AugSelf's and supervised's rows of losses, from the equations."""
    for name, head in (("augself-color", "predictor"), ("supervised", "regressor")):
        method = build(name)
        x, y, z, label = batch(method)
        projections = method(x, y, z, label).projections
        found = getattr(method, head)(torch.cat([x, y], 1)).detach().numpy()
        error = ref.squared(found, z.numpy())
        assert projections["error_N"].mean().item() == pytest.approx(error)
        assert projections["error_N"].shape == (N,)
    views = [method.get_submodule("classifier")(view).detach().numpy() for view in (x, y)]
    expected = sum(ref.surprise(logits, label.numpy()) for logits in views) / 2
    assert projections["surprise_N"].mean().item() == pytest.approx(expected)


@pytest.mark.parametrize("name", METHODS)
def test_every_projection_has_a_row_per_object_and_order_is_nothing(name: str) -> None:
    method = build(name)
    x, y, z, label = batch(method)
    projections = method(x, y, z, label).projections
    assert all(len(value) == N for value in projections.values())
    order = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    shuffled = method.terms({key: value[order] for key, value in projections.items()})
    torch.testing.assert_close(shuffled, method.terms(projections))


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].load().trains])
def test_every_parameter_is_trained(name: str) -> None:
    method = build(name)
    x, y, z, label = batch(method)
    torch.autograd.backward(method.terms(method(x, y, z, label).projections)["loss"])
    idle = [key for key, p in method.named_parameters() if p.grad is None or not p.grad.any()]
    # a bias before BatchNorm shifts nothing: its gradient is zero up to rounding
    assert not [key for key in idle if not key.endswith(".bias")]
    assert x.grad is not None
    assert bool(x.grad.any(dim=0).all())


def test_untrained_has_nothing_to_train() -> None:
    method = build("random")
    outputs = method(*batch(method))
    assert not method.trains
    assert not list(method.parameters())
    assert not outputs.projections
    assert not method.terms({})["loss"].requires_grad


@pytest.mark.parametrize("name", METHODS)
def test_what_a_predictor_moves_is_what_was_trained(name: str) -> None:
    method = build(name)
    x, y, z, label = batch(method)
    assert method.has_predictor == ("moved" in method(x, y, z, label).projections)
    if method.has_predictor:
        projections = method(x, y, z, label).projections
        torch.testing.assert_close(method.embed(y), projections["equi_y"])
        torch.testing.assert_close(method.predict(method.embed(x), z), projections["moved"])
        alone = frozen(method).embed(y)[:3]
        torch.testing.assert_close(alone, method.embed(y[:3]))  # eval mode: row by row


@pytest.mark.parametrize("group", LATENT_GROUPS)
def test_any_method_takes_any_latents(group: str) -> None:
    for name in METHODS:
        if "latents" in METHODS[name].load().Config.__dataclass_fields__:
            method = build(name, latents=group)
            assert method.latent_size == LATENT_GROUPS[group]
            assert torch.isfinite(method.terms(method(*batch(method)).projections)["loss"])


def test_the_parts_of_sie() -> None:
    method = build("sie", equi_share=1 / 3)
    assert method.parts() == {"all": slice(0, 12), "inv": slice(0, 8), "equi": slice(8, 12)}
    x, y, z, label = batch(method)
    other = x.detach().clone()
    other[:, 8:] += torch.randn(N, 4, generator=torch.Generator().manual_seed(4)).double()
    before, after = method(x, y, z, label).projections, method(other, y, z, label).projections
    torch.testing.assert_close(before["inv_x"], after["inv_x"])
    assert (before["equi_x"] - after["equi_x"]).abs().max() > 0.1
    assert build("sie-equi").parts() == {"all": slice(0, 12)}


def test_widths_are_shared_in_proportion() -> None:
    """256 of 512 of the paper's 2048-2048-2048 is 1024-1024-1024, on either side."""
    kind = METHODS["sie"].load()
    method = kind(nn.Identity(), 512, kind.Config(), n_classes=K)
    shapes = {key: tuple(value.shape) for key, value in method.state_dict().items()}
    for side in ("inv", "equi"):
        assert shapes[f"projector_{side}.0.weight"] == (1024, 256)
        assert shapes[f"projector_{side}.6.weight"] == (1024, 1024)
    assert shapes["predictor.hypernet.net.0.weight"] == (1024 * 1024, 4)


def test_the_covariance_may_be_divided_by_a_batch_size_that_is_not_there() -> None:
    plain, official = build("vicreg"), build("vicreg", covariance_rows=2 * N - 1)
    terms = [m.terms(m(*batch(m)).projections)["covariance"] for m in (plain, official)]
    torch.testing.assert_close(terms[0], 4 * terms[1])


def test_one_file_one_config_per_home() -> None:
    homes = {entry.home for entry in METHODS.values()}
    configs = [METHODS[name].load().Config for name in METHODS]
    assert len({home.partition(":")[0] for home in homes}) == len(homes) == len(set(configs))
    folder = Path(baselines.__file__).parent
    for home in homes:
        assert (folder / f"{home.partition(':')[0]}.py").is_file()
    for name, entry in METHODS.items():
        assert set(entry.settings) <= set(entry.load().Config.__dataclass_fields__), name
        assert len((folder / f"{entry.home.partition(':')[0]}.py").read_text().splitlines()) <= 150


def test_no_two_keys_are_the_same_method() -> None:
    rows = [(entry.home, sorted(entry.settings.items())) for entry in METHODS.values()]
    assert all(rows.count(row) == 1 for row in rows)
    assert list(METHODS) == sorted(METHODS)


def test_every_key_and_every_setting_is_documented() -> None:
    text = DOCS.read_text()
    for name, entry in METHODS.items():
        assert text.count(f"| `{name}` |") == 1, name
        for setting in entry.load().Config.__dataclass_fields__:
            assert f"`{setting}`" in text, f"{name}: {setting}"


@pytest.mark.parametrize(
    ("name", "wrong", "says"),
    [
        ("sie", {"equi_share": 1.0}, "equi_share is 1.0; it must be more than 0, less than 1."),
        ("sie", {"sim_coeff": -1.0}, "sim_coeff is -1.0; it must be a finite number, 0 or more."),
        ("sie", {"std_coeff": float("nan")}, "std_coeff is nan"),
        ("sie", {"invariant_part": 1}, "invariant_part is 1; it must be true or false."),
        ("sie", {"projector": ()}, "projector is (); it must be a tuple of positive widths"),
        ("sie", {"projector": "2048-2048"}, "projector is '2048-2048'"),
        ("vicreg", {"free_part": 1}, "free_part is 1; it must be at least 0, less than 1."),
        ("vicreg", {"covariance_rows": 1}, "covariance_rows is 1; it must be none, or 2 or more."),
        ("simclr", {"temperature": 0}, "temperature is 0; it must be a finite number above 0."),
        ("augself", {"latents": "all"}, "latents is 'all'; it must be one of 'rotation',"),
        ("equimod", {"equi_factor": float("inf")}, "equi_factor is inf"),
        ("supervised", {"label_weight": "1"}, "label_weight is '1'"),
    ],
)
def test_settings_out_of_range(name: str, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        METHODS[name].load().Config(**wrong)
    assert says in str(caught.value)


def test_a_split_that_leaves_a_part_empty() -> None:
    with pytest.raises(ConfigError, match=r"equi_share 0\.01 of a representation of 12 numbers"):
        build("sie", equi_share=0.01)


def test_supervised_needs_classes() -> None:
    kind = METHODS["supervised"].load()
    with pytest.raises(ConfigError, match="n_classes is 1"):
        kind(nn.Identity(), D, kind.Config(), n_classes=1)
