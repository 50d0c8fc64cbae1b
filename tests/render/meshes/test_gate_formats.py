"""The readers of STL, PLY, OFF and glTF.

Claims:

- a known mesh of two materials, written here by hand, is the same from every format;
- colours are linear in our values, whatever the file holds, and stay with their faces;
- the library that reads gets only bytes that were checked, and no image;
- the same bytes give the same arrays;
- every damaged or hostile file is an AssetError before memory is taken for what it claims.
"""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image

from tests.render.meshes.hostile import (
    ASCII_STL,
    OFF,
    SQUARE,
    binary_ply,
    data_uri,
    gate,
    glb,
    gltf,
    gltf_tree,
    image,
    ply,
    png_claiming,
    stl,
)
from threedie.errors import AssetError
from threedie.render.meshes.gate import Fetched
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.mesh import TriangleMesh
from threedie.render.meshes.triangles import MOST_FACE_COLORS

RED, GREEN = (255, 0, 0, 255), (0, 128, 0, 255)
GREEN_LINEAR = 0.21586050  # of sRGB 128/255, IEC 61966-2-1


def mesh_of(fetched: Fetched) -> TriangleMesh:
    assert isinstance(fetched.mesh, TriangleMesh)
    return fetched.mesh


def corners(mesh: TriangleMesh, material: int | None = None) -> list[Any]:
    """Triangles as sorted corner coordinates: independent of orders."""
    chosen = mesh.faces_F3 if material is None else mesh.faces_F3[mesh.material_F == material]
    return sorted(sorted(map(tuple, t)) for t in mesh.vertices_V3[chosen].round(6).tolist())


BOX = np.array([[x, y, z] for x in (0, 1) for y in (0, 0.5) for z in (0, 0.25)])
SIDES = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
                  [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]])  # fmt: skip
SECOND = np.stack([-2 * BOX[:, 1], BOX[:, 0] + 1, BOX[:, 2] / 2], axis=1)
"""The box stretched by (1, 2, 0.5), turned by 90° around z and moved by (0, 1, 0)."""
PLACE = {"scale": [1, 2, 0.5], "rotation": [0, 0, 0.5**0.5, 0.5**0.5], "translation": [0, 1, 0]}


def triangles_of(points: NDArray[np.float64]) -> list[Any]:
    """What `corners` gives for a box with these points."""
    return sorted(sorted(map(tuple, t)) for t in points[SIDES].tolist())


