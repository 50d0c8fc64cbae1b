"""Self-tests: entries whose numbers are known before they are computed. A board shows them too.

oracle          the truth itself: every R² is 1, every share is 1
constant        one answer for everything, the mean target: every uniform R² is 0
chance          guesses that know nothing of the row: top-1 is 1 / classes, R² −1, ranks tie
random-network  what an untrained network's features give, if somebody evaluated one

They have the form of any entry, lie in selftests/, and are verified as any entry is.

Shape suffixes: M = rows of the list, K = classes, k = min(5, K).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from threedie import files
from threedie.benchmark.evaluation import items as predictions
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.benchmark.evaluation.items import About, Items
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.protocols import PROTOCOLS
from threedie.errors import ConfigError
from threedie.leaderboard.board import SELFTESTS, OpenBoard
from threedie.leaderboard.checks.rows import TOP
from threedie.leaderboard.folder import CARD, CONFIG
from threedie.leaderboard.recompute import hemisphere
from threedie.leaderboard.verify import verify_entry
from threedie.manifests import entries, verification
from threedie.manifests.results import FILE_NAME as RESULTS
from threedie.manifests.results import Results

BY = "threedie, when the board was made"
_SEEDS = 3
UNTRAINED = "random"
"""The method that trains nothing."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """One of them."""

    slug: str
    name: str
    says: str
    make: Callable[[OpenBoard, int], Items]
    """From the board and a seed."""
    seeds: int = 1


def write_selftests(board: OpenBoard, *, today: str, untrained: Path | None = None) -> list[Path]:
    """Write the self-tests of a board, and verify them.

    Args:
        board: where.
        today: yyyy-mm-dd.
        untrained: predictions.npz of a run of the method `random`, with the results.json that was
            written beside it, for random-network.

    Returns:
        Their folders.

    Raises:
        ConfigError: `untrained` is of another method, or nothing says of which.
        ManifestError: `untrained` is no such file, or of another list.
        StorageError: they can't be written.
    """
    listed = list(SELF_TESTS)
    if untrained is not None:
        given = _of_untrained(untrained)
        listed.append(replace(RANDOM_NETWORK, make=lambda _, __: given))
    return [_write(test, board, today) for test in listed]


def _of_untrained(path: Path) -> Items:
    """Predictions of the method `random`, as the results beside them say.

    Raises:
        ConfigError: these are not there, of another method, or of other predictions.
        ManifestError: one of both is damaged.
    """
    beside = path.with_name(RESULTS)
    if not path.is_file() or not beside.is_file():
        raise ConfigError(
            f"--untrained is '{path}'; predictions.npz of a run of the method random is expected, "
            f"with its {RESULTS} beside it, which says so (`3die bench --method random`)."
        )
    results, content = Results.read(beside), path.read_bytes()
    if results.encoder.name != UNTRAINED:
        raise ConfigError(
            f"--untrained is '{path}', of the method '{results.encoder.name}' as {RESULTS} beside "
            "it says; the method random is expected: a network that was never trained."
        )
    of = results.predictions
    if of is None or of.sha256 != hashlib.sha256(content).hexdigest():
        raise ConfigError(f"--untrained is '{path}'; {beside} is of other predictions.")
    return predictions.from_bytes(content, str(path))


def oracle(board: OpenBoard, seed: int) -> Items:
    """The truth, as far as half floats hold it."""
    truth, (class_M, rotation_M4, scene_M7) = board.truth, _targets(board.truth)
    first_M1 = np.maximum(class_M, 0)[:, None]  # of a class that train does not have: no answer
    classes = len(truth.classes)
    top5_Mk = (first_M1 + np.arange(min(TOP, classes))) % classes
    flat_M = truth.listed.flat_M
    ranks = (np.zeros_like(flat_M), np.ones_like(flat_M), flat_M)
    return _items(board, seed, top5_Mk, rotation_M4, scene_M7, ranks)


def constant(board: OpenBoard, seed: int) -> Items:
    """The mean of the targets, and the most frequent classes."""
    truth, (class_M, rotation_M4, scene_M7) = board.truth, _targets(board.truth)
    classes = len(truth.classes)
    counts = np.bincount(class_M[class_M >= 0], minlength=classes)
    first_k = np.argsort(-counts, kind="stable")[: min(TOP, classes)]
    rows = len(class_M)
    mean_M4, mean_M7 = (np.tile(x.mean(axis=0), (rows, 1)) for x in (rotation_M4, scene_M7))
    return _items(board, seed, np.tile(first_k, (rows, 1)), mean_M4, mean_M7, None)


def chance(board: OpenBoard, seed: int) -> Items:
    """Guesses: any classes, numbers of the targets' mean and deviation, all views alike."""
    truth, (class_M, rotation_M4, scene_M7) = board.truth, _targets(board.truth)
    rng = np.random.Generator(np.random.PCG64([20230707, seed]))
    classes, rows, flat_M = len(truth.classes), len(class_M), truth.listed.flat_M
    order_MK = rng.permuted(np.tile(np.arange(classes), (rows, 1)), axis=1)
    guess_M4, guess_M7 = (
        x.mean(axis=0) + x.std(axis=0) * rng.standard_normal(x.shape)
        for x in (rotation_M4, scene_M7)
    )
    views = truth.listed.n_views
    nearest_M = rng.integers(truth.listed.n_objects * views, size=rows)
    ranks = (np.zeros_like(flat_M), np.full_like(flat_M, views), nearest_M)
    return _items(board, seed, order_MK[:, : min(TOP, classes)], guess_M4, guess_M7, ranks)


