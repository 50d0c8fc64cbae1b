"""Level "re-probed": the protocol's probes trained anew on submitted features, retrieval done anew.

Labels and latents of the train views come from the data set; pictures are not opened. It shows
that the predictions follow from the features; that these come from pictures, "re-run" shows.

Shape suffixes: N = objects, V = views, k = submitted views of a train object.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from threedie.benchmark.evaluation.frozen import frozen_train
from threedie.benchmark.evaluation.items import About, Items
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.protocols import find_protocol
from threedie.benchmark.evaluation.targets import Labelled, Truth
from threedie.errors import ConfigError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.folder import EntryFiles
from threedie.leaderboard.levels.agree import Tolerance, agreement
from threedie.leaderboard.levels.evidence import check, conclude, items_of, open_splits
from threedie.leaderboard.levels.features import SubmittedFeatures, read_features
from threedie.leaderboard.levels.request import LevelRequest
from threedie.manifests.entries import RunInfo
from threedie.manifests.verification import Check, Step
from threedie.words import plural

if TYPE_CHECKING:
    from threedie.benchmark.evaluation.features import Progress

TOLERANCE = Tolerance(
    fraction=0.005, r2=0.011, degrees=1.2, same_class=0.95, turned=0.05, same_rank=0.98
)
"""Three times the noise of a difference. It was measured with one SIE run of the small study (64
px, 818 × 20 train and 206 × 20 val views, all of them submitted and listed), its features as
float16, probes with four seeds: standard deviation of R² .0025 at most, of mean angles .27°, times
√2; top-1 has no seed, float16 moved it by .0012 (98 % of rows kept their class) and MRR by 1e-5
(99.9 % kept their rank); quaternions differed by .013 of the true ones' variance."""
FEWER_VIEWS = Tolerance(
    fraction=0.1, r2=0.1, degrees=10.0, same_class=0.5, turned=1.0, same_rank=0.98
)
"""Where not all train views are submitted: probes that learn from fewer know less. A choice, not
measured; ranks hang on no probe and are held to the same."""


@dataclass(frozen=True, slots=True)
class TrainViews:
    """The labels and latents of the submitted train views, as a split has them."""

    labels_N: Ints
    latents_NVL: Array


def reprobe(entry: EntryFiles, board: OpenBoard, request: LevelRequest) -> Step:
    """Judge submitted features of runs and compare with the entry.

    Args:
        entry: the entry.
        board: the board it is for.
        request: with the data set and folders of features.

    Raises:
        ConfigError: no features, others than the entry's, or other data.
        ManifestError: features of another form (named), or a damaged data set.
    """
    if not request.features:
        raise ConfigError("level re-probed needs features: give --features FOLDER.")
    train = open_splits(board, request.data)["train"]
    checks, deltas = list[Check](), dict[int, dict[str, float]]()
    opened = [(one, read_features(one, board, len(train))) for one in request.features]
    for given, run in [(given, _run_of(entry, given, folder)) for folder, given in opened]:
        checks.append(_fits(entry, run, given))
        found = probed(given, train, board, seed=0, device=request.device, tell=request.tell)
        whole = given.info.train_views == train.n_views
        tolerance = TOLERANCE if whole else FEWER_VIEWS
        looked_at, apart = agreement(
            items_of(entry, run), found, board.truth, tolerance, seed=run.seed
        )
        checks += looked_at
        deltas[run.seed] = apart
    says = (
        f"{plural(len(deltas), 'run')}: probes trained anew on the submitted features, retrieval "
        "from the submitted embeddings."
    )
    return conclude("re-probed", entry, request.today, says, checks, deltas)