def two_boxes() -> bytes:
    """A GLB of a red box, and a green one that is the same mesh data in another place."""
    body = BOX.astype("<f4").tobytes() + SIDES.astype("<u2").tobytes()
    attributes = {"attributes": {"POSITION": 0}, "indices": 1}
    surface = {"roughnessFactor": 0.25, "metallicFactor": 0.75}
    tree = gltf_tree(
        scenes=[{"nodes": [0, 1]}],
        nodes=[{"mesh": 0}, {"mesh": 1, **PLACE}],
        meshes=[{"primitives": [{**attributes, "material": i}]} for i in (0, 1)],
        materials=[
            {"pbrMetallicRoughness": {"baseColorFactor": color, **surface}}
            for color in ([1, 0, 0, 1], [0, GREEN_LINEAR, 0, 1])
        ],
        accessors=[
            {"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 36, "type": "SCALAR"},
        ],
        bufferViews=[
            {"buffer": 0, "byteLength": 96},
            {"buffer": 0, "byteOffset": 96, "byteLength": 72},
        ],
        buffers=[{"byteLength": 168}],
    )
    return glb(tree, body)


def exported(kind: str) -> bytes:
    """The two boxes as a file, with face colours where the format has them."""
    points = np.concatenate([BOX, SECOND])
    faces = np.concatenate([SIDES, SIDES + 8])
    colors = np.repeat([RED[:3], GREEN[:3]], 12, axis=0)
    if kind == "glb":
        return two_boxes()
    if kind == "stl":
        rows = np.zeros(24, [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("other", "<u2")])
        rows["corners"] = points[faces]
        return bytes(80) + struct.pack("<I", 24) + rows.tobytes()
    if kind == "ascii.stl":
        facet = "facet normal 0 0 0\nouter loop\n{}endloop\nendfacet\n"
        inside = [
            "".join(f"vertex {x!r} {y!r} {z!r}\n" for x, y, z in t) for t in points[faces].tolist()
        ]
        return f"solid boxes\n{''.join(map(facet.format, inside))}endsolid boxes\n".encode()
    listed = "property list uchar int vertex_indices\n" + RGB.strip()
    if kind == "ply":
        rows = np.zeros(24, [("n", "u1"), ("corners", "<i4", 3), ("color", "u1", 3)])
        rows["n"], rows["corners"], rows["color"] = 3, faces, colors
        body = points.astype("<f4").tobytes() + rows.tobytes()
        return ply(body, vertices="16", faces="24", form="binary_little_endian", listed=listed)
    rows_of = [*points.tolist(), *np.hstack([np.full((24, 1), 3), faces, colors]).tolist()]
    lines = [" ".join(map(repr, row)) for row in rows_of]
    text = "\n".join(lines).encode() + b"\n"
    if kind == "off":
        return b"OFF\n16 24 0\n" + text
    return ply(text, vertices="16", faces="24", listed=listed)


RGB = "property uchar red\nproperty uchar green\nproperty uchar blue\n"


@pytest.mark.parametrize("kind", ["glb", "ply", "ascii.ply", "off"])
def test_two_materials_arrive_in_linear_colours(kind: str, tmp_path: Path) -> None:
    mesh = mesh_of(gate(f"a.{kind}", exported(kind), scratch=tmp_path))
    colors = [m.base_color for m in mesh.materials]
    red = next(i for i, color in enumerate(colors) if color[0] == 1)
    assert sorted(colors) == [pytest.approx((0, GREEN_LINEAR, 0), abs=1e-6), (1, 0, 0)]
    for material, points in ((red, BOX), (1 - red, SECOND)):
        found, expected = corners(mesh, material), triangles_of(points)
        assert np.allclose(np.array(found), np.array(expected), atol=1e-6)


def test_gltf_surfaces_arrive(tmp_path: Path) -> None:
    material = mesh_of(gate("a.glb", exported("glb"), scratch=tmp_path)).materials[0]
    assert (material.roughness, material.metallic, material.alpha) == (0.25, 0.75, 1.0)


@pytest.mark.parametrize("kind", ["stl", "ascii.stl"])
def test_stl_is_the_shape_in_grey_and_its_vertices_are_shared(kind: str, tmp_path: Path) -> None:
    mesh = mesh_of(gate(f"a.{kind}", exported(kind), scratch=tmp_path))
    expected = sorted(triangles_of(BOX) + triangles_of(SECOND))
    assert np.allclose(np.array(corners(mesh)), np.array(expected), atol=1e-6)
    assert mesh.vertices_V3.shape == (16, 3)
    assert [m.base_color for m in mesh.materials] == [(0.8, 0.8, 0.8)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.ply", ply()),
        ("a.ply", ply().replace(b"\n", b"\r\n")),
        ("a.ply", binary_ply("<")),
        ("a.ply", binary_ply(">")),
        ("a.off", OFF),
        ("a.off", OFF.replace(b"OFF\n", b"OFF")),
        ("a.off", OFF.replace(b"4 2 0\n", b"# no\n\n4 2 0 # counts\n")),
        ("a.off", b"NOFF\n4 2 0\n" + b"".join(b"%d %d 0 0 0 1\n" % p for p in
                  ((0, 0), (1, 0), (1, 1), (0, 1))) + b"3 0 1 2\n4 0 1 2 3\n"),
    ],
)  # fmt: skip
def test_mixed_polygons_become_fans(name: str, data: bytes, tmp_path: Path) -> None:
    mesh = mesh_of(gate(name, data, scratch=tmp_path))
    assert mesh.faces_F3.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3]]
    assert mesh.vertices_V3.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]


COLOR = "property uchar red\nproperty uchar green\nproperty uchar blue\nproperty uchar alpha\n"
FLOAT_COLOR = "property float red\nproperty float green\nproperty float blue\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.ply", ply(b"0 0 0 255 0 128 9\n1 0 0 255 0 128 9\n0 1 0 255 0 128 9\n3 0 1 2\n",
                      vertices="3", faces="1", extra=COLOR)),
        ("a.ply", ply(b"0 0 0 1 0 .50196078\n1 0 0 1 0 .50196078\n0 1 0 1 0 .50196078\n3 0 1 2\n",
                      vertices="3", faces="1", extra=FLOAT_COLOR)),
        ("a.off", b"COFF\n3 1 0\n" + b"".join(b"%d %d 0 255 0 128 255\n" % p for p in
                  ((0, 0), (1, 0), (0, 1))) + b"3 0 1 2\n"),
    ],
)  # fmt: skip
def test_vertex_colours_become_linear(name: str, data: bytes, tmp_path: Path) -> None:
    mesh = mesh_of(gate(name, data, scratch=tmp_path))
    assert mesh.color_V3 is not None
    assert np.allclose(mesh.color_V3, (1, 0, GREEN_LINEAR), atol=1e-6)


def test_too_many_face_colours_are_merged_with_a_note(tmp_path: Path) -> None:
    face = "property list uchar int vertex_indices\n" + COLOR.strip()
    body = b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n" + b"".join(
        b"3 0 1 2 %d %d %d 255\n" % (i % 256, i // 256 * 20, 7) for i in range(2000)
    )
    fetched = gate("a.ply", ply(body, faces="2000", listed=face), scratch=tmp_path)
    mesh = mesh_of(fetched)
    assert 32 < len(mesh.materials) <= MOST_FACE_COLORS
    assert fetched.notes == (f"2000 face colours merged into {len(mesh.materials)}",)


