"""The OBJ gate.

Claims:

- numbers reach Blender as the text they were; relative indices as the absolute ones they mean;
- one object comes out, with its materials, smoothing and loose edges;
- what Blender's reader must not see is not in the output: curves, calls, foreign names;
- everything malformed is an AssetError that names file and line, quickly and in little memory.
"""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import pytest

from tests.render.meshes.hostile import SQUARE, gate, obj_text
from threedie.errors import AssetError
from threedie.render.meshes.limits import Limits


def lines(text: str, keyword: str) -> list[str]:
    return [line for line in text.splitlines() if line.split(" ")[0] == keyword]


def test_vector_lines_are_kept_as_they_are() -> None:
    numbers = b"v -0.10000000001 1e-3 +.5\nv 1 0 0 1.0\nv 0 1 0 0.1 0.2 0.3\nvt 0.25\nvn 0 0 1\n"
    text = obj_text(numbers + b"f 1/1/1 2/1/1 3/1/1\n")
    assert numbers.decode() in text


def test_relative_indices_become_the_absolute_ones_they_mean() -> None:
    relative = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvn 0 0 1\nf -3/-1/-1 -2/-1/-1 -1/-1/-1\n"
    later = b"v 5 0 0\nf -4 -3 -1\nf 1//-1 -3//-1 4//1\n"
    faces = lines(obj_text(relative + later), "f")
    assert faces == ["f 1/1/1 2/1/1 3/1/1", "f 1 2 4", "f 1//1 2//1 4//1"]


def test_polygons_of_any_size_pass() -> None:
    circle = b"".join(b"v %d %d 0\n" % (i, i * i) for i in range(300))
    polygon = "f " + " ".join(str(i + 1) for i in range(300))
    assert lines(obj_text(circle + polygon.encode() + b"\n"), "f") == [polygon]


def test_objects_and_groups_are_merged_and_materials_stay_apart() -> None:
    text = obj_text(
        SQUARE
        + b"o a\ng x y\nusemtl red paint\nf 1 2 3\no b\nusemtl blue\nf 1 3 4\n"
        + b"usemtl red paint\nf 2 3 4\n"
    )
    assert text.splitlines()[-6:] == [
        "usemtl m0", "f 1 2 3", "usemtl m1", "f 1 3 4", "usemtl m0", "f 2 3 4",
    ]  # fmt: skip
    assert not lines(text, "o")
    assert not lines(text, "g")


def test_smoothing_follows_blender_and_ends_at_an_object() -> None:
    text = obj_text(
        SQUARE + b"s 1\nf 1 2 3\ns 2\nf 1 2 4\no b\nf 1 3 4\ns off\nf 2 3 4\ns on\nf 1 2 3\n"
    )
    order = [line for line in text.splitlines() if line[0] in "sf"]
    assert order == ["s 1", "f 1 2 3", "f 1 2 4", "s 0", "f 1 3 4", "f 2 3 4", "f 1 2 3"]


def test_loose_edges_keep_their_points_and_points_go() -> None:
    text = obj_text(SQUARE + b"f 1 2 3\nl 1/1 -1\np 1 2\n")
    assert lines(text, "l") == ["l 1 4"]
    assert not lines(text, "p")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_bom_tabs_indents_comments_and_continuations(ends: str) -> None:
    messy = (
        "\ufeff# v 9 9 9\n\tv 0\t0 0\n  v 1 0 0\nv 1 \\\n 1 0\n\n v 0 1 0\nf 1 2\\\n 3 \\\n4\n#end"
    )
    text = obj_text(messy.replace("\n", ends).encode())
    assert [re.sub(" +", " ", line).strip() for line in text.splitlines() if line][1:] == [
        "v 0 0 0", "v 1 0 0", "v 1 1 0", "v 0 1 0", "f 1 2 3 4",
    ]  # fmt: skip


def test_blocks_may_end_anywhere() -> None:
    # 2 MB of lines: both ends of 1 MiB blocks fall into numbers, and nothing is lost.
    vertices = b"".join(b"v %d.123456 0.5 %d\n" % (i % 977, i % 31) for i in range(100_000))
    text = obj_text(vertices + b"f 1 2 100000\n")
    assert text.encode() == b"mtllib mesh.mtl\n" + vertices + b"f 1 2 100000\n"


def test_no_line_gets_longer_than_blender_reads() -> None:
    vertices = b"".join(b"v %d %d 0\n" % (i % 7, i % 5) for i in range(100_001))
    rest = b"vt 0 0\n" * 100_001 + b"vn 0 0 1\n" * 100_001
    face = b"f" + b" -1/-1/-1 -2/-2/-2 -3/-3/-3" * 3000 + b"\n"
    (line,) = lines(obj_text(vertices + rest + face), "f")
    assert line.split()[1:4] == [
        "100001/100001/100001",
        "100000/100000/100000",
        "99999/99999/99999",
    ]
    assert Limits().corners_per_face * len(" 20000000/20000000/20000000") < 262_144
    assert Limits().line_bytes < 262_144


