"""Claims proved here, on the parts of training.

- SharedBatchNorm, alone, is torch's BatchNorm: output, gradients and buffers in float64, with and
  without affine and tracking, cumulative momentum, in train and eval mode; conversion keeps names
  and tensors, and refuses kinds that it does not know.
- Pictures are normalised to what (x / 255 − mean) / std says, in the memory format asked for.
- z reaches the heads unrounded under bf16, and terms are computed in float32; float16's scale is
  part of a checkpoint.
- Collapse indicators: by hand on small matrices; one direction or one point is a collapse, healthy
  noise is none.
- Learning rates: by hand; the optimisers are torch's with the settings given.
- Devices: what is asked for and absent is refused; auto is settled.
- The window's means, waits and first bad step.
- Online probes learn what is linear, draw nothing from torch's generator and can be resumed.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.benchmark.training.tiny import FakePairs, Tiny, config_of, method_of
from threedie.benchmark.training import devices
from threedie.benchmark.training.checkpoint import newest, save
from threedie.benchmark.training.collapse import indicators
from threedie.benchmark.training.config import RunConfig
from threedie.benchmark.training.devices import settle
from threedie.benchmark.training.distributed import agree, gather, launch, sum_over_ranks
from threedie.benchmark.training.learner import Learner
from threedie.benchmark.training.log import collapsed
from threedie.benchmark.training.online import OnlineProbes
from threedie.benchmark.training.optimise import learning_rate, make_optimizer, set_rate
from threedie.benchmark.training.record import make_record
from threedie.benchmark.training.step import Forward
from threedie.benchmark.training.sync_norm import SharedBatchNorm, share_statistics
from threedie.benchmark.training.window import Window
from threedie.errors import ConfigError

NORMS: list[dict[str, Any]] = [
    {},
    {"affine": False},
    {"track_running_stats": False},
    {"momentum": None},
    {"momentum": 0.4, "eps": 0.1},
]


@pytest.mark.parametrize("options", NORMS)
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 2, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_shared_norm_alone_is_torchs(
    options: dict[str, Any], shape: tuple[int, ...], training: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    kind: Any = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)]
    plain = kind(3, **options).double()
    for value in (*plain.parameters(), *(b for b in plain.buffers() if b.is_floating_point())):
        value.data.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    shared = SharedBatchNorm.like(kind(3, **options).double())
    shared.load_state_dict(plain.state_dict())
    found = []
    for norm in (plain, shared):
        norm.train(training)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1)).double()
        x.requires_grad_()
        for _ in range(2):  # the second one meets buffers that moved
            out = norm(x)
        (out * torch.arange(out.numel()).view(shape)).sum().backward()
        grads = [parameter.grad for parameter in norm.parameters()]
        found.append([out.detach(), x.grad, *grads, *norm.state_dict().values()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_conversion_keeps_names_tensors_and_mode() -> None:
    module = nn.Sequential(Tiny(), nn.BatchNorm1d(8).eval())
    before = dict(module.state_dict(keep_vars=True))
    share_statistics(module, device="cpu")
    after = dict(module.state_dict(keep_vars=True))
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)
    assert isinstance(module[0].norm1, SharedBatchNorm)
    assert not module[1].training


def test_an_unknown_norm_is_refused() -> None:
    class Other(nn.BatchNorm2d):
        pass

    tiny = Tiny()
    tiny.norm1 = Other(6)
    with pytest.raises(ConfigError, match="norm1 is a Other"):
        share_statistics(tiny, device="cpu")


def test_one_process_meets_nobody() -> None:
    value = torch.ones(2, requires_grad=True)
    assert gather(value) is value
    assert sum_over_ranks(value) is value
    assert agree({"stop": True, "save": False}, value.device) == {"stop": True, "save": False}


@pytest.mark.parametrize("channels_last", [True, False])
def test_pictures_are_normalised(channels_last: bool) -> None:
    forward = Forward(
        method_of(config_of("sie")), (0.5, 0.4, 0.3), (0.1, 0.2, 0.4), channels_last=channels_last
    )
    pictures = torch.tensor([0, 102, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    out = forward.normalise(pictures)
    torch.testing.assert_close(out[1, :, 2, 3], torch.tensor([-5.0, 0.0, 1.75]))
    wanted = torch.channels_last if channels_last else torch.contiguous_format
    assert out.is_contiguous(memory_format=wanted)
    assert out.dtype == torch.float32
    assert not forward.state_dict().keys() & {"mean_C11", "scale_C11"}


def learner_of(config: RunConfig) -> Learner:
    return Learner(
        config, make_record(config, FakePairs(config)), method_of(config), launch(config)
    )


def test_bf16_leaves_z_and_the_losses_alone() -> None:
    config = config_of("augself", precision="bf16")
    learner, seen = learner_of(config), {}

    def project(x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor) -> dict[str, Tensor]:
        seen["from backbone"], seen["z given"] = x_ND, z_NG
        return kept_project(x_ND, y_ND, z_NG, label_N)

    def terms(projections: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.update(projections)
        return kept_terms(projections)

    kept_project, kept_terms = learner.method.project, learner.method.terms
    learner.method.project, learner.method.terms = project, terms  # type: ignore[method-assign, assignment]
    batch = FakePairs(config).batch(0)
    learner.learn(0, batch)
    assert torch.equal(seen["z given"], batch.rotation_N4)
    assert all(v.dtype == torch.float32 for k, v in seen.items() if k != "from backbone")
    assert seen["from backbone"].dtype == torch.bfloat16


def test_bf16_is_near_float32() -> None:
    found = [
        learner_of(config_of("sie", precision=precision)).learn(
            0, FakePairs(config_of("sie")).batch(0)
        )
        for precision in ("32", "bf16")
    ]
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(float(value), rel=0.05), name


def test_the_scale_of_float16_goes_into_the_checkpoint_and_back(tmp_path: Path) -> None:
    config, scales = config_of("sie", precision="16"), []
    learner, batch = learner_of(config), FakePairs(config).batch(0)
    for _ in range(3):
        learner.learn(0, batch)
    save(tmp_path, 3, learner.state())
    found = newest(tmp_path)
    record = make_record(config, FakePairs(config))
    resumed = Learner(config, record, method_of(config), launch(config), found)
    for one in (learner, resumed):
        one.learn(3, batch)
        scales.append(one.state()["scaler"])
    assert scales[0] == scales[1]
    assert scales[0]["scale"] != 65536.0  # it had to fall, so it is not the one of the start


def test_indicators_by_hand() -> None:
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = indicators(rows)
    assert found["repr_std"] == pytest.approx(1.0)
    assert found["repr_corr"] == pytest.approx(0.0, abs=1e-6)
    assert found["repr_rank"] == pytest.approx(2.0)
    found = indicators(torch.tensor([[1.0, -2.0], [3.0, -6.0]]))
    assert found["repr_corr"] == pytest.approx(1.0)
    assert found["repr_rank"] == pytest.approx(1.0, abs=1e-5)
    # stds 1 and 2 over a root mean square of sqrt(50 / 4)
    assert found["repr_std"] == pytest.approx(1.5 / math.sqrt(12.5))


def test_effective_rank_of_unequal_directions() -> None:
    """Singular values 3 : 1 give exp(H(3/4, 1/4))."""
    rows = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert indicators(rows)["repr_rank"] == pytest.approx(math.exp(entropy), rel=1e-5)


def test_indicators_do_not_care_for_scale_or_order() -> None:
    rows = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
    for other in (rows * 7, rows.flip(0)):
        assert indicators(other) == pytest.approx(indicators(rows), rel=1e-4)


def test_collapse_is_seen() -> None:
    generator = torch.Generator().manual_seed(0)
    healthy = torch.randn(64, 16, generator=generator).relu()
    line = torch.randn(64, 1, generator=generator) * torch.rand(16, generator=generator) + 1
    assert not collapsed(indicators(healthy))
    assert collapsed(indicators(line))
    assert collapsed(indicators(torch.full((64, 16), 3.0)))
    assert collapsed(indicators(torch.zeros(64, 16)))
    near_one_point = 5 + 1e-4 * torch.randn(64, 16, generator=generator)
    assert collapsed(indicators(near_one_point))


def test_rates_by_hand() -> None:
    config = config_of("sie", pairs=80, batch_size=8, lr=0.1)  # 10 steps, 5 an epoch of 40
    assert [learning_rate(config, step, 40) for step in (0, 9)] == [0.1, 0.1]
    warm = replace(config, warmup_epochs=0.8)
    assert [learning_rate(warm, s, 40) for s in range(5)] == pytest.approx(
        [0.025, 0.05, 0.075, 0.1, 0.1]
    )
    cosine = replace(warm, schedule="cosine")
    assert learning_rate(cosine, 3, 40) == pytest.approx(0.1)
    assert learning_rate(cosine, 4, 40) == pytest.approx(0.1)
    assert learning_rate(cosine, 7, 40) == pytest.approx(0.05)
    assert 0 < learning_rate(cosine, 9, 40) < 0.01


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)],
)
def test_optimisers(name: Any, kind: type[torch.optim.Optimizer]) -> None:
    config = config_of("sie", optimizer=name, lr=0.3, weight_decay=0.01)
    module = nn.Linear(2, 2)
    module.bias.requires_grad_(False)
    optimizer = make_optimizer(module.parameters(), config)
    assert type(optimizer) is kind
    group = optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (0.3, 0.01, 1)
    assert group.get("momentum", 0.9) == 0.9
    assert group.get("betas", (0.9, 0.999)) == (0.9, 0.999)
    set_rate(optimizer, 0.2)
    assert group["lr"] == 0.2


def test_auto_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("sie", device="auto", precision="auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for has, precision in ((True, "bf16"), (False, "32")):
        monkeypatch.setattr(devices, "_cpu_has", lambda question, has=has: has)
        assert (settle(config).device, settle(config).precision) == ("cpu", precision)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert (settle(config).device, settle(config).precision) == ("cuda", "32")
    with pytest.raises(ConfigError, match="this GPU has none; use 16 or 32"):
        settle(replace(config, precision="bf16"))


def test_what_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"torch finds no CUDA device here\. Use --device cpu"):
        settle(config_of("sie", device="cuda"))
    with pytest.raises(ConfigError, match="a CPU has no float16; use bf16 or 32"):
        settle(config_of("sie", precision="16"))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert settle(config_of("sie", threads=2)).threads == 2
    with pytest.raises(ConfigError, match="threads is 3; this machine has 2 cores"):
        settle(config_of("sie", threads=3))


def test_the_window() -> None:
    window = Window()
    assert list(window.waiting_for([1, 2])) == [1, 2]
    for step, loss in enumerate([1.0, 2.0, 6.0]):
        window.add(step, {"loss": torch.tensor(loss), "part": torch.tensor(-loss)})
    assert window.not_finite() is None
    row = window.close(batch_size=8)
    assert (row["loss"], row["part"]) == (3.0, -3.0)
    for step, loss in enumerate([1.0, math.inf, math.nan], start=3):
        window.add(step, {"loss": torch.tensor(loss), "part": torch.tensor(5.0)})
    assert window.not_finite() == (4, {"loss": math.inf, "part": 5.0})


def test_probes_learn_what_is_linear() -> None:
    before = torch.get_rng_state()
    probes = OnlineProbes(6, 4, 3, seed=0, lr=1e-2)
    probes.start(torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    for index in range(300):
        label = torch.randint(0, 3, (32,), generator=generator)
        x, y = torch.randn(2, 32, 6, generator=generator)
        x[:, :3] += 5 * nn.functional.one_hot(label, 3)
        y[:, :3] += 5 * nn.functional.one_hot(label, 3)
        probes.step(x, y, (y - x)[:, 2:], label)
        if index == 4:
            early = probes.report()
    for _ in range(280):
        probes._sums.pop(0)
    late = probes.report()
    assert late["online_top1"] > 0.95 > early["online_top1"]
    assert late["online_r2"] > 0.8 > early["online_r2"]
    assert probes.report() == {}
    assert torch.equal(before, torch.get_rng_state())


def test_probe_numbers_by_hand() -> None:
    """Zero heads: class 0 is said, and 0 for every latent, whose squares and spread are known."""
    probes = OnlineProbes(2, 2, 3, seed=0)
    for parameter in probes.parameters():
        nn.init.zeros_(parameter)
    probes.start(torch.device("cpu"))
    rows, z = torch.zeros(4, 2), torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 2.0], [1.0, 2.0]])
    probes.step(rows, rows, z, torch.tensor([0, 0, 0, 1]))
    # squares 12, mean 1: spread 12 − 8 = 4; residual 12
    assert probes.report() == pytest.approx({"online_top1": 0.75, "online_r2": 1 - 12 / 4})