QUADS = b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n2 0 0\n2 1 0\n"


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_colours_stay_with_their_polygons(form: str, tmp_path: Path) -> None:
    order = ">" if "big" in form else "<"
    polygons = [(9, 8, 7, [0, 1, 2, 3]), (255, 0, 0, [1, 4, 2]), (9, 8, 7, [4, 5, 2])]
    text = b"".join(
        b"%d %d %d %d %b\n" % (r, g, b, len(c), " ".join(map(str, c)).encode())
        for r, g, b, c in polygons
    )
    packed = b"".join(
        struct.pack(f"{order}4B{len(c)}i", r, g, b, len(c), *c) for r, g, b, c in polygons
    )
    points = [float(number) for number in QUADS.split()]
    body = QUADS + text if form == "ascii" else struct.pack(f"{order}18f", *points) + packed
    listed = RGB + "property list uchar int vertex_index"
    data = ply(body, vertices="6", faces="3", form=form, listed=listed)
    mesh = mesh_of(gate("a.ply", data, scratch=tmp_path))
    assert mesh.faces_F3.tolist() == [[0, 1, 2], [0, 2, 3], [1, 4, 2], [4, 5, 2]]
    assert mesh.material_F.tolist() == [0, 0, 1, 0]
    assert mesh.materials[1].base_color == (1, 0, 0)


def test_vertex_colours_win_over_face_colours_and_texture_coordinates(tmp_path: Path) -> None:
    data = ply(
        b"0 0 0 255 0 128 0 0\n1 0 0 255 0 128 1 0\n0 1 0 255 0 128 0 1\n3 0 1 2 1 2 3\n",
        vertices="3", faces="1", extra=RGB + "property float s\nproperty float t\n",
        listed="property list uchar int vertex_indices\n" + RGB.strip(),
    )  # fmt: skip
    mesh = mesh_of(gate("a.ply", data, scratch=tmp_path))
    assert mesh.color_V3 is not None
    assert np.allclose(mesh.color_V3, (1, 0, GREEN_LINEAR), atol=1e-6)
    assert len(mesh.materials) == 1


def test_a_ply_texture_is_left_out_with_a_note(tmp_path: Path) -> None:
    data = ply().replace(b"comment test", b"comment TextureFile ../../x.png")
    assert gate("a.ply", data, scratch=tmp_path).notes == ("the PLY's texture left out",)


def test_vertices_that_no_face_uses_do_not_count_for_the_size(tmp_path: Path) -> None:
    data = ply(b"0 0 0\n1 0 0\n1 1 0\n9 9 9\n3 0 1 2\n3 0 2 1\n")
    assert mesh_of(gate("a.ply", data, scratch=tmp_path)).vertices_V3.max() == 1


# --- glTF ---------------------------------------------------------------------------------------

UV = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.25]])


def textured(picture: bytes | None, *, material: Any = None, uri: str | None = None) -> bytes:
    """A triangle with texture coordinates UV, and a picture in the file or beside it."""
    tree = gltf_tree()
    uv = UV.astype("<f4").tobytes()
    tree["buffers"].append({"byteLength": len(uv), "uri": data_uri(uv)})
    tree["bufferViews"].append({"buffer": 1, "byteLength": len(uv)})
    tree["accessors"].append({"bufferView": 2, "componentType": 5126, "count": 3, "type": "VEC2"})
    tree["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"] = 2
    tree["meshes"][0]["primitives"][0]["material"] = 0
    pbr = {"baseColorTexture": {"index": 0}}
    tree["materials"] = [{"pbrMetallicRoughness": pbr, **(material or {})}]
    tree["textures"] = [{"source": 0}]
    tree["images"] = [{"uri": data_uri(picture or b"") if uri is None else uri}]
    return json.dumps(tree).encode()


def pixels(mesh: TriangleMesh) -> NDArray[np.uint8]:
    assert mesh.materials[0].texture is not None
    with Image.open(mesh.materials[0].texture) as png:
        return np.asarray(png).copy()


def test_textures_and_their_coordinates_arrive(tmp_path: Path) -> None:
    data = textured(image())
    mesh = mesh_of(gate("a.gltf", data, scratch=tmp_path))
    assert mesh.uv_F32 is not None
    assert mesh.uv_F32.tolist() == [[[0, 1], [1, 1], [0, 0.75]]]  # v up
    assert np.array_equal(pixels(mesh), np.asarray(Image.open(io.BytesIO(image()))))
    assert mesh.materials[0].texture == tmp_path / "t0.png"


