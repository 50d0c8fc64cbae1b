"""Git, run so that a repository of somebody else can do nothing but be read and pushed to.

No shell, no question at the terminal, no hook, no link, no transport that runs a command, a
time limit; what git complains of becomes one line that says what to do. Ctrl-C ends git and all it
has started.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

from threedie.data.gallery import printable
from threedie.data.urls import shown
from threedie.errors import ConfigError, StorageError
from threedie.interrupts import held_back

FIRST_BRANCH = "main"
"""Of a board."""
TIMEOUT_S = 300.0
"""Of one command."""
_SAFE = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false", "-c", "core.fsmonitor=false"),
    *("-c", "protocol.ext.allow=never", "-c", "submodule.recurse=false"),
    *("-c", "user.useConfigOnly=true", "-c", "advice.detachedHead=false"),
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false"),  # nothing goes on after it has ended
    *("-c", "core.autocrlf=false", "-c", "core.quotePath=true", "-c", "color.ui=false"),
)
_TRANSPORTS = "file:https:ssh"
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>[^\s\x00-\x1f\x7f]+)")
_BY_SSH = re.compile(
    r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!:|//)[^\s\x00-\x1f\x7f-]\S*"
)
_ABOUT = {
    "could not read Username|could not read Password|Authentication failed|terminal prompts": (
        "it asks who you are: set up git's credentials, or use its ssh address"
    ),
    "Permission denied|publickey|Host key verification": (
        "ssh does not let you in: `git ls-remote` of that address must work without a question"
    ),
    "denied to|403|permission to|not allowed to push|pre-receive hook declined": (
        "you can't write there: push to a fork of yours, and open the pull request from it"
    ),
    "not found|does not exist|does not appear to be a git repository|not a git repository": (
        "there is no git repository there: see the address"
    ),
    "Could not resolve|unable to access|Connection|timed out|Network": (
        "the server can't be reached: see the address and the network, and try again"
    ),
    "tell me who you are|no email was given|no name was given|empty ident": (
        "git does not know you: `git config --global user.name NAME`, and user.email"
    ),
    "dubious ownership": (
        "the folder is another user's: `git config --global --add safe.directory FOLDER`"
    ),
    "cannot lock ref|non-fast-forward|fetch first|\\[rejected\\]|stale info": (
        "somebody has pushed a branch of that name just now: take another --id"
    ),
}


class GitError(StorageError):
    """Git has refused, and this says why and what to do."""


def repository(text: str) -> str:
    """A place that git may be told to read or write: a folder, or file://, https:// or ssh.

    Raises:
        ConfigError: an option in disguise, a transport that runs a command, or another scheme.
    """
    known = "a folder, file://, https://, ssh:// or user@host:path"
    if text.startswith("-") or "::" in text or any(ord(c) < 32 or c == "\x7f" for c in text):
        raise ConfigError(f"'{printable(shown(text))}' is no repository: {known} is expected.")
    if address := _ADDRESS.fullmatch(text):
        scheme, host = address["scheme"], address["rest"].rpartition("@")[2]
        if scheme not in _TRANSPORTS.split(":") or host.startswith("-"):
            raise ConfigError(f"'{printable(shown(text))}' is not read: {known} is expected.")
        return text
    if not Path(text).exists() and _BY_SSH.fullmatch(text):
        return text
    if not Path(text).is_dir():
        raise ConfigError(f"'{printable(text)}': there is no such folder; {known} is expected.")
    return str(Path(text).resolve())


def git(
    *arguments: str,
    at: Path | None = None,
    given: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> bytes:
    """Run one git command and return what it prints.

    Args:
        arguments: the command; operands that are not ours went through `repository`, or stand
            behind `--`.
        at: folder that it runs in.
        given: its standard input.
        timeout_s: seconds after which it is ended.

    Raises:
        GitError: it failed, or took too long; one line with what to do.
        ConfigError: there is no git.
    """
    return told(*arguments, at=at, given=given, timeout_s=timeout_s)[0]


def told(
    *arguments: str,
    at: Path | None = None,
    given: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[bytes, str]:
    """As `git`, with what it says beside its output."""
    place = [] if at is None else ["-C", str(at)]
    process = None
    try:
        with held_back():  # a git that is started is known, and can be ended
            process = _started(["git", *place, *_SAFE, *arguments], given is not None)
        out, err_bytes = process.communicate(given, timeout=timeout_s)
    except BaseException as err:
        if process is not None:
            with held_back():
                _end(process)
        if isinstance(err, subprocess.TimeoutExpired):
            raise GitError(
                f"git {arguments[0]} did not end within {timeout_s:.0f} s; see the address and the "
                "network, and try again."
            ) from err
        raise
    said = err_bytes.decode("utf-8", "replace")
    if process.returncode:
        raise GitError(_complaint(arguments[0], said))
    return out, said


def knows_user(at: Path) -> bool:
    """Whether git knows name and address of whoever would commit."""
    try:
        git("var", "GIT_AUTHOR_IDENT", at=at)
        git("var", "GIT_COMMITTER_IDENT", at=at)
    except GitError:
        return False
    return True


def _environment() -> dict[str, str]:
    """Ours, without what would point git at another repository or let it ask."""
    kept = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG", "GIT_SSH", "GIT_SSL", "GIT_ASKPASS")
    ours = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(kept)}
    return {
        **ours,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": _TRANSPORTS,
        "LC_ALL": "C",
    }


def _started(command: list[str], fed: bool) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # no terminal to ask at, and one group to end
        )
    except FileNotFoundError as err:
        raise ConfigError("there is no git on this machine; install it, and try again.") from err


def _end(process: subprocess.Popen[bytes]) -> None:
    """All of its group, also where git itself has ended and what it has started still writes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _complaint(command: str, said: str) -> str:
    """Its last complaint, and what to do about it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(("fatal:", "error:", "!"))]
    line = (marked or lines or ["it says nothing"])[-1 if not marked else 0]
    advice = next((does for what, does in _ABOUT.items() if re.search(what, said)), None)
    hint = f" {advice[0].upper()}{advice[1:]}." if advice else ""
    return f"git {command}: {printable(shown(line), longest=300).rstrip('.')}.{hint}"
