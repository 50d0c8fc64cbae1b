"""Level "re-run": the submitted weights evaluated again, from the pictures on."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from threedie.benchmark.evaluation import items
from threedie.benchmark.evaluation.items import Items
from threedie.errors import ConfigError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.folder import EntryFiles
from threedie.leaderboard.levels.agree import agreement
from threedie.leaderboard.levels.evidence import conclude, items_of, open_splits
from threedie.leaderboard.levels.reprobe import TOLERANCE as PROBE_NOISE
from threedie.leaderboard.levels.request import LevelRequest
from threedie.manifests.entries import RunInfo
from threedie.manifests.verification import Check, Step
from threedie.words import plural

if TYPE_CHECKING:
    from threedie.benchmark.training.run_folder import LoadedRun

TOLERANCE = replace(PROBE_NOISE, same_class=0.995, same_rank=0.99)
"""On the machine of the entry all is equal. Another one adds in another order, which moves a probe
as another seed of it does; classes and ranks have no seed. Not measured between two machines."""


def rerun(entry: EntryFiles, board: OpenBoard, request: LevelRequest) -> Step:
    """Evaluate runs of an entry again and compare.

    Args:
        entry: the entry.
        board: the board it is for.
        request: with the data set and run folders.

    Raises:
        ConfigError: no weights, other data, or weights that the entry does not name.
        ManifestError: a damaged run or data set.
    """
    if not request.weights:
        raise ConfigError("level re-run needs the weights: give --weights RUN, a run folder.")
    open_splits(board, request.data)
    checks, deltas = list[Check](), dict[int, dict[str, float]]()
    for folder, (loaded, run) in [(one, find_run(entry, one)) for one in request.weights]:
        found = _evaluated(loaded, folder, board, request)
        given = items_of(entry, run)
        looked_at, apart = agreement(given, found, board.truth, TOLERANCE, seed=run.seed)
        checks += looked_at
        deltas[run.seed] = apart
    says = (
        f"{plural(len(deltas), 'run')} evaluated again on the submitted weights ({request.device})."
    )
    return conclude("re-run", entry, request.today, says, checks, deltas)


def find_run(entry: EntryFiles, folder: Path) -> tuple[LoadedRun, RunInfo]:
    """A run folder's method, and which of the entry's runs has its checkpoint.

    Raises:
        ConfigError: its encoder is the submitter's own code, or no run has its checkpoint.
        ManifestError: no run, or a damaged one.
    """
    from threedie.benchmark.evaluate_run import is_own
    from threedie.benchmark.training.record import RunRecord
    from threedie.benchmark.training.run_folder import load_run

    record = RunRecord.read(folder)
    if record is not None and is_own(record.run_config.encoder):
        raise ConfigError(
            f"{folder}: its encoder is '{record.run_config.encoder}', the submitter's own code, "
            "which a verifier does not run. Ask for features, and verify by re-probed."
        )
    loaded = load_run(folder)
    for run in entry.submission.runs:
        if run.checkpoint_sha256 == loaded.checkpoint_sha256:
            return loaded, run
    raise ConfigError(f"--weights {folder}: {_foreign(entry, loaded.checkpoint_sha256)}")


def _foreign(entry: EntryFiles, digest: str) -> str:
    """Why weights are not the entry's, and what to do."""
    known = [
        f"{run.checkpoint_sha256[:12]}… (seed {run.seed})"
        for run in entry.submission.runs
        if run.checkpoint_sha256
    ]
    if not known:
        return (
            "the entry names no checkpoint (runs[].checkpoint_sha256), so no weights can be held "
            "against it. Nothing was verified; ask its submitter for an entry that names them."
        )
    return (
        f"its checkpoint hashes to {digest[:12]}…; the entry names {', '.join(known)}. Nothing was "
        "verified; give the run folder of one of these."
    )


def _evaluated(loaded: LoadedRun, folder: Path, board: OpenBoard, request: LevelRequest) -> Items:
    """What the protocol has the weights predict; probes have seed 0, as `3die bench` gives them."""
    from threedie.benchmark.evaluate_run import of_run
    from threedie.benchmark.evaluation.evaluate import evaluate
    from threedie.benchmark.training.devices import threads

    subject = of_run(loaded, folder)
    with tempfile.TemporaryDirectory(prefix="threedie-rerun-") as aside, threads(subject.threads):
        path = Path(aside) / items.FILE_NAME
        evaluate(
            subject.encoder,
            request.data,
            protocol=board.config.protocol.name,
            about=subject.about,
            device=request.device,
            size=subject.size,
            normalise=subject.normalise,
            batch_size=request.batch_size,
            predictions=path,
            on_progress=request.tell,
        )
        return items.from_bytes(path.read_bytes(), items.FILE_NAME)
