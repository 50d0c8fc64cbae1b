"""One HTTP request for a file's bytes, and whether its answer may be believed.

Http and https only, wherever a server redirects to, five times at most, never from https to http
and never further inside (to this machine, to a cloud's own addresses). Credentials go to the host
that they are for and to no other. An answer that is no file (a web page, something compressed, a
range that was not asked for) is refused. Proxies are the environment's.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ipaddress
import os
import re
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from threedie import __version__
from threedie.data.urls import shown
from threedie.errors import ConfigError, StorageError

TIMEOUT_S = 30.0
"""Without a byte."""
_LONGEST_URL = 4096
_LONGEST_PAUSE_S = 120.0
_PASSING = {408, 425, 429}
_PLAIN = "/%:@!$&'()*+,;=~-._"
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_HINTS = {
    401: " A token can be given as THREEDIE_TOKEN (HF_TOKEN for the Hugging Face hub).",
    403: " A token can be given as THREEDIE_TOKEN (HF_TOKEN for the Hugging Face hub).",
    404: " Check the address.",
}


class Passing(Exception):
    """A fault that may go away by itself."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s
        """As the server asks."""


class WrongRange(Passing):
    """Another part of the file came than was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that has the file's bytes `first` … `end` − 1."""

    response: http.client.HTTPResponse | None
    """None where there is nothing left to read."""
    first: int
    end: int | None
    whole: int | None
    """Bytes of the file, as the server says."""
    validator: str
    """Its ETag, or when it was last changed."""


def ask(address: str, first: int, end: int | None, validator: str, *, token: bool) -> Answer:
    """Ask for the bytes of a file from `first` on.

    Args:
        address: of the file, http or https.
        first: the first wanted byte; the answer may start at 0 instead.
        end: the byte to stop before; None: the end of the file.
        validator: of the file that earlier bytes are of: another file is sent from its start.
        token: whether THREEDIE_TOKEN may be sent to this host.

    Raises:
        Passing: it may be tried again.
        StorageError: it can't be read, ever.
        ConfigError: no address of a file.
    """
    try:
        request, authorization = _request(address, token)
    except ValueError:
        raise _no_address(address) from None
    if first or end is not None:
        request.add_header("Range", f"bytes={first}-{'' if end is None else end - 1}")
        if first and validator:
            request.add_header("If-Range", validator)
    try:
        response = _opener(authorization).open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as err:
        err.close()
        if err.code == 416:
            return _nothing_left(err, first)
        raise _refusal(address, err) from None
    except (http.client.InvalidURL, ValueError):
        raise _no_address(address) from None
    except (OSError, http.client.HTTPException) as err:
        raise _fault(address, err) from None
    if response is None:
        raise StorageError(f"cannot read {shown(address)}: it leads to something that is not http.")
    try:
        return _checked(address, response, first, validator)
    except BaseException:
        response.close()
        raise


