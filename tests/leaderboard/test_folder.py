"""Claims proved here, on reading an entry's folder.

- Links (of files, folders, the entry itself), pipes, devices, folders in a file's place and foreign
  files are refused by name; nothing is followed, nothing is waited for, nothing outside is read.
- Files and the whole are bounded before they are read; so are their names' number.
- An empty folder, a missing file and a folder that is none are told apart.
- The hash is of names and contents of all a submitter gives, and of nothing that maintainers write.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.leaderboard import made
from threedie.errors import EntryError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.folder import MOST_BYTES, entry_sha256, read_entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    board: OpenBoard = made.make(tmp_path / "board", made.truth(objects=6, views=3))
    return made.entry(board).place(board)


def refusal(folder: Path) -> tuple[str, str]:
    with pytest.raises(EntryError) as err:
        read_entry(folder)
    assert str(err.value) == f"{err.value.name}: {err.value.says}"
    return err.value.name, err.value.says


def test_what_is_there_is_read(folder: Path) -> None:
    found = read_entry(folder)
    assert found.submission.id == "sie-ours"
    assert sorted(found.contents) == [
        *("card.md", "cite.bib", "config.json"),
        *(f"runs/{seed}/predictions.npz" for seed in (0, 1, 2)),
        "submission.json",
    ]
    for name, content in found.contents.items():
        assert (folder / name).read_bytes() == content


@pytest.mark.parametrize("name", ["card.md", "submission.json", "runs/1/predictions.npz"])
def test_a_link_in_a_files_place_is_refused(folder: Path, name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / name).unlink()
    (folder / name).symlink_to(secret)
    assert refusal(folder) == (
        "link",
        f"'sie-ours/{name}' is a link; an entry has plain files only.",
    )


@pytest.mark.parametrize("name", ["runs", "runs/1"])
def test_a_link_in_a_folders_place_is_refused(folder: Path, name: str, tmp_path: Path) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert refusal(folder)[0] in ("foreign-file", "no-folder")


def test_an_entry_that_is_a_link_or_a_file_is_refused(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert refusal(link)[0] == "no-folder"
    assert refusal(folder / "card.md")[0] == "no-folder"
    assert refusal(tmp_path / "nothing")[0] == "unreadable"


@pytest.mark.parametrize("name", ["submission.json", "config.json", "runs/0/predictions.npz"])
def test_a_pipe_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert refusal(folder)[0] == "no-plain-file"


def test_a_socket_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cite.bib").unlink()
    monkeypatch.chdir(folder)  # a socket's whole path is bounded
    with socket.socket(socket.AF_UNIX) as there:
        there.bind("cite.bib")
        assert refusal(folder)[0] in ("unreadable", "no-plain-file")


@pytest.mark.parametrize("name", ["submission.json", "card.md"])
def test_a_folder_in_a_files_place_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    assert refusal(folder)[0] == "no-plain-file"


@pytest.mark.parametrize(
    "name",
    [
        "run.sh",
        ".git/config",
        ".gitattributes",
        "Card.md",
        "runs/0/weights.pth",
        "runs/0/more/predictions.npz",
        "runs/x/predictions.npz",
        "runs/../../x",
        "runs/0/..\\predictions.npz",
        "objections/a.json",
        "status.json.bak",
        "submission.json\n",
        "\u202etxt.exe",
        "\x1b[31m.md",
    ],
)
def test_foreign_files_are_refused(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    if path.resolve().parent == folder.parent:  # it went elsewhere, and is nobody's business
        assert read_entry(folder)
        return
    found, says = refusal(folder)
    assert found == "foreign-file"
    assert says.isprintable()


def test_what_the_maintainers_write_is_no_foreign_file(folder: Path) -> None:
    before = read_entry(folder).sha256
    for name in ("verification.json", "status.json"):
        (folder / name).write_text("{}")
    after = read_entry(folder)
    assert "status.json" in after.contents
    assert after.sha256 == before


@pytest.mark.parametrize("name", ["submission.json", "card.md", "config.json", "runs"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / "gone")
    found, says = refusal(folder)
    assert found == "missing-file"
    assert name in says


def test_an_empty_folder_is_empty(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert refusal(tmp_path / "none")[0] == "empty"


@pytest.mark.parametrize(
    ("name", "most"),
    [("submission.json", 2**16), ("card.md", 2**16), ("cite.bib", 2**14), ("config.json", 2**16)],
)
def test_a_huge_file_is_refused_unread(folder: Path, name: str, most: int) -> None:
    (folder / name).write_bytes(b" " * most)
    if name != "submission.json":
        assert read_entry(folder)
    with (folder / name).open("wb") as file:
        file.truncate(10 * 2**40)  # ten terabytes of nothing
    assert refusal(folder)[0] == "too-large"


def test_a_huge_whole_is_refused(folder: Path) -> None:
    for seed in range(3):
        (folder / f"runs/{seed}/predictions.npz").write_bytes(bytes(MOST_BYTES // 3))
    found, says = refusal(folder)
    assert found == "too-large"
    assert "in all" in says


def test_thousands_of_names_are_refused(folder: Path) -> None:
    for i in range(300):
        (folder / f"runs/{100 + i}").mkdir()
    assert refusal(folder)[0] == "too-large"


def test_the_hash_is_of_names_and_contents(folder: Path) -> None:
    contents = dict(read_entry(folder).contents)
    seen = {entry_sha256(contents)}
    changed = {**contents, "card.md": contents["card.md"] + b" "}
    renamed = {name.replace("runs/2/", "runs/3/"): c for name, c in contents.items()}
    swapped = {**contents, "card.md": contents["cite.bib"], "cite.bib": contents["card.md"]}
    fewer = {name: c for name, c in contents.items() if name != "cite.bib"}
    shifted = {**fewer, "card.md": contents["card.md"] + b"cite.bib" + contents["cite.bib"]}
    for other in (changed, renamed, swapped, fewer, shifted):
        seen.add(entry_sha256(other))
    assert len(seen) == 6
    assert entry_sha256(dict(reversed(contents.items()))) == entry_sha256(contents)
