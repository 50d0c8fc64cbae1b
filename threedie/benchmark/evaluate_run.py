"""`3die eval`: find out what is to be evaluated (a run, an official checkpoint, an encoder), do it.

The numbers go into a results file, a short table to the terminal, features into a folder beside.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape

from threedie import files
from threedie.baselines import find_method
from threedie.baselines.encoders import build_encoder, preprocess
from threedie.baselines.method import frozen
from threedie.baselines.official import load_backbone, load_method
from threedie.benchmark.compare import compare, print_tables
from threedie.benchmark.evaluation.encoder import Normalisation, find_normalisation
from threedie.benchmark.evaluation.evaluate import About, evaluate
from threedie.benchmark.evaluation.protocols import find_protocol
from threedie.benchmark.grouping import Entry
from threedie.benchmark.progress import stages
from threedie.benchmark.reading.split import open_split
from threedie.benchmark.result_files import data_name, file_name, is_done, predictions_path, slug
from threedie.benchmark.training.devices import threads
from threedie.benchmark.training.run_folder import LoadedRun, load_run
from threedie.errors import ConfigError, StorageError

FEATURES = "features"


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalRequest:
    """What `3die eval` was asked for."""

    data: str
    checkpoint: Path | None = None
    """A run folder, or a file of the official code."""
    encoder: str | None = None
    """A name of build_encoder."""
    method: str | None = None
    """Of an official model.pth, to load its predictor too."""
    protocol: str = "3die-v1"
    pretrained: bool = False
    size: int | None = None
    normalise: str | None = None
    out: Path | None = None
    device: str = "auto"
    batch_size: int = 256
    probe_epochs: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        find_protocol(self.protocol)
        if self.method is not None:
            find_method(self.method)
        if self.checkpoint is None and self.encoder is None:
            raise ConfigError("nothing to evaluate: give --checkpoint RUN, or --encoder NAME.")
        if self.method is not None and self.checkpoint is None:
            raise ConfigError("--method says whose model.pth it is: give it with --checkpoint.")
        if self.batch_size < 1:
            raise ConfigError(f"--batch-size is {self.batch_size}; it must be 1 or more.")
        if self.seed < 0:
            raise ConfigError(f"--seed is {self.seed}; it must be 0 or more.")
        if self.probe_epochs is not None and self.probe_epochs < 1:
            raise ConfigError(f"--probe-epochs is {self.probe_epochs}; it must be 1 or more.")
        if self.size is not None and self.size < 8:
            raise ConfigError(f"--size is {self.size}; it must be 8 or more.")
        if self.out is not None and self.out.suffix != ".json":
            raise ConfigError(f"--out is '{self.out}'; it must name a .json file.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is evaluated, and how its pictures must be."""

    encoder: Any
    """A callable, or a Method."""
    about: About
    folder: Path
    """Where results and features go, unless asked otherwise."""
    size: int | None = None
    normalise: str | Normalisation = "dataset"
    threads: int = 0
    data_hash: str | None = None
    """Of the pictures that a run learnt from."""
    notes: tuple[str, ...] = field(default=())


def evaluate_any(request: EvalRequest, *, console: Console) -> Path:
    """Evaluate what is asked for; returns the results file.

    Raises:
        ConfigError: a combination that can't be, or an argument that `evaluate` refuses.
        ManifestError: a damaged run, checkpoint or data set.
    """
    checkpoint = request.checkpoint
    if checkpoint is not None and checkpoint.is_dir():
        if request.encoder or request.method or request.pretrained:
            raise ConfigError(
                f"{checkpoint} is a run folder and says its own encoder and method; leave out "
                "--encoder, --method and --pretrained."
            )
        subject = of_run(load_run(checkpoint), checkpoint)
    else:
        subject = of_encoder(request)
    if not Path(request.data).is_dir():
        raise ConfigError(
            f"--data is '{request.data}'; there is no such folder. (Every picture is read: "
            "have the data set on this machine.)"
        )
    return _evaluate(subject, request, console)


def evaluate_run(folder: Path, data: str, *, protocol: str, device: str, console: Console) -> Path:
    """Evaluate a finished run into its results.json, unless that is done already.

    Raises:
        ManifestError: no run there, or a damaged one.
    """
    request = EvalRequest(data=data, checkpoint=folder, protocol=protocol, device=device)
    run = load_run(folder)
    target = folder / file_name(request, run.record.data_hash, run.record.data_hash)
    if is_done(target, run, request):
        console.print(f"{escape(str(target))} is there already.", highlight=False)
        return target
    return _evaluate(of_run(run, folder), request, console)


