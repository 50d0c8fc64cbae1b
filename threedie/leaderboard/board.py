"""A leaderboard's folder: board.json, truth.npz and where entries lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threedie import files
from threedie.benchmark.evaluation import frozen_truth
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth, freeze
from threedie.benchmark.evaluation.protocols import find_protocol
from threedie.benchmark.reading.split import Split, open_split
from threedie.errors import ConfigError, ManifestError
from threedie.manifests import boards, dataset
from threedie.manifests.boards import Board, BoardData
from threedie.manifests.dataset import DatasetManifest, validated
from threedie.manifests.entries import ProtocolRef
from threedie.words import plural, room

ENTRIES, SELFTESTS = "entries", "selftests"
_MOST_TRUTH_BYTES = 256 * 2**20
_YEAR = re.compile(r"20\d\d")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenBoard:
    """A board whose two files agree."""

    root: Path
    """Whole, without links."""
    config: Board
    truth: FrozenTruth

    @property
    def protocol(self) -> str:
        """Name and version, `3die-v1/1`."""
        return named(self.config.protocol)

    def entries(self) -> list[Path]:
        """Everything that stands where entries do, in order of year and name.

        Strays too (a file, a link, a folder that is no year): nothing of them is read here, and
        whoever goes through them says what is left out.
        """
        return list(_placed(self.root / ENTRIES))

    def selftests(self) -> list[Path]:
        """Folders of the self-tests, in order of name."""
        return list(_children(self.root / SELFTESTS))


def named(protocol: ProtocolRef) -> str:
    """Name and version, `3die-v1/1`."""
    return f"{protocol.name}/{protocol.version}"


def open_board(root: Path) -> OpenBoard:
    """Open a board.

    Args:
        root: its folder.

    Raises:
        ManifestError: a file is absent or of another form, or truth.npz is not the one that
            board.json was made with.
    """
    config = Board.read(root / boards.FILE_NAME)
    path = root / frozen_truth.FILE_NAME
    truth = FrozenTruth.from_bytes(_bounded(path), str(path))
    protocol = named(config.protocol)
    counts = (len(truth.objects), truth.latents_NVL.shape[1], len(truth.classes))
    data = config.data
    if truth.protocol != protocol or counts != (data.val_objects, data.views, data.classes):
        raise ManifestError(
            f"{path} is of {truth.protocol} and {plural(counts[0], 'object')}; "
            f"{boards.FILE_NAME} says {protocol} and {data.val_objects:,}."
        )
    if truth.sha256 != config.list_sha256:
        raise ManifestError(
            f"{path} hashes to {truth.sha256[:12]}…, {boards.FILE_NAME} says "
            f"{config.list_sha256[:12]}…: one of them was changed. Fetch the board anew."
        )
    return OpenBoard(root=root.resolve(), config=config, truth=truth)


def find_board(inside: Path) -> Path:
    """The board that a folder lies in.

    Raises:
        ConfigError: none.
    """
    start = inside.resolve()
    for folder in (start, *start.parents):
        if (folder / boards.FILE_NAME).is_file():
            return folder
    raise ConfigError(
        f"'{inside}' lies in no board: neither it nor a folder above it holds {boards.FILE_NAME}. "
        "Give --board BOARD."
    )


def make_board(
    root: Path,
    data: Path,
    *,
    title: str,
    today: str,
    protocol: str = "3die-v1",
    name: str | None = None,
    address: str | None = None,
) -> OpenBoard:
    """Write board.json and truth.npz.

    Args:
        root: the board's folder; made where it is not there.
        data: folder of the data set, with train and val.
        title: of the board.
        today: yyyy-mm-dd.
        protocol: what it ranks.
        name: of the data set; the folder's where there is none.
        address: https address of the board's repository.

    Raises:
        ConfigError: no such protocol or split.
        ManifestError: a damaged data set, a text that can't be.
        StorageError: it can't be written.
    """
    chosen = find_protocol(protocol)
    ref = ProtocolRef(name=chosen.name, version=chosen.version)
    train, val = (open_split(data, split) for split in ("train", "val"))
    truth = freeze(named(ref), train, val)
    body = {
        "title": title,
        "protocol": ref,
        "data": _data(data, name or data.absolute().name, train, val, truth),
        "list_sha256": truth.sha256,
        "created": today,
        "address": address,
    }
    config = validated(Board, body, boards.FILE_NAME)
    files.make_directory(root)
    files.put(root / frozen_truth.FILE_NAME, truth.to_bytes())
    config.write(root / boards.FILE_NAME)
    return open_board(root)


def _data(folder: Path, name: str, train: Split, val: Split, truth: FrozenTruth) -> BoardData:
    manifest = folder / dataset.FILE_NAME
    recipe = DatasetManifest.read(folder).making.recipe.name if manifest.exists() else None
    body = {
        "name": name,
        "recipe": recipe,
        "train_hash": train.data_hash,
        "val_hash": val.data_hash,
        "train_objects": len(train),
        "val_objects": len(val),
        "views": val.n_views,
        "classes": len(truth.classes),
    }
    return validated(BoardData, body, boards.FILE_NAME)


def _placed(folder: Path) -> Iterator[Path]:
    for year in _children(folder):
        if _YEAR.fullmatch(year.name) and year.is_dir() and not year.is_symlink():
            yield from _children(year)
        else:
            yield year


def _children(folder: Path) -> list[Path]:
    """What is in a folder, but for hidden files such as .gitkeep."""
    if not folder.is_dir() or folder.is_symlink():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _bounded(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_TRUTH_BYTES:
            raise ManifestError(f"{path}: larger than {room(_MOST_TRUTH_BYTES)}.")
        return path.read_bytes()
    except OSError as err:
        raise ManifestError(f"{path}: {err.strerror}. {Board.advice}") from err
