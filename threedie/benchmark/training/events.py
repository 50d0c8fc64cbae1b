"""TensorBoard's event file of a start of training, written row by row.

torch's SummaryWriter writes in a thread of its own, which a full disk ends with a traceback, and
training with it. Curves are no result: what can't be written is told once, and training goes on.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from threedie import files
from threedie.errors import MissingExtra, StorageError


class Events:
    """An event file that grows.

    Args:
        folder: of the run's events; made if it is not there.
        first: step to go on after; what an earlier start logged beyond it is taken back. 0: none.
        note: told when the file can't be written any more.

    Raises:
        MissingExtra: tensorboard is not installed.
    """

    def __init__(self, folder: Path, *, first: int, note: Callable[[str], None]) -> None:
        self._event, self._summary, record_writer = _tensorboard()
        self._note, self._file = note, None
        with self._told():
            files.make_directory(folder)
            self._file = files.Growing(folder / _name())
        self._records = record_writer(self)
        self._add(file_version="brain.Event:2")
        if first:
            self._add(step=first + 1, session_log=self._event.SessionLog(status="START"))

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Values of a step, by their tags."""
        value = self._summary.Summary.Value
        shown = [value(tag=tag, simple_value=number) for tag, number in values.items()]
        self._add(step=step, summary=self._summary.Summary(value=shown))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def write(self, record: bytes) -> None:
        """What tensorboard's writer of records asks of a file."""
        with self._told():
            if self._file is not None:
                self._file.append(record)

    def _add(self, **fields: Any) -> None:
        event = self._event.Event(wall_time=time.time(), **fields)
        self._records.write(event.SerializeToString())

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except StorageError as err:
            self.close()
            self._note(f"TensorBoard's events are not logged from here on: {err}")


def _name() -> str:
    """TensorBoard reads a folder's files in the order of their names."""
    now = time.time_ns()
    host = socket.gethostname()
    return f"events.out.tfevents.{now // 10**9:010d}.{host}.{os.getpid()}.{now % 10**9:09d}"


def _tensorboard() -> tuple[Any, Any, Any]:
    """Its modules of events and summaries, and its RecordWriter."""
    try:
        event = importlib.import_module("tensorboard.compat.proto.event_pb2")
        summary = importlib.import_module("tensorboard.compat.proto.summary_pb2")
        records = importlib.import_module("tensorboard.summary.writer.record_writer")
    except ImportError as err:
        raise MissingExtra("tensorboard", "bench", why=str(err)) from err
    return event, summary, records.RecordWriter