def test_the_colour_factor_is_baked_into_the_picture_in_linear_light(tmp_path: Path) -> None:
    white = io.BytesIO()
    Image.new("RGB", (2, 2), (255, 255, 255)).save(white, "PNG")
    pbr = {"baseColorTexture": {"index": 0}, "baseColorFactor": [1, GREEN_LINEAR, 0, 0.5]}
    for mode, alpha in (("OPAQUE", None), ("BLEND", 128), ("MASK", None)):
        material = {"pbrMetallicRoughness": pbr, "alphaMode": mode}
        data = textured(white.getvalue(), material=material)
        found = pixels(mesh_of(gate("a.gltf", data, scratch=tmp_path)))[0, 0].tolist()
        assert found == [255, 128, 0] + ([] if alpha is None else [alpha]), mode


def test_texture_transforms_and_quantized_coordinates(tmp_path: Path) -> None:
    transform = {"offset": [0.5, 0.0], "scale": [2.0, 4.0], "rotation": 0.0}
    info = {"index": 0, "extensions": {"KHR_texture_transform": transform}}
    data = textured(image(), material={"pbrMetallicRoughness": {"baseColorTexture": info}})
    uv = mesh_of(gate("a.gltf", data, scratch=tmp_path)).uv_F32
    assert uv is not None
    assert uv.tolist() == [[[0.5, 1], [2.5, 1], [0.5, 0]]]
    tree = json.loads(textured(image()))
    packed = np.array([[0, 0], [65535, 0], [0, 13107]], "<u2").tobytes()
    tree["buffers"][1] = {"byteLength": 12, "uri": data_uri(packed)}
    tree["bufferViews"][2]["byteLength"] = 12
    tree["accessors"][2].update(componentType=5123, normalized=True)
    uv = mesh_of(gate("a.gltf", json.dumps(tree).encode(), scratch=tmp_path)).uv_F32
    assert uv is not None
    assert np.allclose(uv, np.array([[[0, 1], [1, 1], [0, 0.8]]]))


def test_pictures_and_buffers_beside_the_file(tmp_path: Path) -> None:
    data = textured(None, uri="my%20images/t.png")
    others = {"my images/t.png": image()}
    mesh = mesh_of(gate("a.gltf", data, scratch=tmp_path, missing_texture="fail", others=others))
    assert pixels(mesh).shape == (4, 4, 3)
    tree = gltf_tree()
    body = struct.pack("<9f3H", 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 2)
    tree["buffers"] = [{"byteLength": 42, "uri": "a.bin"}]
    text = json.dumps(tree).encode()
    beside = gate("a.gltf", text, scratch=tmp_path, others={"a.bin": body})
    inside = gate("a.gltf", gltf(), scratch=tmp_path)
    assert corners(mesh_of(beside)) == corners(mesh_of(inside))
    assert beside.source_sha256 != inside.source_sha256
    del tree["buffers"][0]["uri"]
    assert corners(mesh_of(gate("a.glb", glb(tree, body), scratch=tmp_path))) == corners(
        mesh_of(inside)
    )


@pytest.mark.parametrize(
    "picture", [None, b"", b"text", png_claiming(30_000, 30_000), image("TIFF")]
)
def test_missing_and_unreadable_pictures(picture: bytes | None, tmp_path: Path) -> None:
    data = textured(picture, uri="t.png" if picture is None else None)
    fetched = gate("a.gltf", data, scratch=tmp_path)
    assert mesh_of(fetched).materials[0].base_color == (0.8, 0.8, 0.8)
    assert mesh_of(fetched).materials[0].texture is None
    assert len(fetched.notes) == 1
    assert fetched.notes[0].endswith(": grey")
    with pytest.raises(AssetError, match="texture"):
        gate("a.gltf", data, scratch=tmp_path, missing_texture="fail")


