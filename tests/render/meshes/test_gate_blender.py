"""What Blender reads of an OBJ that went through the gate.

Claim: it is what Blender reads of the original: the same vertices, corners, normals, texture
coordinates, smoothing, materials (every socket of every node, every pixel). Only files that are
known to be harmless are shown to Blender here.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from threedie.render.meshes.sources import open_source

COMPARE = """
import os, sys
import bpy, numpy as np

def array(items, name, width, kind="f4"):
    values = np.zeros(len(items) * width, kind)
    items.foreach_get(name, values)
    return values.tobytes()

def sockets(node):
    values = {i.name: i.default_value for i in node.inputs if hasattr(i, "default_value")}
    return [(n, tuple(v) if hasattr(v, "__len__") else v) for n, v in values.items()]

def node(n):
    picture = None
    if n.type == "TEX_IMAGE":
        pixels = np.zeros(len(n.image.pixels), "f4")
        n.image.pixels.foreach_get(pixels)
        picture = (tuple(n.image.size), n.image.colorspace_settings.name, pixels.tobytes())
    return n.bl_idname, sockets(n), picture

def material(m):
    links = sorted((l.from_node.name, l.from_socket.name, l.to_node.name, l.to_socket.name)
                   for l in m.node_tree.links)
    return links, [node(n) for n in m.node_tree.nodes], tuple(m.diffuse_color)

def read(path):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.obj_import(filepath=path, forward_axis="NEGATIVE_Z", up_axis="Y",
                          validate_meshes=True)
    (mesh,) = [o.data for o in bpy.data.objects if o.type == "MESH"]
    assert len(mesh.polygons) > 5
    return (
        array(mesh.vertices, "co", 3), array(mesh.loops, "vertex_index", 1, "i4"),
        array(mesh.polygons, "loop_start", 1, "i4"),
        array(mesh.polygons, "material_index", 1, "i4"),
        array(mesh.polygons, "use_smooth", 1, "?"), array(mesh.corner_normals, "vector", 3),
        [array(layer.data, "uv", 2) for layer in mesh.uv_layers],
        [material(m) for m in mesh.materials],
    )

for original, gated in zip(sys.argv[1::2], sys.argv[2::2]):
    same = read(original) == read(gated)
    print("SAME" if same else "OTHER", original, flush=True)
os._exit(0)
"""


def assert_same(root: Path, scratch: Path) -> None:
    if importlib.util.find_spec("bpy") is None:
        pytest.skip("Blender as a module is not installed")
    pairs: list[str] = []
    source = open_source(root)
    for class_id in source.list_classes():
        for ref in source.list_objects(class_id):
            folder = scratch / ref.name
            folder.mkdir(parents=True)
            assert source.fetch(ref, folder, missing_texture="fail").notes == ()
            (original,) = (root / ref.name / "models").glob("*.obj")
            pairs += [str(original), str(folder / "mesh.obj")]
    run = subprocess.run(
        [sys.executable, "-c", COMPARE, *pairs], capture_output=True, text=True, check=False
    )
    verdicts = [line for line in run.stdout.splitlines() if line.startswith(("SAME ", "OTHER "))]
    assert verdicts == [f"SAME {original}" for original in pairs[::2]], run.stderr


@pytest.mark.bpy
def test_the_golden_meshes_are_the_same(golden_dir: Path, tmp_path: Path) -> None:
    assert_same(golden_dir / "render" / "meshes", tmp_path)


@pytest.mark.bpy
@pytest.mark.shared
def test_the_real_meshes_are_the_same(shared_dir: Path, tmp_path: Path) -> None:
    assert_same(shared_dir / "meshes", tmp_path)
