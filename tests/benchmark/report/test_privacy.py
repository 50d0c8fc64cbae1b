"""Claims proved here: places and secrets go, and words that only look like them stay."""

from __future__ import annotations

import json

import pytest

from threedie.benchmark.report.privacy import as_json, last_name, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/me/data/demo", "…/demo"),
        ("/home/me/my data/demo", "…/demo"),
        ("~/x/y/", "…/y"),
        ("C:\\Users\\me\\x.pt", "…/x.pt"),
        ("hf://datasets/me/x?token=1", "…/x"),
        ("https://me:pw@host/a/b#c", "…/b"),
        ("no file /home/me/x.json: gone", "no file …/x.json: gone"),
        ("a=/srv/x b='~/y'", "a=…/x b='…/y'"),
        ("token: abc and more", "[withheld] and more"),
        ("hf_abcdefghijklmnop", "[withheld]"),
        ("data/demo", "data/demo"),
        ("top-1/top-5 and 3/4", "top-1/top-5 and 3/4"),
        ("mean / deviation", "mean / deviation"),
        ("timm:resnet18", "timm:resnet18"),
        ("my_module:build", "my_module:build"),
        ("…/demo", "…/demo"),
        ("a tokeniser", "a tokeniser"),
        ("a\x00\u202eb", "a��b"),
        ("x" * 300, "x" * 119 + "…"),
    ],
)
def test_text(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert shown(shown(text)) == shown(text)


def test_last_names() -> None:
    assert [last_name(t) for t in ("/", "a/b//", "s3://b/c?x=1", "")] == ["…", "b", "c", "…"]


def test_json_is_json_and_bounded() -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    value = {"b": [1.5, None, True], "/home/me/k": "/home/me/v", "api_key": "x", "deep": deep}
    text = as_json({**value, "many": list(range(5000)), "long": "y" * 9000})
    found = json.loads(text)
    assert found["b"] == [1.5, None, True]
    assert found["…/k"] == "…/v"
    assert found["api_key"] == "[withheld]"
    assert len(found["many"]) == 2000
    assert len(found["long"]) == 2000
    assert "me" not in text
    assert text.isascii()
