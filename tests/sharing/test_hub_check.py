"""`3die check` over folders, and what no reader should be given.

Claims: our data sets pass, rows and columns counted as the hub does; unsafe members and names,
damage and foreign headers are told, one line a kind however many there are, and the rest of the
shards is still looked at; keys that meet over shards are told; without --hub the hub's own rules
are left out; exit status 1 with any problem, 2 where there is nothing to check.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.data.builders import Plan, build
from tests.sharing.hub import load, publish, write_tar
from tests.sharing.test_hub_rows import PICTURE, RECORD, WHOLE, sample, samples
from threedie import files
from threedie.errors import ConfigError
from threedie.sharing.check.check import check_shards, sorted_shards


def lines(folder: Path, *, hub: bool = True) -> str:
    return "\n".join(check_shards([folder], hub=hub).problems)


def special(name: str, kind: bytes, **attributes: object) -> bytes:
    """A header of a member that is no file."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize("card", [False, True])
def test_our_data_sets_pass_as_the_hub_reads_them(
    tmp_path: Path, hub_cache: Path, card: bool
) -> None:
    build(tmp_path / "set", Plan(image_format="jpg"))
    if card:
        publish(tmp_path / "set")
    report = check_shards([tmp_path / "set"])
    assert (report.problems, report.rows, report.columns) == ([], 12, 7)
    if card:
        loaded = load(tmp_path / "set", hub_cache)
        assert sum(part.num_rows for part in loaded.values()) == 12
        assert len(loaded["train"].column_names) == 7


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (special("a.lnk", tarfile.SYMTYPE, linkname="/etc/passwd"), "symbolic link"),
        (special("a.lnk", tarfile.LNKTYPE, linkname="k0.json"), "hard link"),
        (special("a.dev", tarfile.CHRTYPE, devmajor=1), "character device"),
        (special("a.fifo", tarfile.FIFOTYPE), "FIFO"),
        (special("a.sparse", tarfile.GNUTYPE_SPARSE), "sparse"),
        (special("../a.json", tarfile.REGTYPE), r"a name with '..'"),
        (special("/a.json", tarfile.REGTYPE), "an absolute name"),
        (special("a\\b.json", tarfile.REGTYPE), "not safe everywhere"),
        (special("a\tb.json", tarfile.REGTYPE), "not safe everywhere"),
        (special("a.pickle", tarfile.REGTYPE), "a pickle"),
        (special("a.pyd", tarfile.REGTYPE), "a pickle"),
    ],
)
def test_what_no_reader_should_be_given(tmp_path: Path, header: bytes, says: str) -> None:
    path = write_tar(tmp_path / "t" / "train-0.tar", WHOLE)
    files.put(path, header + path.read_bytes())
    assert says in lines(path.parent, hub=False)


@pytest.mark.parametrize(
    ("form", "name", "says"),
    [
        (tarfile.GNU_FORMAT, "a", "headers are not USTAR"),
        (tarfile.PAX_FORMAT, "ü", "headers are PAX"),
        (tarfile.PAX_FORMAT, "a" * 300, "a name of more than 100 bytes"),
    ],
)
def test_headers_that_are_not_plain(tmp_path: Path, form: int, name: str, says: str) -> None:
    write_tar(tmp_path / "t" / "train-0.tar", sample(name), form)
    assert says in lines(tmp_path / "t")


@pytest.mark.parametrize("cut", [700, 10_000])
def test_damage_is_told_and_the_other_shards_are_looked_at(tmp_path: Path, cut: int) -> None:
    whole = write_tar(tmp_path / "t" / "train-0.tar", WHOLE)
    files.put(tmp_path / "t" / "train-1.tar", whole.read_bytes()[:cut])
    write_tar(tmp_path / "t" / "train-2.tar", samples({}, key="m{}"))
    report = check_shards([tmp_path / "t"])
    assert any("damaged" in line and "train-1.tar" in line for line in report.problems)
    assert report.rows >= 16


def test_a_flipped_header_is_damage(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "t" / "train-0.tar", WHOLE)
    content = bytearray(path.read_bytes())
    second = 512 + len(PICTURE) + -len(PICTURE) % 512
    content[second + 5] ^= 1
    files.put(path, bytes(content))
    assert "damaged" in lines(path.parent)


def test_keys_that_meet_over_shards_or_in_case_are_told(tmp_path: Path) -> None:
    write_tar(tmp_path / "a" / "train-0.tar", sample("k"))
    write_tar(tmp_path / "a" / "train-1.tar", sample("k"))
    assert "or in two shards" in lines(tmp_path / "a")
    write_tar(tmp_path / "b" / "train-0.tar", [*sample("k"), *sample("K")])
    assert "or in two shards" in lines(tmp_path / "b")


def test_a_hundred_thousand_problems_are_few_lines(tmp_path: Path) -> None:
    records = [{**RECORD, f"field{i}": None} for i in range(200)]
    members = [m for i, r in enumerate(records) for m in sample(f"k{i}", r, views=1)]
    write_tar(tmp_path / "t" / "train-0.tar", members)
    report = check_shards([tmp_path / "t"])
    assert len(report.problems) <= 51
    assert "other problems" in report.problems[-1]


def test_without_hub_its_rules_are_left_out(tmp_path: Path) -> None:
    write_tar(tmp_path / "t" / "train-0.tar", samples({6: {"label": None}}))
    assert lines(tmp_path / "t", hub=False) == ""
    assert "'json/name' is missing" in lines(tmp_path / "t")


def test_the_types_are_taken_from_the_last_split(tmp_path: Path) -> None:
    for name in ("train-0.tar", "train-1.tar", "val-0.tar"):
        write_tar(tmp_path / name, sample("k"))
    assert [p.name for p in sorted_shards([tmp_path])] == [
        "val-0.tar",
        "train-0.tar",
        "train-1.tar",
    ]


def test_where_there_is_nothing_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no \.tar"):
        check_shards([tmp_path])
    with pytest.raises(ConfigError, match="no such file"):
        check_shards([tmp_path / "nothing"])


def test_memory_is_that_of_a_member(tmp_path: Path) -> None:
    """A member of 10 GB that is not there, a header says."""
    info = tarfile.TarInfo("a.bin")
    info.size = 7 * 2**30
    files.put(tmp_path / "train-0.tar", info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    assert "cut off" in lines(tmp_path)


def test_the_command_line(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "threedie", "check", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    build(tmp_path / "set")
    good = run(str(tmp_path / "set"), "--hub")
    assert (good.returncode, good.stderr) == (0, "")
    assert "hub: would load 12 rows, 7 columns" in good.stdout
    write_tar(tmp_path / "bad" / "x.tar", samples({}, key="a.{}"))
    bad = run(str(tmp_path / "bad"), "--hub")
    assert bad.returncode == 1
    assert "a dot in the key" in bad.stdout
    assert run(str(tmp_path / "bad")).returncode == 0
    assert run(str(tmp_path / "none")).returncode == 2