def _request(address: str, token: bool) -> tuple[urllib.request.Request, str]:
    if len(address) > _LONGEST_URL or not address.isprintable():
        raise ValueError
    parts = urlsplit(address)
    host, path = parts.netloc.rpartition("@")[2], quote(parts.path, safe=_PLAIN)
    plain = urlunsplit(parts._replace(netloc=host, path=path, fragment=""))
    headers = {"User-Agent": f"threedie/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(plain, headers=headers)
    authorization = _authorization(parts, token)
    if authorization:
        request.add_unredirected_header("Authorization", authorization)
    return request, authorization


def _no_address(address: str) -> ConfigError:
    return ConfigError(f"{shown(address)[:80]!r} is no address, or leads to none.")


def _authorization(parts: SplitResult, token: bool) -> str:
    """What this host is told of who we are; empty: nothing."""
    if "@" in parts.netloc:
        pair = unquote(parts.netloc.rpartition("@")[0]).encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    hub = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    secret = _hub_token() if _origin(parts) == _origin(hub) else None
    if not secret and token:
        secret = os.environ.get("THREEDIE_TOKEN")
    return f"Bearer {secret}" if secret else ""


def _hub_token() -> str | None:
    """HF_TOKEN, or what `hf auth login` has left."""
    if token := os.environ.get("HF_TOKEN"):
        return token
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return Path(os.environ.get("HF_TOKEN_PATH") or home / "token").read_text("ascii").strip()
    return None


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5
    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if (old.scheme, new.scheme) == ("https", "http") or _depth(new) > _depth(old):
            raise urllib.error.HTTPError(newurl, code, msg, headers, fp)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and self._authorization and _origin(old) == _origin(new):
            request.add_unredirected_header("Authorization", self._authorization)
        return request


def _depth(parts: SplitResult) -> int:
    """How far inside a host is: 0 the world, 1 a private network, 2 this machine or a cloud's own.

    Of names only `localhost` is known to be inside.
    """
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return 2
    try:
        # As the system would read it: 127.1, 0x7f000001.
        number = host if ":" in host else socket.inet_ntoa(socket.inet_aton(host))
        address = ipaddress.ip_address(number)
    except (OSError, ValueError):
        return 0
    if address.is_loopback or address.is_link_local or address.is_unspecified:
        return 2
    return int(address.is_private)


def _opener(authorization: str) -> urllib.request.OpenerDirector:
    """Http and https only, whatever a server redirects to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(authorization),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _refusal(address: str, err: urllib.error.HTTPError) -> Exception:
    """What an error status means."""
    reason = f"HTTP {err.code} {str(err.reason)[:60]}"
    if 300 <= err.code < 400:
        to = shown(str(err.headers.get("Location", "nowhere")))[:200]
        return StorageError(
            f"cannot read {shown(address)}: it redirects to {to}. At most five redirects are "
            "followed, to http and https only, not from https to http and not further inside."
        )
    if err.code < 500 and err.code not in _PASSING:
        return StorageError(f"cannot read {shown(address)}: {reason}.{_HINTS.get(err.code, '')}")
    asked = str(err.headers.get("Retry-After", ""))
    pause_s = float(asked) if asked.isdigit() else None
    if pause_s is not None and pause_s > _LONGEST_PAUSE_S:
        return StorageError(
            f"cannot read {shown(address)} now: {reason}; it asks to come back in {pause_s:.0f} s."
        )
    return Passing(reason, pause_s)


def _fault(address: str, err: OSError | http.client.HTTPException) -> Exception:
    reason = err.reason if isinstance(err, urllib.error.URLError) else err
    if isinstance(reason, ssl.SSLCertVerificationError):
        return StorageError(f"cannot read {shown(address)}: {reason.verify_message}.")
    return Passing(f"{type(err).__name__}: {str(reason)[:200]}")


def _nothing_left(err: urllib.error.HTTPError, first: int) -> Answer:
    """416: the file ends where we wanted to go on, or it is another one by now."""
    size = str(err.headers.get("Content-Range", "")).rpartition("/")[2]
    if size.isdigit() and int(size) == first:
        return Answer(None, first, first, first, _validator(err.headers))
    raise WrongRange(f"HTTP 416: it has no byte {first}")


def _checked(address: str, response: Any, first: int, validator: str) -> Answer:
    headers = response.headers
    encoding = headers.get("Content-Encoding", "identity").lower()
    kind = headers.get_content_type() if "Content-Type" in headers else ""
    if encoding != "identity":
        raise _no_file(address, f"something compressed ({encoding[:20]})")
    if kind in ("text/html", "application/xhtml+xml"):
        raise _no_file(address, f"a web page ({kind})")
    length = headers.get("Content-Length", "")
    size = int(length) if length.isdigit() else None
    if response.status == 206:
        span = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if not span or int(span[1]) != first or int(span[2]) < first:
            raise WrongRange(
                f"byte {first} on was asked for, {headers.get('Content-Range')!r} came"
            )
        whole = int(span[3]) if span[3].isdigit() else None
        return Answer(response, first, int(span[2]) + 1, whole, _validator(headers))
    return Answer(response, 0, size, size, _validator(headers))


def _no_file(address: str, what: str) -> StorageError:
    return StorageError(f"cannot read {shown(address)}: the server sends {what}, not the file.")


def _validator(headers: Any) -> str:
    """A strong ETag, or the date of the last change: what If-Range may hold."""
    tag = headers.get("ETag", "")
    return str(headers.get("Last-Modified", "")) if not tag or tag.startswith("W/") else str(tag)
