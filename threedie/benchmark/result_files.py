"""Where an evaluation's numbers go: a name that takes the place of no other numbers.

`results.json` is what `3die bench` writes: protocol 3die-v1, on the data that the run learnt from.
Whatever else was asked for is in the name: `results-sie-2023.json`, `results-3die-v1-size32.json`,
`results-3die-v1-otherdata-1f3a5b7c.json`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from threedie.benchmark.evaluation.items import FILE_NAME as PREDICTIONS
from threedie.benchmark.evaluation.protocols import find_protocol
from threedie.benchmark.reading.split import open_split
from threedie.errors import ManifestError
from threedie.manifests.results import FILE_NAME, Results

if TYPE_CHECKING:
    from threedie.benchmark.evaluate_run import EvalRequest
    from threedie.benchmark.training.run_folder import LoadedRun


def file_name(request: EvalRequest, data_hash: str, trained_on: str | None) -> str:
    """The name for what was asked for.

    Args:
        request: with protocol, size, normalisation and seed.
        data_hash: of the train split that was evaluated on.
        trained_on: of the one that a run learnt from; None for what is no run.
    """
    epochs = f"-{request.probe_epochs}" if request.probe_epochs else ""
    parts = [f"{request.protocol}{epochs}"]
    if trained_on not in (None, data_hash):
        parts.append(f"{slug(data_name(request.data))}-{data_hash[:8]}")
    given = {"size": request.size, "": request.normalise, "seed": request.seed or None}
    parts += [f"{name}{value}" for name, value in given.items() if value is not None]
    return FILE_NAME if parts == ["3die-v1"] else f"results-{'-'.join(parts)}.json"


def predictions_path(results: Path) -> Path:
    """Where the predictions of a results file go: results-x.json has predictions-x.npz.

    A file of another name, r.json, has r-predictions.npz.
    """
    own, stem = results.stem.partition("-"), results.stem
    named = f"predictions{own[1]}{own[2]}" if own[0] == "results" else f"{stem}-predictions"
    return results.with_name(named + Path(PREDICTIONS).suffix)


def data_name(data: str) -> str:
    """What people call a data set: the name of its folder."""
    return Path(data).resolve().name or "data"


def slug(text: str) -> str:
    """Text that can be part of a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", text).strip("_")


def is_done(path: Path, run: LoadedRun, request: EvalRequest) -> bool:
    """Whether a file holds this checkpoint's numbers, by this protocol, on the data as they are.

    Training has looked at the train split; the val split can be another one by now.
    """
    try:
        found = Results.read(path)
    except ManifestError:
        return False
    wanted, splits = find_protocol(request.protocol), found.dataset.splits
    measured = (found.protocol.name, found.protocol.version, found.protocol.changed)
    judged = open_split(request.data, "val").data_hash if Path(request.data).is_dir() else None
    return (
        found.encoder.checkpoint_sha256 == run.checkpoint_sha256
        and measured == (wanted.name, wanted.version, ())
        and splits["train"].hash == run.record.data_hash
        and judged in (None, splits["val"].hash)
    )
