"""The predictor alone: laws, steering, sweeps, matrices and the views to show, on val.

Shape suffixes: N = judged objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from threedie.benchmark.analysis import laws
from threedie.benchmark.analysis.embedded import Embedded, embed
from threedie.benchmark.analysis.questions import questions
from threedie.benchmark.analysis.shown import choose_shown, show
from threedie.benchmark.analysis.spectrum import MOST_WIDTH, is_affine, spectra
from threedie.benchmark.analysis.steering import measure_steering
from threedie.benchmark.analysis.sweeps import Found, measure, sweep
from threedie.benchmark.evaluation.bootstrap import Resampler
from threedie.benchmark.evaluation.record import Log
from threedie.benchmark.evaluation.retrieval import Predictor
from threedie.benchmark.evaluation.stages import ONE_VIEW, Context
from threedie.manifests.analysis import Axis, PredictorInfo, Shown, Spectrum, Sweep
from threedie.manifests.results import Number, Numbers

_UNMEASURED = (
    "it needs a third view of each object, a second object, or a latent that this predictor is told"
)
_OTHERS = ("rotation_gain", "hues_gain", "negative_w_share", "moved_share", "view_share")


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What looking at a predictor gives."""

    info: PredictorInfo
    objects: int
    """That were looked at."""
    numbers: Numbers
    sweeps: tuple[Sweep, ...] = ()
    spectra: tuple[Spectrum, ...] = ()
    shown: tuple[Shown, ...] = ()


def look(
    context: Context,
    predictor: Predictor,
    *,
    axes: Sequence[Axis],
    angles: int,
    shown: int,
    log: Log,
) -> Looked:
    """Everything about the predictor.

    Args:
        context: with the features of val.
        predictor: is copied, not changed.
        axes: to turn about.
        angles: steps of a whole turn.
        shown: objects whose views are listed.
        log: is told what was bounded.

    Raises:
        ConfigError: the predictor gives no numbers, or memory is short.
    """
    truth, split = context.truths["val"], context.splits["val"]
    embedded = embed(
        context.features["val"], truth, predictor, device=context.device, seed=context.seed
    )
    count = embedded.n_objects
    if count < truth.n_objects:
        log.notes.append(
            f"the predictor was looked at on {count:,} of {truth.n_objects:,} val objects, drawn "
            "by the seed"
        )
    if truth.n_views < 2:
        return Looked(info=_info(embedded, False), objects=count, numbers=nothing(ONE_VIEW))
    triples = laws.draw_triples(count, truth.n_views, context.seed)
    resampler, affine = Resampler(count, seed=context.seed), is_affine(embedded, triples)
    numbers = nothing(_UNMEASURED)
    context.on_progress("laws", 0, 1)
    numbers |= laws.measure_laws(embedded, triples, resampler)
    numbers |= measure_steering(embedded, triples, resampler)
    context.on_progress("laws", 1, 1)
    founds = _sweep_all(context, embedded, axes, angles)
    measured = [one for found in founds for one in measure(found, resampler)]
    chosen = choose_shown(split.labels_N[embedded.objects_N], shown, context.seed)
    return Looked(
        info=_info(embedded, affine),
        objects=count,
        numbers=numbers | {name: n for _, summary in measured for name, n in summary.items()},
        sweeps=tuple(curve for curve, _ in measured),
        spectra=_matrices(context, embedded, triples, affine, log),
        shown=show(founds, embedded, split.objects_N, chosen),
    )


def nothing(why: str) -> Numbers:
    """Every law as a null, with the reason."""
    kinds = ("cosine_error", "cosine_ratio", "square_ratio")
    names = [f"{name}_{kind}" for name in laws.NAMES for kind in kinds]
    names += ["view_cosine_error", *_OTHERS]
    return {name: Number(value=None, n=0, note=why) for name in names}


def _info(embedded: Embedded, affine: bool) -> PredictorInfo:
    return PredictorInfo.model_validate(
        {"latents": embedded.group, "width": embedded.width, "affine": affine}
    )


def _sweep_all(
    context: Context, embedded: Embedded, axes: Sequence[Axis], angles: int
) -> list[Found]:
    asked, found = list(questions(embedded, axes, angles)), list[Found]()
    for question in asked:
        context.on_progress("sweeps", len(found), len(asked))
        found.append(sweep(embedded, question))
    context.on_progress("sweeps", len(found), len(asked))
    return found


def _matrices(
    context: Context, embedded: Embedded, triples: laws.Triples, affine: bool, log: Log
) -> tuple[Spectrum, ...]:
    if embedded.width > MOST_WIDTH:
        log.notes.append(f"no singular values: the embedding is wider than {MOST_WIDTH:,}")
        return ()
    context.on_progress("singular values", 0, 1)
    found = spectra(embedded, triples, affine=affine)
    context.on_progress("singular values", 1, 1)
    return found
