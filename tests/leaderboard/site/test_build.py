"""Claims proved here, on building a site.

- A row's numbers are those of verification.json and of nothing else: what a submission reports,
  and a verification of other files, of another list or entry, or a damaged one, shows no number.
- Every folder of the board is counted: shown, waiting, or left out with its reason, on every page.
- Equal boards give equal bytes, wherever they lie and in whatever order their folders were made.
- A second build removes the pages that are no more, and nothing else; a folder that holds files of
  others, a link, or the board, is refused untouched; hidden files are let be.
- Fewer seeds than three, and retracted rows, have no rank and are never best; tracks are ranked
  apart; disputed rows stay, marked.
- 500 entries make an index below 200 kB.
- No clock, no path of this machine, no torch (tests/test_house.py).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.leaderboard import made
from tests.leaderboard.boards import EXAMPLES, SELFTESTS, Fake, many, write_board, write_entry
from tests.pages import Page
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.leaderboard.selftests import write_selftests
from threedie.leaderboard.site.build import Built, build_site
from threedie.leaderboard.verify import verify_entry

ONE, TWO = Fake(slug="first-entry"), Fake(slug="second-entry", name="VICReg", r2=0.4)


def built(tmp_path: Path, *fakes: Fake) -> tuple[Path, Built]:
    board = write_board(tmp_path / "board", fakes or (ONE, TWO), SELFTESTS)
    return tmp_path / "site", build_site(board, tmp_path / "site")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def row_of(site: Path, slug: str, page: str = "index.html") -> str:
    found = re.search(rf"<tr(?:(?!</tr>).)*entry/{slug}\.html.*?</tr>", (site / page).read_text())
    assert found
    return found[0]


def test_all_pages_are_there(tmp_path: Path) -> None:
    site, done = built(tmp_path)
    names = set(contents(site))
    assert names == {
        *("index.html", "compare.html", "protocol.html", "rules.html", "history.html"),
        *("leaderboard.json", "leaderboard.csv", "feed.xml", "site.json"),
        *("entry/first-entry.html", "entry/second-entry.html"),
        *(f"entry/{fake.slug}.html" for fake in SELFTESTS),
        *("method/sie.html", "method/vicreg.html"),
        *("badge/first-entry.json", "badge/second-entry.json"),
    }
    assert done.written == len(names) - 1
    assert done.counts == (
        "2 entries in the board: 2 shown, 0 waiting for verification, 0 left out."
    )
    for name in names:
        if name.endswith(".html"):
            assert done.counts in Page((site / name).read_bytes()).text


def test_numbers_are_the_verifiers(tmp_path: Path) -> None:
    forged = {"reported": {"source": "nobody", "values": {"top1": 0.987, "mrr_val": 0.976}}}
    site, _ = built(tmp_path, Fake(slug="first-entry", top1=0.8123, r2=0.6789, changes=forged))
    for page in ("index.html", "compare.html", "method/sie.html"):
        text = (site / page).read_text()
        assert "0.987" not in text
        assert "0.976" not in text
    assert "<b>0.679</b>" in row_of(site, "first-entry")
    assert "<b>0.812</b>" in row_of(site, "first-entry")
    whole = Page((site / "entry/first-entry.html").read_bytes()).text
    assert "Reported by nobody" in whole
    assert "Top-1 0.987 0.812" in whole  # beside what was recomputed
    assert all(b"0.987" not in c for n, c in contents(site).items() if n.endswith(("csv", "json")))


def tampered(folder: Path, how: str) -> None:
    """Something that makes a verification void."""
    path = folder / "verification.json"
    body = json.loads(path.read_text())
    if how == "files":
        (folder / "card.md").write_text("another card")
    elif how == "absent":
        path.unlink()
    elif how == "damaged":
        path.write_text('{"schema_version": 1, "metrics": ')
    else:
        body[how] = {"id": "another-entry", "list_sha256": "12" * 32, "protocol": "3die-v1/9"}[how]
        path.write_text(json.dumps(body))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("files", "the entry has changed since it was verified"),
        ("absent", "not verified yet"),
        ("damaged", "not valid JSON"),
        ("id", "the entry has changed since it was verified"),
        ("list_sha256", "for another protocol or list"),
        ("protocol", "for another protocol or list"),
    ],
)
def test_a_void_verification_shows_no_number(tmp_path: Path, how: str, says: str) -> None:
    board = write_board(tmp_path / "board", [Fake(slug="first-entry", r2=0.6543), TWO])
    tampered(board / "entries/2026/first-entry", how)
    done = build_site(board, tmp_path / "site")
    assert [(left.folder, left.kind) for left in done.left_out] == [
        ("entries/2026/first-entry", "waiting")
    ]
    assert says in done.left_out[0].says
    assert "2 entries in the board: 1 shown, 1 waiting" in done.counts
    everything = contents(tmp_path / "site")
    assert not any(b"0.654" in content for content in everything.values())
    assert "entry/first-entry.html" not in everything
    index, history = (Page(everything[f"{n}.html"]).text for n in ("index", "history"))
    assert "Waiting for verification" in index
    for text in (index, history):
        assert says in text


def test_what_can_not_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    board = write_board(tmp_path / "board", [ONE, TWO])
    entries = board / "entries/2026"
    (entries / "broken-json").mkdir()
    (entries / "broken-json/submission.json").write_text("{")
    (entries / "empty-folder").mkdir()
    (entries / "a-link").symlink_to("/etc")
    shutil.copytree(entries / "first-entry", entries / "other-name")
    shutil.copytree(entries / "first-entry", board / "entries/2025/first-entry")
    done = build_site(board, tmp_path / "site")
    refused = {"broken-json", "empty-folder", "a-link", "other-name"}
    refused |= {"first-entry"}  # 2026's: 2025's has its id
    assert {left.folder.rsplit("/", 1)[-1] for left in done.left_out} == refused
    assert {left.kind for left in done.left_out} == {"refused"}
    assert "7 entries in the board: 2 shown, 0 waiting for verification, 5 left out." in done.counts
    history = Page((tmp_path / "site/history.html").read_bytes()).text
    for word in ("broken-json", "empty-folder", "a-link", "which entries/2025/first-entry has too"):
        assert word in history
    assert str(tmp_path) not in history


@pytest.mark.parametrize("status", ["", '{"schema_version": 1, "state": "great"}', "[" * 9000])
def test_a_status_that_can_not_be_read_marks_the_row_and_keeps_it(
    tmp_path: Path, status: str
) -> None:
    board = write_board(tmp_path / "board", [ONE, TWO])
    (board / "entries/2026/second-entry/status.json").write_text(status)
    done = build_site(board, tmp_path / "site")
    assert not done.left_out
    index, entry = (
        Page((tmp_path / "site" / page).read_bytes()).text
        for page in ("index.html", "entry/second-entry.html")
    )
    assert "Disputed" in entry
    for text in (index, entry):
        assert "status.json can't be read" in text


def test_of_two_entries_with_one_id_the_verified_stays(tmp_path: Path) -> None:
    board = write_board(tmp_path / "board", [ONE, TWO])
    older = board / "entries/2025/first-entry"
    shutil.copytree(board / "entries/2026/first-entry", older)
    (older / "verification.json").unlink()
    done = build_site(board, tmp_path / "site")
    assert [left.folder for left in done.left_out] == ["entries/2025/first-entry"]
    assert "which entries/2026/first-entry has too" in done.left_out[0].says
    assert "3 entries in the board: 2 shown, 0 waiting" in done.counts


def test_equal_boards_give_equal_bytes(tmp_path: Path) -> None:
    for name, fakes in (("one", EXAMPLES), ("a/longer/two", EXAMPLES[::-1])):
        board = write_board(tmp_path / name, fakes, SELFTESTS)
        build_site(board, tmp_path / f"{name}-site")
    first, second = (contents(tmp_path / f"{n}-site") for n in ("one", "a/longer/two"))
    assert first == second
    assert not any(str(tmp_path).encode() in content for content in first.values())
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "one-site").rglob("*.html")}
    build_site(tmp_path / "one", tmp_path / "one-site")
    assert contents(tmp_path / "one-site") == first
    assert {p: p.stat().st_mtime_ns for p in before} == before  # nothing was touched


def test_folders_may_be_named_from_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, _ = built(tmp_path, *EXAMPLES)
    monkeypatch.chdir(tmp_path)
    build_site(Path("board"), Path("here"))
    assert contents(tmp_path / "here") == contents(site)
    monkeypatch.chdir(tmp_path / "board")
    build_site(Path(), Path("../again"))
    assert contents(tmp_path / "again") == contents(site)


def test_a_second_build_removes_what_is_no_more(tmp_path: Path) -> None:
    site, _ = built(tmp_path)
    (site / ".git").mkdir()
    (site / ".git/config").write_text("theirs")
    (site / ".nojekyll").write_text("")
    shutil.rmtree(tmp_path / "board/entries/2026/second-entry")
    done = build_site(tmp_path / "board", site)
    assert done.removed == 3  # entry, method, badge
    assert not any("second-entry" in name or "vicreg" in name for name in contents(site))
    assert (site / ".git/config").read_text() == "theirs"
    assert "site.json" not in json.loads((site / "site.json").read_text())["files"]


@pytest.mark.parametrize("place", ["notes.txt", "entry/mine.html", "photos/a.html"])
def test_a_folder_of_others_is_refused(tmp_path: Path, place: str) -> None:
    site, _ = built(tmp_path)
    (site / place).parent.mkdir(exist_ok=True)
    (site / place).write_text("mine")
    before = contents(site)
    write_entry(tmp_path / "board/entries/2026/third-entry", Fake(slug="third-entry"))
    with pytest.raises(ConfigError, match=re.escape(place)):
        build_site(tmp_path / "board", site)
    assert contents(site) == before


def test_links_and_the_board_itself_are_refused(tmp_path: Path) -> None:
    board = write_board(tmp_path / "board", [ONE])
    for out in (board, tmp_path):
        with pytest.raises(ConfigError, match="board"):
            build_site(board, out)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigError, match="no folder"):
        build_site(board, tmp_path / "link")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/entry").symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigError, match="entry"):
        build_site(board, tmp_path / "site")
    assert list((tmp_path / "theirs").iterdir()) == []


@pytest.mark.parametrize("name", ["../board/board.json", "/etc/passwd", "entry/../../x.html", 7])
def test_a_list_that_names_other_files_removes_nothing(tmp_path: Path, name: object) -> None:
    site, _ = built(tmp_path)
    (site / "site.json").write_text(json.dumps({"schema_version": 1, "files": [name]}))
    with pytest.raises((ManifestError, ConfigError)):
        build_site(tmp_path / "board", site)
    assert (tmp_path / "board/board.json").is_file()


def test_a_killed_build_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from threedie import files

    board = write_board(tmp_path / "board", [ONE, TWO], SELFTESTS)
    honest, calls = files.put, []

    def put(path: Path, content: bytes) -> files.Written:
        calls.append(path.name)
        if len(calls) == 5:
            raise StorageError("the disk is full")
        return honest(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "put", put)
        with pytest.raises(StorageError):
            build_site(board, tmp_path / "site")
    assert calls[0] == "site.json"
    assert not (tmp_path / "site/index.html").exists()
    build_site(board, tmp_path / "site")
    build_site(board, tmp_path / "other")
    assert contents(tmp_path / "site") == contents(tmp_path / "other")


def test_a_damaged_board_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"board\.json"):
        build_site(tmp_path, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_ranks_and_their_lack(tmp_path: Path) -> None:
    site, _ = built(tmp_path, *EXAMPLES)
    assert "<td>not ranked</td>" in row_of(site, "capsule")
    assert "<b>" not in row_of(site, "capsule")  # though it has the highest R²
    retracted = row_of(site, "too-good")
    assert "<td>retracted</td>" in retracted
    assert "retracted: val objects were in the train split" in retracted
    assert "<b>" not in retracted
    assert "▲ disputed: probe settings differ" in row_of(site, "sen")
    assert row_of(site, "context-ssl").startswith('<tr data-f="e" data-r="')
    assert "<b>0.744</b>" in row_of(site, "context-ssl")
    assert "<td>1</td>" in row_of(site, "dino-open")  # of the open track
    body = json.loads((site / "leaderboard.json").read_text())
    ranked = {e["id"]: e["rank_ranges"].get("all/rotation_r2_uniform") for e in body["entries"]}
    assert ranked["context-ssl"] == [1, 1]
    assert ranked["capsule"] is None
    assert ranked["too-good"] is None
    assert ranked["vicreg"] is None  # a deeper level failed
    worst = max(high for _, high in filter(None, ranked.values()))
    assert worst == 8  # the closed track's ranked rows


def test_self_tests_and_literature_stand_apart(tmp_path: Path) -> None:
    site, _ = built(tmp_path, *EXAMPLES)
    text = (site / "index.html").read_text()
    main, tests = re.findall(r"<tbody.*?</tbody>", text, re.S)[:2]
    assert "entry/oracle.html" in tests
    assert "entry/oracle.html" not in main
    assert "<b>" not in tests
    page = Page((site / "index.html").read_bytes())
    assert page.text.index("Reported in papers") > page.text.index("Self-tests:")
    assert "SIE 0.827 0.721 uniform 0.411" in page.text
    assert "data-r" not in text[text.index("Reported in papers") :]


def test_an_empty_board_has_its_pages(tmp_path: Path) -> None:
    board = write_board(tmp_path / "board", [])
    done = build_site(board, tmp_path / "site")
    assert "0 entries in the board: 0 shown" in done.counts
    page = Page((tmp_path / "site/index.html").read_bytes())
    assert "No entry has been verified yet." in page.text
    (board / "RULES.md").unlink()
    build_site(board, tmp_path / "site")
    assert "no RULES.md" in (tmp_path / "site/rules.html").read_text()


def test_names_of_methods_do_not_collide(tmp_path: Path) -> None:
    names = ["SIE", "sie", "S.I.E", "日本", "...", "S I E"]
    site, _ = built(tmp_path, *(Fake(slug=f"entry-{i}", name=name) for i, name in enumerate(names)))
    pages = {n: c for n, c in contents(site).items() if n.startswith("method/")}
    assert len(pages) == len(names)
    for i, name in enumerate(names):
        (mine,) = [c for c in pages.values() if f"entry/entry-{i}.html".encode() in c]
        assert name in Page(mine).text


def test_500_entries_make_a_small_index(tmp_path: Path) -> None:
    board = write_board(tmp_path / "board", many(500), SELFTESTS)
    build_site(board, tmp_path / "site")
    index = (tmp_path / "site/index.html").read_bytes()
    assert len(index) < 200_000
    page = Page(index)
    assert len([a for a in page.all("tr") if "data-f" in a]) == 500
    digest = {hashlib.sha256(c).hexdigest() for c in contents(tmp_path / "site").values()}
    assert len(digest) > 1000  # and every other page is there too


def test_what_the_verifier_wrote_is_what_is_printed(tmp_path: Path) -> None:
    """A board made, verified and built by the real parts: nothing is written by hand."""
    board = made.make(tmp_path / "board")
    write_selftests(board, today=made.TODAY)
    numbers = {}
    for slug, noise, method in (("sie-ours", 0.1, 0), ("sie-other", 0.4, 1)):
        folder = made.entry(board, slug, noise=noise, method=method).place(board)
        verified = verify_entry(folder, board, by="the test", today=made.TODAY)
        verified.write(folder / "verification.json")
        numbers[slug] = verified.metrics["all"]["rotation_r2_uniform"].value
    done = build_site(board.root, tmp_path / "site")
    assert done.left_out == ()
    for slug, value in numbers.items():
        assert f"{value:.3f}".replace("-", "−") in row_of(tmp_path / "site", slug)
        page = Page((tmp_path / f"site/entry/{slug}.html").read_bytes())
        assert "✓ passed" in page.text
        assert page.all("pre")  # the card's front matter is shown as it is
    ranked = json.loads((tmp_path / "site/leaderboard.json").read_text())["entries"]
    first = {e["id"]: e["rank_ranges"]["all/rotation_r2_uniform"] for e in ranked}
    assert first == {"sie-ours": [1, 1], "sie-other": [2, 2]}
    protocol = Page((tmp_path / "site/protocol.html").read_bytes()).text
    assert "Rotation R² (uniform)" in protocol
    assert "1.000" in row_of(tmp_path / "site", "oracle")
    assert row_of(tmp_path / "site", "oracle").count("self-test") == 1
    assert "0.000" in row_of(tmp_path / "site", "constant")
    (folder / "card.md").write_text("# Another\n")  # after it was verified
    assert "1 waiting" in build_site(board.root, tmp_path / "site").counts
