"""What a change of the board's repository may be: exactly one new entry, and nothing else.

It is read from git's trees before any file of the change is looked at. Submitters add a folder;
verification.json, status.json and everything outside entries/ are the maintainers'. A merge takes a
branch's history too, so nothing may lie in that which the entry does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threedie.data.gallery import printable
from threedie.errors import ConfigError, EntryError
from threedie.leaderboard.git import GitError, git

_FILE = re.compile(
    r"(?P<folder>entries/20\d\d/[a-z0-9][a-z0-9-]{1,38}[a-z0-9])/(?P<file>[^\n]+)", re.ASCII
)
_NAMES = re.compile(
    r"submission\.json|card\.md|config\.json|cite\.bib|runs/\d{1,9}/predictions\.npz", re.ASCII
)
_MAINTAINERS = ("verification.json", "status.json")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@{}^~-]*")
_PLAIN = "100644"


@dataclass(frozen=True, slots=True)
class Change:
    """One file of a difference."""

    status: str
    """A, M, D, T …, as git has it."""
    mode: str
    path: str


def one_new_entry(repository: Path, revisions: str) -> str:
    """The folder of the entry that a change adds.

    Args:
        repository: a clone that has both revisions.
        revisions: `BASE..HEAD`, or `BASE...HEAD` for what HEAD has changed since it left BASE.

    Returns:
        Its path in the repository, `entries/<yyyy>/<slug>`; made of known signs only.

    Raises:
        EntryError: the change is anything but one new entry; all of it that is wrong is named.
        ConfigError: no repository, or no such revisions.
    """
    tip, base, head = _ends(repository, revisions)
    changes = list(_changes(repository, base, head))
    if not changes:
        raise EntryError("changes-nothing", f"{revisions} changes nothing; one entry is expected.")
    wrong = [fault for change in changes if (fault := _fault(change))]
    folders = sorted({m["folder"] for c in changes if (m := _FILE.fullmatch(c.path))})
    if not wrong and len(folders) > 1:
        wrong.append(f"there are {len(folders)} entries ({', '.join(folders[:4])})")
    if wrong:
        more = f"; and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise EntryError(
            "changes-more",
            f"a change adds exactly one new folder entries/<yyyy>/<id>: {'; '.join(wrong[:8])}"
            f"{more}.",
        )
    (folder,) = folders
    for known in (base, tip):  # main may have gained it since the branch has left
        if taken := same_slug(repository, known, folder.rpartition("/")[2]):
            raise EntryError("changes-entry", f"{taken} is there already; take another id.")
    _check_history(repository, tip, head, folder)
    return folder


def same_slug(repository: Path, revision: str, slug: str) -> str | None:
    """The folder that has this id already, among entries of any year and self-tests."""
    listed = git(
        *("ls-tree", "-r", "-t", "-d", "-z", "--name-only", revision, "--"),
        *("entries/", "selftests/"),
        at=repository,
    )
    folders = (name.decode("utf-8", "replace") for name in listed.split(b"\0"))
    ending = re.compile(rf"(?:entries/[^/]+|selftests)/{re.escape(slug)}")
    return next((folder for folder in folders if ending.fullmatch(folder)), None)


def _check_history(repository: Path, tip: str, head: str, folder: str) -> None:
    """Refuse contents that a merge would bring and no file of the entry has.

    Raises:
        EntryError: a commit has more, or was removed from it again.
        ConfigError: a shallow clone that lacks commits of the change.
    """
    span = (head, f"^{tip}")
    if cut := _cut_off(repository) & set(_lines(git("rev-list", *span, at=repository))):
        raise ConfigError(
            f"this clone lacks what is before {min(cut)[:12]}: `git fetch --unshallow`, and again."
        )
    ends = git("ls-tree", "-r", "-z", head, "--", f"{folder}/", at=repository).split(b"\0")
    entry = {record.split(b"\t")[0].split()[-1].decode() for record in ends if record}
    listed = git(
        *("rev-list", "--objects", "--filter=object:type=blob", "--filter-provided-objects"),
        *("--missing=allow-any", *span),
        at=repository,
    )
    brought = [line.partition(" ") for line in _lines(listed)]
    if more := [name for blob, _, name in brought if blob not in entry]:
        named = ", ".join(printable(name, longest=120) for name in more[:4])
        raise EntryError(
            "changes-history",
            f"earlier commits of the change hold {len(more)} contents that its end has not "
            f"({named}), and a merge would keep them. Make it one commit: `git reset --soft "
            "$(git merge-base main HEAD)`, `git commit`.",
        )


def _cut_off(repository: Path) -> set[str]:
    """Commits whose parents a shallow clone does not have."""
    named = git("rev-parse", "--git-path", "shallow", at=repository).decode().strip()
    path = repository / named
    return set(path.read_text(encoding="utf-8").split()) if path.is_file() else set()


def _lines(listed: bytes) -> list[str]:
    return listed.decode("utf-8", "replace").splitlines()


def _ends(repository: Path, revisions: str) -> tuple[str, str, str]:
    """Commits: the base as it is, where the change has left it, and the change's end."""
    base, dots, head = re.fullmatch(r"(.*?)(\.{2,3}|$)(.*)", revisions, re.DOTALL).groups()  # type: ignore[union-attr]  # matches anything
    if not (dots and _REVISION.fullmatch(base) and _REVISION.fullmatch(head)):
        raise ConfigError(
            f"'{printable(revisions)}' is no change; BASE..HEAD or BASE...HEAD is expected."
        )
    tip, last = (_commit(repository, name) for name in (base, head))
    if dots == "..":
        return tip, tip, last
    try:
        return tip, git("merge-base", tip, last, at=repository).decode().strip(), last
    except GitError as err:
        raise ConfigError(
            f"{repository} knows no common commit of {base} and {head}: another repository's "
            "branch, or a shallow clone (`git fetch --unshallow`)."
        ) from err


