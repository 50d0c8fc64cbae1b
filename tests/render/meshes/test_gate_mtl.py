"""The gates for material libraries and textures.

Claims:

- what Blender reads of an MTL arrives with the same numbers, under our own names;
- a texture arrives as a PNG with the same pixels; one that is missing, damaged, or a bomb becomes
  grey with a note, or an error where that is asked for;
- names that lead out of the object are refused, and nothing behind them is read.
"""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.render.meshes.hostile import SQUARE, MemoryFiles, gate, image, mtl_text, png_claiming
from threedie.errors import AssetError
from threedie.render.meshes.gate import pass_gate
from threedie.render.meshes.limits import DEFAULT_LIMITS, Limits
from threedie.render.meshes.textures import BadTexture, MissingTexture, decode

USES_A = b"mtllib a.mtl\n" + SQUARE + b"usemtl a\nf 1 2 3\n"


def test_known_values_are_kept_and_the_rest_goes() -> None:
    mtl = b"""# comment
    newmtl a
    Ka 1.0 1.0 1.0\nkd 0.25 .5 1e-1\nKs 0 0 0\nKe 0.5 0 0\nNs 96.078431\nNi 1.45\nd 0.5\nTr 0.25
    Tf 1 1 1\nillum 2\nPr 0.5\nPm 1\nsharpness 60\nmap_Ka t.png\nrefl\nKm x\nmap_aat on
    """
    text, notes = mtl_text(mtl, "a")
    assert text.splitlines() == [
        "newmtl m0", "Ka 1.0 1.0 1.0", "Kd 0.25 0.5 0.1", "Ks 0.0 0.0 0.0", "Ke 0.5 0.0 0.0",
        "Ns 96.078431", "Ni 1.45", "d 0.5", "Tr 0.25", "Tf 1.0 1.0 1.0", "illum 2", "Pr 0.5",
        "Pm 1.0",
    ]  # fmt: skip
    assert notes == ()


def test_materials_are_named_in_the_order_of_their_use() -> None:
    mtl = b"newmtl never\nKd 1 1 1\nnewmtl b b\nKd 0 1 0\nnewmtl a\nKd 1 0 0\n"
    text, _ = mtl_text(mtl, "a", "undefined", "b b")
    assert text == "newmtl m0\nKd 1.0 0.0 0.0\nnewmtl m2\nKd 0.0 1.0 0.0\n"


def test_the_first_definition_counts_as_in_blender() -> None:
    text, _ = mtl_text(b"newmtl a\nKd 1 0 0\nnewmtl a\nKd 0 1 0\nNs 5\n", "a")
    assert text == "newmtl m0\nKd 1.0 0.0 0.0\n"


def test_the_last_value_counts_and_keeps_its_place_behind_others() -> None:
    text, _ = mtl_text(b"newmtl a\nd 0.5\nTr 0.1\nd 0.25\n", "a")
    assert text == "newmtl m0\nTr 0.1\nd 0.25\n"


def test_short_forms() -> None:
    text, notes = mtl_text(b"newmtl a\nKd 0.5\nd -halo 0.25\n", "a")
    assert text == "newmtl m0\nKd 0.5 0.5 0.5\nd 0.25\n"
    assert notes == ()


@pytest.mark.parametrize(
    "value", ["nan 0 0", "inf 0 0", "1e400 0 0", "1 2", "x y z", "", "1_0 1 1"]
)
def test_values_that_are_no_numbers_are_left_out_with_a_note(value: str) -> None:
    text, notes = mtl_text(f"newmtl a\nKd {value}\nNs 7\n".encode(), "a")
    assert text == "newmtl m0\nNs 7.0\n"
    assert notes == ("a.mtl, line 2: Kd left out, expected 3 finite number(s)",)


def test_notes_are_few(tmp_path: Path) -> None:
    mtl = b"newmtl a\n" + b"Kd x\n" * 1000
    fetched = gate("a.obj", USES_A, scratch=tmp_path, others={"a.mtl": mtl})
    assert len(fetched.notes) == 21
    assert fetched.notes[-1] == "and 980 more"


