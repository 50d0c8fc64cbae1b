"""Claims proved here, on the texts of a hostile entry.

- submission.json: unknown fields, wrong types, huge and deep JSON, doubled keys, NaN, control and
  direction signs, addresses that are not https, contacts that are none, paths that leave the
  folder: each is refused, and the message names the field and holds no control sign.
- card.md, cite.bib and config.json are text: YAML tags, HTML, script and TeX run nowhere; hidden
  signs, other encodings, deep or impossible JSON are refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard import made
from threedie.errors import EntryError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.checks.check import check_entry, examine_entry


@pytest.fixture
def board(tmp_path: Path) -> OpenBoard:
    return made.make(tmp_path / "board", made.truth(objects=6, views=3))


def refusals(folder: Path, board: OpenBoard) -> list[EntryError]:
    found = examine_entry(folder, board).problems
    for err in found:
        assert str(err).isprintable()
        assert len(err.says) <= 1000
    return found


FIELDS: list[tuple[str, Any]] = [
    ("metrics", {"top1": 1.0}),
    ("method.rank", 1),
    ("runs.0.metrics", {"top1": 1.0}),
    ("id", "../../etc"),
    ("id", "a"),
    ("id", "UPPER"),
    ("id", "x" * 41),
    ("id", "a\u2044b"),
    ("submitted", "2026-02-30"),
    ("submitted", "2026-3-3"),
    ("submitted", "tomorrow"),
    ("method.name", "x" * 121),
    ("method.name", "<b>"[:0]),
    ("method.name", "a\nb"),
    ("method.name", "a\x00b"),
    ("method.name", "a\u202eb"),
    ("method.name", "\u3164"),
    ("method.name", "\u2800\u2800"),
    ("submitter.name", "a\u115fb"),
    ("method.variant", "Z\u0335\u0336\u0337"),
    ("method.variant", "\u0301"),
    ("method.name", "a\u200bb"),
    ("method.name", "a\ud800b"),
    ("method.name", " a"),
    ("method.name", 7),
    ("method.family", "best"),
    ("method.paper", "javascript:alert(1)"),
    ("method.paper", "JAVASCRIPT:alert(1)"),
    ("method.paper", "file:///etc/passwd"),
    ("method.paper", "data:text/html,<script>alert(1)</script>"),
    ("method.paper", "http://example.org"),
    ("method.paper", "https://user:word@example.org/"),
    ("method.paper", "https://example.org:8080/"),
    ("method.paper", "https://localhost/"),
    ("method.paper", "https://example.org/\"onclick='x'"),
    ("method.paper", "https://exa\u0440mple.org/"),
    ("method.paper", "//example.org/x"),
    ("method.paper", "https://[::1/"),
    ("method.code.url", "vbscript:x"),
    ("method.code.commit", "main"),
    ("submitter.contact", "javascript:alert(1)"),
    ("submitter.contact", "somebody"),
    ("submitter.contact", "a@b"),
    ("submitter.contact", "mailto:a@example.org"),
    ("submitter.contact", "a@example.org?cc=b@example.org"),
    ("submitter.name", "=HYPERLINK(1)\t"),
    ("runs", []),
    ("runs.0.seed", -1),
    ("runs.0.seed", True),
    ("runs.0.seed", 10**400),
    ("runs.0.predictions.path", "runs/0/../../../x/predictions.npz"),
    ("runs.0.predictions.path", "/etc/passwd"),
    ("runs.0.predictions.path", "runs/1/predictions.npz"),
    ("runs.0.predictions.path", "runs/0/predictions.npz\n"),
    ("runs.0.predictions.sha256", "A" * 64),
    ("runs.0.weights", {"url": "file:///w", "bytes": 1, "sha256": "a" * 64}),
    ("model.dim", 10**9),
    ("model.parts", {}),
    ("model.parts", {"../all": [0, 64]}),
    ("compute.hours_per_run", -1),
    ("selection.how", "best-of-val"),
    ("reported", {"source": "x", "values": {}}),
    ("schema_version", 2),
    ("schema_version", True),
    ("schema_version", 1.0),
    ("dataset.list_sha256", None),
    ("agrees_rules", None),
]


@pytest.mark.parametrize(("field", "value"), FIELDS, ids=lambda value: ascii(value)[:40])
def test_wrong_fields_are_refused_and_named(board: OpenBoard, field: str, value: Any) -> None:
    one = made.entry(board).set(field, value)
    folder = one.write(board.root / "entries/2026/sie-ours")
    found = refusals(folder, board)
    assert [err.name for err in found] == ["submission"]
    if not (field == "runs.0.seed" and value == 10**400):  # no integer of JSON's at all
        last = field.split(".")[-1]
        assert any(step in found[0].says for step in (last, field.split(".")[0]))


def _body(board: OpenBoard) -> str:
    return json.dumps(made.entry(board).body)


TEXTS: dict[str, bytes] = {
    "not JSON": b"schema_version: 1",
    "pickle": b"\x80\x04\x95(cos\nsystem\n",
    "a list": b"[]",
    "nothing": b"",
    "deep": b"[" * 60000,
    "deep object": b'{"a":' * 10000,
    "UTF-16": "{}".encode("utf-16"),
    "a doubled key": b'{"id": "a", "id": "b"}',
    "NaN": b'{"schema_version": NaN}',
    "Infinity": b'{"schema_version": -Infinity}',
    "YAML": b"!!python/object/apply:os.system ['touch pwned']",
    "long number": b'{"schema_version": ' + b"9" * 60000 + b"}",
    "control signs in a key": b'{"\\u001b[31m\\u202e": 1}',
    "a long key": b'{"' + b"k" * 60000 + b'": 1}',
}


@pytest.mark.parametrize("name", TEXTS)
def test_submissions_that_are_none_are_refused(board: OpenBoard, name: str) -> None:
    folder = made.entry(board).write(board.root / "entries/2026/sie-ours", text=TEXTS[name])
    assert [err.name for err in refusals(folder, board)] == ["submission"]


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_numbers_that_overflow_are_refused(board: OpenBoard, number: str) -> None:
    one = made.entry(board).set("compute", {"hours_per_run": 12345.5})
    text = json.dumps(one.body).replace("12345.5", number).encode()
    folder = one.write(board.root / "entries/2026/sie-ours", text=text)
    assert [err.name for err in refusals(folder, board)] == ["submission"]


def test_good_addresses_pass(board: OpenBoard) -> None:
    one = made.entry(board).set("method.paper", "https://arxiv.org/abs/2302.10283?v=1#S5")
    one.set("submitter.contact", "https://example.org/me").set("method.name", "Ünïté – 光 🎉")
    assert not refusals(one.place(board), board)


CARDS = {
    "YAML tags": b"---\na: !!python/object/apply:os.system ['touch pwned']\n---\n",
    "script": b"<script>document.title='pwned'</script><img src=x onerror=alert(1)>",
    "template": b"{{ config.__class__ }} {% import os %} ${7*7}",
    "Windows lines": b"a\r\nb\r\n",
    "emoji": "👩\u200d🚀".encode(),
    "nothing": b"",
}


@pytest.mark.parametrize("name", CARDS)
def test_cards_are_signs_and_nothing_runs(
    board: OpenBoard, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    one = made.entry(board)
    one.files["card.md"] = CARDS[name]
    checked = check_entry(one.place(board), board)
    assert checked.entry.contents["card.md"] == CARDS[name]
    assert not (tmp_path / "pwned").exists()


BAD_TEXTS = {
    "no UTF-8": b"caf\xe9",
    "a null": b"a\x00b",
    "an escape": b"a\x1b[31mb",
    "direction": "a\u202eb".encode(),
    "invisible": "a\u200bb".encode(),
    "an old line end": b"a\rb",
    "an endless line": b"a" * 5000,
    "a page break": b"a\x0cb",
    "a byte order mark": b"\xef\xbb\xbfa",
}


@pytest.mark.parametrize("file", ["card.md", "cite.bib"])
@pytest.mark.parametrize("name", BAD_TEXTS)
def test_bad_texts_are_refused_with_their_line(board: OpenBoard, name: str, file: str) -> None:
    one = made.entry(board)
    one.files[file] = b"first line\n" + BAD_TEXTS[name]
    (found,) = refusals(one.place(board), board)
    assert found.name == "text"
    assert file in found.says
    assert "line 2" in found.says or "byte" in found.says


CONFIGS = {
    "not JSON": b"method: sie",
    "33 levels": b'{"a":' * 32 + b"[]" + b"}" * 32,
    "deep": b"[" * 60000,
    "a list": b"[1]",
    "NaN": b'{"a": NaN}',
    "overflow": b'{"a": [1e999]}',
    "doubled key": b'{"a": 1, "a": 2}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "control sign": b'{"a": "\\u0000"}',
    "control sign in a key": b'{"a\\u202e": 1}',
    "YAML": b"!!python/object/apply:os.system ['touch pwned']",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_bad_configs_are_refused(board: OpenBoard, name: str) -> None:
    one = made.entry(board)
    one.files["config.json"] = CONFIGS[name]
    assert [err.name for err in refusals(one.place(board), board)] == ["config"]


def test_a_config_of_32_levels_and_many_lines_passes(board: OpenBoard) -> None:
    one = made.entry(board)
    one.files["config.json"] = b'{"a":' * 31 + b'"two\\nlines"' + b"}" * 31
    assert not refusals(one.place(board), board)
