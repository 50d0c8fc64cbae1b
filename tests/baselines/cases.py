"""Reads the cases of golden/methods: their arguments become a Config of ours.

The data come from the official code (facebookresearch/SIE, commit 54541cf): numbers, names and
shapes only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from threedie.baselines import METHODS, MethodEntry
from threedie.baselines.method import Method

STEMS: dict[str, str] = {
    "SIENoVar": "sie-novar",
    "SIEOnlyEqui": "sie-equi",
    "SIERotColor": "sie-color",
    "SIE": "sie",
    "SimCLRAugSelfRotColor": "augself-color",
    "SimCLRAugSelf": "augself",
    "SimCLREquiModRotColor": "equimod-color",
    "SimCLREquiMod": "equimod",
    "SimCLROnlyEquiRotColor": "sen-color",
    "SimCLROnlyEqui": "sen",
    "SimCLR": "simclr",
    "VICRegEquiMod": "equimod-vicreg",
    "VICRegPartInv": "vicreg-part",
    "VICReg": "vicreg",
}
"""Official class to our key. A file is `<class>.npz` or `<class>_<what differs>.npz`."""

TERMS = {
    "term_repr_loss_inv": "invariance",
    "term_repr_loss_equi": "equivariance",
    "term_std_loss": "variance",
    "term_pred_std_loss": "moved_variance",
    "term_cov_loss": "covariance",
}
"""Official name of a term to ours."""


def find_cases(folder: Path) -> list[Path]:
    """All cases of a golden folder."""
    return sorted((folder / "methods").glob("*.npz"))


def entry_of(path: Path) -> MethodEntry:
    """The row of METHODS that a case is about.

    Raises:
        LookupError: no such method.
    """
    stem = path.stem.split("_")[0]
    if stem not in STEMS:
        raise LookupError(f"{path.name}: no method of ours is called '{stem}'; known: {[*STEMS]}")
    return METHODS[STEMS[stem]]


class Case:
    """One file: tensors, arguments and results."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}
        self.entry = entry_of(path)
        self.args = {k[4:]: v.item() for k, v in self.arrays.items() if k.startswith("arg/")}

    def tensor(self, name: str) -> Tensor:
        """One array as float32, or its own integers."""
        found = torch.from_numpy(np.array(self.arrays[name]))
        return found.float() if found.is_floating_point() else found

    def number(self, name: str) -> float:
        """One scalar."""
        return float(self.arrays[name])

    def state(self) -> dict[str, Tensor]:
        """The heads' parameters, under the official names."""
        return {k[6:]: self.tensor(k) for k in self.arrays if k.startswith("param/")}

    def method(self) -> Method:
        """Ours, with this case's settings and parameters, in train mode."""
        kind = self.entry.load()
        known = kind.Config.__dataclass_fields__
        wanted = {**self._settings(), **self.entry.settings, **self._free_part()}
        config = kind.Config(**{k: v for k, v in wanted.items() if k in known})
        dim = self.arrays["x"].shape[1]
        method = kind(nn.Identity(), dim, config, n_classes=55)
        method.load_state_dict(self.state(), strict=True)
        return method.train()

    def _settings(self) -> dict[str, Any]:
        a, dim = self.args, self.arrays["x"].shape[1]
        return {
            "projector": _widths(a["mlp"]),
            "equi_share": a["equi"] / dim,
            "sim_coeff": a["sim_coeff"],
            "std_coeff": a["std_coeff"],
            "cov_coeff": a["cov_coeff"],
            "equi_factor": a["equi_factor"],
            "ec_weight": a["ec_weight"],
            "temperature": a["simclr_temp"],
            "covariance_rows": a["batch_size"],
            **self._predictor(),
        }

    def _free_part(self) -> dict[str, float]:
        """The same argument means columns of the embedding here."""
        part = self.args["equi"] / _widths(self.args["mlp"])[-1]
        return {"free_part": part} if "free_part" in self.entry.settings else {}

    def _predictor(self) -> dict[str, Any]:
        a = self.args
        if a["predictor_type"] == "mlp":
            first = self.arrays.get("param/predictor.pred.0.weight", np.empty(0))
            hidden = (len(first),) * (a["tf_num_layers"] - 1)
            return {"predictor": "mlp", "predictor_hidden": hidden}
        return {
            "predictor": a["hypernetwork"],
            "predictor_hidden": _widths(a["predictor"]),
            "predictor_relu": a["predictor_relu"],
            "predictor_bias": a["bias_pred"],
            "hypernetwork_bias": a["bias_hypernet"],
        }


def _widths(text: str) -> tuple[int, ...]:
    return tuple(int(width) for width in text.split("-") if width)
