"""An entry as a branch of a real git repository on disk.

Claims proved here:

- One branch with one commit that adds exactly the entry's files arrives, byte for byte, authored by
  git's user; the main branch is as it was; it works by path, by file:// and from within another
  repository's hook.
- The clone holds no other entry's files, and is gone afterwards: after success, refusal, Ctrl-C.
- The same entry again is no error. An id or another entry's branch that is there, a repository that
  is no board, an unknown user, no git: one line.
- Options in disguise, transports that run commands, links and hooks of the repository do nothing.
- Git's complaints become one line with what to do, without passwords; a git that hangs is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.builders import tree
from tests.leaderboard.repositories import Repository, bare_board, entry_folder, run_git
from threedie import files
from threedie.errors import ConfigError, ManifestError, ThreedieError
from threedie.leaderboard import git as our_git
from threedie.leaderboard.folder import read_entry
from threedie.leaderboard.submission.push import push_entry
from threedie.leaderboard.submission.submit import push

NAMES = {
    "submission.json",
    "card.md",
    "config.json",
    "cite.bib",
    *(f"runs/{seed}/predictions.npz" for seed in (0, 1, 2)),
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return entry_folder(tmp_path_factory.mktemp("packed"))


@pytest.fixture
def board(tmp_path: Path) -> Repository:
    return bare_board(tmp_path / "board.git")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where clones are made; empty again at the end of every test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_one_branch_with_one_folder_arrives(board: Repository, packed: Path, form: str) -> None:
    before = board.git("rev-parse", "main")
    pushed = push_entry(read_entry(packed), form.format(board.path))
    assert pushed.branch == "entry/sie-ours"
    assert pushed.folder == "entries/2026/sie-ours"
    assert pushed.commit == board.git("rev-parse", "entry/sie-ours")
    assert board.git("rev-parse", "main") == before
    assert board.git("rev-parse", "entry/sie-ours~1") == before
    assert board.git("log", "-1", "--format=%an <%ae>: %s", "entry/sie-ours") == (
        "Jane <jane@example.org>: Add sie-ours: SIE (ours)"
    )
    changed = board.git("diff", "--name-status", "main", "entry/sie-ours").splitlines()
    assert {line.split("\t")[1] for line in changed} == {f"{pushed.folder}/{n}" for n in NAMES}
    assert {line[0] for line in changed} == {"A"}
    for name, content in tree(packed).items():
        assert board.content("entry/sie-ours", f"{pushed.folder}/{name}") == content


def test_the_check_sees_the_board_and_no_other_entry(board: Repository, packed: Path) -> None:
    seen: dict[str, set[str]] = {}

    def look(entry: Path, root: Path) -> None:
        found = {name for name in tree(root) if not name.startswith(".git/")}
        seen["all"] = found
        seen["entry"] = set(tree(entry))

    push_entry(read_entry(packed), str(board.path), check=look)
    assert seen["entry"] == NAMES
    assert "board.json" in seen["all"]
    assert not any("entries/2025/other" in name for name in seen["all"])


def test_what_the_check_refuses_is_not_pushed(board: Repository, packed: Path) -> None:
    def refuse(entry: Path, root: Path) -> None:
        raise ManifestError("never")

    with pytest.raises(ManifestError, match="never"):
        push_entry(read_entry(packed), str(board.path), check=refuse)
    assert board.git("branch", "--list", "entry/*") == ""


def test_a_trial_verification_stays_at_home(
    board: Repository, packed: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "sie-ours"
    files.put_folder(mine, {**tree(packed), "verification.json": b"{}"})
    push_entry(read_entry(mine), str(board.path))
    listed = board.git("ls-tree", "-r", "--name-only", "entry/sie-ours")
    assert "verification.json" not in listed.replace("entries/2025", "")


def test_the_same_again_is_there_already(board: Repository, packed: Path) -> None:
    first = push_entry(read_entry(packed), str(board.path))
    assert first.is_new
    board.commit({"entries/2026/meanwhile/card.md": b"x"})
    again = push_entry(read_entry(packed), f"file://{board.path}")
    assert not again.is_new
    assert again.commit == first.commit == board.git("rev-parse", "entry/sie-ours")
    ended = three_die(str(packed), "--push", str(board.path))
    assert ended.returncode == 0, ended.stderr
    assert "entry/sie-ours is there already" in ended.stdout


def three_die(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`3die submit`."""
    command = [sys.executable, "-m", "threedie", "submit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_a_packed_entry_says_itself_is_no_option(board: Repository, packed: Path) -> None:
    ended = three_die(str(packed), "--push", str(board.path), "--name", "X", "--id", "x-y-z")
    assert ended.returncode == 2
    assert "is an entry already, and --name, --id would change nothing of it" in ended.stderr
    assert board.git("branch", "--list", "entry/*") == ""


def test_a_copy_is_found_with_a_whole_clone(packed: Path, tmp_path: Path) -> None:
    """The clone of --push has no other entry's predictions; --board PATH has."""
    board = bare_board(tmp_path / "copied.git", others=False)
    theirs = {f"entries/2025/theirs/{name}": c for name, c in tree(packed).items()}
    said = theirs["entries/2025/theirs/submission.json"].replace(b"sie-ours", b"theirs")
    board.commit(theirs | {"entries/2025/theirs/submission.json": said})
    whole = tmp_path / "whole"
    run_git("clone", "--quiet", str(board.path), str(whole))
    ended = three_die(str(packed), "--push", str(board.path), "--board", str(whole))
    assert ended.returncode == 1
    assert "theirs" in ended.stderr
    assert board.git("branch", "--list", "entry/*") == ""


def test_an_id_or_branch_that_is_there_is_refused(
    board: Repository, packed: Path, tmp_path: Path
) -> None:
    entry = read_entry(packed)
    push_entry(entry, str(board.path))
    other = tmp_path / "sie-ours"
    files.put_folder(other, {**tree(packed), "card.md": b"# another\n"})
    with pytest.raises(ManifestError, match="has a branch entry/sie-ours already, with other"):
        push_entry(read_entry(other), str(board.path))
    board.git("update-ref", "refs/heads/main", board.git("rev-parse", "entry/sie-ours"))
    board.git("update-ref", "-d", "refs/heads/entry/sie-ours")
    with pytest.raises(ManifestError, match="has entries/2026/sie-ours already"):
        push_entry(entry, str(board.path))


@pytest.mark.parametrize("place", ["entries/2019", "selftests"])
def test_an_id_is_taken_wherever_it_stands(
    board: Repository, packed: Path, place: str, tmp_path: Path
) -> None:
    board.commit({f"{place}/sie-ours/card.md": b"x"})
    with pytest.raises(ManifestError, match=f"has {place}/sie-ours already"):
        push_entry(read_entry(packed), str(board.path))


def test_what_is_no_board_is_named(packed: Path, tmp_path: Path) -> None:
    other = Repository.bare(tmp_path / "other.git")
    with pytest.raises(ManifestError, match=r"is empty\. `3die leaderboard init BOARD`"):
        push_entry(read_entry(packed), str(other.path))
    other.commit({"README.md": b"no board"})
    with pytest.raises(ManifestError, match=r"is no board: it has no board\.json"):
        push_entry(read_entry(packed), str(other.path))
    (tmp_path / "folder").mkdir()
    with pytest.raises(ThreedieError, match="no git repository there"):
        push_entry(read_entry(packed), str(tmp_path / "folder"))
    with pytest.raises(ConfigError, match="no such folder"):
        push_entry(read_entry(packed), str(tmp_path / "gone"))


def test_a_bare_repository_of_gits_own_settings_is_a_board(board: Repository, packed: Path) -> None:
    """`git init --bare` leaves HEAD at master, and a board is on main."""
    board.git("symbolic-ref", "HEAD", "refs/heads/master")
    push_entry(read_entry(packed), str(board.path))
    assert board.git("rev-parse", "entry/sie-ours~1") == board.git("rev-parse", "main")
    board.git("branch", "-m", "main", "trunk")
    board.git("symbolic-ref", "HEAD", "refs/heads/master")
    with pytest.raises(ManifestError, match="git symbolic-ref HEAD refs/heads/BRANCH"):
        push_entry(read_entry(packed), str(board.path))


def test_an_unknown_user_is_told_what_to_do(
    board: Repository, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("EMAIL", raising=False)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{name}_NAME", raising=False)
        monkeypatch.delenv(f"GIT_{name}_EMAIL", raising=False)
    with pytest.raises(ConfigError, match=r"git config --global user\.name NAME"):
        push_entry(read_entry(packed), str(board.path))


def test_no_git_is_told(
    board: Repository, packed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no git"):
        push_entry(read_entry(packed), str(board.path))


@pytest.mark.parametrize(
    "place",
    [
        "--upload-pack=touch pwned",
        "-oProxyCommand=touch pwned",
        "ext::sh -c touch% pwned",
        "EXT::sh",
        "fd::17",
        "ssh://-oProxyCommand=touch/x",
        "ssh://user@-oProxyCommand=touch/x",
        "http://example.org/board.git",
        "git://example.org/board.git",
        "ftp://example.org/board.git",
        "transport::address",
        "https://example.org/a\nb",
        "host.org:-oProxyCommand=x",
    ],
)
def test_a_place_that_would_run_something_is_refused(
    place: str, packed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "Popen", None)  # git is not even started
    with pytest.raises(ConfigError, match="is expected"):
        push_entry(read_entry(packed), place)
    assert not (tmp_path / "pwned").exists()


def test_known_forms_pass(tmp_path: Path) -> None:
    for place in ("https://h.org/a.git", "ssh://git@h.org/a.git", "git@h.org:me/a.git"):
        assert our_git.repository(place) == place
    assert our_git.repository(str(tmp_path)) == str(tmp_path.resolve())


def test_an_ext_transport_of_the_users_own_settings_is_off(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: Repository
) -> None:
    """`url.<ext::…>.insteadOf` turns a harmless address into a command; git must refuse it."""
    marker, config = tmp_path / "pwned", tmp_path / "config"
    files.put(
        config,
        f'[url "ext::touch {marker} %S "]\n\tinsteadOf = https://board.example/\n'
        "[protocol]\n\tallow = always\n".encode(),
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with pytest.raises(ThreedieError, match="git ls-remote"):
        push_entry(read_entry(packed), "https://board.example/x")
    assert not marker.exists()


def test_links_of_the_repository_lead_nowhere(packed: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    hostile = bare_board(tmp_path / "hostile.git", links={"entries": str(victim)}, others=False)
    with pytest.raises(ThreedieError):
        push_entry(read_entry(packed), str(hostile.path))
    assert list(victim.iterdir()) == []


def test_a_board_file_that_is_a_link_is_not_read(packed: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    files.put(secret, b"top secret")
    hostile = bare_board(tmp_path / "hostile.git", links={"truth.npz": str(secret)})
    seen = []

    def look(entry: Path, root: Path) -> None:
        seen.append((root / "truth.npz").read_bytes())

    push_entry(read_entry(packed), str(hostile.path), check=look)
    assert seen == [str(secret).encode()]  # the link's text, and not what it points to


def test_hooks_do_not_run(board: Repository, packed: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    template = tmp_path / "template" / "hooks"
    files.make_directory(template)
    for hook in ("post-checkout", "pre-commit", "commit-msg", "post-commit", "pre-push"):
        files.put(template / hook, f"#!/bin/sh\ntouch {marker}\n".encode())
        (template / hook).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_TEMPLATE_DIR", str(template.parent))
        patch.setenv("GIT_CONFIG_COUNT", "2")
        patch.setenv("GIT_CONFIG_KEY_0", "init.templateDir")
        patch.setenv("GIT_CONFIG_VALUE_0", str(template.parent))
        patch.setenv("GIT_CONFIG_KEY_1", "core.hooksPath")
        patch.setenv("GIT_CONFIG_VALUE_1", str(template))
        push_entry(read_entry(packed), str(board.path))
    assert not marker.exists()


def test_another_repository_around_it_is_not_touched(
    board: Repository, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As within a hook, where GIT_DIR and GIT_INDEX_FILE name another repository."""
    other = Repository.bare(tmp_path / "other.git")
    monkeypatch.setenv("GIT_DIR", str(other.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    push_entry(read_entry(packed), str(board.path))
    assert not (tmp_path / "index").exists()
    monkeypatch.delenv("GIT_DIR")
    assert board.git("rev-parse", "entry/sie-ours")


def test_a_refusing_server_is_one_line(board: Repository, packed: Path) -> None:
    hook = board.path / "hooks" / "pre-receive"
    files.put(hook, b"#!/bin/sh\necho 'go away' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(our_git.GitError) as caught:
        push_entry(read_entry(packed), str(board.path))
    said = str(caught.value)
    assert said.startswith("git push: ")
    assert "\n" not in said
    assert "push to a fork of yours" in said


def test_complaints_hold_no_password(tmp_path: Path) -> None:
    complaint = our_git._complaint(
        "clone", "fatal: could not read Username for 'https://me:pw123@h.org/x?token=abc': no\n"
    )
    assert "pw123" not in complaint
    assert "token" not in complaint
    assert "It asks who you are" in complaint
    assert our_git._complaint("push", "fatal: no.\n") == "git push: fatal: no."


def test_a_broken_board_is_told_by_the_repositorys_name(
    board: Repository, packed: Path, temporary: Path
) -> None:
    board.commit({"board.json": b"{"})
    with pytest.raises(ManifestError) as caught:
        push(packed, str(board.path))
    assert str(caught.value).startswith(f"{board.path}/board.json")
    assert str(temporary) not in str(caught.value)


FAKE_GIT = """#!/bin/sh
case "$*" in
  *" clone "*) touch {started}; sleep 60 & echo $! > {child}; wait ;;
  *) exec {git} "$@" ;;
esac
"""


def _hanging(folder: Path) -> tuple[Path, Path]:
    """A git whose clone never ends; (marker that it began, file with its child's number)."""
    real = run_git("--exec-path").strip()
    started, child = folder / "started", folder / "child"
    script = folder / "bin" / "git"
    files.make_directory(script.parent)
    files.put(script, FAKE_GIT.format(started=started, child=child, git=f"{real}/git").encode())
    script.chmod(0o755)
    return started, child


def _is_gone(number: int) -> bool:
    """Whether a process has ended; its parent need not have asked for its status yet."""
    for _ in range(600):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_git_and_removes_the_clone(
    board: Repository, packed: Path, tmp_path: Path, which: signal.Signals
) -> None:
    started, child = _hanging(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "threedie", "submit", str(packed), "--push", str(board.path)],
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        stderr=subprocess.PIPE,
    )
    for _ in range(600):
        if started.exists() and child.exists() and child.read_text().strip():
            break
        time.sleep(0.05)
    process.send_signal(which)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.decode().startswith("stopped.")
    assert _is_gone(int(child.read_text()))


STOPPING_GIT = """#!/bin/sh
case "$*" in
  *" {command} "*)
    kill -INT $PPID
    clone=$(ls -d "$TMPDIR"/3die-push-*)
    (for i in $(seq 2000); do : > "$clone/$(date +%N)" || exit; done) &
    {git} "$@"; kill -INT $PPID ;;
  *) exec {git} "$@" ;;
esac
"""


@pytest.mark.parametrize("command", ["ls-remote", "clone", "sparse-checkout", "commit", "push"])
def test_a_stop_at_any_step_removes_the_clone(
    board: Repository, packed: Path, tmp_path: Path, command: str
) -> None:
    """Also where something that git has started goes on to write into it, and Ctrl-C comes twice.

    The fixture `temporary` looks that nothing is left.
    """
    script = tmp_path / "bin" / "git"
    files.make_directory(script.parent)
    real = f"{run_git('--exec-path')}/git"
    files.put(script, STOPPING_GIT.format(command=command, git=real).encode())
    script.chmod(0o755)
    ended = subprocess.run(
        [sys.executable, "-m", "threedie", "submit", str(packed), "--push", str(board.path)],
        env={**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.stderr.decode().startswith("stopped.")
    assert b"Traceback" not in ended.stderr
    assert ended.returncode == 1


def test_a_git_that_hangs_is_ended(
    board: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, child = _hanging(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(our_git.GitError, match="did not end within 1 s"):
        our_git.git("-c", "a.b=c", "clone", "x", at=tmp_path, timeout_s=1)
    assert _is_gone(int(child.read_text()))
