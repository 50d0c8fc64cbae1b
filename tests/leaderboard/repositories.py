"""Real git repositories on disk, for boards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.leaderboard.runs import TODAY, WHOLE, data_set, three_runs
from threedie.leaderboard.board import make_board
from threedie.leaderboard.submission.submit import SubmitRequest, submit

_WHO = ("-c", "user.name=Jane", "-c", "user.email=jane@example.org")
_OURS = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
KNOWN = {
    "GIT_AUTHOR_NAME": "Jane",
    "GIT_AUTHOR_EMAIL": "jane@example.org",
    "GIT_COMMITTER_NAME": "Jane",
    "GIT_COMMITTER_EMAIL": "jane@example.org",
}
"""Environment of a user whom git knows."""


def run_git(*arguments: str, at: Path | None = None, given: bytes = b"") -> str:
    """Git as anybody runs it."""
    place = [] if at is None else ["-C", str(at)]
    command = ["git", *place, *_WHO, *arguments]
    ended = subprocess.run(command, capture_output=True, env=_OURS, input=given, check=False)
    assert ended.returncode == 0, (command, ended.stderr.decode())
    return ended.stdout.decode().strip()


@dataclass(frozen=True, slots=True)
class Repository:
    """A bare repository."""

    path: Path

    @classmethod
    def bare(cls, path: Path) -> Repository:
        """An empty one."""
        run_git("init", "--quiet", "--bare", str(path))
        run_git("symbolic-ref", "HEAD", "refs/heads/main", at=path)
        run_git("config", "uploadpack.allowFilter", "true", at=path)
        return cls(path)

    def git(self, *arguments: str) -> str:
        """Git in it."""
        return run_git(*arguments, at=self.path)

    def content(self, revision: str, name: str) -> bytes:
        """A file's content."""
        command = ["git", "-C", str(self.path), "cat-file", "blob", f"{revision}:{name}"]
        return subprocess.run(command, capture_output=True, env=_OURS, check=True).stdout

    def commit(
        self,
        contents: Mapping[str, bytes],
        *,
        links: Mapping[str, str] | None = None,
        modes: Mapping[str, str] | None = None,
        removed: tuple[str, ...] = (),
        branch: str = "main",
        start: str = "main",
    ) -> str:
        """Add files to a branch without a working tree; links and modes git would not make too."""
        stream = [f"commit refs/heads/{branch}\ncommitter Jane <jane@example.org> 1 +0000\n"]
        stream += ["data 1\nx\n"]
        if run_git("for-each-ref", f"refs/heads/{start}", at=self.path):
            stream += [f"from refs/heads/{start}^0\n"]
        packed = "".join(stream).encode()
        named = {n: ("100644", c) for n, c in contents.items()}
        named |= {n: ("120000", to.encode()) for n, to in (links or {}).items()}
        for name, (mode, content) in named.items():
            mode = (modes or {}).get(name, mode)
            packed += b"M %s inline %s\ndata %d\n%s\n" % (
                *(mode.encode(), name.encode(), len(content), content),
            )
        packed += b"".join(b"D %s\n" % name.encode() for name in removed)
        run_git("fast-import", "--quiet", "--force", at=self.path, given=packed)
        return self.git("rev-parse", branch)


def bare_board(
    path: Path, *, links: Mapping[str, str] | None = None, others: bool = True
) -> Repository:
    """A board's repository, with somebody's entry; board files are those of `entry_folder`."""
    data = path.with_name(f"{path.name}-data")
    root = path.with_name(f"{path.name}-root")
    make_board(root, data_set(data), title="Demo", today=TODAY)
    contents = {p.name: p.read_bytes() for p in root.iterdir() if p.name not in (links or {})}
    if others:
        contents |= {"entries/2025/other/card.md": b"# other", "README.md": b"# board"}
    repository = Repository.bare(path)
    repository.commit(contents, links=links)
    return repository


def entry_folder(folder: Path) -> Path:
    """A packed entry of three seeds, `sie-ours`."""
    data = data_set(folder / "data")
    runs = three_runs(folder / "runs", data)
    request = SubmitRequest(runs=runs, out=folder / "out", declared=WHOLE)
    return submit(request, today=TODAY).entry.path
