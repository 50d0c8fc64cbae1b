"""A new board.

Claims proved here:

- It is a whole git repository with one commit of everything: the board's files, rules, schemas,
  self-tests, workflow, owners; its files are those of the same data set and day again.
- Nothing is written over: not a board, not a folder with something in it; a stop leaves nothing.
- The schemas are those of the models, and refuse what the models refuse.
- The workflow runs on `pull_request`, may only read, pins its actions and its verifier, installs
  before it checks out, and takes no text of a pull request into a shell line.
- A title is text in Markdown. Self-tests pass the board's own check.
- Without git it is a board all the same; without a user git knows, the commit is nobody's.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.data.builders import tree
from tests.leaderboard.repositories import run_git
from tests.leaderboard.runs import TODAY, data_set
from threedie import __version__, files
from threedie.errors import ConfigError, ManifestError
from threedie.leaderboard import init as our_init
from threedie.leaderboard.board import open_board
from threedie.leaderboard.checks.check import check_entry
from threedie.leaderboard.init import init_board
from threedie.manifests.entries import RULES, Submission
from threedie.manifests.verification import Verification

HOME = {
    "README.md",
    "RULES.md",
    "board.json",
    "truth.npz",
    ".gitattributes",
    ".gitignore",
    ".github/CODEOWNERS",
    ".github/workflows/verify.yml",
    "schema/board.schema.json",
    "schema/status.schema.json",
    "schema/submission.schema.json",
    "schema/verification.schema.json",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_set(tmp_path_factory.mktemp("init") / "demo")


@pytest.fixture(scope="module")
def board(data: Path) -> Path:
    return init_board(data.parent / "board", data, title="Demo", today=TODAY).root


def content(root: Path) -> dict[str, bytes]:
    return {name: c for name, c in tree(root).items() if not name.startswith(".git/")}


def test_a_board_is_a_repository_with_everything_in_one_commit(board: Path) -> None:
    found = content(board)
    others = {name for name in found if not name.startswith("selftests/")}
    assert others == HOME
    tracked = run_git("ls-files", at=board).splitlines()
    assert set(tracked) == set(found)
    assert run_git("rev-list", "--count", "main", at=board) == "1"
    assert run_git("status", "--porcelain", at=board) == ""
    assert open_board(board).config.title == "Demo"


def test_the_same_again_is_the_same(board: Path, data: Path, tmp_path: Path) -> None:
    again = init_board(tmp_path / "again", data, title="Demo", today=TODAY)
    assert content(again.root) == content(board)


def test_self_tests_pass_the_boards_own_check(board: Path) -> None:
    opened = open_board(board)
    tests = {path.name for path in opened.selftests()}
    assert {"oracle", "chance"} <= {name.removeprefix("selftest-") for name in tests}
    for path in opened.selftests():
        assert check_entry(path, opened).checks


def test_nothing_is_written_over(board: Path, data: Path, tmp_path: Path) -> None:
    before = tree(board)
    with pytest.raises(ConfigError, match="is a board already"):
        init_board(board, data, title="Other", today=TODAY)
    assert tree(board) == before
    full = tmp_path / "full"
    full.mkdir()
    files.put(full / "notes.txt", b"mine")
    for path in (full, full / "notes.txt"):
        with pytest.raises(ConfigError, match="not empty"):
            init_board(path, data, title="Demo", today=TODAY)
    assert tree(tmp_path) == {"full/notes.txt": b"mine"}


def test_an_empty_folder_becomes_a_board(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    init_board(tmp_path / "empty", data, title="Demo", today=TODAY)
    assert set(content(tmp_path / "empty")) >= HOME


@pytest.mark.parametrize("step", ["write_selftests", "board_files", "_first_commit"])
def test_a_stop_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(our_init, step, stop)
    with pytest.raises(KeyboardInterrupt):
        init_board(tmp_path / "board", data, title="Demo", today=TODAY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("title", ["", "two\nlines", "a\u202eb", "x" * 121])
def test_a_title_that_can_not_be_leaves_nothing(data: Path, tmp_path: Path, title: str) -> None:
    with pytest.raises(ManifestError, match="title"):
        init_board(tmp_path / "board", data, title=title, today=TODAY)
    assert list(tmp_path.iterdir()) == []


def test_a_title_is_text(data: Path, tmp_path: Path) -> None:
    title = "<script>x</script> [a](b) $version ${{ x }}"
    root = init_board(tmp_path / "board", data, title=title, today=TODAY).root
    first = (root / "README.md").read_text().splitlines()[0]
    assert first == r"# &lt;script&gt;x&lt;/script&gt; \[a\](b) \$version \${{ x }}"
    assert title not in (root / ".github/workflows/verify.yml").read_text()


def test_without_git_it_is_a_board_all_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    made = init_board(tmp_path / "board", data, title="Demo", today=TODAY)
    assert made.commit is None
    assert set(content(made.root)) >= HOME


def test_the_first_commit_is_nobodys_where_git_does_not_know_its_user(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("EMAIL", raising=False)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{who}_NAME")
        monkeypatch.delenv(f"GIT_{who}_EMAIL")
    root = init_board(tmp_path / "board", data, title="Demo", today=TODAY).root
    assert run_git("log", "-1", "--format=%an", at=root) == "3die"


def test_schemas_say_what_models_say(board: Path) -> None:
    for name, model in (("submission", Submission), ("verification", Verification)):
        schema = json.loads((board / f"schema/{name}.schema.json").read_bytes())
        assert schema["additionalProperties"] is False
        assert set(schema["properties"]) == set(model.model_fields)
        inner = schema["$defs"].values()
        objects = [d for d in inner if d.get("type") == "object"]
        assert objects
        assert all(d["additionalProperties"] is False for d in objects)


def workflow(board: Path) -> str:
    return (board / ".github/workflows/verify.yml").read_text()


def test_the_workflow_may_only_read(board: Path) -> None:
    text = workflow(board)
    code = "\n".join(line.split("#")[0] for line in text.splitlines())
    assert "pull_request:" in code
    assert "pull_request_target" not in code
    assert re.findall(r"permissions:\n((?:  .*\n)+)", code) == ["  contents: read\n"]
    assert "write" not in code.replace("overwrite", "")
    assert "secrets" not in code
    assert "persist-credentials: false" in code


def test_the_workflow_pins_all_that_it_runs(board: Path) -> None:
    used = re.findall(r"uses: (\S+)", workflow(board))
    assert len(used) == 3
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", one) for one in used)
    assert f'"threedie=={__version__}"' in workflow(board)


def test_the_workflow_installs_before_the_pull_request_is_there(board: Path) -> None:
    text = workflow(board)
    order = [text.index(p) for p in ("pip install", "actions/checkout", "leaderboard changes")]
    order += [text.index(p) for p in ("leaderboard check", "leaderboard verify")]
    assert order == sorted(order)
    assert text.count("pip install") == 1


def test_no_expression_stands_in_a_shell_line(board: Path) -> None:
    """`run: echo ${{ … }}` would run what a branch is called."""
    steps = workflow(board).split("      - ")
    for step in steps:
        run = re.search(r"run:(.*?)(?=\n {8}(?:env|with|id|name):|\Z)", step, re.DOTALL)
        assert run is None or "${{" not in run[1], step


def test_owners_hold_what_is_not_the_submitters(board: Path) -> None:
    owned = owners((board / ".github/CODEOWNERS").read_text())
    for name in ("board.json", "truth.npz", ".github/workflows/verify.yml", "RULES.md"):
        assert owned(name), name
    entry = "entries/2026/x"
    for name in ("verification.json", "status.json"):
        assert owned(f"{entry}/{name}"), name
    for name in ("submission.json", "runs/0/predictions.npz"):
        assert not owned(f"{entry}/{name}"), name


def owners(text: str) -> Any:
    """The last pattern that fits a path says its owners, as GitHub reads the file."""
    rules = [line.split() for line in text.splitlines() if line and not line.startswith("#")]

    def fits(pattern: str, name: str) -> bool:
        if pattern == "*":
            return True
        plain = re.escape(pattern.lstrip("/")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        return bool(re.fullmatch(plain + (".*" if pattern.endswith("/") else ""), name))

    def owned(name: str) -> bool:
        last = [rule for rule in rules if fits(rule[0], name)][-1]
        return len(last) > 1

    return owned


def test_no_placeholder_is_left(board: Path) -> None:
    for name, text in content(board).items():
        if name.endswith((".md", ".yml")) and not name.startswith("selftests/"):
            left = re.findall(rb"(?<!\\)\$[a-z_]+", text)
            assert left == [], name


def test_rules_have_the_version_that_entries_agree_to(board: Path) -> None:
    assert (board / "RULES.md").read_text().startswith(f"# Rules, version {RULES}\n")


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_git_keeps_the_bytes_of_a_board(board: Path, tmp_path: Path) -> None:
    """Hashes are over bytes: no checkout may change ends of lines."""
    clone = tmp_path / "clone"
    run_git("-c", "core.autocrlf=true", "clone", "--quiet", str(board), str(clone))
    assert content(clone) == content(board)
