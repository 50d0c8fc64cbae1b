"""An analysis in words and short tables: what the numbers say, from the numbers alone.

Importable without torch, so that a report may use it.
"""

from __future__ import annotations

from collections.abc import Iterator

from threedie.manifests.analysis import Analysis, FactorScore
from threedie.manifests.results import Number

Lines = list[list[str]]

LAWS = {
    "prediction": "moved to b, from b",
    "prediction_positive_w": "… with w ≥ 0",
    "other_rotation": "… by another q",
    "other_hues": "… by other hues",
    "two_steps": "moved to b, then c, from c",
    "identity": "q = identity, from itself",
    "inverse": "there and back, from itself",
    "composition": "twice, from once",
    "composition_swapped": "… in the wrong order",
    "double_cover": "by −q, from by q",
}
"""How far what is from what, in the order of the table."""
KEPT, NEARLY = 0.1, 0.5
"""A law whose ratio is below these is kept, or nearly."""
_OPPOSITE = 1.9
"""1 − cosine above this is the other side."""
_READ = 0.05
"""A score this far above chance, by its interval, is said to be read."""


def law_lines(found: Analysis) -> Lines:
    """Laws: cosine error, and both ratios to the distance between two views of an object."""
    lines = [["how far is", "1 − cos", "/ views'", "squares / views'"]]
    kinds = ("cosine_error", "cosine_ratio", "square_ratio")
    for law, says in {"view": "a view from another", **LAWS}.items():
        numbers = [found.numbers.get(f"{law}_{kind}") for kind in kinds]
        if numbers[0] is not None and numbers[0].value is not None:
            lines.append([says, *map(cell, numbers)])
    return lines


def sweep_lines(found: Analysis) -> Lines:
    """Sweeps: error of what was recovered, the best there is, chance, gain."""
    lines = [["sweep", "nearest of", "error °", "best °", "chance °", "gain"]]
    for sweep in found.sweeps:
        name = f"{sweep.name}_{sweep.among}"
        kinds = ("error_deg", "best_deg", "chance_deg")
        degrees = [cell(found.numbers.get(f"{name}_{kind}"), 1) for kind in kinds]
        among = "its object" if sweep.among == "object" else "all of val"
        gain = cell(found.numbers.get(f"{name}_gain"))
        lines.append([sweep.name.replace("_", " "), among, *degrees, gain])
    return lines


def factor_lines(found: Analysis) -> Lines:
    """Factors: a row each, a column for each part; class is top-1, the others R²."""
    parts = list(found.factors)
    lines = [["factor", "score", "chance", *parts]]
    factors = {name: score for part in parts for name, score in found.factors[part].items()}
    for name, score in factors.items():
        scores = [found.factors[part].get(name) for part in parts]
        if any(s is not None and s.score.value is not None for s in scores):
            kind = score.metric.removeprefix(f"{name}_").replace("_", " ")
            cells = [cell(s.score if s else None) for s in scores]
            lines.append([name.replace("_", " "), kind, cell(score.chance), *cells])
    return lines


def cell(number: Number | None, digits: int = 3) -> str:
    """A number for a table; – where there is none."""
    known = number is not None and number.value is not None
    return f"{number.value:.{digits}f}" if known and number is not None else "–"


def verdicts(found: Analysis) -> list[str]:
    """Sentences, the most important first."""
    if found.predictor is None:
        return [
            f"{found.encoder.name} has no predictor: nothing moves its embeddings. Only what its "
            "parts hold was measured.",
            *_parts(found),
        ]
    return [
        *_steered(found),
        *_accuracy(found),
        *_laws(found),
        *_sign(found),
        *_matrices(found),
        *_parts(found),
    ]


def _value(found: Analysis, name: str) -> float | None:
    number = found.numbers.get(name)
    return None if number is None else number.value


def _low(number: Number) -> float | None:
    return number.value if number.low is None else number.low


def _steered(found: Analysis) -> Iterator[str]:
    """Whether it looks at what it is told."""
    for kind, latent in (("rotation", "q"), ("hues", "hues")):
        gain = found.numbers.get(f"{kind}_gain")
        if gain is None or gain.value is None:
            continue
        low = _low(gain)
        uses = low is not None and low > 0
        yield (
            f"It {'uses' if uses else 'is not seen to use'} the {latent} it is given: with another "
            f"view's {latent} the error to the target is {_by_other(gain.value)} "
            f"(gain {gain.value:.3f}; 0 where {latent} is ignored, 1 for the target itself)."
        )
    moved, view = _value(found, "moved_share"), _value(found, "view_share")
    if moved is not None and view is not None:
        yield (
            f"Moves make {moved:.0%} of the variance of what it predicts; real views make "
            f"{view:.0%} of the variance of embeddings."
        )


