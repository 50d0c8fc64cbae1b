"""Claims proved here, on the frozen list and truth.npz.

- The list is the same for ever: its hash is pinned, for a small, a one-view and the official size.
- Objects give equally many views, all of them up to 20,000; partners go round each object's views.
- The list's hash tells any change of list or truth, and nothing that float32 does not hold.
- truth.npz gives back what was put in, the same bytes for the same truth; what is none is refused.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from threedie.benchmark.evaluation.frozen import MOST_VIEWS, frozen_list
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth, freeze
from threedie.errors import ManifestError

TRUTH = FrozenTruth(
    protocol="3die-v1/1",
    objects=("chair/a", "mug/b"),
    classes=("chair", "mug", "sofa"),
    labels_N=np.array([0, 1]),
    latents_NVL=np.random.default_rng(0).random((2, 4, 7)).astype(np.float32).astype(np.float64),
)


@pytest.mark.parametrize(
    ("objects", "views", "pinned"),
    [
        (10552, 50, "f79833f4ad160e63c9b93d1b8fe3b6fe6ad330c753d1506987768b2a047c6d5a"),
        (24, 8, "a78602148936cbe67a78ce019efcd2b889ce7cd4aad68ff439972e7ea4215fac"),
        (3, 1, "04d9a9dcad313e9445b8e1569047b1530e32de38577e1eafa3b6ea222ec98198"),
    ],
)
def test_the_list_is_the_same_for_ever(objects: int, views: int, pinned: str) -> None:
    """A change here makes every board and every submitted prediction void."""
    listed = frozen_list(objects, views)
    rows = np.concatenate([listed.object_M, listed.view_M, listed.partner_M]).astype("<i8")
    assert hashlib.sha256(rows.tobytes()).hexdigest() == pinned


@pytest.mark.parametrize(
    ("objects", "views", "each"),
    [(10552, 50, 2), (400, 50, 50), (401, 50, 49), (3, 6, 6), (20001, 3, 2), (5, 1, 1), (5, 2, 2)],
)
def test_objects_weigh_the_same(objects: int, views: int, each: int) -> None:
    listed = frozen_list(objects, views)
    assert len(listed) == objects * each
    assert each == 2 or len(listed) <= MOST_VIEWS
    assert (listed.object_M == np.repeat(np.arange(objects), each)).all()
    assert len(np.unique(listed.flat_M)) == len(listed)
    view_Nk, partner_Nk = (a.reshape(objects, each) for a in (listed.view_M, listed.partner_M))
    assert (np.roll(view_Nk, -1, axis=1) == partner_Nk).all()
    assert ((view_Nk == partner_Nk).any()) == (each == 1)
    assert view_Nk.min() == 0
    assert view_Nk.max() == views - 1


def test_every_view_number_is_drawn_about_as_often() -> None:
    counts = np.bincount(frozen_list(10552, 50).view_M, minlength=50)
    expected = 10552 * 2 / 50
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "3die-v1/2"},
        {"objects": ("chair/a", "mug/c")},
        {"objects": ("chair/am", "ug/b")},
        {"objects": ("mug/b", "chair/a")},
        {"classes": ("chair", "mug", "so")},
        {"classes": ("chair", "mug")},
        {"labels_N": np.array([1, 0])},
        {"labels_N": np.array([0, -1])},
        {"latents_NVL": TRUTH.latents_NVL[:, ::-1]},
        {"latents_NVL": TRUTH.latents_NVL[:, :3]},
        {"latents_NVL": TRUTH.latents_NVL * np.float64(1 + 1e-6)},
    ],
    ids=str,
)
def test_the_hash_tells_any_change(change: dict[str, Any]) -> None:
    assert replace(TRUTH, **change).sha256 != TRUTH.sha256
    assert replace(TRUTH, latents_NVL=TRUTH.latents_NVL + 1e-12).sha256 == TRUTH.sha256


def test_truth_comes_back() -> None:
    content = TRUTH.to_bytes()
    back = FrozenTruth.from_bytes(content, "truth.npz")
    assert (back.protocol, back.objects, back.classes) == (
        *(TRUTH.protocol, TRUTH.objects, TRUTH.classes),
    )
    np.testing.assert_array_equal(back.latents_NVL, TRUTH.latents_NVL)
    assert back.sha256 == TRUTH.sha256
    assert back.to_bytes() == content


class _Split:
    """What `freeze` needs of a split."""

    def __init__(self, objects: list[str], labels: list[int]) -> None:
        self.objects_N, self.labels_N = np.array(objects), np.array(labels)
        self.latents_NVL = np.random.default_rng(1).random((len(objects), 2, 7))


def test_classes_are_those_of_train() -> None:
    train = _Split(["mug/a", "chair/b", "mug/c"], [7, 3, 7])
    val = _Split(["mug/d", "sofa/e", "chair/f"], [7, 9, 3])
    truth = freeze("3die-v1/1", train, val)
    assert truth.classes == ("chair", "mug")
    assert truth.labels_N.tolist() == [1, -1, 0]
    assert truth.objects == ("mug/d", "sofa/e", "chair/f")
    assert (truth.latents_NVL == val.latents_NVL.astype(np.float32)).all()


def _saved(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        TRUTH.to_bytes()[:-40],
        TRUTH.to_bytes()[:200] + b"\xff" * 40 + TRUTH.to_bytes()[240:],
        _saved(protocol=np.array("x")),
        _saved(
            protocol=np.array("x"),
            objects=np.array([{}], dtype=object),
            classes=np.array(["a"]),
            class_N=np.zeros(1, "<i2"),
            latents_NVL=np.zeros((1, 1, 7), "<f4"),
        ),
        _saved(
            protocol=np.array("x"),
            objects=np.array(["a", "b"]),
            classes=np.array(["a"]),
            class_N=np.zeros(1, "<i2"),
            latents_NVL=np.zeros((1, 1, 7), "<f4"),
        ),
        _saved(
            protocol=np.array("x"),
            objects=np.array(["a"]),
            classes=np.array(["a"]),
            class_N=np.zeros(1, "<i2"),
            latents_NVL=np.zeros((1, 7), "<f4"),
        ),
    ],
    ids=["empty", "cut", "no end", "damaged", "members", "pickle", "counts", "shape"],
)
def test_what_is_no_truth_is_refused(content: bytes) -> None:
    with pytest.raises(ManifestError, match=r"^here: "):
        FrozenTruth.from_bytes(content, "here")
