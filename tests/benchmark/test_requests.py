"""What bench is asked for.

Claims: names and seeds are parsed without doubles and in order; nonsense is refused with the form
that was expected; folder names tell runs apart, by what changes a number only.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from threedie.baselines import METHODS
from threedie.benchmark.requests import BenchRequest, parse_methods, parse_seeds
from threedie.errors import ConfigError


def test_methods_and_seeds() -> None:
    assert parse_methods("vicreg, sie,vicreg") == ("vicreg", "sie")
    assert parse_methods("all") == tuple(METHODS)
    assert parse_seeds("0,2-4, 3") == (0, 2, 3, 4)


@pytest.mark.parametrize("text", ["", "1-", "-1", "a", "1;2", "4-2", "0-1000", "٣"])
def test_wrong_seeds(text: str) -> None:
    with pytest.raises(ConfigError, match=r"0,1,2 or 0-4"):
        parse_seeds(text)


def test_folders_differ_where_runs_do() -> None:
    def folder(method: str = "sie", seed: int = 0, **other: object) -> Path:
        request = BenchRequest(methods=("sie", "sen"), data="data/demo/", **other)  # type: ignore[arg-type]
        return request.folder(method, seed)

    plain = folder()
    assert plain == Path("runs/sie-demo-small-s0")
    different = [
        folder("sen"),
        folder(seed=1),
        folder(preset="paper"),
        folder(settings=("lr=1e-4",)),
        folder(settings=("projector=64,64",)),
    ]
    assert len({plain, *different}) == 6
    assert folder(settings=("workers=4", "device=cpu")) == plain
    assert folder(settings=("a=../../x",)).parent == Path("runs")
    secret = BenchRequest(methods=("sie",), data="https://me:word@host/demo/?token=t")
    assert secret.folder("sie", 0) == plain


def test_a_name_is_for_one_run_and_stays_in_its_folder() -> None:
    assert BenchRequest(methods=("sie",), data="d", name="mine").folder("sie", 0) == Path(
        "runs/mine"
    )
    for name in ("..", ".", "", "a/b"):
        with pytest.raises(ConfigError, match="name"):
            BenchRequest(methods=("sie",), data="d", name=name)
    with pytest.raises(ConfigError, match="one method and one seed"):
        BenchRequest(methods=("sie",), data="d", seeds=(0, 1), name="mine")
