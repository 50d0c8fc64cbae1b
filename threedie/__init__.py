"""threedie: render 3DIEBench into verified shards, and measure what encoders learn from them.

    import threedie
    ds = threedie.open_dataset("data/demo")
    ds[0].views[3], ds[0].latents, ds[0].label, ds[0].split
    threedie.evaluate(encoder, ds).metrics["all"]["rotation_r2_global"]

Importing it is cheap: neither Blender nor torch is loaded, and each name only when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threedie.baselines import METHODS
    from threedie.benchmark.evaluation.evaluate import evaluate
    from threedie.benchmark.evaluation.protocols import PROTOCOLS
    from threedie.benchmark.training.presets import PRESETS
    from threedie.data.dataset import Dataset, Sample, open_dataset
    from threedie.errors import ThreedieError
    from threedie.manifests.recipes import RECIPES

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "threedie.data.dataset",
    "Sample": "threedie.data.dataset",
    "open_dataset": "threedie.data.dataset",
    "METHODS": "threedie.baselines",
    "PRESETS": "threedie.benchmark.training.presets",
    "PROTOCOLS": "threedie.benchmark.evaluation.protocols",
    "RECIPES": "threedie.manifests.recipes",
    "ThreedieError": "threedie.errors",
    "evaluate": "threedie.benchmark.evaluation.evaluate",
}
__all__ = [
    "METHODS",
    "PRESETS",
    "PROTOCOLS",
    "RECIPES",
    "Dataset",
    "Sample",
    "ThreedieError",
    "__version__",
    "evaluate",
    "open_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'threedie' has no attribute '{name}'")
    from importlib import import_module

    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as missing:
        if name != "evaluate" or str(missing.name).startswith("threedie"):
            raise
        from threedie.errors import MissingExtra

        raise MissingExtra(str(missing.name), "bench") from missing


def __dir__() -> list[str]:
    return list(__all__)