def test_vertex_colours_are_linear_and_multiplied_with_the_factor(tmp_path: Path) -> None:
    tree = gltf_tree()
    colors = bytes([255, 0, 51, 255] * 3)
    tree["buffers"].append({"byteLength": 12, "uri": data_uri(colors)})
    tree["bufferViews"].append({"buffer": 1, "byteLength": 12})
    tree["accessors"].append(
        {"bufferView": 2, "componentType": 5121, "count": 3, "type": "VEC4", "normalized": True}
    )
    primitive = tree["meshes"][0]["primitives"][0]
    primitive["attributes"]["COLOR_0"] = 2
    primitive["material"] = 0
    tree["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [0.5, 1, 1, 1]}}]
    mesh = mesh_of(gate("a.gltf", json.dumps(tree).encode(), scratch=tmp_path))
    assert mesh.color_V3 is not None
    assert np.allclose(mesh.color_V3, (0.5, 0, 0.2))


def test_a_mirrored_node_keeps_its_outside(tmp_path: Path) -> None:
    data = gltf(nodes=[{"mesh": 0, "scale": [-1, 1, 1]}])
    mesh = mesh_of(gate("a.gltf", data, scratch=tmp_path))
    a, b, c = mesh.vertices_V3[mesh.faces_F3[0]]
    assert np.cross(b - a, c - a)[2] > 0  # the triangle faced +Z, and still does


def test_strips_fans_and_unindexed_triangles(tmp_path: Path) -> None:
    points = struct.pack("<12f", 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0)
    for mode, n, expected in (
        (5, 4, 2), (4, 3, 1), (6, 4, "fans"), (4, 4, "not read"), (1, 4, "no triangles"),
    ):  # fmt: skip
        tree = gltf_tree(buffers=[{"byteLength": 48, "uri": data_uri(points)}])
        tree["bufferViews"] = [{"buffer": 0, "byteLength": 48}]
        tree["accessors"] = [{"bufferView": 0, "componentType": 5126, "count": n, "type": "VEC3"}]
        tree["meshes"] = [{"primitives": [{"attributes": {"POSITION": 0}, "mode": mode}]}]
        data = json.dumps(tree).encode()
        if isinstance(expected, str):
            with pytest.raises(AssetError, match=expected):
                gate("a.gltf", data, scratch=tmp_path)
            continue
        mesh = mesh_of(gate("a.gltf", data, scratch=tmp_path))
        assert len(mesh.faces_F3) == expected
        a, b, c = (mesh.vertices_V3[mesh.faces_F3[:, i]] for i in range(3))
        assert np.all(np.cross(b - a, c - a)[:, 2] > 0)


def test_sparse_values_are_refused_where_they_are_used(tmp_path: Path) -> None:
    tree = gltf_tree()
    sparse = struct.pack("<H2x3f", 1, 7, 0, 0)
    tree["buffers"].append({"byteLength": len(sparse), "uri": data_uri(sparse)})
    tree["bufferViews"].append({"buffer": 1, "byteLength": len(sparse)})
    tree["accessors"][0]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": 2, "componentType": 5123},
        "values": {"bufferView": 2, "byteOffset": 4},
    }
    with pytest.raises(AssetError, match="POSITION is sparse"):
        gate("a.gltf", json.dumps(tree).encode(), scratch=tmp_path)
    tree["accessors"].append(tree["accessors"][0])  # a morph target's, say
    tree["accessors"][0] = gltf_tree()["accessors"][0]
    mesh = mesh_of(gate("a.gltf", json.dumps(tree).encode(), scratch=tmp_path))
    assert mesh.vertices_V3.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]


def test_nothing_below_a_camera_or_a_mesh_of_lines_is_lost(tmp_path: Path) -> None:
    lines = {"attributes": {"POSITION": 0}, "mode": 3}
    meshes = [*gltf_tree()["meshes"], {"primitives": [lines]}]
    for above in ({"camera": 0}, {"mesh": 1}):
        nodes = [{**above, "children": [1], "translation": [0, 0, 5]}, {"mesh": 0}]
        data = gltf(nodes=nodes, meshes=meshes, cameras=[{"type": "perspective"}])
        mesh = mesh_of(gate("a.gltf", data, scratch=tmp_path))
        assert mesh.vertices_V3.tolist() == [[0, 0, 5], [1, 0, 5], [0, 1, 5]]


def test_the_same_bytes_give_the_same_arrays(tmp_path: Path) -> None:
    tree = gltf_tree(nodes=[{"mesh": 0}, {"mesh": 0, "translation": [0, 0, 1]}])
    tree["scenes"] = [{"nodes": [1, 0]}]
    tree["meshes"][0]["primitives"] *= 3  # trimesh gives their nodes random names
    found = [mesh_of(gate("a.gltf", json.dumps(tree).encode(), scratch=tmp_path)) for _ in range(8)]
    assert len(found[0].faces_F3) == 6
    assert len({(m.vertices_V3.tobytes(), m.faces_F3.tobytes()) for m in found}) == 1


def test_the_library_gets_checked_bytes_and_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[bytes, Any]] = []
    load = trimesh.load

    def spy(file: io.BytesIO, **options: Any) -> Any:
        calls.append((file.getvalue(), options["resolver"]))
        return load(file, **options)

    monkeypatch.setattr(trimesh, "load", spy)
    data = textured(None, uri="t.png", material={"extras": {"x": "../../etc/passwd"}})
    gate("a.gltf", data, scratch=tmp_path, others={"t.png": image()})
    gate("a.ply", ply().replace(b"comment test", b"comment TextureFile t.png"), scratch=tmp_path)
    (tree, served), (text, nothing) = calls
    assert set(served) == {"b0", "b1"}
    assert not nothing
    assert not {"images", "textures", "extras", "cameras"} & set(json.loads(tree))
    assert b"t.png" not in tree + text


# --- hostile ------------------------------------------------------------------------------------


def changed(*path: Any, to: Any) -> bytes:
    """The glTF with one value changed."""
    tree: Any = gltf_tree()
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = to
    return json.dumps(tree).encode()


def chain(n: int, last: int) -> bytes:
    """Nodes one below the other; the last one's child is `last`."""
    nodes: list[dict[str, Any]] = [{"children": [i + 1]} for i in range(n)]
    return gltf(nodes=[*nodes, {"mesh": 0, "children": [last] if last >= 0 else []}])


