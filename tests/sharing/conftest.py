"""Fixtures of sharing: an S3-compatible server, conversions in memory, the hub kept offline."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sharing.published import pieces
from threedie.sharing.convert.convert import ConvertOutcome, convert_archive
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.progress import ConvertProgress


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A real S3-compatible server; AWS_* in the environment name it and its credentials.

    For the whole session: fsspec keeps a client per kind of store.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what moto imports, which is not ours
        from moto.server import ThreadedMotoServer
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("no_proxy", "*")
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, request: pytest.FixtureRequest) -> str:
    """`s3://` and the name of an empty bucket."""
    import fsspec

    name = f"bucket-{abs(hash(request.node.nodeid))}"
    fsspec.filesystem("s3", use_listings_cache=False).mkdir(name)
    return f"s3://{name}"


Convert = Callable[..., ConvertOutcome]


def convert(
    content: bytes,
    out: Path,
    *,
    name: str = "set.tar",
    progress: ConvertProgress | None = None,
    **options: object,
) -> ConvertOutcome:
    """Convert an archive, small shards unless told otherwise."""
    options = {"objects_per_shard": 3, **options}
    return convert_archive(
        pieces(content),
        name=name,
        size=len(content),
        out=out,
        options=ConvertOptions(**options),  # type: ignore[arg-type]
        progress=progress or ConvertProgress(),
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the data set goes."""
    return tmp_path / "out"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own; `datasets` asks nobody."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    return tmp_path / "hub-cache"
