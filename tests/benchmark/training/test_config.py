"""Claims proved here, on what a run is told.

- Settings, presets and config.json are read without torch; every preset gives a valid config for
  every method, and the paper's is the paper's.
- `key=value` is read by the field's type, for the run's fields and for the method's; unknown keys
  name the nearest, bad values say what was found and what may be, impossible ones too.
- No method has a setting that the run has too.
- config.json gives back the same config, tuples included; another version's or a damaged one is
  an error that names the field.
- A budget in pairs or epochs gives the same number of steps as counting does.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.training.tiny import FakePairs, config_of
from threedie.baselines import METHODS
from threedie.benchmark.training.config import MACHINE, RunConfig, make_config, method_config
from threedie.benchmark.training.presets import PRESETS
from threedie.benchmark.training.record import RunRecord, make_record, versions
from threedie.benchmark.training.settings import describe, field_types, parse_setting
from threedie.errors import ConfigError, ManifestError

FIELDS = {field.name for field in dataclasses.fields(RunConfig)}


def test_presets_need_no_torch() -> None:
    code = (
        "import sys, threedie.benchmark.training.presets, threedie.benchmark.training.record\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", METHODS)
def test_every_preset_fits_every_method(preset: str, method: str) -> None:
    config = make_config(method=method, data="data", preset=preset, seed=3)
    assert (config.method, config.data, config.seed) == (method, "data", 3)
    assert len(PRESETS[preset].says) < 90


def test_paper_is_the_papers() -> None:
    config = make_config(method="sie", data="d", preset="paper")
    assert (config.size, config.batch_size, config.epochs, config.pairs) == (256, 1024, 2000, 0)
    assert (config.optimizer, config.lr, config.schedule) == ("adam", 1e-3, "constant")
    assert (config.weight_decay, config.warmup_epochs, config.encoder) == (1e-6, 0, "resnet18")
    own = method_config(config)
    assert (own.sim_coeff, own.std_coeff, own.cov_coeff, own.equi_factor) == (10, 10, 1, 0.45)


def test_no_method_has_a_setting_of_the_run() -> None:
    for name, entry in METHODS.items():
        assert not FIELDS & field_types(entry.load().Config).keys(), name


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("lr=5e-4", "lr", 5e-4),
        ("epochs=7", "epochs", 7),
        (" epochs = 7 ", "epochs", 7),
        ("compile=true", "compile", True),
        ("compile=no", "compile", False),
        ("optimizer=sgd", "optimizer", "sgd"),
        ("encoder=timm:resnet18", "encoder", "timm:resnet18"),
        ("checkpoint_minutes=2", "checkpoint_minutes", 2.0),
    ],
)
def test_settings_of_the_run(text: str, name: str, value: Any) -> None:
    found = getattr(make_config(method="sie", data="d", settings=[text]), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("equi_factor=0.9", "equi_factor", 0.9),
        ("projector=512,256", "projector", (512, 256)),
        ("projector=(512, 256)", "projector", (512, 256)),
        ("invariant_part=false", "invariant_part", False),
        ("covariance_rows=64", "covariance_rows", 64),
        ("covariance_rows=none", "covariance_rows", None),
        ("latents=rotation+color", "latents", "rotation+color"),
    ],
)
def test_settings_of_the_method(text: str, name: str, value: Any) -> None:
    config = make_config(method="sie", data="d", settings=[text])
    assert config.settings[name] == value
    assert getattr(method_config(config), name) == value


def test_the_budget_asked_for_is_the_one_taken() -> None:
    """The default preset has a budget in pairs."""
    assert make_config(method="sie", data="d").steps(40) == 20_480 // 64
    assert make_config(method="sie", data="d", settings=["epochs=8"]).steps(40) == 5
    in_pairs = make_config(method="sie", data="d", preset="paper", settings=["pairs=2048"])
    assert in_pairs.steps(41_920) == 2


def test_settings_come_over_the_methods_table_and_the_preset() -> None:
    config = make_config(
        method="sie-color", data="d", preset="paper", settings=["latents=color", "size=128"]
    )
    assert method_config(config).latents == "color"
    assert (config.size, config.batch_size) == (128, 1024)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch=3", "unknown setting 'epoch' for method sie. Did you mean epochs"),
        ("equifactor=3", "Did you mean equi_factor"),
        ("xyz=3", "Known: .*lr.*equi_factor"),
        ("lr", "must be key=value"),
        ("lr=fast", "lr is 'fast'; it must be a number"),
        ("lr=nan", "lr is nan; it must be a number above 0"),
        ("lr=0", "lr is 0.0; it must be a number above 0"),
        ("epochs=2.5", "epochs is '2.5'; it must be a whole number"),
        ("epochs=0", "epochs is 0; it must be 1 or more"),
        ("batch_size=1", "batch_size is 1; it must be 2 or more"),
        ("compile=maybe", "must be true or false"),
        ("optimizer=lamb", "must be one of adam, adamw, sgd"),
        ("precision=8", "must be one of auto, 32, bf16, 16"),
        ("projector=a,b", "projector is 'a,b'; it must be numbers such as 512,512"),
        ("covariance_rows=x", "must be a whole number or none"),
        ("equi_share=2", "equi_share is 2.0; it must be more than 0, less than 1"),
        ("seed=3", "use --seeds"),
        ("method=sie", "use --method"),
        ("settings=3", "unknown setting 'settings'"),
    ],
)
def test_bad_settings_are_named(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        make_config(method="sie", data="d", settings=[text])
    assert error.value.exit_code == 2


def test_unknown_names_are_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown preset 'smal'\. Did you mean 'small'"):
        make_config(method="sie", data="d", preset="smal")
    with pytest.raises(ConfigError, match=r"unknown method 'simcl'\. Did you mean 'simclr'"):
        make_config(method="simcl", data="d")
    with pytest.raises(ConfigError, match="unknown setting 'free_part' for method simclr"):
        make_config(method="simclr", data="d", settings=["free_part=0.5"])


def test_words_for_types() -> None:
    assert describe(int | None) == "a whole number or none"
    assert parse_setting("x", "NONE", int | None) is None


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"pairs": 0, "epochs": 3, "batch_size": 8}, 15),
        ({"pairs": 0, "epochs": 1, "batch_size": 32}, 1),
        ({"pairs": 100, "epochs": 9, "batch_size": 8}, 12),
        ({"pairs": 3, "batch_size": 8}, 1),
    ],
)
def test_steps_of_40_objects(changes: dict[str, int], steps: int) -> None:
    assert dataclasses.replace(config_of("sie"), **changes).steps(40) == steps  # type: ignore[arg-type]


def test_what_identifies_a_run() -> None:
    assert FIELDS >= MACHINE
    assert config_of("sie").identity().keys() == FIELDS - MACHINE


def record() -> RunRecord:
    config = config_of("sie", "covariance_rows=16")
    return make_record(config, FakePairs(config))


def test_config_json_gives_back_the_config(tmp_path: Path) -> None:
    record().write(tmp_path)
    found = RunRecord.read(tmp_path)
    assert found == record().model_copy(update={"started": found.started if found else ""})
    assert found is not None
    assert found.run_config == config_of("sie", "covariance_rows=16")
    assert found.run_config.settings["projector"] == (16, 16, 12)
    assert found.method_config["sim_coeff"] == 10.0
    assert (found.steps, found.n_classes, found.data_hash) == (10, 5, "ab" * 32)
    assert found.versions == versions()
    assert {"threedie", "torch", "python", "numpy"} <= found.versions.keys()
    assert found.started.endswith("+00:00")


def test_no_config_json_is_none(tmp_path: Path) -> None:
    assert RunRecord.read(tmp_path) is None


def changed(key: str, value: Any) -> bytes:
    body = record().model_dump(mode="json")
    target = body["config"] if key in FIELDS else body
    target[key] = value
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "a JSON object was expected"),
        (b" " * (2**20 + 1), "not valid JSON|larger"),
        (changed("schema_version", 2), "field 'schema_version'"),
        (changed("surprise", 1), "field 'surprise'"),
        (changed("n_classes", -1), "field 'n_classes'"),
        (changed("epochs", "many"), "epochs is 'many' in config.json; it must be a whole number"),
        (changed("batch_size", 0), "batch_size is 0; it must be 2 or more"),
        (changed("method", "byol"), "unknown method 'byol'"),
        (changed("settings", {"hidden": 3}), "hidden"),
        (changed("settings", {"projector": "x"}), "projector is 'x'"),
        (changed("settings", 3), "holds no run of this version"),
    ],
)
def test_a_damaged_config_json_is_an_error(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ManifestError, match=said):
        RunRecord.read(tmp_path)


def test_unknown_settings_are_of_another_version(tmp_path: Path) -> None:
    body = record().model_dump(mode="json")
    body["config"]["momentum"] = 0.9
    (tmp_path / "config.json").write_text(json.dumps(body))
    with pytest.raises(ManifestError, match="settings of another version: momentum"):
        RunRecord.read(tmp_path)


def test_what_a_url_keeps_secret_is_not_recorded() -> None:
    config = dataclasses.replace(config_of("sie"), data="https://me:word@host/demo?token=t")
    written = json.dumps(make_record(config, FakePairs(config)).model_dump(mode="json"))
    assert "https://host/demo" in written
    assert not any(secret in written for secret in ("word", "token"))