def test_several_libraries_and_blenders_own_choice(tmp_path: Path) -> None:
    main = b"mtllib x.mtl y.mtl\nmtllib my lib.mtl\n" + SQUARE
    uses = b"usemtl x\nf 1 2 3\nusemtl y\nf 1 2 3\nusemtl l\nf 1 2 3\nusemtl own\nf 1 2 3\n"
    libraries = {f"{n}.mtl": f"newmtl {m}\nNs 1\n".encode() for n, m in
                 {"x": "x", "y": "y", "my lib": "l", "mesh": "own"}.items()}  # fmt: skip
    files = MemoryFiles("mesh.obj", {"mesh.obj": main + uses, **libraries})
    fetched = pass_gate(files, tmp_path, missing_texture="grey")
    assert fetched.notes == ()
    assert (tmp_path / "mesh.mtl").read_text().count("newmtl m") == 4


def test_a_missing_library_is_a_note(tmp_path: Path) -> None:
    fetched = gate("b.obj", USES_A, scratch=tmp_path, missing_texture="fail")
    assert fetched.notes == ("missing material library a.mtl: default material",)
    assert (tmp_path / "mesh.mtl").read_text() == ""


def test_textures_arrive_with_their_options_under_our_names(tmp_path: Path) -> None:
    mtl = (
        b"newmtl a\nmap_Kd -s 2 3 -clamp on -o 0.5 ..\\images\\my wood.png\n"
        b'map_bump -bm 0.2 -mm 0 1 -imfchan r tex/b.jpg\nmap_d "../images/my wood.png"\n'
    )
    gate(
        "a.obj", USES_A, scratch=tmp_path, missing_texture="fail",
        others={"a.mtl": mtl, "../images/my wood.png": image(), "tex/b.jpg": image("JPEG")},
    )  # fmt: skip
    assert (tmp_path / "mesh.mtl").read_text().splitlines() == [
        "newmtl m0", "map_Kd -s 2.0 3.0 1.0 -o 0.5 0.0 0.0 t0.png", "map_Bump -bm 0.2 t1.png",
        "map_d t0.png",
    ]  # fmt: skip
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["t0.png", "t1.png"]
    with Image.open(tmp_path / "t0.png") as copied:
        assert np.array_equal(np.asarray(copied), np.asarray(Image.open(io.BytesIO(image()))))


@pytest.mark.parametrize(
    "option", ["-s", "-o x", "-mm 1", "-bm", "-s nan", "-boost inf", "-clamp on"]
)
def test_malformed_options_are_refused(option: str, tmp_path: Path) -> None:
    mtl = f"newmtl a\nmap_Kd {option}".encode()
    with pytest.raises(AssetError, match=r"a\.mtl, line 2.*expected"):
        gate("a.obj", USES_A, scratch=tmp_path, others={"a.mtl": mtl})
    if option != "-clamp on":
        with pytest.raises(AssetError, match=r"a\.mtl, line 2.*expected numbers"):
            gate("a.obj", USES_A, scratch=tmp_path, others={"a.mtl": mtl + b" t.png"})


