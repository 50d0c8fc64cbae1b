"""One way into all deeper levels."""

from __future__ import annotations

from threedie.errors import ConfigError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.folder import EntryFiles
from threedie.leaderboard.levels.request import LevelRequest
from threedie.manifests.verification import Level, Step

OFFERED: tuple[Level, ...] = ("re-probed", "re-run", "fresh-render")
"""Beyond "recomputed", in their order. "retrained" is not offered: whoever trains a method again
submits an entry."""


def run_level(level: str, entry: EntryFiles, board: OpenBoard, request: LevelRequest) -> Step:
    """Verify an entry at a deeper level.

    Args:
        level: one of OFFERED.
        entry: an entry that has passed "recomputed".
        board: the board it is for.
        request: data set, weights, features, secret seed: what the level needs.

    Raises:
        ConfigError: a level that is not offered; something that it needs is not given, or is not
            the entry's: nothing was verified.
        ManifestError: damaged data, weights or features.
    """
    if level in OFFERED:
        from threedie.benchmark.evaluation.encoder import choose_device

        choose_device(request.device)  # before anything is read
    if level == "re-probed":
        from threedie.leaderboard.levels.reprobe import reprobe

        return reprobe(entry, board, request)
    if level == "re-run":
        from threedie.leaderboard.levels.rerun import rerun

        return rerun(entry, board, request)
    if level == "fresh-render":
        from threedie.leaderboard.levels.fresh import fresh_render

        return fresh_render(entry, board, request)
    if level == "retrained":
        raise ConfigError(
            "level retrained is not offered: train the method again (`3die bench`) and submit it "
            "as an entry of its own."
        )
    raise ConfigError(f"unknown level '{level}'. Known: {', '.join(OFFERED)}.")
