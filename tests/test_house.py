"""The house: what may import what.

Claims: importing threedie and showing help loads neither bpy nor torch; bpy stands in one module;
torch in baselines and benchmark only; imports go one way,
cli -> {render, sharing, benchmark -> baselines} -> data -> manifests -> errors; public names are
importable.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import threedie

PACKAGE = Path(threedie.__file__).parent
BELOW = {
    "errors": {"errors"},
    "names": {"errors", "names"},
    "words": {"words"},
    "teller": {"teller"},
    "interrupts": {"interrupts"},
    "files": {"errors", "files"},
    "manifests": {"errors", "names", "words", "files", "manifests"},
    "data": {"errors", "names", "words", "files", "manifests", "data"},
    "render": {
        "errors",
        "names",
        "words",
        "files",
        "teller",
        "interrupts",
        "manifests",
        "data",
        "render",
    },
    "sharing": {"errors", "names", "words", "files", "teller", "manifests", "data", "sharing"},
    "baselines": {"errors", "names", "words", "manifests", "baselines"},
    "benchmark": {
        "errors",
        "names",
        "words",
        "files",
        "manifests",
        "data",
        "baselines",
        "benchmark",
    },
    "leaderboard": {
        "errors",
        "names",
        "words",
        "files",
        "teller",
        "interrupts",
        "manifests",
        "data",
        "render",
        "baselines",
        "benchmark",
        "leaderboard",
    },
}
"""What each room may import; what stands beside the rooms (cli, listings, doctor), all."""


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize(
    "code",
    [
        "import threedie",
        "import threedie.cli",
        "import threedie; threedie.open_dataset, threedie.METHODS, threedie.PRESETS",
        "import threedie.render.engine, threedie.render.run",
        "import threedie.baselines, threedie.listings, threedie.manifests.results",
        "import threedie.benchmark.report.write",
        "import threedie.benchmark.evaluation.items, threedie.benchmark.evaluation.frozen_truth",
        "import threedie.benchmark.evaluation.findings",
        "import threedie.leaderboard.site.build, threedie.leaderboard.serve",
        "import threedie.leaderboard.folder, threedie.leaderboard.board",
        "import threedie.leaderboard.checks.check, threedie.leaderboard.verify",
        "import threedie.leaderboard.selftests, threedie.leaderboard.shown",
        "from threedie.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    ],
)
def test_loads_neither_blender_nor_torch(code: str) -> None:
    check = (
        "import sys; bad = {'bpy', 'torch', 'mathutils'} & set(sys.modules); assert not bad, bad"
    )
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_bpy_stands_in_one_module() -> None:
    users = [p.name for p in sources() if {"bpy", "mathutils"} & imported(p)]
    assert users == ["scene.py"]


def test_torch_stands_in_two_rooms() -> None:
    users = [p for p in sources() if any(n.split(".")[0] == "torch" for n in imported(p))]
    assert {p.relative_to(PACKAGE).parts[0] for p in users} == {"baselines", "benchmark"}


def test_arrows_go_one_way() -> None:
    wrong = []
    for path in sources():
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "threedie" and len(parts) > 1:
                allowed = BELOW.get(room)
                wrong += [] if allowed is None or parts[1] in allowed else [(path.name, name)]
    assert not wrong


def test_public_names_are_there_and_no_others() -> None:
    for name in threedie.__all__:
        assert getattr(threedie, name) is not None
    assert sorted(dir(threedie)) == sorted(threedie.__all__)
    with pytest.raises(AttributeError):
        threedie.no_such_thing  # noqa: B018