def _commit(repository: Path, name: str) -> str:
    """A commit by its name, or by that of the branch it was fetched from."""
    for known in (name, f"origin/{name}"):
        try:
            found = git("rev-parse", "--verify", f"{known}^{{commit}}", at=repository)
        except GitError as err:
            problem = err
        else:
            return found.decode().strip()
    if "not a git repository" in str(problem):
        raise ConfigError(f"{repository}: {problem}") from problem
    raise ConfigError(
        f"{repository} has no commit '{printable(name)}', nor a fetched branch of that name: "
        "`git fetch origin`, and again."
    )


def _changes(repository: Path, base: str, head: str) -> Iterator[Change]:
    """Raw records: `:old-mode new-mode old-id new-id status`, NUL, path, NUL."""
    raw = git("diff-tree", "-r", "-z", "--raw", "--no-renames", base, head, at=repository)
    fields = raw.decode("utf-8", "surrogateescape").split("\0")[:-1]
    for record, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, _, _, status = record.removeprefix(":").split(" ")
        yield Change(status, mode, path)


def _fault(change: Change) -> str | None:
    """What is wrong with one file, in words."""
    name = printable(change.path, longest=120)
    place = _FILE.fullmatch(change.path)
    if change.status != "A":
        return f"{name} is changed or removed (git says {change.status[:1]})"
    if place is None:
        return f"{name} lies outside entries/<yyyy>/<id>/"
    if change.mode != _PLAIN:
        kinds = {"120000": "a link", "160000": "a submodule", "100755": "a program"}
        return f"{name} is {kinds.get(change.mode, f'of mode {change.mode}')}, no plain file"
    if place["file"] in _MAINTAINERS:
        return f"{name} is written by the board's maintainers only"
    if not _NAMES.fullmatch(place["file"]):
        return f"{name} is no file of an entry"
    return None
