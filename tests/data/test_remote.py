"""Credentials of stores, without a store.

Claims: the hub's client is given HF_TOKEN when it is made, so that it has it while rendering keeps
the environment free of secrets; no other client is given it; without one the client finds its own;
no message and no name of an object holds it.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from threedie.data.remote import Remote
from threedie.errors import StorageError

fsspec = pytest.importorskip("fsspec", reason="stores: pip install 'threedie[share]'")
TOKEN = "hf_secret0123456789"


class Opened:
    """Stands in for fsspec: notes what is opened how, and fails at everything."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.options: list[dict[str, Any]] = []
        monkeypatch.setattr(fsspec.core, "url_to_fs", self.url_to_fs)

    def url_to_fs(self, address: str, **options: Any) -> tuple[Any, str]:
        self.options.append(options)
        return self, address.partition("://")[2]

    def invalidate_cache(self) -> None:
        raise PermissionError(f"401: {self.options[-1].get('token') and 'a token'} is not taken")


@pytest.mark.parametrize("scheme", ["hf", "s3", "gs"])
def test_the_hub_is_given_its_token(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    remote = Remote(f"{scheme}://datasets/me/set")
    given = {"token": TOKEN} if scheme == "hf" else {}
    assert opened.options == [{"use_listings_cache": False, **given}]
    assert TOKEN not in f"{remote!r} {remote.address}"
    with pytest.raises(StorageError, match="not allowed") as told:
        remote.size("dataset.json")
    assert TOKEN not in str(told.value)


@pytest.mark.parametrize("token", ["", None])
def test_without_one_the_client_finds_its_own(
    token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened(monkeypatch)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    Remote("hf://datasets/me/set")
    assert opened.options == [{"use_listings_cache": False}]


def test_it_is_sent_while_the_environment_holds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the hub's own client; nothing is asked of a server."""
    pytest.importorskip("huggingface_hub", reason="hubs: pip install 'threedie[share]'")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    lanes = pytest.importorskip("threedie.render.lanes", reason="pip install 'threedie[render]'")
    client = Remote("hf://datasets/me/set")._fs
    with lanes.harmless_environment():
        assert "HF_TOKEN" not in os.environ
        assert client._api._build_hf_headers()["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in f"{client!r} {client}"