def _by_other(gain: float) -> str:
    return f"{1 / (1 - gain):.2f} times as large" if gain < 1 else "all there is"


def _accuracy(found: Analysis) -> Iterator[str]:
    ratio = _value(found, "prediction_cosine_ratio")
    if ratio is not None:
        better = "nearer than doing nothing" if ratio < 1 else "no nearer than doing nothing"
        yield (
            f"The moved view is {better}: {ratio:.2f} of the distance between two views of an "
            "object."
        )
    for sweep in found.sweeps:
        gain = _value(found, f"{sweep.name}_{sweep.among}_gain")
        error = _value(found, f"{sweep.name}_{sweep.among}_error_deg")
        if sweep.among == "object" and gain is not None and error is not None:
            yield (
                f"Asked to sweep {sweep.name.replace('_', ' ')}, it finds views {error:.0f}° off "
                f"({gain:.0%} of the way from chance to the best view there is)."
            )


def _laws(found: Analysis) -> Iterator[str]:
    laws = {
        "identity": "q = identity leaves an embedding where it is",
        "inverse": "moving there and back returns",
        "composition": "moving twice is moving once",
    }
    for law, says in laws.items():
        ratio = _value(found, f"{law}_cosine_ratio")
        if ratio is not None:
            how = "holds" if ratio < KEPT else "nearly holds" if ratio < NEARLY else "does not hold"
            yield f"“{says}” {how}: {ratio:.2f} of the distance between two views of an object."
    right = found.numbers.get("composition_cosine_ratio")
    swapped = found.numbers.get("composition_swapped_cosine_ratio")
    if right and swapped and _above(right, swapped):
        yield "It composes better in the wrong order than in the right one."


def _sign(found: Analysis) -> Iterator[str]:
    """Whether q and −q, one rotation, are one move."""
    error = _value(found, "double_cover_cosine_error")
    if error is None:
        return
    if error > _OPPOSITE:
        share, own = _value(found, "negative_w_share"), _value(found, "prediction_cosine_error")
        positive = _value(found, "prediction_positive_w_cosine_error")
        yield (
            "q and −q, one rotation, move to opposite points (a map that is linear in q can't do "
            f"otherwise), and {share or 0:.0%} of the data's q have w < 0: with w ≥ 0 throughout "
            f"the error to the target is {positive or 0:.3f} and not {own or 0:.3f}."
        )
    elif (ratio := _value(found, "double_cover_cosine_ratio")) is not None:
        same = "the same place" if ratio < KEPT else "different places"
        yield f"q and −q, one rotation, move to {same} ({ratio:.2f} of the views' distance)."


def _matrices(found: Analysis) -> Iterator[str]:
    drawn = [s for s in found.spectra if s.on == "data" and s.move == "drawn"]
    errors = sorted(s.orthogonality_error for s in drawn if s.orthogonality_error is not None)
    nothing = sorted(s.identity_error for s in drawn if s.identity_error is not None)
    if not errors or not nothing:
        return
    kind = "matrices" if found.predictor and found.predictor.affine else "Jacobians"
    yield (
        f"On the span of the embeddings its {kind} are {errors[len(errors) // 2]:.2f} off a scaled "
        f"turn (0 is one) and {nothing[len(nothing) // 2]:.2f} off a multiple of the identity "
        f"(median of {len(errors)} moves)."
    )


def _parts(found: Analysis) -> Iterator[str]:
    """Where a factor lives, for methods that have two parts."""
    inv, equi = found.factors.get("inv"), found.factors.get("equi")
    if inv is None or equi is None:
        return
    for factor in inv:
        both = (inv.get(factor), equi.get(factor))
        if factor.startswith("rotation_") or both[0] is None or both[1] is None:
            continue
        first, second = both[0].score, both[1].score
        if first.value is None or second.value is None:
            continue
        name = factor.replace("_", " ")
        where = _where(both[0], both[1])
        yield f"{name} is read {where}: inv {first.value:.3f}, equi {second.value:.3f}."


def _where(inv: FactorScore, equi: FactorScore) -> str:
    if not _is_read(inv) and not _is_read(equi):
        return "from neither part"
    first, second = inv.score, equi.score
    if _above(first, second):
        return "better from the invariant part"
    if _above(second, first):
        return "better from the equivariant part"
    return "from both parts alike"


def _is_read(score: FactorScore) -> bool:
    low = _low(score.score)
    return low is not None and low > (score.chance.value or 0.0) + _READ


def _above(one: Number, other: Number) -> bool:
    """Whether intervals do not meet, where there are intervals."""
    low, high = _low(one), other.value if other.high is None else other.high
    return low is not None and high is not None and low > high
