"""The command line: a table of contents. Every verb parses, calls one function and prints.

program                        common options, and how every error ends as one line
render, convert, look, check,  the verbs, by what they are about
bench, analyze, report, submit, leaderboard, share, about

Exit status: 0 all done · 1 stopped or damaged · 2 wrong usage · 3 finished, some objects failed ·
75 training stopped and saved.
Heavy imports stand inside the verbs, so that `3die --help` is instant.
"""

# isort: off
# In the order of `3die --help`.
from threedie.cli import render, convert, look, check, bench, analyze, report  # noqa: F401
from threedie.cli import submit, leaderboard, share, about  # noqa: F401

# isort: on
from threedie.cli.program import app, main

__all__ = ["app", "main"]