def of_run(run: LoadedRun, folder: Path) -> Subject:
    """A trained run as the subject."""
    config = {**asdict(run.config), "settings": dict(run.record.method_config), "step": run.step}
    notes = () if run.finished else (f"the run is not finished: step {run.step}",)
    return Subject(
        encoder=run.method,
        about=About(name=run.config.method, config=config, checkpoint_sha256=run.checkpoint_sha256),
        folder=folder,
        size=run.config.size,
        normalise=find_normalisation("dataset", run.pixel_mean, run.pixel_std),
        threads=run.config.threads,
        data_hash=run.record.data_hash,
        notes=notes,
    )


def of_encoder(request: EvalRequest) -> Subject:
    """An encoder by name, an official checkpoint, or both, as the subject.

    Raises:
        ConfigError: unknown names, or a checkpoint with neither encoder nor method.
        ManifestError: a checkpoint that does not fit.
    """
    name, path = request.encoder or "resnet18", request.checkpoint
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(request.seed)
        backbone, dim = build_encoder(name, pretrained=request.pretrained, size=request.size)
        encoder: Any = backbone
        if request.method is not None:
            entry = find_method(request.method)
            kind = entry.load()
            encoder = kind(backbone, dim, kind.Config(**entry.settings), n_classes=55)
    sha256 = _load(encoder, request, path) if path is not None else None
    expected = preprocess(name, pretrained=request.pretrained)
    normalise: str | Normalisation = "published" if path is not None else "dataset"
    if expected is not None:
        r, g, b = expected.mean
        x, y, z = expected.std
        normalise = Normalisation(mean=(r, g, b), std=(x, y, z))
    trained = path is not None or request.pretrained or is_own(name)
    notes = () if trained else (f"{name} is not trained: it has its first weights",)
    said = f"{request.method or name}{' (pretrained)' if request.pretrained else ''}"
    config = {"encoder": name, "pretrained": request.pretrained, "seed": request.seed}
    stem = () if path is None else (path.stem,)
    return Subject(
        encoder=frozen(encoder),
        about=About(name=said, config=config, checkpoint_sha256=sha256),
        folder=Path("runs") / "-".join(map(slug, (said, *stem, data_name(request.data)))),
        size=request.size,
        normalise=normalise,
        notes=notes,
    )


def is_own(name: str) -> bool:
    """Whether it is the user's code, which may have loaded weights itself."""
    return ":" in name and name.partition(":")[0] not in ("timm", "torchvision")


def _load(encoder: Any, request: EvalRequest, path: Path) -> str:
    """Fill in the weights; returns the hash of the file."""
    if request.pretrained:
        raise ConfigError("--pretrained and --checkpoint both give weights; leave one out.")
    if not path.is_file():
        raise ConfigError(f"--checkpoint is '{path}'; there is no such run folder or file.")
    (load_backbone if request.method is None else load_method)(encoder, path)
    return files.sha256_file(path)


def _own_name(subject: Subject, request: EvalRequest) -> str:
    """Of the results file; it names data other than those that the run learnt from."""
    return file_name(request, open_split(request.data, "train").data_hash, subject.data_hash)


def _evaluate(subject: Subject, request: EvalRequest, console: Console) -> Path:
    folder = request.out.parent if request.out else subject.folder
    files.make_directory(folder)
    if not os.access(folder, os.W_OK):  # now, and not after hours
        raise StorageError(f"cannot write results into {folder}. Give --out FILE.json elsewhere.")
    target = request.out or folder / _own_name(subject, request)
    all_views = find_protocol(request.protocol).views == "all"
    title = f"evaluate {subject.about.name}"
    with stages(title, console) as progress, threads(subject.threads):
        results = evaluate(
            subject.encoder,
            request.data,
            protocol=request.protocol,
            about=subject.about,
            device=request.device,
            seed=request.seed,
            size=request.size or subject.size,
            normalise=request.normalise or subject.normalise,
            batch_size=request.batch_size,
            cache=folder / FEATURES,
            probe_epochs=request.probe_epochs,
            predictions=predictions_path(target) if all_views else None,
            on_progress=progress,
        )
    try:
        results.write(target)
    finally:  # if it can't be written, it is read at least
        for note in (*subject.notes, *results.notes):
            console.print(f"note: {escape(note)}", highlight=False, soft_wrap=True)
        print_tables(compare([Entry(target, results)]), console)
    console.print(
        f"{escape(str(target))}: all numbers ({results.seconds['total']:.0f} s)",
        highlight=False,
        soft_wrap=True,
    )
    return target
