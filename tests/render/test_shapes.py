"""The built-in shapes.

Claims, for every class:
- The names are ShapeNet's, in order; an unknown class or index is an error that helps.
- The same class and index give the same bytes, here and on other machines; others differ.
- An object is centred, has a bounding-box diagonal of 1 and two to five materials, all in use.
- Its triangles are finite, not empty, and every solid in it is closed and wound outwards.
- No rotation of the cube onto itself brings it near itself; a cube and a cylinder fail that test.
- Importing the catalogue needs neither Blender nor torch nor trimesh.
"""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from threedie.errors import ConfigError
from threedie.manifests.classes import CLASSES
from threedie.render.meshes.mesh import Material, TriangleMesh
from threedie.render.shapes import SHAPES, build_shape
from threedie.render.shapes._parts import Part, box, prism, rod
from threedie.render.shapes._shape import Shape

Floats = NDArray[np.float64]

# Of build_shape(name, 0). A change here changes every data set made of built-in shapes.
SHA256 = {
    "airplane": "6131dc84da1e99beb1627652f52d783873ec26048bf71514324b949af52f3aae",
    "bed": "78f7c907f5fe354f6262cd7b3b613a68124656ddec8efeea76c5bdb35902b63c",
    "bench": "e9cc30096f704a5b62b076127a57ae6f65e4772f8379792108419578dd86ab29",
    "bookshelf": "1b9970a5059f7366d6df58ed94f9bc58e442805eeba901960dc8e6544dda260c",
    "bottle": "817f5d6f8391e95e416b895b7184c0e7f6fa749a1cc7b776603291f2e5c7e0f8",
    "car": "05a7b7236c7024e7c2bad19485fe4d4248080e42ff57d4358de9790b021d3213",
    "chair": "6c35f705c4416efc63e9480b700149bc317deddc060d55c95e1b57ff50363fb8",
    "guitar": "1005adf4e4177389466f920d2d7e0fb22e37e2acbe44098bad73a394322246f8",
    "lamp": "971a9f7afd3eeaa8b377e10a1a89bc90d8c0e23b486b03127acd4a5c64207c7e",
    "laptop": "77cd23d51f8c3aa26bf2aadf5765e9d2cfcb4faced1c080dd38074b1bd4c7503",
    "mailbox": "396269dfb5f63ceca28ad5ea7935e0d3dabbe2da63fd5c3c88100d612f194a05",
    "mug": "5ccb957926f4690b394887b8b6d6269870117d449687e0927395ed10f81baeaa",
    "piano": "e9f53c7327093a3cb7c5dafdcb036d3843b11233eb2d88b09305ac032b2aa2ce",
    "skateboard": "e64ee8a87e1bd6e43b802dada73369f12057760c84cb4cb191bf2ba4023372a2",
    "sofa": "939d3d36c6e00dbc38aa481c451fb3d7bdb1d01b09f51bb337a41a8bf4f618e1",
    "table": "e243f9e1f441667e815712e68c622bf59f464ddcaa235c28cf7109ca10c4a96f",
}

every_class = pytest.mark.parametrize("name", SHAPES)


def digest(mesh: TriangleMesh) -> str:
    colours = repr([(m.name, m.base_color, m.roughness, m.metallic) for m in mesh.materials])
    arrays = (mesh.vertices_V3, mesh.faces_F3, mesh.material_F)
    content = b"".join(a.astype(a.dtype.newbyteorder("<")).tobytes() for a in arrays)
    return hashlib.sha256(content + colours.encode()).hexdigest()


def cube_rotations() -> list[Floats]:
    """The 23 rotations of the cube onto itself that move something."""
    rotations = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = signs
            if np.linalg.det(matrix) > 0 and not np.array_equal(matrix, np.eye(3)):
                rotations.append(matrix)
    return rotations


