"""Claims proved here, on bad input: it costs its object, or says why nothing can be made of it.

- A missing, cut, foreign, grey, CMYK, oblong or too small picture, a latent of another shape or
  type, not finite, pickled or endless, a member that is set aside, two members of one name with
  different contents, pictures of too many bytes: the object goes to the ledger with what is wrong,
  the others are converted, and the set verifies. Two equal members of one name are one.
- Absolute paths, `..`, links, devices, other files and names that are no UTF-8 are set aside, a
  line a kind; nothing is written outside of the data set's folder.
- A picture whose header is good and whose first view does not decode goes to the ledger too.
- A damaged or cut archive, an empty one, one without a whole object, with one class under two names
  or with two latent widths: an error, and the folder can be used again.
- A channel order that can't be found out (other latents, grey floors, hues that look the same both
  ways) is refused with the numbers; --channel-order then goes on without reading the source again.
- Memory does not grow with the pictures. Random damage ends in an error, or costs objects only.
"""

from __future__ import annotations

import os
import random
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.sharing.conftest import convert
from tests.sharing.published import (
    CHAIR,
    END,
    OBJECTS,
    ROOT,
    Files,
    header,
    jpeg,
    latents_of,
    member,
    npy,
    picture,
    published,
    tar,
    tgz,
)
from threedie import open_dataset
from threedie.data.verify import verify_dataset
from threedie.errors import ConfigError, ManifestError, ThreedieError
from threedie.manifests.dataset import DatasetManifest
from threedie.sharing.convert.convert import convert_archive, convert_folder
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.progress import ConvertProgress

SET = published()
BAD = f"{CHAIR}/b2"
IMAGE, LATENT = f"{BAD}/image_1.jpg", f"{BAD}/latent_1.npy"
GOOD = SET[IMAGE]
ROW = latents_of(CHAIR, "b2")[1]
NOISE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def pillow(mode: str, size: tuple[int, int] = (32, 32)) -> bytes:
    return jpeg(np.asarray(Image.new(mode, size)))  # Pillow takes the mode from the shape


PICTURES: dict[str, bytes] = {
    "empty": b"",
    "text": b"<html>404</html>",
    "PNG": b"\x89PNG\r\n\x1a\n" + GOOD,
    "cut": GOOD[:-20],
    "without its end": GOOD[:-2],
    "with bytes after it": GOOD + b"x",
    "only start and end": b"\xff\xd8\xff\xd9",
    "grey": jpeg(NOISE[:, :, 0]),
    "oblong": jpeg(NOISE[:16]),
    "with a lying length": GOOD[:4] + b"\xff\xff" + GOOD[6:],
    "EPS": b"%!PS-Adobe",
}
LATENTS: dict[str, bytes] = {
    "empty": b"",
    "nine numbers": npy(np.zeros(9)),
    "a table": npy(np.zeros((1, 7))),
    "float32": npy(ROW.astype(np.float32)),
    "big-endian": npy(ROW.astype(">f8")),
    "whole numbers": npy(np.zeros(7, np.int64)),
    "not finite": npy(np.where(np.arange(7) == 3, np.nan, ROW)),
    "infinite": npy(np.where(np.arange(7) == 0, np.inf, ROW)),
    "a pickle": npy(np.array([ROW], dtype=object), allow_pickle=True),
    "cut": npy(ROW)[:-1],
    "a byte too many": npy(ROW) + b"x",
    "a bare pickle": b"\x80\x04\x95\x00cposix\nsystem\n.",
    "an endless header": b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65_535 + ROW.tobytes(),
    "a zip": b"PK\x03\x04" + npy(ROW),
}


def check_one_lost(out: Path, told: str, *, stage: str = "read") -> None:
    """All but the bad object are there, and the ledger says what was wrong."""
    report = verify_dataset(out)
    assert report.problems == []
    assert {s.object for s in open_dataset(out)} == {f"{c}/{o}" for c, o in OBJECTS} - {BAD}
    lines = (out / "failures.jsonl").read_text().splitlines()
    assert len(lines) == 1
    assert f'"object":"{BAD}","stage":"{stage}"' in lines[0]
    assert told in lines[0]


@pytest.mark.parametrize("kind", PICTURES)
def test_a_bad_picture_costs_its_object(out: Path, kind: str) -> None:
    outcome = convert(tar({**SET, IMAGE: PICTURES[kind]}), out)
    assert (outcome.objects, len(outcome.failures)) == (7, 1)
    check_one_lost(out, "image_1.jpg is not a whole, square JPEG of three 8-bit channels")


