"""Foreign text in YAML and Markdown.

Claims: any JSON-like value comes back from its YAML, whatever its texts hold; text in Markdown is
one line, and every character that is markup is escaped.
"""

from __future__ import annotations

import importlib
import io
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threedie.data.escape import markdown, plain, yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALAR = st.one_of(TEXT, st.integers(-(2**63), 2**63), st.booleans(), st.none())
VALUE = st.recursive(
    SCALAR,
    lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(TEXT, part, max_size=3)),
    max_leaves=10,
)


def read(text: str) -> Any:
    return importlib.import_module("yaml").safe_load(io.StringIO(text))  # it has no types


@settings(deadline=None)
@given(VALUE)
def test_a_value_comes_back(value: Any) -> None:
    assert read(yaml(value)) == value


@pytest.mark.parametrize(
    "word", ["no", "off", "null", "true", "1e3", "0o7", "- x", "a: b", "'", "---", "~", "12:30"]
)
def test_words_that_yaml_has_its_own_idea_of(word: str) -> None:
    assert read(yaml({"a": [word], word: word})) == {"a": [word], word: word}


def test_half_a_character_is_replaced_and_not_written() -> None:
    assert read(yaml({"name": "a\ud800b"})) == {"name": "a\ufffdb"}


def test_a_list_of_maps_stands_in_blocks() -> None:
    written = yaml({"rows": [{"name": 1, "of": ["x"]}]})
    assert written == 'rows:\n  - name: 1\n    "of":\n      - "x"\n'


@given(st.text())
def test_markdown_is_one_line_without_markup(text: str) -> None:
    shown = markdown(text)
    assert len(shown.splitlines()) <= 1
    assert shown.isprintable()
    assert not re.search(r"[`*_\[\]|<>~$@]|://|www\.", re.sub(r"\\.", "", shown))


def test_plain_cuts_and_keeps_words() -> None:
    assert plain(" a\n\tb\u202ec ") == "a b c"
    assert len(plain("x" * 1000)) == 200