def test_faces_with_two_corners_are_left_out_with_a_note(tmp_path: Path) -> None:
    fetched = gate("a.obj", SQUARE + b"f 1 2\nf 1\nf 1 2 3\n", scratch=tmp_path)
    assert fetched.notes == ("2 faces with fewer than three corners left out",)
    assert lines((tmp_path / "mesh.obj").read_text(), "f") == ["f 1 2 3"]


FREE_FORM = """vp 0.1 0.2
cstype rat bspline
deg 3
curv 0.0 1.0 -9 2 3 4
curv2 1 2
parm u 0 1 2
surf 0 1 0 1 1 2 3 4
trim 0 1 1
hole 0 1 1
scrv 0 1 1
sp 1
con 1 0 1 1 2 0 1 1
end
call other.obj arg
csh rm -rf /
maplib m
usemap x
shadow_obj s.obj
trace_obj t.obj
ctech cparm 1
"""


def test_curves_calls_and_shadows_never_come_through(tmp_path: Path) -> None:
    fetched = gate("a.obj", SQUARE + FREE_FORM.encode() + b"f 1 2 3\n", scratch=tmp_path)
    text = (tmp_path / "mesh.obj").read_bytes()
    assert text == b"mtllib mesh.mtl\n" + SQUARE + b"f 1 2 3\n"
    assert fetched.notes == ("18 lines of free-form curves and surfaces left out",)


def test_unknown_keywords_are_left_out_with_a_note(tmp_path: Path) -> None:
    fetched = gate("a.obj", SQUARE + b"hello world\nvv 1 2\nf 1 2 3\n", scratch=tmp_path)
    assert fetched.notes == ("2 lines with unknown keywords left out",)


def test_foreign_names_never_come_through() -> None:
    names = "usemtl $(touch x)\nf 1 2 3\nusemtl ../../etc\nf 1 2 4\nusemtl \x41\u202e\nf 1 3 4\n"
    text = obj_text(SQUARE + b"g ../../x\no /etc/passwd\n" + names.encode())
    assert lines(text, "usemtl") == ["usemtl m0", "usemtl m1", "usemtl m2"]
    assert set(re.findall(r"[a-z]+", text)) == {
        "mtllib",
        "mesh",
        "obj",
        "mtl",
        "v",
        "usemtl",
        "m",
        "f",
    } - {"obj"}


