"""What a check finds: counted by kind, an example of each, and whether loading would fail."""

from __future__ import annotations

from dataclasses import dataclass

from threedie.sharing.convert.set_aside import SetAside

_MOST_KINDS = 50


@dataclass(slots=True)
class Findings(SetAside):
    """Problems; however many there are, they take bounded memory and lines."""

    fails: str | None = None
    """Why the hub would not load it at all: the first such problem."""

    def add(self, kind: str, example: str, *, fails: bool = False) -> None:
        """Count a problem.

        Args:
            kind: what is wrong, and what comes of it.
            example: the member.
            fails: loading ends with it.
        """
        if fails and self.fails is None:
            self.fails = kind
        if kind not in self.counts and len(self.counts) >= _MOST_KINDS:
            kind = "other problems"
        SetAside.add(self, kind, example)

    def lines(self) -> list[str]:
        """A line for every kind."""
        return [
            f"{kind} (once: '{self.examples[kind]}')"
            if count == 1
            else f"{kind} ({count:,} times; the first is '{self.examples[kind]}')"
            for kind, count in self.counts.items()
        ]
