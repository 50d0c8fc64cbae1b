"""What the fork server of writer.py is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Order:
    """One run and its fault."""

    disk: str
    """Folder whose operations count; the data set is `out` in it."""
    scratch: str
    writer: str = "real"
    """Or one of NAIVE, 'convert', 'download', 'download classes'."""
    crash_at: int = 0
    torn: bool = False
    fail_at: int = 0
    fail_errno: int = 0
    sticky: bool = False
    log: str = ""
    """File for all operations and their data."""
    largest_file: int = 0
    """RLIMIT_FSIZE, in bytes."""
    seed: int = 0
    user: int = 0
    """A user id to run as."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How the run ended."""

    status: int
    """0: well; 1: a ThreedieError; 70: another error; 137: stopped by the shim."""
    operations: int = 0
    error: str = ""
    message: str = ""