SELF_TESTS = (
    SelfTest(
        "oracle",
        "Oracle",
        "The truth itself, in half floats. R² is 1, MRR is 1, top-1 is 1 (less the share of val "
        "views whose class train does not have).",
        oracle,
    ),
    SelfTest(
        "constant",
        "Constant answer",
        "The mean target and the most frequent classes, for every row. The uniform R² is 0; the "
        "global R² is not, since outputs have different means.",
        constant,
    ),
    SelfTest(
        "chance",
        "Chance",
        "Guesses that know nothing of the row. Top-1 is 1 / classes and the uniform R² −1, but for "
        "luck; all views of an object tie, so MRR is (1 + 1/2 + … + 1/V) / V.",
        chance,
        _SEEDS,
    ),
)
RANDOM_NETWORK = SelfTest(
    "random-network",
    "Random network",
    "Probes on the features of a network that was never trained.",
    oracle,  # replaced by what was evaluated
)


def _targets(truth: FrozenTruth) -> tuple[Ints, Array, Array]:
    """(M,) classes, (M, 4) relative rotations, (M, 7) scenes."""
    listed, targets = truth.listed, truth.truth
    return (
        targets.class_N[listed.object_M],
        targets.relative(listed.pairs(), hemisphere(truth.protocol)),
        targets.scene_NV7.reshape(-1, 7)[listed.flat_M],
    )


def _items(
    board: OpenBoard,
    seed: int,
    top5_Mk: Ints,
    rotation_M4: Array,
    scene_M7: Array,
    ranks: tuple[Ints, Ints, Ints] | None,
) -> Items:
    """Predictions of one part, without what the protocol or the data don't have."""
    truth, protocol = board.truth, PROTOCOLS[board.config.protocol.name]
    about = About(
        protocol=board.protocol,
        list_sha256=board.config.list_sha256,
        classes=len(truth.classes),
        parts=("all",),
        seed=seed,
    )
    greater_M, equal_M, nearest_M = ranks or (None, None, None)
    return Items(
        about=about,
        row_M=truth.listed.flat_M,
        top5={"all": top5_Mk},
        rotation={"all": rotation_M4} if truth.listed.n_views > 1 else {},
        scene={"all": scene_M7} if protocol.scene is not None else {},
        greater_M=greater_M,
        equal_M=equal_M,
        nearest_M=nearest_M,
    )


def _write(test: SelfTest, board: OpenBoard, today: str) -> Path:
    folder = files.make_directory(board.root / SELFTESTS / test.slug)
    runs = {}
    for made in (test.make(board, seed) for seed in range(test.seeds)):
        runs[made.about.seed] = (made, predictions.to_bytes(made))
    contents = {
        f"runs/{seed}/{predictions.FILE_NAME}": packed for seed, (_, packed) in runs.items()
    }
    contents[CARD] = f"# {test.name}\n\nA self-test. {test.says}\n".encode()
    contents[CONFIG] = b'{"self-test": "' + test.slug.encode() + b'"}\n'
    body = _submission(
        test, board, today, {seed: made for seed, (made, _) in runs.items()}, contents
    )
    contents[entries.FILE_NAME] = json.dumps(body, indent=1).encode() + b"\n"
    for name, content in contents.items():
        path = folder / name
        files.make_directory(path.parent)
        files.put(path, content)
    verified = verify_entry(folder, board, by=BY, today=today)
    verified.write(folder / verification.FILE_NAME)
    return folder


def _submission(
    test: SelfTest,
    board: OpenBoard,
    today: str,
    made: dict[int, Items],
    contents: dict[str, bytes],
) -> dict[str, object]:
    """submission.json; it is checked as any other."""
    config, names = board.config, next(iter(made.values())).about.parts
    width = len(names)
    halves = {name: (i, i + 1) for i, name in enumerate(n for n in names if n != "all")}
    runs = []
    for seed in made:
        path = f"runs/{seed}/{predictions.FILE_NAME}"
        digest = hashlib.sha256(contents[path]).hexdigest()
        ref = {"path": path, "bytes": len(contents[path]), "sha256": digest}
        runs.append({"seed": seed, "predictions": ref})
    return {
        "id": test.slug,
        "submitted": today,
        "track": "open",
        "method": {"name": test.name, "variant": "self-test", "family": "other"},
        "protocol": config.protocol.model_dump(),
        "dataset": {
            "train_hash": config.data.train_hash,
            "val_hash": config.data.val_hash,
            "list_sha256": config.list_sha256,
        },
        "training_data": {"external": False, "val_objects_used": test.slug != RANDOM_NETWORK.slug},
        "model": {
            "backbone": "none",
            "dim": width,
            "parts": {"all": (0, width), **halves},
            "size_px": 8,
        },
        "runs": runs,
        "selection": {"how": "last-epoch", "runs_started": len(runs), "tuned_on": "nothing"},
        "submitter": {"name": "threedie", "contact": "threedie@example.org"},
        "agrees_rules": entries.RULES,
    }
