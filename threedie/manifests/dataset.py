"""The data set manifest, dataset.json: what a folder of shards is, and what each file must be.

Written last: a folder with a manifest is complete. It carries its own hash, so that a changed
number is an error and not another data set.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails

from threedie import files
from threedie.errors import ManifestError
from threedie.manifests.recipes import Quality, Recipe

SCHEMA_VERSION = 1
FILE_NAME = "dataset.json"
MAX_BYTES = 64 * 2**20

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$")]
Count = Annotated[int, Field(ge=0)]
M = TypeVar("M", bound=BaseModel)


class Model(BaseModel):
    """Base of everything kept on disk: frozen, no unknown fields, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ShardEntry(Model):
    """One tar file."""

    name: FileName
    split: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    samples: Count
    """Objects in it (planned ones that failed are not)."""
    bytes: Count
    sha256: Sha256


class FileEntry(Model):
    """A file beside the shards."""

    bytes: Count
    sha256: Sha256


class ClassEntry(Model):
    """One class of the data set."""

    class_id: str
    """As its source names it: a synset id, or another name."""
    name: str
    label: Count
    """0–54 for the classes of 3DIEBench, 55 and up for others in the order of their names."""
    objects: Count
    """Planned; those that failed are in the ledger."""


class Versions(Model):
    """What made the pictures."""

    threedie: str
    bpy: str
    blender: str
    """Blender's own version and build hash."""


class Failure(Model):
    """A line of failures.jsonl: an object that is not in the shards."""

    object: str
    """<class>/<object>."""
    stage: str
    """start, fetch, import, render, encode: where it happened."""
    error: str
    attempts: Annotated[int, Field(ge=1)]


class Making(Model):
    """All that decides the bytes of rendered shards; its hash is the recipe hash."""

    recipe: Recipe
    quality: str
    quality_settings: Quality
    seed: Count
    size: Annotated[int, Field(ge=8, le=8192)]
    """Side of a picture in pixels."""
    views: Annotated[int, Field(ge=1)]
    image_format: Literal["jpg", "png"]
    channel_order: Literal["rgb", "bgr"]
    """Of the files. Readers hand out true RGB always."""
    device: str
    """cpu, or a type of GPU: Cycles is bit-reproducible on the CPU only."""
    split: str
    objects_per_shard: Annotated[int, Field(ge=1)]
    missing_texture: Literal["fail", "grey"]
    source: str
    """The kind of mesh source: builtin, folder, zips."""
    objects_sha256: Sha256
    """Of the planned list: class, object, split, shard, in order."""
    latents_sha256: Sha256 | None
    """Of the file given with --latents; null where latents were drawn."""
    versions: Versions

    @property
    def recipe_hash(self) -> str:
        """SHA-256 over all fields in their canonical JSON form."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json"))).hexdigest()

    @property
    def summed_views(self) -> int:
        """How many pictures of a sample its pixel_sum is of: all."""
        return self.views


class ChannelEvidence(Model):
    """Why a foreign set's pictures are taken for RGB or BGR: the floor's hue against the latent."""

    pictures: Count
    """Looked at, over many objects."""
    rgb_error: Annotated[float, Field(ge=0, le=0.5)]
    """Median distance of the floor's hue from the latent h, on the circle of hues (0 to 0.5)."""
    bgr_error: Annotated[float, Field(ge=0, le=0.5)]
    """The same from (2/3 − h) mod 1: what R and B swapped would give."""


class Origin(Model):
    """Where a converted set comes from. It decides no byte of the shards."""

    kind: Literal["archive", "folder"]
    name: str
    """Of the file or folder, without its path; of a URL, without its query."""
    bytes: Count | None
    """Of the archive as it was read; null for a folder."""
    sha256: Sha256 | None
    channel_evidence: ChannelEvidence


class Converted(Model):
    """All that decides the bytes of shards made of other people's pictures, and their origin.

    Pictures and latents are passed on as they were found; equal contents in another archive are
    equal shards.
    """

    layout: Literal["published"]
    """`SYNSET/OBJECT/image_<v>.jpg, latent_<v>.npy`."""
    recipe: Recipe
    """Whose latents these are said to be."""
    size: Annotated[int, Field(ge=8, le=8192)]
    views: Annotated[int, Field(ge=1)]
    image_format: Literal["jpg"]
    channel_order: Literal["rgb", "bgr"]
    split: str
    objects_per_shard: Annotated[int, Field(ge=1)]
    objects_sha256: Sha256
    latents_sha256: Sha256
    """Of all latents in the order of the shards."""
    threedie: str
    """The version that has converted."""
    origin: Origin

    @property
    def recipe_hash(self) -> str:
        """SHA-256 over all fields but the origin, in their canonical JSON form."""
        body = self.model_dump(mode="json", exclude={"origin"})
        return hashlib.sha256(canonical_json(body)).hexdigest()

    @property
    def summed_views(self) -> int:
        """How many pictures of a sample its pixel_sum is of: the first; decoding all is slow."""
        return 1


def _kind_of_making(value: Any) -> str:
    layout = value.get("layout") if isinstance(value, dict) else getattr(value, "layout", None)
    return "rendered" if layout is None else "converted"


AnyMaking = Annotated[
    Annotated[Making, Tag("rendered")] | Annotated[Converted, Tag("converted")],
    Discriminator(_kind_of_making),
]


class Subset(Model):
    """Which part of a published data set this is."""

    manifest_sha256: Sha256
    """Of the bytes of the whole set's dataset.json."""
    splits: tuple[str, ...] | None
    """Null: all."""
    classes: tuple[str, ...] | None
    """Ids; null: all. Where some were chosen, the shards are made of single samples of the whole
    set's shards, and of these only whole ones have a hash."""


