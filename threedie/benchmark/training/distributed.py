"""Where ranks meet: launching (one process, torchrun, SLURM), gathering, and agreeing.

Every rank computes the whole loss from the gathered projections. The gather's backward *sums* over
ranks, so each rank's gradient is `world` times its share, and DDP's mean makes it the gradient of
one big batch exactly (as does every synchronised BatchNorm below, being linear).

Shape suffixes: N = this rank's rows, M = the rows of all ranks.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision, Precision
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor

from threedie.benchmark.training.config import RunConfig
from threedie.errors import ConfigError, ThreedieError

T = TypeVar("T")


class _Mixed(MixedPrecision):  # type: ignore[misc]  # its package is untyped
    """Fabric's, but inputs stay as they are: rounding z to 8 bits would turn objects by 0.2°."""

    def convert_input(self, data: Any) -> Any:
        return data


def launch(config: RunConfig) -> Any:
    """A Fabric for a settled config, with all ranks met.

    torchrun's and SLURM's variables say how many processes there are; without them it is one.

    Args:
        config: with a concrete device and precision (see devices.settle).
    """
    per_node, nodes = _processes()
    plugin = Precision()
    if config.precision != "32":
        plugin = _Mixed(f"{config.precision}-mixed", config.device)
    strategy: Any = "auto"
    if per_node * nodes > 1:
        # Rank 0 evaluates while the others wait; one that dies takes them along without a timeout.
        strategy = DDPStrategy(
            broadcast_buffers=False, gradient_as_bucket_view=True, timeout=timedelta(days=2)
        )
    fabric = Fabric(
        accelerator=config.device,
        devices=per_node,
        num_nodes=nodes,
        strategy=strategy,
        plugins=[plugin],
    )
    fabric.launch()
    return fabric


def _processes() -> tuple[int, int]:
    """Processes on a node, and nodes."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env or {"WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK"} <= env.keys():
        per_node = int(env.get("LOCAL_WORLD_SIZE", "1"))
        return per_node, int(env["WORLD_SIZE"]) // per_node
    if int(env.get("SLURM_NTASKS", "1")) > 1 and env.get("SLURM_JOB_NAME") not in _INTERACTIVE:
        tasks, nodes = int(env["SLURM_NTASKS"]), int(env.get("SLURM_NNODES", "1"))
        if tasks % nodes:
            raise ConfigError(f"SLURM gave {tasks} tasks on {nodes} nodes; use --ntasks-per-node.")
        return tasks // nodes, nodes
    return 1, 1


_INTERACTIVE = {"bash", "interactive"}  # a shell on a node: one process, whatever was reserved


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows_N: Tensor) -> Tensor:
        return _gathered(rows_N)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient_M = gradients[0].contiguous()
        dist.all_reduce(gradient_M)
        share = len(gradient_M) // dist.get_world_size()
        return gradient_M[dist.get_rank() * share :][:share]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def gather(rows_N: Tensor) -> Tensor:
    """(M, …) the rows of all ranks, in their order; its backward sums over ranks."""
    if not several_ranks():
        return rows_N
    if rows_N.requires_grad:
        gathered: Tensor = _Gather.apply(rows_N)  # type: ignore[no-untyped-call]
        return gathered
    return _gathered(rows_N)


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum over ranks; its backward sums too."""
    if not several_ranks():
        return value
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


def several_ranks() -> bool:
    """Whether there is anybody to meet."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def agree(flags: Mapping[str, bool], device: torch.device) -> dict[str, bool]:
    """What any rank says is said by all."""
    if not several_ranks():
        return dict(flags)
    said = torch.tensor([float(flag) for flag in flags.values()], device=device)
    dist.all_reduce(said, op=dist.ReduceOp.MAX)
    return dict(zip(flags, (said > 0).tolist(), strict=True))


def as_rank_0(fabric: Any, action: Callable[[], T]) -> T:
    """What rank 0's action gives or raises, on every rank; the others do not act.

    So ranks agree on what is on disk where nodes see it at different times, and none waits for one
    that stopped.
    """
    outcome: tuple[T | None, ThreedieError | None] = (None, None)
    if fabric.is_global_zero:
        try:
            outcome = action(), None
        except ThreedieError as err:
            outcome = None, err
    value, error = fabric.broadcast(outcome)
    if error is not None:
        raise error
    given: T = value
    return given


@contextlib.contextmanager
def loss_explained(folder: Path) -> Iterator[None]:
    """Say what it means that another rank is gone, in place of a traceback.

    Args:
        folder: of the run.

    Raises:
        ThreedieError: another rank ended while this one waited for it.
    """
    try:
        yield
    except RuntimeError as err:  # gloo's own; torch's DistError is one too
        gone = isinstance(err, dist.DistError) or any(words in str(err) for words in _GONE)
        if not (gone and several_ranks()):
            raise
        raise ThreedieError(
            f"rank {dist.get_rank()} of {dist.get_world_size()}: another rank is gone "
            f"({str(err).splitlines()[0][:200]}). Its own last words say why. The checkpoints in "
            f"{folder} are whole: run the same command to go on."
        ) from err


_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")


def _gathered(rows_N: Tensor) -> Tensor:
    rows_N = rows_N.contiguous()
    pieces = [torch.empty_like(rows_N) for _ in range(dist.get_world_size())]
    dist.all_gather(pieces, rows_N)
    return torch.cat(pieces)