def view_to(uri: str) -> bytes:
    return changed("buffers", 0, "uri", to=uri)


BIG = 400_000_000
HOSTILE = {
    "STL: the header claims 2^32 - 1 triangles": ("a.stl", stl(1, 2**32 - 1), "4294967295"),
    "STL: cut short": ("a.stl", stl(3)[:-1], "cut short"),
    "STL: one byte too long": ("a.stl", stl(3) + b"\0", "cut short"),
    "STL: no bytes": ("a.stl", b"", "cut short"),
    "STL: no triangles": ("a.stl", stl(0), "no triangles"),
    "STL: ASCII cut within a facet": ("a.stl", ASCII_STL[:-40], "cut short"),
    "STL: ASCII without an end": ("a.stl", ASCII_STL.replace(b"endsolid a", b""), "cut short"),
    "STL: ASCII with nan": ("a.stl", ASCII_STL.replace(b"vertex 1", b"vertex nan"), "finite"),
    "STL: ASCII with a word": ("a.stl", ASCII_STL.replace(b"vertex 1", b"vertex x"), "could not"),
    "STL: binary nan": ("a.stl", stl(1).replace(b"\x00\x00\x80?", b"\xff" * 4), "finite"),
    "STL: says solid but is binary, and cut": ("a.stl", b"solid" + stl(2)[5:-3], "facet"),
    "STL: an OBJ": ("a.stl", SQUARE + b"f 1 2 3\n", "no STL"),
    "PLY: a property before any element": (
        "a.ply", b"ply\nformat ascii 1.0\nproperty float x\nend_header\n", "property float x"),
    "PLY: 10^8 vertices claimed": ("a.ply", ply(vertices="100000000"), "claims 100000000"),
    "PLY: 10^7 vertices claimed": ("a.ply", ply(vertices="10000000"), "cut short"),
    "PLY: 10^30 vertices claimed": ("a.ply", ply(vertices="1" + "0" * 30), "element vertex"),
    "PLY: -1 vertices": ("a.ply", ply(vertices="-1"), "element vertex -1"),
    "PLY: a list of -1 corners": (
        "a.ply", ply(b"0 0 0\n" * 4 + b"-1\n3 0 1 2\n"), "face '-1'"),
    "PLY: a list of 4·10^9 corners": (
        "a.ply", ply(b"0 0 0\n" * 4 + b"4000000000 0 1 2\n", faces="1"), "face '4000000000"),
    "PLY: binary list of 4·10^9": (
        "a.ply", ply(bytes(48) + b"\xff" * 4 + bytes(12), faces="1", form="binary_little_endian",
                     listed="property list uint int vertex_indices"), "cut short"),
    "PLY: binary list of -1": (
        "a.ply", ply(bytes(48) + b"\xff" + bytes(12), faces="1", form="binary_little_endian",
                     listed="property list char int vertex_indices"), "cut short"),
    "PLY: a list counted in floats": (
        "a.ply", ply(listed="property list float int vertex_indices"), "float type"),
    "PLY: an index too large": (
        "a.ply", ply(b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 4\n3 0 1 2\n"), "vertex 4"),
    "PLY: an index of -1": (
        "a.ply", ply(b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 -1\n3 0 1 2\n"), "face '3 0 1 -1'"),
    "PLY: an index of 1.5": (
        "a.ply", ply(b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 1.5\n3 0 1 2\n"), "face '3 0 1 1.5'"),
    "PLY: nan": ("a.ply", ply(b"nan 0 0\n" * 4 + b"3 0 1 2\n3 1 2 3\n"), "finite"),
    "PLY: all points equal": ("a.ply", ply(b"1 1 1\n" * 4 + b"3 0 1 2\n3 1 2 3\n"), "area"),
    "PLY: no body": ("a.ply", ply(b""), "cut short"),
    "PLY: binary cut short": ("a.ply", binary_ply()[:-3], "cut short"),
    "PLY: no faces": ("a.ply", ply(b"0 0 0\n" * 4, faces="0"), "no triangles"),
    "PLY: no end of the header": ("a.ply", ply().replace(b"end_header", b""), "end_header"),
    "PLY: an unknown format": ("a.ply", ply(form="binary_middle_endian"), "format"),
    "PLY: an unknown type": ("a.ply", ply(extra="property quad w\n"), "quad"),
    "PLY: a property twice": ("a.ply", ply(extra="property float x\n"), "property float x"),
    "PLY: an element twice": (
        "a.ply", ply(extra="element vertex 4\nproperty float x\n"), "twice"),
    "PLY: no x": ("a.ply", ply().replace(b"float x", b"float w"), "no x"),
    "PLY: colours of 16 bits": (
        "a.ply", ply(extra="property ushort red\n"), "property ushort red"),
    "PLY: two lists in a face": (
        "a.ply", ply(listed="property list uchar int vertex_indices\nproperty list uchar float "
                            "texcoord"), "texcoord' is not read"),
    "PLY: a list among the vertices": (
        "a.ply", ply(extra="property list uchar int x9\n"), "in the faces only"),
    "PLY: faces before the vertices": (
        "a.ply", ply().replace(b"element vertex", b"element v").replace(
            b"element face", b"element vertex"), "vertex"),
    "PLY: words in the body": ("a.ply", ply(b"0 0 zero\n" * 4 + b"3 0 1 2\n" * 2), "could not"),
    "PLY: a polygon of 10,001 corners": (
        "a.ply", ply(b"0 0 0\n" * 4 + b"10001" + b" 0" * 10001, faces="1"), "10001 corners"),
    "PLY: no bytes": ("a.ply", b"", "end_header"),
    "OFF: 10^9 vertices claimed": ("a.off", OFF.replace(b"4 2", b"1000000000 2"), "claims"),
    "OFF: 10^7 vertices claimed": ("a.off", OFF.replace(b"4 2", b"10000000 2"), "cut short"),
    "OFF: -1 faces": ("a.off", OFF.replace(b"4 2", b"4 -1"), "whole"),
    "OFF: half a vertex": ("a.off", OFF.replace(b"4 2", b"4.5 2"), "whole"),
    "OFF: cut short": ("a.off", OFF[:30], "cut short"),
    "OFF: an index too large": ("a.off", OFF.replace(b"0 1 2 3", b"0 1 2 9"), "face index outside"),
    "OFF: more corners than numbers": ("a.off", OFF.replace(b"3 0 1 2\n", b"7 0 1 2\n"), "corner"),
    "OFF: a corner count of -1": ("a.off", OFF.replace(b"3 0 1 2\n", b"-1 0 1 2\n"), "corner"),
    "OFF: nan": ("a.off", OFF.replace(b"1 1 0", b"nan 1 0"), "finite"),
    "OFF: binary": ("a.off", b"OFF BINARY\n\0\0\0\4", "OFF"),
    "OFF: no bytes": ("a.off", b"", "OFF"),
    "OFF: another format": ("a.off", SQUARE, "OFF"),
    "GLB: cut short": ("a.glb", glb()[:-1], "cut short"),
    "GLB: its length lies": ("a.glb", glb() + b"\0", "bytes"),
    "GLB: a chunk's length lies": (
        "a.glb", glb()[:12] + b"\xff" * 4 + glb()[16:], "beyond the end"),
    "GLB: version 1": ("a.glb", glb()[:4] + b"\1" + glb()[5:], "version 1"),
    "GLB: no bytes": ("a.glb", b"", "glTF"),
    "GLB: no JSON": ("a.glb", b"glTF" + struct.pack("<II", 2, 20) + bytes(8), "JSON"),
    "glTF: not JSON": ("a.gltf", b"{", "JSON"),
    "glTF: a list": ("a.gltf", b"[]", "no object"),
    "glTF: NaN": ("a.gltf", changed("nodes", 0, "scale", to=[float("nan")] * 3), "NaN"),
    "glTF: 10^6 nested lists": ("a.gltf", b'{"a":' + b"[" * 10**6, "JSON|RecursionError"),
    "glTF: version 1": ("a.gltf", gltf(asset={"version": "1.0"}), "version 1.0"),
    "glTF: Draco": (
        "a.gltf", gltf(extensionsRequired=["KHR_draco_mesh_compression"]), "KHR_draco_mesh"),
    "glTF: meshopt": (
        "a.gltf", gltf(extensionsRequired=["EXT_meshopt_compression"]), "EXT_meshopt"),
    "glTF: an accessor of 4·10^8 without data": (
        "a.gltf", changed("accessors", 0, to={"componentType": 5126, "count": BIG, "type": "VEC3"}),
        "claims 400000000 "),
    "glTF: an accessor of 10^7 without data": (
        "a.gltf", changed("accessors", 0, to={"componentType": 5126, "count": 10**7,
                                              "type": "VEC3"}), "no data"),
    "glTF: an accessor beyond its view": ("a.gltf", changed("accessors", 0, "count", to=4), "ends"),
    "glTF: an offset beyond its view": (
        "a.gltf", changed("accessors", 0, "byteOffset", to=1), "ends at byte 37"),
    "glTF: a negative offset": (
        "a.gltf", changed("accessors", 0, "byteOffset", to=-4), "byteOffset is -4"),
    "glTF: a stride of 1": ("a.gltf", changed("bufferViews", 0, "byteStride", to=1), "ends"),
    "glTF: a stride of 10^12": (
        "a.gltf", changed("bufferViews", 0, "byteStride", to=10**12), "ends"),
    "glTF: a view beyond its buffer": (
        "a.gltf", changed("bufferViews", 0, "byteLength", to=43), "ends at byte 43"),
    "glTF: a buffer shorter than it says": (
        "a.gltf", changed("buffers", 0, "byteLength", to=10**9), "expected 1000000000"),
    "glTF: a count of 1.5": ("a.gltf", changed("accessors", 0, "count", to=1.5), "whole number"),
    "glTF: a count of true": ("a.gltf", changed("accessors", 0, "count", to=True), "whole number"),
    "glTF: a sparse accessor of 10^7 on nothing": (
        "a.gltf", changed("accessors", 0, to={"componentType": 5126, "count": 10**7, "type": "VEC3",
                                              "sparse": {}}), "sparse or has no data"),
    "glTF: a sparse index out of range": (
        "a.gltf", changed("accessors", 0, "sparse", to={
            "count": 1, "indices": {"bufferView": 1, "byteOffset": 4, "componentType": 5121},
            "values": {"bufferView": 0}}) .replace(b'"count": 3, "type": "VEC3"',
                                                   b'"count": 2, "type": "VEC3"'),
        "is sparse"),
    "glTF: positions of two numbers": (
        "a.gltf", changed("accessors", 0, "type", to="VEC2"), "not expected"),
    "glTF: float indices": (
        "a.gltf", changed("accessors", 1, to={"bufferView": 0, "componentType": 5126, "count": 3,
                                              "type": "SCALAR"}), "indices is SCALAR of <f4"),
    "glTF: index -1 of a list": ("a.gltf", changed("nodes", 0, "mesh", to=-1), "meshes\\[-1\\]"),
    "glTF: a missing mesh": ("a.gltf", changed("nodes", 0, "mesh", to=7), "meshes\\[7\\]"),
    "glTF: an index beyond the vertices": (
        "a.gltf", changed("accessors", 1, "byteOffset", to=0).replace(b'"count": 3, "type": "VEC3"',
                                                     b'"count": 2, "type": "VEC3"'), "vertex 2"),
    "glTF: a node below itself": ("a.gltf", chain(3, 0), "reached twice"),
    "glTF: 100,000 nodes deep": ("a.gltf", chain(100_000, -1), "levels"),
    "glTF: a node with two parents": (
        "a.gltf", gltf(nodes=[{"children": [1, 1]}, {"mesh": 0}]), "reached twice"),
    "glTF: a matrix of words": ("a.gltf", changed("nodes", 0, "matrix", to=["a"] * 16), "not read"),
    "glTF: a matrix of 10^300": (
        "a.gltf", changed("nodes", 0, "matrix", to=[1e300] * 16), "coordinates"),
    "glTF: a scale of 0": ("a.gltf", changed("nodes", 0, "scale", to=[0, 0, 0]), "area"),
    "glTF: no mesh in the scene": ("a.gltf", gltf(scenes=[{"nodes": []}]), "no triangles"),
    "glTF: children that are no list": ("a.gltf", changed("nodes", 0, "children", to=5), "form of"),
    "glTF: a list as a mesh": ("a.gltf", changed("nodes", 0, "mesh", to=[0]), "meshes"),
    "glTF: bad base64": ("a.gltf", view_to("data:;base64,$$$"), "base64"),
    "glTF: a data URI without base64": ("a.gltf", view_to("data:text/plain,abc"), "base64"),
    "glTF: no uri": ("a.gltf", view_to(None), "no text"),  # type: ignore[arg-type]
    "glTF: a missing buffer": ("a.gltf", view_to("a.bin"), "a.bin is missing"),
    **{
        f"glTF: a buffer at {uri}": ("a.gltf", view_to(uri), "refused to open")
        for uri in ("../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://h/a",
                    "%2e%2e/%2e%2e/etc/passwd", "..%5C..%5Cx", "~/x", "C%3A/x", "a%00b", "//h/x")
    },
    "a format that is not read": ("a.fbx", b"x", "no reader for .fbx"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_refuses(case: str, tmp_path: Path) -> None:
    name, data, message = HOSTILE[case]
    tracemalloc.start()
    try:
        with pytest.raises(AssetError, match=f"(?s){name}.*({message})") as info:
            gate(name, data, scratch=tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(str(info.value)) < 500
    assert str(info.value).isprintable()
    assert peak < 64e6
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "data", "limits", "message"),
    [
        ("a.stl", stl(9), Limits(faces=8), "9 triangles"),
        ("a.stl", stl(9), Limits(whole_file_bytes=100), "larger than"),
        ("a.ply", ply(), Limits(vertices=3, faces=3), "4 rows"),
        ("a.off", OFF, Limits(vertices=3), "4 vertices"),
        ("a.gltf", gltf(), Limits(vertices=2), "3 vertices"),
        ("a.gltf", gltf(), Limits(json_bytes=10), "bytes of JSON"),
        ("a.gltf", gltf(nodes=[{"children": [1, 2]}, {"mesh": 0}, {"mesh": 0}]),
         Limits(faces=1), "2 triangles, instances"),
    ],
)  # fmt: skip
def test_caps(name: str, data: bytes, limits: Limits, message: str, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=message):
        gate(name, data, scratch=tmp_path, limits=limits)