class DatasetManifest(Model):
    """dataset.json."""

    schema_version: Literal[1]
    making: AnyMaking
    recipe_hash: Sha256
    latent_columns: tuple[str, ...]
    classes: tuple[ClassEntry, ...]
    shards: tuple[ShardEntry, ...]
    files: dict[str, FileEntry]
    """The index files and failures.jsonl, by path relative to the folder."""
    failures: Count
    pixel_mean: tuple[float, float, float]
    """Over all pictures, true RGB, 0..1."""
    pixel_std: tuple[float, float, float]
    subset_of: Subset | None = None
    """Left out of the file where it is null: whole sets keep their bytes."""

    @model_serializer(mode="wrap")
    def _without_null(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        body: dict[str, Any] = serialise(self)
        if body.get("subset_of") is None:
            body.pop("subset_of", None)
        return body

    @model_validator(mode="after")
    def _hashes_agree(self) -> DatasetManifest:
        if self.recipe_hash != self.making.recipe_hash:
            raise ValueError(
                f"recipe_hash is {self.recipe_hash[:12]}…, its fields hash to "
                f"{self.making.recipe_hash[:12]}…"
            )
        return self

    @property
    def splits(self) -> dict[str, int]:
        """Objects per split."""
        totals: dict[str, int] = {}
        for shard in self.shards:
            totals[shard.split] = totals.get(shard.split, 0) + shard.samples
        return totals

    def write(self, folder: Path) -> None:
        """Write dataset.json, with the hash of its own content."""
        body = self.model_dump(mode="json")
        body["self_sha256"] = hashlib.sha256(canonical_json(body)).hexdigest()
        files.put(folder / FILE_NAME, _as_written(body))

    @classmethod
    def read(cls, folder: Path) -> DatasetManifest:
        """Read and check dataset.json.

        Raises:
            ManifestError: absent, not JSON, another schema, a wrong field (named), a changed byte.
        """
        path = folder / FILE_NAME
        return cls.parse(_read_bounded(path), str(path))

    @classmethod
    def parse(cls, content: bytes, where: str) -> DatasetManifest:
        """Check the bytes of a dataset.json, wherever they came from.

        Raises:
            ManifestError: not JSON, another schema, a wrong field (named), a changed byte.
        """
        body = parse_json(content, where)
        found = body.get("schema_version")
        if found != SCHEMA_VERSION:
            newer = isinstance(found, int) and found > SCHEMA_VERSION
            hint = "made by a newer threedie: update it" if newer else "not a manifest of threedie"
            raise ManifestError(
                f"{where}: schema_version is {found!r}, {SCHEMA_VERSION} was expected ({hint})."
            )
        claimed = body.pop("self_sha256", None)
        manifest = validated(cls, body, where)
        # The bytes too: 0.39269908169872414 and …415 are the same number.
        whole = claimed == hashlib.sha256(canonical_json(body)).hexdigest()
        if not whole or content != _as_written({**body, "self_sha256": claimed}):
            raise ManifestError(
                f"{where}: its content does not match its self_sha256, so it was changed after it "
                "was written. Fetch it anew, or render into another folder."
            )
        return manifest


def canonical_json(value: Any) -> bytes:
    """The one byte form of a JSON value that hashes are taken of."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _as_written(body: dict[str, Any]) -> bytes:
    text = json.dumps(body, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file: no NaN, no doubled key, bounded size.

    Raises:
        ManifestError: absent, too large, or not that.
    """
    return parse_json(_read_bounded(path), str(path))


def _read_bounded(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ManifestError(f"{path}: larger than {MAX_BYTES // 2**20} MiB.")
        return path.read_bytes()
    except OSError as err:
        hint = "" if path.parent.is_dir() else " (there is no such folder)"
        raise ManifestError(
            f"{path}: {err.strerror}{hint}. A finished data set has a {path.name}; "
            "`3die render --out FOLDER` makes one."
        ) from err


def parse_json(content: bytes, where: str) -> dict[str, Any]:
    """A JSON object from bytes: UTF-8, no NaN, no doubled key.

    Raises:
        ManifestError: not that; names `where`.
    """
    try:
        value = json.loads(
            content.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_doubles
        )
    except (ValueError, RecursionError) as err:
        raise ManifestError(f"{where}: not valid JSON: {str(err)[:200]}.") from err
    if not isinstance(value, dict):
        raise ManifestError(f"{where}: a JSON object was expected, found {type(value).__name__}.")
    return value


def validated(model: type[M], body: dict[str, Any], path: Path | str) -> M:
    """A model from a JSON object.

    Raises:
        ManifestError: names the file, the field, what was found and what was expected.
    """
    try:
        return model.model_validate(body)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        parts = (str(part) for part in first["loc"] if part not in ("rendered", "converted"))
        field = ".".join(parts) or "the whole"
        found = f"; found {repr(first['input'])[:80]}" if first["loc"] else ""
        more = f" ({err.error_count() - 1} more)" if err.error_count() > 1 else ""
        raise ManifestError(f"{path}: field '{field}': {in_words(first)}{found}{more}.") from err


def in_words(fault: ErrorDetails) -> str:
    """What pydantic says of one field, as a reader of the file would."""
    says = re.sub(r"^Value error, ", "", fault["msg"])
    says = re.sub(r"^(Input|Value|String|Tuple|List|Dictionary) should", "it should", says)
    says = re.sub(r"should match pattern '\^?(.*?)\$?'$", r"should be of the form '\1'", says)
    says = re.sub(r" after validation, not \d+$", "", says)
    return says.replace("have at least 1 item", "not be empty")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value
