"""What a foreign source holds that is not taken: counted by kind, the first of each kind named."""

from __future__ import annotations

from dataclasses import dataclass, field

_LONGEST = 120


@dataclass(slots=True)
class SetAside:
    """A count and an example of every kind; a million strange members cost no memory."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        """Count one.

        Args:
            kind: what it is: `symbolic link`.
            example: its name.
        """
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind not in self.examples:
            shown = "".join(c if c.isprintable() else "\ufffd" for c in example)
            self.examples[kind] = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"

    def lines(self) -> list[str]:
        """A clear line for every kind."""
        return [
            f"set aside: {kind} ({count:,}; the first is '{self.examples[kind]}')"
            for kind, count in self.counts.items()
        ]
