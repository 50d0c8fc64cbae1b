"""The gate under mutated files.

Claim: whatever bytes a mesh file holds, the gate hands out a mesh or raises an AssetError; nothing
else comes out, no warning either. Seeded, so a failure comes back.
"""

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.render.meshes.hostile import (
    ASCII_STL,
    OFF,
    SQUARE,
    binary_ply,
    gate,
    glb,
    gltf,
    gltf_tree,
    image,
    ply,
    stl,
)
from threedie.errors import AssetError

_OBJ = (
    b"mtllib a.mtl\n" + SQUARE + b"vt 0 0\nvt 1 0\nvn 0 0 1\no x\ng y\ns 1\nusemtl a\n"
    b"f 1/1/1 2/2/1 3/1/1\nf -4//-1 -3//-1 -2//-1\nf 1 2 3 4\nl 1 2\ncurv 0 1 1 2\n"
)
_MTL = b"newmtl a\nKd 1 0.5 0\nd 0.5\nNs 10\nillum 2\nmap_Kd -s 1 1 1 -o 0 t.png\nmap_d t.png\n"
_BODY = struct.pack("<9f3H", 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 2)
_TREE = gltf_tree(buffers=[{"byteLength": len(_BODY)}], materials=[{"alphaMode": "MASK"}])
_TREE["meshes"][0]["primitives"][0]["material"] = 0
_COLOR = "property uchar red\nproperty uchar green\nproperty uchar blue\n"
_COLORED = ply(
    b"0 0 0 9 9 9\n1 0 0 9 9 9\n1 1 0 9 0 9\n0 1 0 9 9 0\n3 0 1 2\n4 0 1 2 3\n", extra=_COLOR
)
SEEDS = {
    "a.obj": _OBJ,
    "a.mtl": _MTL,
    "t.png": image(),
    "a.glb": glb(_TREE, _BODY),
    "a.gltf": gltf(),
    "a.ply": ply(),
    "b.ply": binary_ply(),
    "c.ply": _COLORED,
    "a.stl": stl(2),
    "b.stl": ASCII_STL,
    "a.off": OFF,
    "b.off": b"COFF\n3 1 0\n0 0 0 255 0 0 255\n1 0 0 0 255 0 255\n0 1 0 0 0 255 255\n3 0 1 2\n",
}
EXAMPLES = int(os.environ.get("THREEDIE_FUZZ_EXAMPLES", "200"))
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # fsync is quick there
WORDS = [
    b"-1", b"0", b"2147483647", b"4294967295", b"99999999999999999999", b"1e39", b"nan", b"inf",
    b"\0", b"\xff\xff\xff\xff", b"\n", b" ", b"/", b"\\\n", b"../", b"-", b"null", b"[]", b"{}",
    b"true", b'"', b"property list uchar int x\n", b"element face 9\n", b"f 1 2 3\n", b"-0.0",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """A few edits: a byte, a cut, a piece twice, a nasty word."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        n = draw(st.integers(0, 12))
        match draw(st.integers(0, 4)):
            case 0:
                data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[at + n :]
            case 2:
                data = data[:at] + data[at : at + n] * draw(st.integers(2, 40)) + data[at:]
            case 3:
                data = data[:at] + draw(st.sampled_from(WORDS)) + data[at + n :]
            case _:
                data = data[:at]
    return data


def refusal(main: str, files: dict[str, bytes]) -> str:
    """What the gate says against the files; empty if it lets them through."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        try:
            gate(main, files.pop(main), scratch=Path(folder), others=files)
        except AssetError as err:
            return str(err)
    return ""


def survives(name: str, data: bytes) -> None:
    files = {"a.obj": _OBJ, "a.mtl": _MTL, "t.png": image(), name: data}
    main = name if name not in ("a.mtl", "t.png") else "a.obj"
    message = refusal(main, files)
    assert message.isprintable()
    assert "Error:" not in message, "an exception that was not foreseen"


@pytest.mark.parametrize("name", SEEDS)
def test_mutated_files_give_a_mesh_or_an_asset_error(name: str) -> None:
    @seed(20240601)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
    )
    @given(data=mutated(SEEDS[name]))
    def run(data: bytes) -> None:
        survives(name, data)

    run()


def test_the_seeds_themselves_pass() -> None:
    for name, data in SEEDS.items():
        others = {"a.mtl": _MTL, "t.png": image()}
        if name not in others:
            with tempfile.TemporaryDirectory() as folder:
                gate(name, data, scratch=Path(folder), missing_texture="fail", others=others)
