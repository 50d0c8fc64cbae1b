"""The house: what may import what.

Claims: importing threedie and showing help loads neither bpy nor torch; bpy stands in one module;
imports go one way, cli -> render -> data -> manifests -> errors; the public names are importable.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import threedie

PACKAGE = Path(threedie.__file__).parent
RANK = {"errors": 0, "words": 0, "files": 1, "manifests": 2, "data": 3, "render": 4}
"""A room may import rooms of its own rank or below; everything else stands above all."""


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
        "import threedie; threedie.open_dataset",
        "import threedie.render.engine, threedie.render.run",
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


def test_nothing_here_imports_torch() -> None:
    assert not [p for p in sources() if any(n.split(".")[0] == "torch" for n in imported(p))]


def test_arrows_go_one_way() -> None:
    wrong = []
    for path in sources():
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "threedie" and len(parts) > 1:
                wrong += [(path.name, name)] if RANK.get(parts[1], 9) > RANK.get(room, 9) else []
    assert not wrong


def test_public_names_are_there_and_no_others() -> None:
    for name in threedie.__all__:
        assert getattr(threedie, name) is not None
    assert sorted(dir(threedie)) == sorted(threedie.__all__)
    with pytest.raises(AttributeError):
        threedie.no_such_thing  # noqa: B018
