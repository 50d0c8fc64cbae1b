"""Data sets that are made in parts, and elsewhere.

Claims:
- The parts of a plan are disjoint, complete and of nearly equal size; `k/n` is checked.
- Parts made in one folder (one after the other, or at once), in folders of their own, or into a
  store, and merged, are the bytes of one undisturbed run; failures included; merging again is fine.
- Two runs of one part are refused; a whole run beside a part too.
- A missing or damaged shard, other plans, and folders without a part are refused by name.
- A finished set in a store tells its objects and failures again, and is not opened for a retry.
- A delivered run that is stopped goes on: nothing delivered is made again, no staging is left.
- The rows of shards join to the index that scanning all of them gives.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.faults import oracle
from tests.faults.fake_stage import RENDERER, fake_plan
from threedie.data.index import PixelSums, build_index
from threedie.data.shard_rows import join_rows, pack_rows, parse_rows, scan_rows
from threedie.data.stores import FolderStore
from threedie.data.verify import verify_dataset
from threedie.errors import Busy, ConfigError, ManifestError, StorageError
from threedie.render.delivery import Delivery
from threedie.render.engine import Outcome, already_whole, render_dataset
from threedie.render.machine import Hardware
from threedie.render.merge import merge_parts
from threedie.render.outline import Outline
from threedie.render.plan import Part, Plan, Share
from threedie.render.progress import Progress
from threedie.render.workspace import Workspace

QUIET = Console(quiet=True)
SHAPE = {"views": 2, "latent_size": 7, "pixels_per_view": 64, "summed_views": 2}


def the_plan(seed: int = 0) -> Plan:
    """Nine objects in five shards; one fails."""
    chairs = tuple(f"o-{i}" for i in range(6))
    return fake_plan((*chairs, "raise-1"), ("m-0", "m-1"), objects_per_shard=2, seed=seed)


def make(
    folder: Path,
    *,
    plan: Plan | None = None,
    share: Share | None = None,
    delivery: Delivery | None = None,
    progress: Progress | None = None,
) -> Outcome:
    return render_dataset(
        plan or the_plan(),
        folder,
        hardware=Hardware(workers=1, threads=1),
        progress=progress or Progress(),
        renderer=RENDERER,
        share=share,
        delivery=delivery,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    make(folder)
    return folder


def same(folder: Path, undisturbed: Path) -> None:
    assert oracle.tree_hash(folder) == oracle.tree_hash(undisturbed)
    assert oracle.leftovers(folder) == []
    assert verify_dataset(folder).ok


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 16])
def test_parts_are_disjoint_complete_and_even(n: int) -> None:
    plan = the_plan()
    shares = [plan.share(Part(k, n)) for k in range(n)]
    assert [s for share in shares for s in share.shards] == list(plan.shards)
    sizes = [len(share.shards) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert len({share.name for share in shares}) == n


@pytest.mark.parametrize("text", ["", "1", "2/2", "3/2", "-1/2", "0/0", "a/b", "1/2/3", "0.5/1"])
def test_a_wrong_part_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="give k/n"):
        Part.parse(text)
    assert Part.parse(" 3/16 ") == Part(3, 16)


def test_parts_in_one_folder(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    for k in (1, 0):
        outcome = make(out, share=the_plan().share(Part(k, 2)))
        assert len(outcome.records) == len(the_plan().share(Part(k, 2)).shards)
        assert not (out / "dataset.json").exists()
    assert make(out, share=the_plan().share(Part(0, 2))).rendered == 0
    assert merge_parts(str(out), [], console=QUIET) == 3  # one object has failed
    same(out, undisturbed)
    assert merge_parts(str(out), [], console=QUIET) == 3
    assert make(out).rendered == 0
    same(out, undisturbed)


def test_parts_in_folders_of_their_own(tmp_path: Path, undisturbed: Path) -> None:
    parts = [tmp_path / f"part{k}" for k in range(3)]
    for k, part in enumerate(parts):
        make(part, share=the_plan().share(Part(k, 3)))
    assert merge_parts(str(tmp_path / "out"), parts, console=QUIET) == 3
    same(tmp_path / "out", undisturbed)


def test_parts_in_a_store(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "store"
    for k in range(2):
        delivery = Delivery(FolderStore(out))
        delivery.begin(Outline.of(the_plan()))
        make(tmp_path / f"s{k}", share=the_plan().share(Part(k, 2)), delivery=delivery)
        assert not (tmp_path / f"s{k}").exists()
    assert not (out / "dataset.json").exists()
    assert merge_parts(str(out), [], console=QUIET) == 3
    same(out, undisturbed)


def test_a_delivered_run_closes_itself(tmp_path: Path, undisturbed: Path) -> None:
    delivery = Delivery(FolderStore(tmp_path / "store"))
    assert delivery.begin(Outline.of(the_plan())) is None
    make(tmp_path / "staging", delivery=delivery)
    assert not (tmp_path / "staging").exists()
    manifest = delivery.begin(Outline.of(the_plan()))
    assert manifest is not None
    found = already_whole(delivery, manifest, retry_failed=False)
    assert (found.objects, found.rendered) == (8, 0)
    assert [failure.object for failure in found.failures] == ["03001627/raise-1"]  # exit status 3
    with pytest.raises(ConfigError, match="finished, with 1 failure"):
        already_whole(delivery, manifest, retry_failed=True)
    same(tmp_path / "store", undisturbed)


class FullStore(FolderStore):
    """A store that is full after so many files."""

    left = 3

    def put_file(self, name: str, path: Path, *, on_bytes: object = None) -> None:
        if self.left == 0:
            raise StorageError("the store is full")
        self.left -= 1
        super().put_file(name, path)


class Counted(Progress):
    def __init__(self) -> None:
        self.rendered_objects = 0

    def rendered(self, obj: object) -> None:
        self.rendered_objects += 1


@pytest.mark.parametrize("files", range(7))
def test_a_delivery_that_stops_goes_on(tmp_path: Path, undisturbed: Path, files: int) -> None:
    store, seen = FullStore(tmp_path / "store"), Counted()
    store.left = files
    delivery = Delivery(store)
    delivery.begin(Outline.of(the_plan()))
    with pytest.raises(StorageError, match="full"):
        make(tmp_path / "staging", delivery=delivery, progress=seen)
    store.left = 100
    make(tmp_path / "staging", delivery=delivery, progress=seen)
    assert seen.rendered_objects == 8  # each once: nothing was made again
    same(tmp_path / "store", undisturbed)


def test_two_of_one_part_and_a_whole_beside_a_part_are_refused(tmp_path: Path) -> None:
    outline = Outline.of(the_plan())
    with Workspace(tmp_path, outline, share="0-of-2").opened():
        with Workspace(tmp_path, outline, share="1-of-2").opened():
            pass
        for share in ("0-of-2", None):
            again = Workspace(tmp_path, outline, share=share)
            with pytest.raises(Busy, match="another run"), again.opened():
                pass


def test_a_missing_shard_is_named(tmp_path: Path, undisturbed: Path) -> None:
    share = the_plan().share(Part(0, 2))
    make(tmp_path, share=share)
    absent = next(s.name for s in the_plan().shards if s not in share.shards)
    with pytest.raises(ManifestError, match=rf"3 of 5 shards are missing.*{absent}") as told:
        merge_parts(str(tmp_path), [], console=QUIET)
    assert told.value.exit_code == 1  # not there yet: the command itself is right
    make(tmp_path)  # a whole run makes what is missing
    same(tmp_path, undisturbed)


def test_a_damaged_shard_is_not_merged(tmp_path: Path, undisturbed: Path) -> None:
    for k in range(2):
        make(tmp_path, share=the_plan().share(Part(k, 2)))
    victim = tmp_path / the_plan().shards[2].name
    content = bytearray(victim.read_bytes())
    content[700] ^= 1
    victim.write_bytes(bytes(content))
    with pytest.raises(ManifestError, match=rf"1 of 5 shards.*{victim.name}"):
        merge_parts(str(tmp_path), [], console=QUIET)
    for k in range(2):
        make(tmp_path, share=the_plan().share(Part(k, 2)))
    merge_parts(str(tmp_path), [], console=QUIET)
    same(tmp_path, undisturbed)


def test_parts_of_other_plans_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "a", share=the_plan().share(Part(0, 2)))
    make(tmp_path / "b", plan=the_plan(seed=1), share=the_plan(seed=1).share(Part(1, 2)))
    with pytest.raises(ConfigError, match="seed: "):
        merge_parts(str(tmp_path / "out"), [tmp_path / "a", tmp_path / "b"], console=QUIET)
    with pytest.raises(ConfigError, match="holds no part"):
        merge_parts(str(tmp_path / "nothing"), [], console=QUIET)
    with pytest.raises(ConfigError, match="empty holds no part"):
        merge_parts(str(tmp_path / "out"), [tmp_path / "a", tmp_path / "empty"], console=QUIET)


def test_another_data_set_in_the_store_is_refused(tmp_path: Path) -> None:
    delivery = Delivery(FolderStore(tmp_path))
    delivery.begin(Outline.of(the_plan()))
    with pytest.raises(ConfigError, match="seed: 0 there, 1 asked for"):
        delivery.begin(Outline.of(the_plan(seed=1)))


def test_rows_join_to_the_index(undisturbed: Path) -> None:
    shards = sorted(undisturbed.glob("train-*.tar"))
    sums = PixelSums()
    whole = build_index(shards, sums=sums, **SHAPE)
    rows = [scan_rows(s, **SHAPE) for s in shards]
    kept = [parse_rows(pack_rows(r), "here") for r in rows]
    joined, total = join_rows(kept, views=2, latent_size=7)
    for name in ("objects_N", "keys_N", "labels_N", "shards_N", "offsets_NV", "latents_NVD"):
        assert np.array_equal(getattr(joined, name), getattr(whole, name)), name
    assert total.mean_std() == sums.mean_std()
    with pytest.raises(ManifestError, match="views, latents"):
        join_rows(kept, views=3, latent_size=7)


@pytest.mark.parametrize("cut", [0, 10, 300, -1])
def test_damaged_rows_are_refused(undisturbed: Path, cut: int) -> None:
    shard = next(undisturbed.glob("*.tar"))
    content = pack_rows(scan_rows(shard, **SHAPE))
    with pytest.raises(ManifestError, match="not the rows"):
        parse_rows(content[:cut], "here")
