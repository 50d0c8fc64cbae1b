"""threedie: render 3DIEBench into verified WebDataset shards, and read them.

    import threedie
    ds = threedie.open_dataset("data/demo")
    ds[0].views[3], ds[0].latents, ds[0].label, ds[0].split

Importing it is cheap: neither Blender nor torch is loaded, and each name only when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threedie.data.dataset import Dataset, Sample, open_dataset
    from threedie.errors import ThreedieError
    from threedie.manifests.recipes import RECIPES

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "threedie.data.dataset",
    "Sample": "threedie.data.dataset",
    "open_dataset": "threedie.data.dataset",
    "RECIPES": "threedie.manifests.recipes",
    "ThreedieError": "threedie.errors",
}
__all__ = ["RECIPES", "Dataset", "Sample", "ThreedieError", "__version__", "open_dataset"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'threedie' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
