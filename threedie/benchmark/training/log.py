"""log.jsonl of a run: its lines, and whether one tells of collapse. Importable without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from threedie import files
from threedie.errors import ManifestError

LOG = "log.jsonl"
Row = dict[str, Any]
_MIN_RANK = 1.5
_MIN_STD = 1e-3


class Log:
    """log.jsonl: a line of numbers every `log_every` steps; rewritten whole, so never half a line.

    Args:
        path: of the file.
        before_step: lines of this step and later ones are of a run that was taken back: dropped.
    """

    def __init__(self, path: Path, *, before_step: int) -> None:
        self._path = path
        self.rows = [row for row in read_log(path) if row["step"] <= before_step]

    def add(self, row: Row) -> None:
        """Remember a line."""
        self.rows.append(row)

    def write(self) -> None:
        """Put all lines on disk."""
        files.put(self._path, (json.dumps(row).encode() + b"\n" for row in self.rows))


def read_log(path: Path) -> list[Row]:
    """The lines of a log.jsonl; none where there is none.

    Raises:
        ManifestError: a line that is no log line.
    """
    if not path.exists():
        return []
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if not all(isinstance(row.get("step"), int) for row in rows):
            raise ValueError("a line without a step")
    except (OSError, ValueError, AttributeError, RecursionError) as err:
        raise ManifestError(f"{path} is damaged ({err}); delete it, and the run goes on.") from err
    return rows


def collapsed(row: Mapping[str, float]) -> bool:
    """Whether the indicators say that nothing, or one direction only, is left."""
    return row["repr_std"] < _MIN_STD or row["repr_rank"] < _MIN_RANK
