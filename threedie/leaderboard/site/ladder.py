"""What an entry's page says of its verification: levels, checks, and what was found again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from threedie.benchmark.report.privacy import shown
from threedie.data.gallery import printable
from threedie.leaderboard.site.cells import MEANINGS, SHAPES
from threedie.leaderboard.site.collect import Entry
from threedie.manifests.verification import LEVELS, Check
from threedie.words import fixed, plural


def ladder(entry: Entry) -> list[dict[str, Any]]:
    """Each level: tried or not, passed or not, when and with what evidence."""
    verified = entry.verification
    assert verified is not None
    steps = {step.level: step for step in verified.steps}
    rungs = []
    for level in LEVELS[1:]:
        step = steps.get(level)
        state, found, says, on = "not-tried", "not tried", MEANINGS[level], ""
        if level == "recomputed":
            state, found, on = "passed", "passed", verified.verified
        elif step:
            state, found = tried(step.passed, step.runs, entry.seeds)
            says, on = shown(step.says, longest=1000), step.on
        rungs.append(
            {
                "level": level,
                "shape": SHAPES[level],
                "state": state,
                "found": found,
                "on": on,
                "says": says,
                "checks": checks(step.checks) if step else [],
                "deltas": _deltas(step.deltas) if step else None,
            }
        )
    return rungs


def tried(passed: bool, runs: int | None, of: int) -> tuple[str, str]:
    """How a step ended: its style, and in words.

    Args:
        passed: whether what was looked at agrees.
        runs: that were looked at; None: it is not said.
        of: runs of the entry. A level is granted for all of them only.
    """
    some = runs is not None and runs < of
    word = "passed" if passed else "failed"
    said = f"{word}, {runs} of {plural(of, 'run')}" if some else word
    return ("partial" if passed and some else word), said


def _deltas(deltas: Mapping[str, float]) -> dict[str, Any] | None:
    """What was found again minus what is recomputed, and how far apart they are at most."""
    if not deltas:
        return None
    degrees = [abs(delta) for key, delta in deltas.items() if "_deg" in key]
    shares = [abs(delta) for key, delta in deltas.items() if "_deg" not in key]
    within = [f"fractions within {fixed(max(shares), 4)}"] if shares else []
    within += [f"degrees within {fixed(max(degrees), 2)}"] if degrees else []
    return {
        "within": ", ".join(within),
        "lines": [
            (printable(key), f"{delta:+.{2 if '_deg' in key else 4}f}".replace("-", "−"))
            for key, delta in sorted(deltas.items(), key=lambda one: (-abs(one[1]), one[0]))
        ],
    }


def checks(looked_at: Iterable[Check]) -> list[dict[str, Any]]:
    """Of a verification, a step, or plausibility."""
    return [{"name": c.name, "ok": c.ok, "says": shown(c.says, longest=1000)} for c in looked_at]