@pytest.mark.parametrize("kind", LATENTS)
def test_a_bad_latent_costs_its_object(out: Path, kind: str) -> None:
    assert convert(tar({**SET, LATENT: LATENTS[kind]}), out).objects == 7
    check_one_lost(out, "latent_1.npy is not 7 or 10 finite float64 numbers in a plain .npy file")


def test_nothing_is_unpickled(out: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    bomb = npy(np.array([Bomb()], dtype=object), allow_pickle=True)
    convert(tar({**SET, LATENT: bomb}), out)
    assert not (tmp_path / "ran").exists()


def test_another_size_and_another_width_cost_their_object(tmp_path: Path) -> None:
    large = picture(0.5, 1, size=64)
    convert(tar({**SET, IMAGE: large}), tmp_path / "a")
    check_one_lost(tmp_path / "a", "image_1.jpg has 64 pixels a side, the set's pictures have 32")
    convert(tar({**SET, LATENT: npy(np.zeros(10))}), tmp_path / "b")
    check_one_lost(tmp_path / "b", "latent_1.npy has 10 numbers, the set's latents have 7")


@pytest.mark.parametrize("name", [IMAGE, LATENT])
def test_what_is_missing_costs_its_object(out: Path, name: str) -> None:
    files = {n: c for n, c in SET.items() if n != name}
    convert(tar(files), out)
    check_one_lost(out, f"{name.split('/')[-1]} is missing (1 of 3 are)")


def test_only_latents_or_only_pictures_are_no_object(out: Path) -> None:
    files = {n: c for n, c in SET.items() if not n.startswith(f"{BAD}/image")}
    convert(tar(files), out)
    check_one_lost(out, "image_0.jpg is missing (3 of 3 are)")


def test_an_object_of_too_many_bytes_is_set_aside(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = sum(len(SET[f"{BAD}/image_{view}.jpg"]) for view in range(3)) + 2000
    files = {**SET, IMAGE: GOOD[:2] + b"\xff\xfe\x0f\xff" + bytes(4093) + GOOD[2:]}  # a comment
    monkeypatch.setattr("threedie.sharing.convert.examine._MOST_BYTES", large)
    convert(tar(files), out)
    check_one_lost(out, "its pictures have 0 MiB, at most 0 are taken")


def test_a_first_view_that_does_not_decode_costs_its_object(out: Path) -> None:
    damaged = jpeg(NOISE, progressive=True)
    scan = damaged.index(b"\xff\xda")
    damaged = damaged[: scan + 2] + b"\x00\x03" + damaged[scan + 4 :]  # a scan header that lies
    convert(tar({**SET, f"{BAD}/image_0.jpg": damaged}), out)
    check_one_lost(out, "image_0.jpg does not decode as an RGB JPEG", stage="decode")


def test_doubled_members(tmp_path: Path) -> None:
    equal, other = (member(f"{ROOT}{IMAGE}", c) for c in (GOOD, picture(0.1, 9)))
    assert convert(equal * 3 + tar(SET), tmp_path / "a").objects == 8
    convert(other + tar(SET), tmp_path / "b")
    check_one_lost(tmp_path / "b", "image_1.jpg is there twice, and not the same")


STRANGE: dict[str, tuple[bytes, str]] = {
    "absolute": (member("/tmp/x", b"1"), "absolute path (1; the first is '/tmp/x')"),
    "absolute, of the layout": (
        member(f"/{CHAIR}/evil/image_0.jpg", GOOD),
        f"absolute path (1; the first is '/{CHAIR}/evil/image_0.jpg')",
    ),
    "upwards": (member("../x", b"1"), "path with '..' (1; the first is '../x')"),
    "upwards, of the layout": (
        member(f"../{CHAIR}/evil/image_0.jpg", GOOD),
        f"path with '..' (1; the first is '../{CHAIR}/evil/image_0.jpg')",
    ),
    "upwards as an object": (
        member(f"{ROOT}{CHAIR}/../image_0.jpg", GOOD),
        f"path with '..' (1; the first is '{ROOT}{CHAIR}/../image_0.jpg')",
    ),
    "a hidden object": (
        member(f"{ROOT}{CHAIR}/.x/image_0.jpg", GOOD),
        f"unsafe name of an object (1; the first is '{ROOT}{CHAIR}/.x/image_0.jpg')",
    ),
    "control characters": (
        member(f"{ROOT}{CHAIR}/a\nb/image_0.jpg", GOOD),
        f"unsafe name of an object (1; the first is '{ROOT}{CHAIR}/a\ufffdb/image_0.jpg')",
    ),
    "no UTF-8": (
        member(f"{ROOT}{CHAIR}/\udcff/image_0.jpg", GOOD),
        "name that is not UTF-8",
    ),
    "a symbolic link": (
        header(f"{ROOT}{BAD}/image_7.jpg", 0, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        f"symbolic link (1; the first is '{ROOT}{BAD}/image_7.jpg')",
    ),
    "a device": (
        header("dev", 0, type=tarfile.CHRTYPE),
        "character device (1; the first is 'dev')",
    ),
    "another file": (
        member(f"{ROOT}README.md", b"hello") * 3,
        f"file that is not of the published layout (3; the first is '{ROOT}README.md')",
    ),
    "too deep": (
        member(f"x/{ROOT}{CHAIR}/evil/image_0.jpg", GOOD),
        f"file that is not of the published layout (1; the first is 'x/{ROOT}{CHAIR}/evil",
    ),
    "leading zeros": (
        member(f"{ROOT}{BAD}/image_01.jpg", GOOD),
        "file that is not of the published layout (1; the first is",
    ),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_members_are_set_aside(tmp_path: Path, out: Path, kind: str) -> None:
    content, told = STRANGE[kind]
    outcome = convert(content + tar(SET), out)
    assert outcome.objects == 8
    assert any(f"set aside: {told}" in note for note in outcome.notes), outcome.notes
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_picture_that_is_a_link_or_huge_is_missing(out: Path) -> None:
    files = {n: c for n, c in SET.items() if n != IMAGE}
    link = header(f"{ROOT}{IMAGE}", 0, type=tarfile.SYMTYPE, linkname="image_0.jpg")
    huge = member(f"{ROOT}{IMAGE}", bytes(65 * 2**20))
    convert(link + huge + tar(files), out)
    check_one_lost(out, "image_1.jpg is missing (1 of 3 are), or was set aside")


def test_links_devices_and_pipes_in_a_folder_are_not_followed(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "set"
    for name, content in SET.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (tmp_path / "secret.jpg").write_bytes(GOOD)
    (folder / IMAGE).unlink()
    (folder / IMAGE).symlink_to(tmp_path / "secret.jpg")
    os.mkfifo(folder / BAD / "image_9.jpg")
    (folder / CHAIR / "linked").symlink_to(folder / BAD)
    (folder / "notes.txt").write_text("x")
    outcome = convert_folder(folder, out=out, options=ConvertOptions(), progress=ConvertProgress())
    check_one_lost(out, "image_1.jpg is missing")
    assert any("link, device or FIFO (3; " in note for note in outcome.notes)
    assert any(
        "not of the published layout (1; the first is 'notes.txt')" in n for n in outcome.notes
    )


class Told(ConvertProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_what_is_set_aside_is_said(out: Path) -> None:
    progress = Told()
    convert(STRANGE["upwards"][0] + tar(SET), out, progress=progress)
    assert "set aside: path with '..' (1; the first is '../x')" in progress.lines


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (tar(SET)[:30_000], "cut off"),
        (tgz(SET)[:-100], "end in the middle"),
        (b"", "cut off"),
        (END, "holds no whole picture"),
        (tar({"README": b"hello"}), "not of the published layout"),
        (tar({n: c for n, c in SET.items() if n.endswith(".npy")}), "holds no whole picture"),
        (tar({n: c for n, c in SET.items() if n.endswith(".jpg")}), "holds no whole latent"),
        (tar({n: c for n, c in SET.items() if "_1." not in n}), "none of 8 objects is whole"),
        (tar(published(size=4)), "its pictures have 4 pixels a side; 8 to 8192 are taken"),
    ],
)
def test_an_archive_of_which_nothing_can_be_made(out: Path, content: bytes, told: str) -> None:
    with pytest.raises(ManifestError, match=told) as caught:
        convert(content, out, views=3)
    assert "\n" not in str(caught.value)
    assert not (out / "dataset.json").exists()


def test_after_a_cut_archive_the_whole_one_is_taken(out: Path) -> None:
    content = tar(SET)
    with pytest.raises(ManifestError, match="cut off"):
        convert_archive(
            [content[:30_000]],
            name="set.tar",
            size=len(content),
            out=out,
            options=ConvertOptions(),
            progress=ConvertProgress(),
        )
    assert not list((out / ".convert").glob("*.spool"))
    assert convert(content, out).objects == 8


def test_one_class_under_two_names_is_refused(out: Path) -> None:
    with pytest.raises(ConfigError, match="'03797390' and 'mug', which are the same class"):
        convert(tar(published([*OBJECTS, ("mug", "z")])), out)


def test_foreign_classes_are_taken(out: Path) -> None:
    convert(tar(published([*OBJECTS, ("Zebra crossing", "ä b")])), out)
    labels = {e.class_id: e.label for e in DatasetManifest.read(out).classes}
    assert labels["Zebra crossing"] == 55
    assert verify_dataset(out).ok


def other_hues(change: dict[str, float] | None, saturation: float = 0.3) -> Files:
    """The set with floors of other hues than their latents', or without colour."""
    files, chance = dict(SET), np.random.default_rng(5)
    for class_id, object_id in OBJECTS:
        for view, row in enumerate(latents_of(class_id, object_id)):
            name = f"{class_id}/{object_id}/image_{view}.jpg"
            hue = chance.random() if change is None else change["hue"]
            files[name] = picture(hue, view, saturation=saturation)
            if change is not None:
                files[name.replace("image", "latent").replace("jpg", "npy")] = npy(
                    np.where(np.arange(7) == 3, change["latent"], row)
                )
    return files


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (other_hues(None), "the latents are not those of the pictures"),
        (other_hues({"hue": 0.6, "latent": 0.6}, 0.0), "over 0 pictures with a coloured floor"),
        (other_hues({"hue": 5 / 6, "latent": 5 / 6}), "both fit"),
        (other_hues({"hue": 0.6, "latent": 0.3}), "can't be found out"),
    ],
)
def test_a_channel_order_that_can_not_be_found_out(out: Path, files: Files, told: str) -> None:
    content = tar(files)
    with pytest.raises(ConfigError, match=told) as caught:
        convert(content, out)
    assert "--channel-order rgb, or bgr" in str(caught.value)
    assert "\n" not in str(caught.value)

    class Untouched:
        def __iter__(self) -> Iterator[bytes]:
            raise AssertionError("the archive was read again")

    outcome = convert_archive(
        Untouched(),
        name="set.tar",
        size=len(content),
        out=out,
        options=ConvertOptions(channel_order="bgr"),
        progress=ConvertProgress(),
    )
    assert outcome.manifest.making.channel_order == "bgr"
    assert any("channel order bgr, as asked for" in note for note in outcome.notes)


def test_one_hue_for_all_floors_is_enough(tmp_path: Path) -> None:
    """As the recipe yaw has it."""
    assert (
        convert(
            tar(other_hues({"hue": 0.6, "latent": 0.6})), tmp_path / "a"
        ).manifest.making.channel_order
        == "rgb"
    )
    swapped = other_hues({"hue": (2 / 3 - 0.6) % 1, "latent": 0.6})
    assert convert(tar(swapped), tmp_path / "b").manifest.making.channel_order == "bgr"


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    """Peak of the traced memory while 40 and 240 objects with large pictures stream through."""
    heavy = jpeg(np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8))
    row = npy(ROW)

    def stream(objects: int) -> Iterator[bytes]:
        for number in range(objects):
            for view in range(3):
                yield member(f"{CHAIR}/{number}/image_{view}.jpg", heavy)
                yield member(f"{CHAIR}/{number}/latent_{view}.npy", row)
        yield END

    def peak(objects: int) -> int:
        tracemalloc.start()
        convert_archive(
            stream(objects),
            name="x.tar",
            size=None,
            out=tmp_path / str(objects),
            options=ConvertOptions(channel_order="rgb", objects_per_shard=10),
            progress=ConvertProgress(),
        )
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)  # imports and caches
    few, many = peak(40), peak(240)
    pictures = 200 * 3 * len(heavy)
    assert many - few < pictures / 10


