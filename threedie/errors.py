"""The one error tree. Everything a user can cause or meet is a ThreedieError.

ThreedieError
├── ConfigError         an option, argument or combination that can't work        exit 2
│   └── MissingExtra    a package of an extra is not installed                    exit 2
├── AssetError          one mesh is missing, broken, hostile or too large         costs that object
├── RenderError         a scene could not be rendered                             costs that object
├── ManifestError       a file of a data set is wrong: schema, hash, size, count  exit 1
│   └── EntryError      an entry of a leaderboard is refused, for a named reason  exit 1
├── StorageError        the disk is full, read-only or failing                    exit 1
└── Busy                another run holds the folder                              exit 1

A message says what was found, what was expected, in which file, and what to do next.
"""

from __future__ import annotations


class ThreedieError(Exception):
    """Base of all errors that are the user's to read; the command line prints them in one line."""

    exit_code = 1


class ConfigError(ThreedieError):
    """An option, argument or combination that can't work."""

    exit_code = 2


class MissingExtra(ConfigError):
    """A package that belongs to an optional extra is not installed."""

    def __init__(self, package: str, extra: str, *, why: str = "") -> None:
        super().__init__(
            f"{package} is not usable here{f' ({why})' if why else ''}. "
            f"It comes with: pip install 'threedie[{extra}]'. `3die doctor` shows what is missing."
        )


class AssetError(ThreedieError):
    """A mesh or texture that is missing, broken, hostile or too large."""


class RenderError(ThreedieError):
    """A scene that could not be rendered."""


class ManifestError(ThreedieError):
    """A file of a data set that is not what its manifest says, or not a manifest at all."""


class EntryError(ManifestError):
    """An entry of a leaderboard that is refused.

    Args:
        name: of the refusal, such as "permuted-rows": scripts and tests look for it.
        says: what was found, in which file or field, and what was expected.
    """

    def __init__(self, name: str, says: str) -> None:
        # What it quotes is a stranger's: no control signs for a terminal, and not endless.
        clean = "".join(c if c.isprintable() else "\ufffd" for c in says)
        self.name, self.says = name, clean if len(clean) <= 900 else f"{clean[:899]}…"
        super().__init__(f"{name}: {self.says}")


class StorageError(ThreedieError):
    """The disk is full, read-only or failing. Never retried."""


class Busy(ThreedieError):
    """Another run is writing into the same folder."""
