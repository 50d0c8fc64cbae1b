"""A new board: its two files, rules, schemas, self-tests and workflow, under git.

It appears as a whole, with its first commit, or not at all, and never over anything.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from string import Template
from typing import Any

from threedie import __version__, files
from threedie.data.escape import markdown
from threedie.errors import ConfigError
from threedie.leaderboard.board import OpenBoard, make_board
from threedie.leaderboard.folder import STATUS
from threedie.leaderboard.git import FIRST_BRANCH, git, knows_user
from threedie.leaderboard.selftests import write_selftests
from threedie.manifests import boards, entries, verification
from threedie.manifests.boards import Board
from threedie.manifests.dataset import Model
from threedie.manifests.entries import Submission
from threedie.manifests.status import Status
from threedie.manifests.verification import Verification

_SCHEMAS: Mapping[str, type[Model]] = {
    entries.FILE_NAME: Submission,
    verification.FILE_NAME: Verification,
    boards.FILE_NAME: Board,
    STATUS: Status,
}
_PLACES = {
    "README.md": "README.md",
    "RULES.md": "RULES.md",
    "verify.yml": ".github/workflows/verify.yml",
    "CODEOWNERS": ".github/CODEOWNERS",
    "gitattributes": ".gitattributes",
    "gitignore": ".gitignore",
}
"""Template and where it goes."""
_NOBODY = ("-c", "user.name=3die", "-c", "user.email=3die@localhost")


@dataclass(frozen=True, slots=True)
class NewBoard:
    """A board that is there now."""

    root: Path
    commit: str | None
    """Its first; null where there is no git."""
    selftests: int


def init_board(
    root: Path,
    data: Path,
    *,
    title: str,
    today: str,
    name: str | None = None,
    address: str | None = None,
    untrained: Path | None = None,
) -> NewBoard:
    """Make a board.

    Args:
        root: its folder; absent or empty.
        data: folder of the data set that it ranks on, with train and val.
        title: one line.
        today: yyyy-mm-dd.
        name: of the data set; None: its folder's.
        address: https address of the board's repository, if there is one already.
        untrained: predictions.npz of a run of the method `random`: one self-test more.

    Raises:
        ConfigError: something is there already.
        ManifestError: the data set is damaged, or a text can't be.
        StorageError: it can't be written, or git has failed.
    """
    _check_free(root)
    files.make_directory(root.parent)
    files.sweep(root.parent, of=root.name)
    staging = root.with_name(f".{root.name}.{files.owner()}.tmp")
    try:
        board = make_board(staging, data, title=title, today=today, name=name, address=address)
        for place, content in board_files(board).items():
            files.make_directory((staging / place).parent)
            files.put(staging / place, content)
        selftests = write_selftests(board, today=today, untrained=untrained)
        commit = _first_commit(staging, title)
        with files.storage_errors(root):
            files.claim(staging, root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return NewBoard(root, commit, len(selftests))


def board_files(board: OpenBoard) -> dict[str, bytes]:
    """What stands beside board.json and truth.npz, by path in the board; no clock is in it."""
    config = board.config
    said = {
        "title": markdown(config.title),
        "protocol": board.protocol,
        "data": markdown(config.data.name),
        "val_objects": f"{config.data.val_objects:,}",
        "views": str(config.data.views),
        "classes": str(config.data.classes),
        "list_sha256": config.list_sha256,
        "version": __version__,
    }
    home = resources("threedie.leaderboard").joinpath("repository")
    texts = {
        place: Template(home.joinpath(source).read_text(encoding="utf-8")).safe_substitute(said)
        for source, place in _PLACES.items()
    }
    schemas = {
        f"schema/{Path(name).stem}.schema.json": _as_json(model.model_json_schema())
        for name, model in _SCHEMAS.items()
    }
    return {place: text.encode() for place, text in (texts | schemas).items()}


def _as_json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _check_free(root: Path) -> None:
    if (root / boards.FILE_NAME).exists():
        raise ConfigError(
            f"{root} is a board already, and nothing of it was changed. `3die leaderboard check` "
            "and `verify` work on it; another board needs another folder."
        )
    if root.is_symlink() or (root.exists() and not root.is_dir()) or any(_inside(root)):
        raise ConfigError(f"{root} is there and not empty; a board needs a folder of its own.")


def _inside(root: Path) -> list[Path]:
    return list(root.iterdir()) if root.is_dir() else []


def _first_commit(root: Path, title: str) -> str | None:
    """Everything as the first commit; by nobody in particular where git does not know its user."""
    if shutil.which("git") is None:
        return None
    git("init", "--quiet", "--template=", at=root)
    git("symbolic-ref", "HEAD", f"refs/heads/{FIRST_BRANCH}", at=root)
    git("add", "--all", at=root)
    who = () if knows_user(root) else _NOBODY
    git(
        *(*who, "commit", "--quiet", "--no-verify", "--file=-", "--cleanup=verbatim"),
        at=root,
        given=f"Begin the board {title}".encode(),
    )
    return git("rev-parse", "HEAD", at=root).decode().strip()