def test_no_damage_does_anything_but_cost_objects_or_end_in_a_clear_error(tmp_path: Path) -> None:
    """Random bytes, runs of zeros, cuts and repeats, in plain and packed archives."""
    chance = random.Random(11)
    small = published(OBJECTS[:2], views=2, size=16)
    whole, outcomes = {name: make(small) for name, make in (("tar", tar), ("tgz", tgz))}, set()
    for number in range(150):
        content = bytearray(whole[chance.choice(["tar", "tgz"])])
        for _ in range(chance.randrange(1, 4)):
            at, length = chance.randrange(len(content)), chance.randrange(1, 1500)
            what = chance.randrange(4)
            if what == 0:
                content[at] = chance.randrange(256)
            elif what == 1:
                content[at : at + length] = bytes(len(content[at : at + length]))
            elif what == 2:
                del content[at : at + length]
            else:
                content[at:at] = content[at : at + length]
        out = tmp_path / str(number)
        try:
            outcome = convert(bytes(content), out, channel_order="rgb")
        except ThreedieError as err:
            outcomes.add(type(err).__name__)
            told = str(err)
        else:
            outcomes.add("converted")
            assert outcome.objects + len(outcome.failures) <= 4
            # A damaged scan of a view that is not the first is for verify to find.
            told = ""
            assert [p for p in verify_dataset(out).problems if "does not decode" not in p] == []
        assert "\n" not in told
        assert (out / "dataset.json").exists() == (told == "")
    assert {"converted", "ManifestError"} <= outcomes
