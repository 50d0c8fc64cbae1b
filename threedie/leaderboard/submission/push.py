"""An entry as a branch of the board's repository: one new folder, one commit, ready to be merged.

The repository is somebody else's: it is cloned into a temporary folder without its history, without
links and hooks, and its entries are not fetched. The clone is gone afterwards, also after Ctrl-C.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from threedie import files
from threedie.data.urls import shown
from threedie.errors import ConfigError, ManifestError
from threedie.leaderboard.changes import one_new_entry, same_slug
from threedie.leaderboard.folder import EntryFiles, is_submitted
from threedie.leaderboard.git import FIRST_BRANCH, git, knows_user, repository, told
from threedie.leaderboard.submission.aside import aside
from threedie.manifests.boards import FILE_NAME

_TRANSFER_S = 1800.0
_LINK = re.compile(r"https://[A-Za-z0-9.-]+/[!-~]{1,300}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """A branch that is on its way."""

    branch: str
    commit: str
    folder: str
    """In the repository."""
    link: str | None
    """Where the server says that a pull request is opened, if it does."""
    is_new: bool = True
    """False: the branch was there, with these very files; `commit` is its end."""


def push_entry(
    entry: EntryFiles, to: str, *, check: Callable[[Path, Path], None] | None = None
) -> Pushed:
    """Push an entry as branch `entry/<id>` of a board's repository.

    Args:
        entry: as it was read and found well.
        to: a path, or an address (file://, https://, ssh).
        check: called with the entry's folder in the clone and with the clone, before anything is
            committed: what it raises ends the push.

    Raises:
        ConfigError: no such place, git is missing or does not know its user.
        ManifestError: it is no board, or has this id already, or a branch of it with other files.
        GitError: git failed; one line with what to do.
    """
    slug, year = entry.submission.id, entry.submission.submitted[:4]
    branch, folder = f"entry/{slug}", f"entries/{year}/{slug}"
    place = repository(to)
    with _cloned(place) as clone:
        if taken := same_slug(clone, "HEAD", slug):
            raise ManifestError(f"the board has {taken} already; give another --id.")
        there = _fetched(clone, branch)
        git("sparse-checkout", "add", folder, at=clone)
        _write(clone / folder, entry)
        if check is not None:
            check(clone / folder, clone)
        commit, said = _commit(clone, branch, folder, entry), ""
        if there is None:
            said = _push(clone, branch)
        elif _tree(clone, there, folder) != _tree(clone, commit, folder):
            raise ManifestError(
                f"the repository has a branch {branch} already, with other files. If it is yours "
                f"and to be replaced: `git push REPOSITORY --delete {branch}`. Otherwise give "
                "another --id."
            )
    return Pushed(
        branch=branch,
        commit=there or commit,
        folder=folder,
        link=_link(said, place),
        is_new=there is None,
    )


def _push(clone: Path, branch: str) -> str:
    return told("push", "--quiet", "origin", f"{branch}:{branch}", at=clone, timeout_s=_TRANSFER_S)[
        1
    ]


@contextmanager
def _cloned(place: str) -> Iterator[Path]:
    """The tip of the board without its entries' files, for as long as the block runs."""
    with aside("3die-push-") as temporary:
        clone = temporary / "board"
        git(
            *("clone", "--quiet", "--no-local", "--depth=1", "--single-branch", "--no-tags"),
            *("--filter=blob:none", "--sparse", "--template=", "--no-recurse-submodules"),
            *(*_branch(place, temporary), "--", place, str(clone)),
            timeout_s=_TRANSFER_S,
        )
        if not (clone / FILE_NAME).is_file():
            raise ManifestError(
                f"{shown(place)} is no board: it has no {FILE_NAME}. `3die leaderboard init` makes "
                "one."
            )
        if not knows_user(clone):
            raise ConfigError(
                "git does not know you, and a commit has an author: `git config --global "
                "user.name NAME` and `git config --global user.email ADDRESS`, and try again."
            )
        yield clone


def _branch(place: str, at: Path) -> tuple[str, ...]:
    """Git's option for the board's branch: HEAD's, or main where HEAD names one that is not there.

    Such a HEAD is what `git init --bare` leaves: master, whatever is pushed later.

    Raises:
        ManifestError: an empty repository, or neither branch.
    """
    listed = git("ls-remote", "--", place, "HEAD", "refs/heads/*", at=at).decode("utf-8", "replace")
    refs = {line.partition("\t")[2] for line in listed.splitlines()}
    if "HEAD" in refs:
        return ()
    if f"refs/heads/{FIRST_BRANCH}" in refs:
        return ("--branch", FIRST_BRANCH)
    if not refs:
        raise ManifestError(
            f"{shown(place)} is empty. `3die leaderboard init BOARD` makes a board; then, in it: "
            f"`git push {shown(place)} {FIRST_BRANCH}`."
        )
    raise ManifestError(
        f"HEAD of {shown(place)} names a branch that is not there, and it has no {FIRST_BRANCH}. "
        f"In it: `git symbolic-ref HEAD refs/heads/BRANCH`, with the board's branch; "
        f"`git init --bare -b {FIRST_BRANCH}` makes a repository whose HEAD is {FIRST_BRANCH}."
    )


def _fetched(clone: Path, branch: str) -> str | None:
    """The end of a branch that the repository has already, without its files."""
    name = f"refs/heads/{branch}"
    if not git("ls-remote", "--heads", "origin", name, at=clone).strip():
        return None
    git("fetch", "--quiet", "--depth=1", "--no-tags", "origin", name, at=clone)
    return git("rev-parse", "--verify", "FETCH_HEAD^{commit}", at=clone).decode().strip()


def _tree(clone: Path, commit: str, folder: str) -> bytes:
    """Git's hash over all of a folder; empty where there is none."""
    return git("ls-tree", "-d", commit, "--", folder, at=clone)


def _write(folder: Path, entry: EntryFiles) -> None:
    files.make_directory(folder.parent)
    files.put_folder(folder, _submitted(entry))


def _submitted(entry: EntryFiles) -> dict[str, bytes]:
    """Without a verification.json of the submitter's own trial."""
    return {name: content for name, content in entry.contents.items() if is_submitted(name)}


def _commit(clone: Path, branch: str, folder: str, entry: EntryFiles) -> str:
    """One commit of one folder, looked at as the board's own CI will."""
    git("checkout", "--quiet", "-b", branch, at=clone)
    git("add", "--force", "--", folder, at=clone)
    says = f"Add {entry.submission.id}: {entry.submission.method.name}"
    git(
        "commit",
        "--quiet",
        "--no-verify",
        "--file=-",
        "--cleanup=verbatim",
        at=clone,
        given=says.encode(),
    )
    added = one_new_entry(clone, "HEAD~1..HEAD")
    listed = git("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", f"{added}/", at=clone)
    there = {name.removeprefix(f"{added}/") for name in listed.decode().split("\0")[:-1]}
    if there != set(_submitted(entry)):
        raise ManifestError(
            f"git has committed {sorted(there)} of {sorted(_submitted(entry))}; nothing was pushed."
        )
    return git("rev-parse", "HEAD", at=clone).decode().strip()


def _link(said: str, place: str) -> str | None:
    """The first address on the pushed-to server in what it has answered."""
    host = re.match(r"(?:https://|ssh://)?(?:[^@/]*@)?([A-Za-z0-9.-]+)[:/]", place)
    lines = (line for line in said.splitlines() if line.startswith("remote:"))
    for found in (m[0] for line in lines if (m := _LINK.search(line))):
        if host and found.startswith(f"https://{host[1]}/"):
            return found
    return None
