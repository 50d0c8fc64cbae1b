"""How a data set is cited: CITATION.cff (CFF 1.2), and BibTeX for the card."""

from __future__ import annotations

from typing import Any

from threedie.data.escape import yaml
from threedie.sharing.card.overview import Overview

AUTHORS = (("Quentin", "Garrido"), ("Laurent", "Najman"), ("Yann", "LeCun"))
TITLE = "Self-Supervised Learning of Split Invariant Equivariant Representations"
VENUE = "International Conference on Machine Learning"
YEAR = 2023
PAPER = "https://arxiv.org/abs/2302.10283"
BIBTEX = f"""\
@inproceedings{{garrido2023sie,
  title     = {{{TITLE}}},
  author    = {{{" and ".join(f"{family}, {given}" for given, family in AUTHORS)}}},
  booktitle = {{{VENUE}}},
  year      = {{{YEAR}}}
}}
"""


def citation(overview: Overview) -> str:
    """CITATION.cff of a data set: the set itself, and the paper as what is to be cited."""
    body: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this data set, please cite the paper that introduced 3DIEBench.",
        "type": "dataset",
        "title": overview.title,
        "abstract": overview.summary,
        "authors": [{"name": publisher(overview)}],
        "version": overview.version,
        "date-released": overview.finished.isoformat(),
        "keywords": ["3DIEBench", "equivariance", "self-supervised learning"],
        "identifiers": [
            {
                "type": "other",
                "value": f"sha256:{overview.manifest.recipe_hash}",
                "description": "recipe hash in dataset.json: all that decides the bytes",
            }
        ],
    }
    if overview.terms.spdx:
        body["license"] = overview.terms.spdx
    if overview.web:
        body["url"] = overview.web
    return yaml({**body, "preferred-citation": _paper()})


def publisher(overview: Overview) -> str:
    """Whoever owns the repository, or the program that has made the set."""
    return (overview.repository or "threedie").partition("/")[0]


def _paper() -> dict[str, Any]:
    return {
        "type": "conference-paper",
        "title": TITLE,
        "authors": [{"given-names": given, "family-names": family} for given, family in AUTHORS],
        "conference": {"name": VENUE},
        "year": YEAR,
        "url": PAPER,
        "identifiers": [{"type": "other", "value": "arXiv:2302.10283"}],
    }
