"""The one door for foreign meshes: reads an object's files, checks them, hands out a value.

Whatever is wrong with a file ends here as an AssetError, which costs that object only.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from pathlib import Path

from threedie.errors import AssetError, ThreedieError
from threedie.render.meshes.gate_obj import gate_obj
from threedie.render.meshes.limits import DEFAULT_LIMITS, Limits
from threedie.render.meshes.mesh import Mesh, ObjFile
from threedie.render.meshes.object_files import HashedFiles, MissingFile, ObjectFiles, show
from threedie.render.meshes.read_gltf import read_gltf
from threedie.render.meshes.read_off import read_off
from threedie.render.meshes.read_ply import read_ply
from threedie.render.meshes.read_stl import read_stl
from threedie.render.meshes.textures import MissingTexture
from threedie.render.meshes.triangles import BadMesh, one_file_error

_MOST_NOTES = 20  # they go into the record of every sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """One object, checked and ready for the scene."""

    mesh: Mesh
    source_sha256: str
    """Over names and contents of all files that were read for it."""
    notes: tuple[str, ...]
    """What differs from the source, for example "missing texture ../images/t.jpg: grey"."""


def pass_gate(
    files: ObjectFiles,
    scratch: Path,
    *,
    missing_texture: MissingTexture,
    limits: Limits = DEFAULT_LIMITS,
) -> Fetched:
    """Check one object.

    Args:
        files: its files.
        scratch: an empty folder for the filtered OBJ and the textures.
        missing_texture: see `MissingTexture`.
        limits: caps.

    Raises:
        AssetError: broken, hostile or too large.
        StorageError: scratch can't be written.
    """
    hashed = HashedFiles(files)
    label = files.label(files.main)
    try:
        mesh, notes = _by_format(hashed, scratch, missing_texture, limits)
    except ThreedieError:
        raise
    except MissingFile as err:
        raise AssetError(f"{label}: {err} is missing; expected it beside the mesh.") from err
    except Exception as err:  # no foreign byte may stop a run
        reason = f"{type(err).__name__}: {show(str(err))}"
        raise AssetError(f"{label} cannot be read ({reason}); it is probably damaged.") from err
    if len(notes) > _MOST_NOTES:
        notes = (*notes[:_MOST_NOTES], f"and {len(notes) - _MOST_NOTES} more")
    if isinstance(mesh, ObjFile):
        mesh = replace(mesh, notes=notes)
    return Fetched(mesh=mesh, source_sha256=hashed.sha256(), notes=notes)


def _by_format(
    files: HashedFiles, scratch: Path, missing_texture: MissingTexture, limits: Limits
) -> tuple[Mesh, tuple[str, ...]]:
    suffix = posixpath.splitext(files.main)[1].lower()
    if suffix == ".obj":
        obj = gate_obj(files, scratch, missing_texture=missing_texture, limits=limits)
        return obj, obj.notes
    try:
        if suffix in (".glb", ".gltf"):
            return read_gltf(files, scratch, missing_texture=missing_texture, limits=limits)
        data = files.read(files.main, limits.whole_file_bytes)
        if suffix == ".stl":
            return read_stl(data, limits), ()
        if suffix == ".ply":
            return read_ply(data, limits)
        if suffix == ".off":
            return read_off(data, limits)
    except BadMesh as err:
        raise one_file_error(files.label(files.main), err) from err
    raise AssetError(f"{files.label(files.main)}: there is no reader for {suffix} files.")


__all__ = ["Fetched", "pass_gate"]
