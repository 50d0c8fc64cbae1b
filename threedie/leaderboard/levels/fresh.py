"""Level "fresh-render": does an encoder see new views of val objects as well as the official ones?

Whoever knows the val pictures by heart, or tuned on them, is good on the control and not on the
new views. Both differ from the official files alike, where another version renders them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.benchmark.evaluation.items import Items
from threedie.benchmark.evaluation.protocols import find_protocol
from threedie.errors import ConfigError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.folder import EntryFiles
from threedie.leaderboard.levels.evidence import check, conclude, items_of, open_splits
from threedie.leaderboard.levels.fresh_views import Drawn, commitment, draw
from threedie.leaderboard.levels.request import LevelRequest
from threedie.leaderboard.levels.rerun import find_run
from threedie.manifests.verification import Check, Step
from threedie.render.worker import BLENDER
from threedie.words import plural

if TYPE_CHECKING:
    from threedie.leaderboard.levels.fresh_judge import Difference, Judged

SIGMAS = 3.0
COARSEST = 0.3
"""Of top-1: if 3 σ are more, the sets are too small to show anything."""
SHIFT = 0.1
"""What top-1 may lose where another Blender or device renders the official latents: a choice. (On
the version that made the data set the control is byte for byte the official pictures.)"""


def fresh_render(
    entry: EntryFiles, board: OpenBoard, request: LevelRequest, *, renderer: str = BLENDER
) -> Step:
    """Judge runs of an entry on new views.

    Args:
        entry: the entry.
        board: the board it is for.
        request: with the data set, run folders and the secret seed.
        renderer: `module:class` that draws (tests give a stand-in).

    Raises:
        ConfigError: no weights or secret seed, others than the entry's, other data, a data set that
            can't be continued.
        ManifestError: a damaged run or data set.
        RenderError: an object can't be rendered.
    """
    if not request.weights or request.secret_seed is None:
        raise ConfigError(
            "level fresh-render needs --weights RUN and --secret-seed N: a large number that "
            "nobody else knows, and that you publish afterwards."
        )
    splits = open_splits(board, request.data)
    from threedie.benchmark.evaluate_run import of_run
    from threedie.leaderboard.levels.fresh_judge import judge_drawn

    checks, deltas, drawn = list[Check](), dict[int, dict[str, float]](), None
    for folder, (loaded, run) in [(one, find_run(entry, one)) for one in request.weights]:
        drawn = drawn or draw(splits["val"], board.truth.listed, request, renderer=renderer)
        judged = judge_drawn(
            of_run(loaded, folder),
            splits["train"],
            drawn,
            find_protocol(board.config.protocol.name),
            device=request.device,
            batch_size=request.batch_size,
            on_progress=request.tell,
        )
        looked_at, apart = compared(judged, drawn, items_of(entry, run), board.truth)
        checks += [c.model_copy(update={"name": f"seed-{run.seed}-{c.name}"}) for c in looked_at]
        deltas[run.seed] = apart
    says = _says(request, drawn, len(deltas))
    return conclude("fresh-render", entry, request.today, says, checks, deltas)


def compared(
    judged: Judged, drawn: Drawn, given: Items, truth: FrozenTruth
) -> tuple[list[Check], dict[str, float]]:
    """New views against the control, and the control against the entry.

    Args:
        judged: both sets.
        drawn: what they show.
        given: the entry's predictions.
        truth: the board's.

    Returns:
        Checks, and fresh minus control by `part/metric`.
    """
    found = judged.differences(seed=0)
    checks = [_within(name, one) for name, one in found.items()]
    coarse = SIGMAS * found["top1"].sigma if "top1" in found else float("inf")
    says = f"3 σ of top1 are {coarse:.3f}; above {COARSEST:g}, more --objects are needed"
    checks.append(check("resolution", coarse <= COARSEST, says))
    checks.append(_as_submitted(judged, drawn, given, truth))
    return checks, {f"all/{name}": one.fresh - one.control for name, one in found.items()}


def _within(name: str, one: Difference) -> Check:
    apart = one.fresh - one.control
    says = (
        f"{one.fresh:.4f} on new views, {one.control:.4f} on the control: {apart:+.4f}, σ "
        f"{one.sigma:.4f}; {SIGMAS:g} σ may be"
    )
    ok = abs(apart) <= SIGMAS * one.sigma + 1e-9
    return check(f"fresh-{name.replace('_', '-')}", ok, says)


def _as_submitted(judged: Judged, drawn: Drawn, given: Items, truth: FrozenTruth) -> Check:
    """Is the control as good as the entry says of the same views?"""
    hits = given.top5["all"][:, 0] == truth.labels_N[truth.listed.object_M]
    submitted = dict(zip(truth.listed.flat_M.tolist(), hits.tolist(), strict=True))
    apart: dict[int, list[float]] = {}
    for (i, v), right in judged.control_hits().items():
        flat = int(drawn.rows_n[i]) * truth.listed.n_views + int(drawn.control_nV[i, v])
        if flat in submitted:
            apart.setdefault(i, []).append(float(right) - float(submitted[flat]))
    means = np.array([np.mean(values) for values in apart.values()])
    sigma = float(means.std() / np.sqrt(len(means)))
    lost, allowed = -float(means.mean()), max(SHIFT, SIGMAS * sigma)
    says = (
        f"on {sum(map(len, apart.values()))} views that both have, the control's top1 is "
        f"{-lost:+.4f} from the entry's; a loss of {allowed:.3f} may be (another renderer)"
    )
    return check("control-as-submitted", lost <= allowed, says)


def _says(request: LevelRequest, drawn: Drawn | None, runs: int) -> str:
    assert request.secret_seed is not None
    size = ""
    if drawn is not None:
        objects, views = drawn.control_nV.shape
        size = f" {plural(objects, 'val object')} × {views} new views, as many official ones again."
    return (
        f"{plural(runs, 'run')} judged on views from a secret seed.{size} SHA-256 of 'threedie "
        f"fresh-render SEED': {commitment(request.secret_seed)}."
    )