FACE = b"f 1 2 3\n"
HOSTILE = {
    "an index of 0": (SQUARE + b"f 0 1 2\n", "line 5.*index 0"),
    "an index one too far": (SQUARE + b"f 1 2 5\n", "line 5.*index 5, but 4 vertices"),
    "a relative index too far back": (SQUARE + b"f -9 1 2\n", "line 5.*index -9"),
    "a vertex that comes later": (b"v 0 0 0\nv 1 0 0\nf 1 2 3\nv 0 1 0\n", "line 3.*index 3"),
    "the largest 32-bit index": (SQUARE + b"f 1 2 2147483647\n", "index 2147483647"),
    "an index of 20 digits": (SQUARE + b"f 1 2 100000000000000000000\n", "whole numbers"),
    "an index of 5000 digits": (SQUARE + b"f 1 2 " + b"9" * 5000 + b"\n", "whole numbers"),
    "a texture index without texture coordinates": (SQUARE + b"f 1/1 2/1 3/1\n", "0 texture"),
    "a normal index without normals": (SQUARE + b"f 1//1 2//1 3//1\n", "0 normals"),
    "a corner 1//": (SQUARE + b"f 1// 2// 3//\n", "line 5.*corners like"),
    "a corner 1/": (SQUARE + b"f 1/ 2/ 3/\n", "corners like"),
    "a corner /1": (SQUARE + b"f /1 2 3\n", "corners like"),
    "a corner 1/2/3/4": (SQUARE + b"f 1/2/3/4 1 2\n", "corners like"),
    "a corner --1": (SQUARE + b"f --1 2 3\n", "whole numbers"),
    "a corner 1-2": (SQUARE + b"f 1-2 2 3\n", "whole numbers"),
    "a corner 1.0": (SQUARE + b"f 1.0 2 3\n", "whole numbers"),
    "a corner 1_0": (SQUARE + b"f 1_0 2 3\n", "whole numbers"),
    "Arabic digits": (SQUARE + "f ١ 2 3\n".encode(), "whole numbers"),
    "a face without corners": (SQUARE + b"f\n", "line 5"),
    "nan": (b"v nan 0 0\n" + SQUARE + FACE, "line 1.*finite"),
    "inf": (SQUARE + b"v 0 -inf 0\n" + FACE, "line 5.*finite"),
    "1e39": (b"v 1e39 0 0\n" + SQUARE + FACE, "finite numbers of at most 1e\\+06"),
    "1e400": (b"v 1e400 0 0\n" + SQUARE + FACE, "finite"),
    "a coordinate of two million": (b"v 2e6 0 0\n" + SQUARE + FACE, "at most"),
    "a word for a number": (SQUARE + b"v 1 x 3\n" + FACE, "line 5.*numbers"),
    "1_000": (SQUARE + b"v 1_000 0 0\n" + FACE, "numbers"),
    "a comma for a point": (SQUARE + b"v 0,5 0 0\n" + FACE, "numbers"),
    "a vertex of two numbers": (SQUARE + b"v 1 2\n" + FACE, "3 or 4 or 6 or 7 numbers"),
    "a vertex of five numbers": (SQUARE + b"v 1 2 3 4 5\n" + FACE, "numbers"),
    "a vertex without numbers": (SQUARE + b"v\n" + FACE, "line 5"),
    "a vertex of blanks": (SQUARE + b"v  \n" + FACE, "line 5"),
    "a texture coordinate of nan": (SQUARE + b"vt nan 0\n" + FACE, "finite"),
    "a normal of two numbers": (SQUARE + b"vn 0 1\n" + FACE, "expected 3 numbers"),
    "an edge to nowhere": (SQUARE + b"l 1 9\n" + FACE, "line 5.*1 to 4"),
    "an edge of words": (SQUARE + b"l a b\n" + FACE, "line 5"),
    "no bytes": (b"", "0 vertices and 0 faces"),
    "no faces": (SQUARE, "4 vertices and 0 faces"),
    "no vertices": (b"# nothing\n", "0 vertices"),
    "only faces of two corners": (SQUARE + b"f 1 2\n", "0 faces"),
    "all points equal": (b"v 1 1 1\n" * 3 + FACE, "no.* area|none of its"),
    "all points on a line": (b"v 0 0 0\nv 1 1 1\nv 2 2 2\n" + FACE, "none of its 1 faces"),
    "one point three times": (SQUARE + b"f 1 1 1\n", "none of its"),
    "UTF-16": ((SQUARE + FACE).decode().encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": ((SQUARE + FACE).decode().encode("utf-16-le"), "no text"),
    "a NUL byte": (SQUARE + b"\0" + FACE, "no text"),
    "an escape sequence": (SQUARE + b"# \x1b]0;x\x07\n" + FACE, "no text"),
    "a zip": (b"PK\x03\x04" + bytes(100), "no text"),
    "text": (b"Lorem ipsum\n" * 100, "0 vertices"),
    "a line of 300 kB": (SQUARE + b"#" * 300_000 + b"\n" + FACE, "line 5 is longer"),
    "3 MB without a line end": (SQUARE + b"x" * 3_000_000, "line 5 is longer"),
    "a line continued for ever": (SQUARE + b"f 1 2 3 \\\n" * 200_000, "longer"),
    "9,003 corners": (SQUARE + b"f" + b" 1 2 3" * 3001 + b"\n", "at most 9000 corners"),
    "an edge of 9,003 points": (SQUARE + b"l" + b" 1 2 3" * 3001 + b"\n" + FACE, "2 to 9000"),
    "5000 materials": (
        SQUARE + b"".join(b"usemtl a%d\nf 1 2 3\n" % i for i in range(5000)),
        "more than 4096 materials",
    ),
    "20 material libraries": (
        SQUARE + b"".join(b"mtllib %d.mtl\n" % i for i in range(20)) + FACE,
        "more than 16 material libraries",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_refuses(case: str, tmp_path: Path) -> None:
    data, message = HOSTILE[case]
    with pytest.raises(AssetError, match=f"(?s)a.obj.*({message})") as info:
        gate("a.obj", data, scratch=tmp_path)
    assert len(str(info.value)) < 500
    assert str(info.value).isprintable()
    assert not list(tmp_path.glob("mesh.obj"))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(vertices=3), "more than 3 vertices"),
        (Limits(faces=1), "more than 1 faces"),
        (Limits(corners=5), "more than 5 corners"),
        (Limits(mesh_bytes=40), "larger than"),
    ],
)
def test_caps(limits: Limits, message: str, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=message):
        gate("a.obj", SQUARE + FACE * 2, scratch=tmp_path, limits=limits)


def test_many_objects_cost_no_more_than_their_lines(tmp_path: Path) -> None:
    gate("a.obj", SQUARE + b"o x\nf 1 2 3\n" * 20_000, scratch=tmp_path)
    assert (tmp_path / "mesh.obj").read_bytes().count(b"\n") == 1 + 4 + 20_000


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    many = SQUARE + FACE + b"vt 0.123456 0.654321\n" * 500_000  # 10 MB
    tracemalloc.start()
    gate("a.obj", many, scratch=tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6  # a 1 MiB block and its numbers; the file as Python floats would be 100 MB