MAP = b"newmtl a\nKd 1 0 0\nmap_Kd t.png\nmap_d t.png\n"
GREY = "newmtl m0\nKd 0.8 0.8 0.8\n"
UNREADABLE = {
    "nothing": b"",
    "text": b"not an image",
    "cut short": image(size=(64, 64))[:200],
    "only a signature": b"\x89PNG\r\n\x1a\n",
    "a damaged stream": image(size=(64, 64)).replace(b"IDAT", b"IDAT\0\0", 1),
    "900 megapixels in 70 bytes": png_claiming(30_000, 30_000),
    "170 megapixels": png_claiming(13_000, 13_000),
    "no pixels": png_claiming(0, 5),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "TIFF": image("TIFF"),
    "PPM": image("PPM"),
    "ICO": image("ICO", mode="RGBA", size=(16, 16)),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_textures_become_grey_or_fail(case: str, tmp_path: Path) -> None:
    start = time.monotonic()
    text, notes = mtl_text(MAP, "a", others={"t.png": UNREADABLE[case]})
    assert text == GREY
    assert [note.rpartition(": ")[2] for note in notes] == ["grey", "map_d left out"]
    assert notes[0].startswith("unreadable texture t.png (")
    with pytest.raises(AssetError, match=r"a\.obj: unreadable texture t\.png"):
        gate("a.obj", USES_A, scratch=tmp_path, missing_texture="fail",
             others={"a.mtl": MAP, "t.png": UNREADABLE[case]})  # fmt: skip
    assert time.monotonic() - start < 2


def test_missing_textures_become_grey_or_fail(tmp_path: Path) -> None:
    text, notes = mtl_text(MAP, "a")
    assert (text, notes) == (
        GREY, ("missing texture t.png: grey", "missing texture t.png: map_d left out"),
    )  # fmt: skip
    with pytest.raises(AssetError, match=r"a\.obj: missing texture t\.png.*grey"):
        gate("a.obj", USES_A, scratch=tmp_path, missing_texture="fail", others={"a.mtl": MAP})


ESCAPES = [
    "/etc/passwd", "../x.png", "../../images/x.png", "../images/../../x.png", "~/x.png", "~root/x",
    "\\\\host\\share\\x.png", "C:\\x.png", "c:x.png", "file:///etc/passwd", "http://h/x.png",
    "..", "../images", "a/../..", "x" * 5000, "..\\..\\x.png",
]  # fmt: skip


class Watched(MemoryFiles):
    """Remembers what was asked for."""

    asked: list[str]

    def stream(self, name: str, limit: int):  # type: ignore[no-untyped-def]
        self.asked.append(name)
        return super().stream(name, limit)


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("missing", ["grey", "fail"])
def test_names_that_lead_out_are_refused(
    name: str, missing: MissingTexture, tmp_path: Path
) -> None:
    mtl = f"newmtl a\nmap_Kd {name}\n".encode()
    for data in ({"a.mtl": mtl}, {}):
        main = USES_A if data else USES_A.replace(b"a.mtl", name.encode())
        files = Watched("a.obj", {"a.obj": main, **data})
        files.asked = []
        with pytest.raises(AssetError, match="refused to open"):
            pass_gate(files, tmp_path, missing_texture=missing)
        assert set(files.asked) <= {"a.obj", "a.mtl"}


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [
        ("RGB", "PNG", "RGB"), ("RGBA", "PNG", "RGBA"), ("L", "PNG", "L"), ("1", "PNG", "L"),
        ("P", "PNG", "RGB"), ("LA", "PNG", "RGBA"), ("P", "GIF", "RGB"), ("RGB", "BMP", "RGB"),
        ("CMYK", "JPEG", "RGB"), ("L", "JPEG", "L"), ("RGB", "JPEG", "RGB"),
    ],
)  # fmt: skip
def test_every_kind_of_picture_becomes_8_bit(mode: str, kind: str, expected: str) -> None:
    data = image(kind, mode=mode)
    decoded = decode(data, DEFAULT_LIMITS)
    assert decoded.mode == expected
    reference = Image.open(io.BytesIO(data)).convert(expected)
    assert np.array_equal(np.asarray(decoded), np.asarray(reference))


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    wide = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "PNG")
    assert np.asarray(decode(buffer.getvalue(), DEFAULT_LIMITS)).tolist() == [[0, 1, 128, 255]]


def test_targa_is_read_by_its_name_only() -> None:
    data = image("TGA")
    assert decode(data, DEFAULT_LIMITS, tga=True).size == (4, 4)
    with pytest.raises(BadTexture):
        decode(data, DEFAULT_LIMITS)


def test_rotation_and_profiles_are_not_applied_and_not_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by a quarter
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4)).save(buffer, "JPEG", exif=exif, icc_profile=b"profile")
    others = {"a.mtl": MAP, "t.png": buffer.getvalue()}
    gate("a.obj", USES_A, scratch=tmp_path, others=others)
    with Image.open(tmp_path / "t0.png") as written:
        assert written.size == (8, 4)
        assert "icc_profile" not in written.info
        assert "exif" not in written.info


def test_decoding_leaves_pillow_as_it_was() -> None:
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(BadTexture):
        decode(png_claiming(30_000, 30_000), DEFAULT_LIMITS)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(textures=1), "more than 1 textures"),
        (Limits(total_texture_pixels=20), "megapixels"),
        (Limits(texture_bytes=10), "larger than"),
        (Limits(mtl_bytes=30), "larger than"),
        (Limits(materials=1), "more than 1 materials"),
    ],
)
def test_caps(limits: Limits, message: str, tmp_path: Path) -> None:
    mtl = b"newmtl a\nmap_Kd t.png\nmap_d u.png\nnewmtl b\n"
    with pytest.raises(AssetError, match=message):
        gate("a.obj", USES_A, scratch=tmp_path, limits=limits,
             others={"a.mtl": mtl, "t.png": image(), "u.png": image()})  # fmt: skip