def _run_of(entry: EntryFiles, given: SubmittedFeatures, folder: Path) -> RunInfo:
    """Which run features are of.

    Raises:
        ConfigError: of none: they are somebody else's, or of another training.
    """
    info, runs = given.info, {run.seed: run for run in entry.submission.runs}
    run = runs.get(info.seed)
    wrong = None
    if run is None:
        wrong = f"are of seed {info.seed}; the entry has {', '.join(map(str, sorted(runs)))}"
    elif run.features is not None:
        if run.features.sha256 != given.info_sha256:
            wrong = "have another features.json than runs[].features names"
    elif run.checkpoint_sha256 not in (None, info.checkpoint_sha256):
        wrong = "are of another checkpoint than runs[].checkpoint_sha256"
    if run is None or wrong:
        raise ConfigError(
            f"--features {folder}: these {wrong}. Nothing was verified; give the entry's own."
        )
    return run


def _fits(entry: EntryFiles, run: RunInfo, given: SubmittedFeatures) -> Check:
    """Whether the entry's own features are what it says."""
    info, model, wrong = given.info, entry.submission.model, list[str]()
    if info.parts != model.parts or info.arrays["train.npy"].columns != model.dim:
        wrong.append(f"parts {info.parts} of {info.arrays['train.npy'].columns} columns")
    if run.checkpoint_sha256 not in (None, info.checkpoint_sha256):
        wrong.append("another checkpoint")
    says = "; ".join(wrong) or "of the entry's run, parts and columns"
    return check(f"seed-{info.seed}-features", not wrong, says)


def probed(
    given: SubmittedFeatures,
    train: Labelled,
    board: OpenBoard,
    *,
    seed: int,
    device: str,
    tell: Progress,
) -> Items:
    """What new probes and exact retrieval say of the board's list.

    Args:
        given: the features.
        train: labels and latents of the train split.
        board: whose list.
        seed: of the probes.
        device: where.
        tell: is told (stage, done, of how many).
    """
    from threedie.benchmark.evaluation.encoder import choose_device
    from threedie.benchmark.evaluation.features import Features
    from threedie.benchmark.evaluation.judge_listed import probe_listed

    truth, where = board.truth, choose_device(device)
    views = _submitted(train)
    told = probe_listed(
        Features(data_MD=given.train, n_views=views.latents_NVL.shape[1]),  # type: ignore[arg-type]
        Truth(views, np.unique(train.labels_N)),
        given.val[truth.listed.flat_M],
        truth.listed,
        parts=given.parts,
        n_classes=len(truth.classes),
        protocol=find_protocol(board.config.protocol.name),
        seed=seed,
        device=where,
        on_progress=tell,
        standardise=False,
    )
    greater, equal, nearest = _retrieved(given, board, device, tell)
    return Items(
        about=About(
            protocol=truth.protocol,
            list_sha256=truth.sha256,
            classes=len(truth.classes),
            parts=tuple(given.parts),
            seed=given.info.seed,
            checkpoint_sha256=given.info.checkpoint_sha256,
        ),
        row_M=truth.listed.flat_M,
        top5=told.top5,
        rotation=told.rotation,
        scene=told.scene,
        greater_M=greater,
        equal_M=equal,
        nearest_M=nearest,
    )


def _submitted(train: Labelled) -> TrainViews:
    n_objects, n_views = train.latents_NVL.shape[:2]
    views_Nk = frozen_train(n_objects, n_views)
    latents = np.take_along_axis(train.latents_NVL, views_Nk[:, :, None], axis=1)
    return TrainViews(train.labels_N, latents)


def _retrieved(
    given: SubmittedFeatures, board: OpenBoard, device: str, tell: Progress
) -> tuple[Ints | None, Ints | None, Ints | None]:
    """Greater, equal and nearest, where a predictor moved embeddings."""
    from threedie.benchmark.evaluation.encoder import choose_device
    from threedie.benchmark.evaluation.judge_listed import nearest_listed, ranks_within

    if given.embedding is None or given.moved is None:
        return None, None, None
    where = choose_device(device)
    greater, equal = ranks_within(given.embedding, given.moved, board.truth.listed, where)
    return greater, equal, nearest_listed(given.embedding, given.moved, where, tell)
