"""Rows as the hub's WebDataset builder makes them, and what it loses on the way.

The builder (`datasets`, packaged_modules/webdataset) cuts a name at its first dot into key and
field; members with one key that stand together are a row. It takes names and types from the first
five rows: what a later row has besides is dropped, what it lacks is None, and another type is
converted or ends the load. None of this is told to anybody; here it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from threedie.sharing.check.findings import Findings
from threedie.sharing.check.hub_types import EMPTY, NULL, Undecodable, columns_of

_NAME = re.compile(r"(?P<key>(?:.*/|)[^.]+)[.](?P<field>[^/]*)")
_LOOKED_AT = 5
_MOST_COLUMNS = 1000  # that the viewer shows


@dataclass(slots=True)
class Rows:
    """Members in, rows counted and compared.

    Args:
        findings: told what is lost or fails.
        declared: a card declares the types, so that nothing is taken from the first rows.
    """

    findings: Findings
    declared: bool
    count: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    """Of the first rows: type by column."""
    _first_shard: bool = True
    _key: str | None = None
    _row: dict[str, str] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    @property
    def n_columns(self) -> int:
        """As the hub counts: members, and `__key__` and `__url__`."""
        return sum("/" not in name for name in self.columns) + 2 if self.count else 0

    def add(self, name: str, content: bytes) -> None:
        """Take the next member of a shard."""
        base = name.rpartition("/")[2]
        match = _NAME.fullmatch(name)
        hidden = base.startswith((".", "__"))
        if hidden or match is None:
            why = "a hidden name" if hidden else "no dot"
            self.findings.add(f"a member with {why}: the hub skips it without a word", name)
            return
        if match["key"] != self._key:
            self._end()
            self._begin(match["key"], name)
        if match["field"] != match["field"].lower():
            what = "upper case after the first dot: webdataset reads another name than the hub"
            self.findings.add(what, name)
        self._take(match["field"], name, content)

    def _begin(self, key: str, name: str) -> None:
        self._key = key
        folded = key.lower()  # two keys that differ in case only meet on some file systems
        if folded in self._seen:
            what = (
                "members of one key stand apart or in two shards: the hub makes rows of the parts"
            )
            self.findings.add(what, name)
        self._seen.add(folded)

    def _take(self, member: str, name: str, content: bytes) -> None:
        if member in self._row:
            self.findings.add("a member stands twice in a sample: loading fails", name, fails=True)
        try:
            self._row |= columns_of(member, content)
        except Undecodable as err:
            self._row[member] = self.columns.get(member, "undecodable")
            kind = member.rpartition(".")[2]
            self.findings.add(f"a .{kind} {err}", name, fails=err.stops)

    def end_of_shard(self) -> None:
        """The last row of a shard is complete."""
        self._end()
        self._first_shard = False

    def _end(self) -> None:
        if self._key is None:
            return
        key, row = self._key, self._row
        self._key, self._row = None, {}
        self.count += 1
        self._look_for_dots(key, row)
        if self.count == 1:
            self.columns = row
            if self.n_columns > _MOST_COLUMNS:
                self.findings.add(f"more than {_MOST_COLUMNS} columns: the viewer fails", key)
        else:
            self._compare(key, row)
        for name in (name for name, kind in row.items() if NULL in kind):
            self.findings.add(
                f"'{name}' is null: whether it loads hangs on which rows come first", key
            )

    def _look_for_dots(self, key: str, row: dict[str, str]) -> None:
        """`a.1.jpg, a.1.json` are of key a, and so are `a.2.jpg, a.2.json`: one row."""
        tails: dict[str, set[str]] = {}
        for name in row:
            head, dot, tail = name.partition(".")
            if dot and "/" not in name:
                tails.setdefault(head, set()).add(tail)
        if any(len(of_head) > 1 for of_head in tails.values()):
            what = "a dot in the key, it seems: the hub cuts at the first and makes samples one row"
            self.findings.add(what, f"{key}.{next(iter(row))}")

    def _compare(self, key: str, row: dict[str, str]) -> None:
        early = self._first_shard and self.count <= _LOOKED_AT and not self.declared
        for name in self.columns.keys() - row.keys():
            member = "/" not in name
            what = "loading fails" if early and member else "the hub gives None without a word"
            self._differs(f"'{name}' is missing: {what}", key, fails=early and member)
        for name in row.keys() - self.columns.keys():
            member = "/" not in name
            what = "loading fails" if early and member else "the hub may drop it without a word"
            text = f"'{name}' is not in the first sample: {what}"
            self._differs(text, key, fails=early and member)
            if early:
                self.columns[name] = row[name]
        for name in self.columns.keys() & row.keys():
            self._compare_type(key, name, row[name], early=early)

    def _compare_type(self, key: str, name: str, found: str, *, early: bool) -> None:
        expected = self.columns[name]
        if found == expected or NULL in found or (found == EMPTY and "list" in expected):
            return
        open_ = expected in (NULL, EMPTY)
        if open_ and (early or self.declared):
            self.columns[name] = found
            return
        fails = early or open_ or ("text" in found) != ("text" in expected)
        what = "loading fails" if fails else "the hub converts it without a word"
        self._differs(f"'{name}' is {found}, first it was {expected}: {what}", key, fails=fails)

    def _differs(self, what: str, key: str, *, fails: bool) -> None:
        self.findings.add(what, key, fails=fails)
