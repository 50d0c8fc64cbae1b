"""croissant.json: the data set in Croissant 1.1 (MLCommons), with its responsible-AI fields.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. Every file has its SHA-256. The
pictures are read out of the tars; latents inside tars can't be, so they are read from the tables.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from threedie.data.escape import plain
from threedie.manifests.dataset import Converted
from threedie.sharing.card.caveats import caveats
from threedie.sharing.card.citation import BIBTEX, publisher
from threedie.sharing.card.croissant_records import record_sets
from threedie.sharing.card.overview import HUB, Overview

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_OWN = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject "
    "fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path recordSet "
    "references regex repeated replace samplingRate separator source subField transform"
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    **{name: f"cr:{name}" for name in _OWN.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
}


def croissant(overview: Overview, tables: Mapping[str, bytes]) -> bytes:
    """The metadata of a published data set.

    Args:
        overview: of the data set.
        tables: content of the Parquet tables by their name in the data set.

    Returns:
        JSON-LD. Files are named relative to it, or by URL where the address is a web address.
    """
    terms, day = overview.terms, overview.finished.isoformat()
    body = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": overview.title,
        "description": overview.summary,
        "license": terms.url or terms.text,
        "url": overview.web or "https://arxiv.org/abs/2302.10283",
        "creator": {"@type": "sc:Organization", "name": publisher(overview)},
        "datePublished": day,
        "dateCreated": day,
        "version": overview.version,
        "keywords": ["3D", "equivariance", "self-supervised learning", "synthetic", "rendering"],
        "inLanguage": "en",
        "isLiveDataset": False,
        "citeAs": BIBTEX,
        **_responsible(overview),
        "distribution": _distribution(overview, tables),
        "recordSet": record_sets(overview, list(tables)),
    }
    return json.dumps(body, indent=1, ensure_ascii=True).encode() + b"\n"


def _distribution(overview: Overview, tables: Mapping[str, bytes]) -> list[dict[str, Any]]:
    shards = overview.manifest.shards
    kind = {"jpg": "image/jpeg", "png": "image/png"}[overview.manifest.making.image_format]
    pictures = {
        "@type": "cr:FileSet",
        "@id": "picture-files",
        "name": "picture-files",
        "description": "The pictures, a file per view.",
        "containedIn": [{"@id": entry.name} for entry in shards],
        "encodingFormat": kind,
        "includes": f"*.{overview.manifest.making.image_format}",
    }
    tars = [
        _file(overview, e.name, e.bytes, e.sha256, "application/x-tar", f"shard of {e.split}")
        for e in shards
    ]
    parquet = [
        _file(
            overview,
            name,
            len(content),
            hashlib.sha256(content).hexdigest(),
            "application/x-parquet",
            "table",
        )
        for name, content in tables.items()
    ]
    return [*tars, *parquet, pictures]


def _file(
    overview: Overview, name: str, size: int, sha256: str, kind: str, what: str
) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": what,
        "contentUrl": f"{_base(overview)}{name}",
        "contentSize": f"{size} B",
        "encodingFormat": kind,
        "sha256": sha256,
    }


def _base(overview: Overview) -> str:
    """What stands before a file's name to make a URL of it; nothing where files are beside."""
    match = re.fullmatch(
        r"hf://datasets/(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>[^/]+))?(?P<path>/.+?)?/*",
        overview.address or "",
    )
    if match:
        revision = match["revision"] or "main"
        return f"{HUB}{match['repo']}/resolve/{revision}{match['path'] or ''}/"
    return f"{overview.web.rstrip('/')}/" if overview.web else ""


def _responsible(overview: Overview) -> dict[str, Any]:
    """The RAI vocabulary, all of it: little is unknown about made pictures."""
    manifest, terms = overview.manifest, overview.terms
    making = manifest.making
    how = (
        f"Pictures and latents of {making.origin.kind} {plain(making.origin.name)}, passed on."
        if isinstance(making, Converted)
        else f"Rendered by threedie with Blender's Cycles, recipe {making.recipe.name}, quality "
        f"{making.quality}, from meshes of source '{making.source}'."
    )
    return {
        "rai:dataCollection": how,
        "rai:dataCollectionType": ["Software Collection", "Simulations"],
        "rai:dataCollectionMissingData": (
            f"{manifest.failures} planned objects are missing; failures.jsonl names them."
        ),
        "rai:dataPreprocessingProtocol": [
            "Meshes are turned to +Z up and centred on their bounding box; their size is kept."
        ],
        "rai:dataManipulationProtocol": "None after rendering and compression.",
        "rai:dataAnnotationProtocol": ["Latents are what the scene was set to: no annotators."],
        "rai:dataUseCases": [
            "Measuring invariance and equivariance of representations, in research."
        ],
        "rai:dataLimitations": caveats(overview),
        "rai:dataBiases": ["Classes and shapes are those of the mesh source, in unequal numbers."],
        "rai:dataSocialImpact": f"No people are shown. {terms.text}",
        "rai:personalSensitiveInformation": ["None."],
        "rai:dataReleaseMaintenancePlan": (
            f"A version is not changed; another has another recipe hash ({manifest.recipe_hash})."
        ),
    }