def surface_points(mesh: TriangleMesh, count: int, rng: np.random.Generator) -> Floats:
    """Points spread evenly over the surface, (count, 3)."""
    a, b, c = (mesh.vertices_V3[mesh.faces_F3[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    face = rng.choice(len(area), count, p=area / area.sum())
    u, v = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    return np.asarray((1 - u) * a[face] + u * (1 - v) * b[face] + u * v * c[face])


def asymmetry(mesh: TriangleMesh) -> tuple[float, float]:
    """How far the most harmless cube rotation moves the surface off itself.

    Returns the mean distance to the nearest point, in units of what two samples of the unmoved
    surface have, and the 97th percentile as a part of the diagonal (so a few points do not count).
    """
    rng = np.random.default_rng(0)
    tree = cKDTree(surface_points(mesh, 6000, rng))
    points = surface_points(mesh, 2000, rng)
    unmoved = float(tree.query(points)[0].mean())
    rotations = cube_rotations()
    distances = np.array([tree.query(points @ rotation.T)[0] for rotation in rotations])
    # Seen from the other surface, a rotation's distances are those of its inverse.
    inverse = [
        next(k for k, s in enumerate(rotations) if np.array_equal(s, r.T)) for r in rotations
    ]
    mean = (distances.mean(axis=1) + distances[inverse].mean(axis=1)) / 2
    far = np.quantile(distances, 0.97, axis=1)
    return float(mean.min()) / unmoved, float(np.maximum(far, far[inverse]).min())


def test_names_are_those_of_shapenet_in_order() -> None:
    assert list(SHAPES) == sorted(SHAPES)
    assert set(SHAPES) <= {known.name for known in CLASSES}
    assert len(SHAPES) >= 12


def test_unknown_class_and_negative_index_are_explained() -> None:
    with pytest.raises(ConfigError, match=r"'teapot'.*airplane.*table"):
        build_shape("teapot", 0)
    with pytest.raises(ConfigError, match=r"0 or more, got -1"):
        build_shape("mug", -1)


@every_class
def test_same_key_same_bytes_as_ever(name: str) -> None:
    assert digest(build_shape(name, 0)) == digest(build_shape(name, 0)) == SHA256[name]


@every_class
def test_objects_of_a_class_are_distinct_in_shape(name: str) -> None:
    bytes_of = {build_shape(name, index).vertices_V3.tobytes() for index in range(50)}
    assert len(bytes_of) == 50


@every_class
def test_topology_varies_within_a_class(name: str) -> None:
    assert len({len(build_shape(name, index).faces_F3) for index in range(20)}) >= 4


@every_class
def test_meshes_are_normalised_and_sound(name: str) -> None:
    for index in range(12):
        mesh = build_shape(name, index)
        low, high = mesh.vertices_V3.min(axis=0), mesh.vertices_V3.max(axis=0)
        np.testing.assert_allclose(low + high, 0, atol=2e-6)
        assert np.linalg.norm(high - low) == pytest.approx(1, abs=3e-6)
        assert np.isfinite(mesh.vertices_V3).all()
        assert set(mesh.faces_F3.flat) <= set(range(len(mesh.vertices_V3)))
        assert 100 <= len(mesh.faces_F3) <= 5000
        a, b, c = (mesh.vertices_V3[mesh.faces_F3[:, k]] for k in range(3))
        assert np.linalg.norm(np.cross(b - a, c - a), axis=1).min() > 1e-10


@every_class
def test_two_to_five_materials_all_used_and_in_range(name: str) -> None:
    for index in range(40):
        mesh = build_shape(name, index)
        assert 2 <= len(mesh.materials) <= 5
        assert set(mesh.material_F) == set(range(len(mesh.materials)))
        for material in mesh.materials:
            numbers = (*material.base_color, material.roughness, material.metallic)
            assert all(0 <= number <= 1 for number in numbers)


def signed_volumes(mesh: TriangleMesh) -> Floats:
    """Volume of every connected solid; negative if it is inside out."""
    size, faces = len(mesh.vertices_V3), mesh.faces_F3
    edges = (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())
    graph = coo_matrix((np.ones(len(edges[0])), edges), shape=(size, size))
    count, label = connected_components(graph, directed=False)
    a, b, c = (mesh.vertices_V3[faces[:, k]] for k in range(3))
    volume = (a * np.cross(b, c)).sum(axis=1) / 6
    return np.asarray(np.bincount(label[faces[:, 0]], volume, count), dtype=np.float64)


@every_class
def test_solids_are_wound_outwards(name: str) -> None:
    for index in range(12):
        assert signed_volumes(build_shape(name, index)).min() > -1e-9


def mesh_of(*parts: Part) -> TriangleMesh:
    shape = Shape()
    shape.add(Material(name="grey"), *parts)
    return shape.mesh()


def test_primitives_have_the_volume_of_their_formula() -> None:
    assert part_volume(box((1, 2, 3), at=(5, 5, 5))) == pytest.approx(6)
    assert part_volume(box((1, 2, 3)).scaled(x=-2)) == pytest.approx(12)
    bay = [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (1.0, 0.5), (0.0, 2.0)]
    assert part_volume(prism(bay, 0, 3)) == part_volume(prism(bay[::-1], 0, 3)) == 7.5
    cylinder = part_volume(rod((0, 0, 0), (1, 2, 2), 0.5, sides=200))
    assert cylinder == pytest.approx(3 * np.pi / 4, rel=1e-3)


def part_volume(part: Part) -> float:
    a, b, c = (part.vertices_V3[part.faces_F3[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


@every_class
@pytest.mark.parametrize("index", range(4))
def test_no_cube_rotation_brings_an_object_near_itself(name: str, index: int) -> None:
    mean, far = asymmetry(build_shape(name, index))
    assert mean > 1.4
    assert far > 0.045


@pytest.mark.parametrize(
    "symmetric",
    [
        mesh_of(box((1, 1, 1))),
        mesh_of(rod((0, 0, 0), (0, 1, 0), 0.2, sides=40)),
        mesh_of(box((1, 0.2, 2)), box((0.2, 1, 0.2))),
    ],
    ids=["cube", "cylinder", "cross"],
)
def test_the_asymmetry_test_can_fail(symmetric: TriangleMesh) -> None:
    mean, far = asymmetry(symmetric)
    assert mean < 1.1
    assert far < 0.03


def test_catalogue_needs_no_heavy_package() -> None:
    code = "import sys, threedie.render.shapes; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"bpy", "torch", "trimesh", "scipy"} & set(done.stdout.split())
