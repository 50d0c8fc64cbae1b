"""Protocols: every setting of an evaluation under a name and a version. A dict to read.

A setting that changes a number changes the version; every number in results.json carries both.
No torch here: `3die list protocols` reads this file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from threedie.errors import ConfigError
from threedie.names import find


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeSettings:
    """How one probe is trained."""

    hidden: tuple[int, ...] = ()
    """Widths of its hidden layers (ReLU); none: a linear probe."""
    optimizer: Literal["adam", "adamw", "lbfgs"] = "adamw"
    """adam: constant rate. adamw: cosine to zero. lbfgs: all views in every step, no rate."""
    epochs: int
    """With `adam` an epoch is one draw per object, with `adamw` one per view; lbfgs iterations."""
    min_steps: int = 0
    """At least so many steps, however small the data set: epochs are added."""
    most_epochs: int = 0
    """… but no more than these; 0: as many as it takes."""
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    """adamw: decoupled, of weights and not of biases; lbfgs: half of it times the squared
    weights is added to the loss."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ConfigError(
                f"a probe needs at least 1 epoch and a batch of 1, found epochs {self.epochs} and "
                f"batch_size {self.batch_size}."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """One way to evaluate."""

    name: str
    version: int
    says: str
    """One line for `3die list protocols`."""
    batchnorm: Literal["eval", "train"]
    """Mode of the frozen backbone while probes are trained. train: batch statistics, and running
    statistics that drift; they are put back afterwards. Val is always read in eval mode."""
    views: Literal["all", "one"]
    """all: probes learn from and are judged on every view. one: one random view or pair per object
    and epoch, and one per val object."""
    standardise: bool
    """Features to mean 0, standard deviation 1 (of the train views) before they meet a probe."""
    hemisphere: Literal["positive-w", "scipy"]
    """Which of q and −q is the target of the rotation probe. scipy: the sign that the product of
    SciPy's quaternions has; positive-w: the one with w >= 0, which the pictures decide."""
    normalise: Literal["dataset", "published"]
    """Pixel statistics, where the caller gives none."""
    classification: ProbeSettings
    rotation: ProbeSettings
    """On both views of a pair: the relative quaternion."""
    color: ProbeSettings | None
    """On both views: differences of floor and light hue, not wrapped."""
    scene: ProbeSettings | None
    """On one view: floor hue and light hue on their circles, and the light's direction."""
    val_partners: int
    """Pairs per val view, where all views are used."""
    direct: bool
    """kNN, invariance and equivariance measured without a probe."""
    knn_neighbours: int = 20
    knn_temperature: float = 0.07
    """kNN votes weigh exp(cosine / temperature): Wu et al. 2018 (arXiv 1805.01978), as DINO."""
    curve_edges_deg: tuple[float, ...] = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0)
    resamples: int = 1000

    def settings(self) -> dict[str, object]:
        """All but name, version and text."""
        return {k: v for k, v in asdict(self).items() if k not in ("name", "version", "says")}

    def with_epochs(self, epochs: int) -> Protocol:
        """Probes trained for so many epochs and no more: for quick looks, not for tables.

        One that is solved by L-BFGS keeps its iterations: they are cheap.
        """
        probes: dict[str, ProbeSettings | None] = {
            "classification": self.classification,
            "rotation": self.rotation,
            "color": self.color,
            "scene": self.scene,
        }
        changed = {
            name: replace(probe, epochs=epochs, min_steps=0, most_epochs=0)
            for name, probe in probes.items()
            if probe is not None and probe.optimizer != "lbfgs"
        }
        return replace(self, **changed)  # type: ignore[arg-type]  # names and types are above


_OFFICIAL = ProbeSettings(optimizer="adam", epochs=300)

PROTOCOLS: dict[str, Protocol] = {
    "3die-v1": Protocol(
        name="3die-v1",
        version=1,
        says="default: backbone in eval mode, all views, cached features, every metric",
        batchnorm="eval",
        views="all",
        standardise=True,
        hemisphere="positive-w",
        normalise="dataset",
        classification=ProbeSettings(optimizer="lbfgs", epochs=100, weight_decay=1e-3),
        rotation=ProbeSettings(
            hidden=(256, 256), epochs=10, min_steps=4000, most_epochs=200, weight_decay=0.01
        ),
        color=None,
        scene=ProbeSettings(
            hidden=(256,), epochs=10, min_steps=2000, most_epochs=100, weight_decay=0.01
        ),
        val_partners=4,
        direct=True,
    ),
    "sie-2023": Protocol(
        name="sie-2023",
        version=1,
        says="the official scripts': 300 epochs, train-mode BatchNorm, one random pair per object",
        batchnorm="train",
        views="one",
        standardise=False,
        hemisphere="scipy",
        normalise="published",
        classification=_OFFICIAL,
        rotation=replace(_OFFICIAL, hidden=(1024, 1024)),
        color=replace(_OFFICIAL, hidden=(1024, 1024), epochs=50),
        scene=None,
        val_partners=1,
        direct=False,
    ),
}


def find_protocol(name: str) -> Protocol:
    """The protocol with this name.

    Raises:
        ConfigError: unknown, with the nearest name.
    """
    return find("protocol", name, PROTOCOLS)
