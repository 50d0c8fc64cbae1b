"""What a change of a board may be.

Claims proved here:

- A change that adds exactly one new entry's files is let through, and the entry's folder is told.
- Everything else is refused, and every file that is wrong is named: a second entry, a file outside,
  one of the maintainers, a changed, removed or replaced file, links, submodules, programs, foreign
  names, names that escape, an id that stands already, nothing at all.
- What main has gained meanwhile is not held against a branch (three dots), but for its id.
- Nothing comes with a branch's history that its end does not have; several commits may be.
- Revisions can't be options; names of files can't break out of a message.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.leaderboard.repositories import Repository, run_git
from threedie.errors import ConfigError, EntryError
from threedie.leaderboard.changes import one_new_entry

ENTRY = "entries/2026/sie-ours"
FILES = {
    f"{ENTRY}/{name}": b"x" for name in ("submission.json", "card.md", "config.json", "cite.bib")
} | {f"{ENTRY}/runs/{seed}/predictions.npz": b"x" for seed in (0, 17)}
OLD = "entries/2025/older"


@pytest.fixture
def board(tmp_path: Path) -> Repository:
    repository = Repository.bare(tmp_path / "board.git")
    repository.commit(
        {
            "board.json": b"{}",
            "README.md": b"",
            f"{OLD}/submission.json": b"{}",
            f"{OLD}/card.md": b"old",
            "selftests/oracle/card.md": b"x",
        }
    )
    return repository


def test_one_new_entry_passes(board: Repository) -> None:
    board.commit(FILES, branch="entry/sie-ours")
    assert one_new_entry(board.path, "main..entry/sie-ours") == ENTRY


@pytest.mark.parametrize(
    ("more", "options", "says"),
    [
        ({f"{ENTRY}2/card.md": b"x"}, {}, "there are 2 entries"),
        ({"entries/2025/sie-ours/card.md": b"x"}, {}, "there are 2 entries"),
        ({"README.md": b"changed"}, {}, "README.md is changed or removed"),
        ({".github/workflows/verify.yml": b"x"}, {}, "verify.yml lies outside"),
        ({"numpy.py": b"x"}, {}, "numpy.py lies outside"),
        ({f"{OLD}/card.md": b"new"}, {}, f"{OLD}/card.md is changed"),
        ({f"{OLD}/cite.bib": b"new"}, {}, "there are 2 entries"),
        ({f"{ENTRY}/verification.json": b"{}"}, {}, "by the board's maintainers only"),
        ({f"{ENTRY}/status.json": b"{}"}, {}, "by the board's maintainers only"),
        ({f"{ENTRY}/model.pt": b"x"}, {}, "model.pt is no file of an entry"),
        ({f"{ENTRY}/runs/1/2/predictions.npz": b"x"}, {}, "is no file of an entry"),
        ({f"{ENTRY}/.gitattributes": b"x"}, {}, ".gitattributes is no file of an entry"),
        ({f"{ENTRY}/objections/a.json": b"x"}, {}, "is no file of an entry"),
        ({"entries/26/x/card.md": b"x"}, {}, "lies outside"),
        ({"entries/2026/UPPER/card.md": b"x"}, {}, "lies outside"),
        ({"entries/2026/a b c/card.md": b"x"}, {}, "lies outside"),
        ({"Entries/2026/sie-ours/card.md": b"x"}, {}, "lies outside"),
        ({"entries/2026/loose.md": b"x"}, {}, "lies outside"),
        ({}, {"links": {f"{ENTRY}/LINK": "/etc/passwd"}}, "LINK is a link"),
        ({}, {"links": {"entries/2026/other": "/etc"}}, "lies outside"),
        ({}, {"modes": {f"{ENTRY}/card.md": "100755"}}, "card.md is a program"),
        ({}, {"removed": (f"{OLD}/card.md",)}, f"{OLD}/card.md is changed or removed"),
        ({}, {"removed": ("board.json",)}, "board.json is changed or removed"),
    ],
)
def test_anything_more_is_refused_and_named(
    board: Repository, more: dict[str, bytes], options: dict[str, object], says: str
) -> None:
    board.commit(FILES | more, branch="theirs", **options)  # type: ignore[arg-type]
    with pytest.raises(EntryError) as caught:
        one_new_entry(board.path, "main..theirs")
    assert says in str(caught.value)
    assert caught.value.name in ("changes-more", "changes-entry")
    assert "\n" not in str(caught.value)


def test_a_link_in_place_of_a_file_is_refused(board: Repository) -> None:
    board.commit({}, links={f"{OLD}/card.md": "/etc/passwd"}, branch="theirs")
    with pytest.raises(EntryError, match=r"is changed or removed \(git says [MT]\)"):
        one_new_entry(board.path, "main..theirs")


def test_a_submodule_is_refused(board: Repository) -> None:
    head = board.git("rev-parse", "main")
    tree = board.git("ls-tree", "main")
    inner = f"160000 commit {head}\tsub\n"
    made = run_git("mktree", at=board.path, given=f"{tree}\n{inner}".encode())
    commit = board.git("commit-tree", made, "-p", "main", "-m", "x")
    with pytest.raises(EntryError, match="sub lies outside"):
        one_new_entry(board.path, f"main..{commit}")


def test_every_fault_is_told_at_once(board: Repository) -> None:
    stray = {f"stray{n}": b"x" for n in range(12)}
    board.commit(FILES | stray, branch="theirs")
    with pytest.raises(EntryError) as caught:
        one_new_entry(board.path, "main..theirs")
    assert str(caught.value).count("lies outside") == 8
    assert "and 4 more" in str(caught.value)


@pytest.mark.parametrize("taken", [f"{OLD[:-5]}sie-ours/card.md", "selftests/sie-ours/card.md"])
def test_an_id_that_is_there_is_refused(board: Repository, taken: str) -> None:
    board.commit({taken: b"x"})
    board.commit(FILES, branch="merged")  # as CI sees it: the merge against main
    with pytest.raises(EntryError, match="sie-ours is there already"):
        one_new_entry(board.path, "main..merged")


def test_a_file_more_for_an_entry_that_is_there_is_refused(board: Repository) -> None:
    board.commit({f"{OLD}/runs/5/predictions.npz": b"x"}, branch="theirs")
    with pytest.raises(EntryError, match=f"{OLD} is there already"):
        one_new_entry(board.path, "main..theirs")


def test_what_main_gained_meanwhile_is_not_the_branchs(board: Repository) -> None:
    board.commit(FILES, branch="theirs")
    board.commit({"entries/2026/faster/card.md": b"x"})
    assert one_new_entry(board.path, "main...theirs") == ENTRY
    with pytest.raises(EntryError, match=r"faster/card\.md is changed or removed"):
        one_new_entry(board.path, "main..theirs")


def test_no_change_is_no_entry(board: Repository) -> None:
    with pytest.raises(EntryError) as caught:
        one_new_entry(board.path, "main..main")
    assert caught.value.name == "changes-nothing"


@pytest.mark.parametrize(
    "revisions", ["main", "--output=x..main", "main..--output=x", "main..", "a b..main", "..", "…"]
)
def test_what_is_no_change_is_told(board: Repository, revisions: str) -> None:
    with pytest.raises(ConfigError, match=r"BASE\.\.HEAD"):
        one_new_entry(board.path, revisions)


def test_a_revision_or_repository_that_is_not_there_is_told(
    board: Repository, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="has no commit 'gone'"):
        one_new_entry(board.path, "main..gone")
    with pytest.raises(ConfigError, match="no git repository there"):
        one_new_entry(tmp_path, "main..main")


def test_a_name_can_not_break_a_message(board: Repository) -> None:
    board.commit({'"entries/2026/x\\n::error::\\033[31m/card.md"': b"x"}, branch="theirs")
    with pytest.raises(EntryError) as caught:
        one_new_entry(board.path, "main..theirs")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_an_id_that_main_gained_meanwhile_is_refused(board: Repository) -> None:
    board.commit(FILES, branch="theirs")
    board.commit({"entries/2025/sie-ours/card.md": b"x"})
    with pytest.raises(EntryError, match="entries/2025/sie-ours is there already"):
        one_new_entry(board.path, "main...theirs")


@pytest.mark.parametrize("where", ["movie.mp4", f"{ENTRY}/card.md", f"{OLD}/card.md"])
@pytest.mark.parametrize("merged", [False, True])
def test_nothing_is_smuggled_in_by_history(board: Repository, where: str, merged: bool) -> None:
    """An earlier commit holds it, the end does not, and a merge would keep it for ever."""
    board.commit(FILES, branch="theirs")
    wanted = board.git("rev-parse", "theirs^{tree}")
    board.commit({where: b"100 MB of something else"}, branch="theirs", start="theirs")
    back = {where: b"x"} if where.startswith(ENTRY) else {}
    back |= {where: b"old"} if where.startswith(OLD) else {}
    removed = (where,) if where == "movie.mp4" else ()
    board.commit(back, removed=removed, branch="theirs", start="theirs")
    assert board.git("rev-parse", "theirs^{tree}") == wanted
    revisions = "main...theirs"
    if merged:  # as CI sees it
        tree = board.git("rev-parse", "theirs^{tree}")
        merge = board.git("commit-tree", tree, "-p", "main", "-p", "theirs", "-m", "x")
        revisions = f"{merge}^1..{merge}"
    with pytest.raises(EntryError, match="1 contents that its end has not") as caught:
        one_new_entry(board.path, revisions)
    assert caught.value.name == "changes-history"
    assert where in str(caught.value)


def test_several_commits_and_a_main_that_moves_are_one_entry(board: Repository) -> None:
    names = sorted(FILES)
    board.commit({"README.md": b"newer"})
    board.commit({names[0]: b"1"}, branch="theirs")
    board.commit({"README.md": b"newest"})
    board.commit(dict.fromkeys(names[1:], b"2"), branch="theirs", start="theirs")
    assert one_new_entry(board.path, "main...theirs") == ENTRY
    board.commit({"README.md": b"newest"}, branch="joined", start="theirs")
    tree = board.git("rev-parse", "joined^{tree}")
    merge = board.git("commit-tree", tree, "-p", "theirs", "-p", "main", "-m", "x")
    assert one_new_entry(board.path, f"main...{merge}") == ENTRY


def test_a_shallow_clone_that_lacks_the_changes_history_is_told(
    board: Repository, tmp_path: Path
) -> None:
    board.commit(FILES, branch="theirs")
    clone = tmp_path / "clone"
    options = ("--quiet", "--depth=1", "--no-single-branch", "--no-local")
    run_git("clone", *options, f"file://{board.path}", str(clone))
    for revisions in ("main..theirs", "main...theirs"):
        with pytest.raises(ConfigError, match="git fetch --unshallow"):
            one_new_entry(clone, revisions)
    run_git("fetch", "--quiet", "--unshallow", at=clone)
    assert one_new_entry(clone, "main...theirs") == ENTRY  # origin's: only main is checked out
    with pytest.raises(ConfigError, match="nor a fetched branch of that name: `git fetch"):
        one_new_entry(clone, "main...gone")
