"""What a deeper level needs beside the entry and the board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from threedie.errors import ConfigError
from threedie.manifests.entries import Date

OBJECTS, VIEWS = 200, 4
MOST_SEED = 2**128


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelRequest:
    """What the verifier has at hand."""

    data: Path
    """Folder of the data set that the board is of."""
    today: Date
    weights: tuple[Path, ...] = ()
    """Run folders ("re-run", "fresh-render"): a run each."""
    features: tuple[Path, ...] = ()
    """Folders of submitted features ("re-probed"): a run each."""
    secret_seed: int | None = None
    """Draws the new views ("fresh-render"); a large one, published after use."""
    meshes: Path | None = None
    """What the data set was rendered of; None: the built-in shapes."""
    device: str = "cpu"
    batch_size: int = 256
    objects: int = OBJECTS
    """Val objects that get new views."""
    views: int = VIEWS
    """New views of each."""
    on_progress: Callable[[str, int, int], None] | None = None
    """Is told (stage, done, of how many)."""

    def __post_init__(self) -> None:
        if not self.data.is_dir():
            raise ConfigError(f"--data is '{self.data}'; there is no such folder.")
        for option, folders in (("--weights", self.weights), ("--features", self.features)):
            for folder in folders:
                if not folder.is_dir():
                    raise ConfigError(f"{option} is '{folder}'; there is no such folder.")
        if self.meshes is not None and not self.meshes.exists():
            raise ConfigError(f"--meshes is '{self.meshes}'; there is no such folder or archive.")
        if self.secret_seed is not None and not 0 <= self.secret_seed < MOST_SEED:
            raise ConfigError("--secret-seed must be 0 … 2^128 − 1.")
        if self.objects < 2 or self.views < 1:
            raise ConfigError(
                f"{self.objects} objects with {self.views} new views were asked for; 2 and 1 are "
                "the least."
            )

    def tell(self, stage: str, done: int, total: int) -> None:
        """Pass progress on."""
        if self.on_progress is not None:
            self.on_progress(stage, done, total)
