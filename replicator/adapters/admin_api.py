"""A gateway in API-driven standalone mode: its whole configuration in one PUT, kept in its memory alone.

Source: apisix/admin/standalone.lua and apisix/admin/config_validate.lua of APISIX 3.18.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final

import msgspec

from replicator.errors import GatewayFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATH: Final = "/apisix/admin/configs"
_VERSION: Final = "_conf_version"
_ASK_S: Final = 5.0
_PUT_S: Final = 60.0  # a gateway takes seconds for ten thousand routes; nobody else asks it meanwhile
_TOLD_CHARS: Final = 300
_NAMED: Final = 3
_VALIDATED_BYTES: Final = 1_500_000  # what the gateway checks item by item

_BAD, _UNAUTHORIZED, _MISSING, _TOO_LARGE, _FAILED = 400, 401, 404, 413, 500

# A validator's messages quote what it was given.
_QUOTED = re.compile(r'(with|value|got:?) "(?:[^"\\]|\\.)*"')

_Sections = dict[str, msgspec.Raw]


class AdminApi:
    """The gateway whose Admin API is at *url*, as a `Target`; *key* is the Admin API's.

    It holds what it is given until it is restarted. A digest tells it from others: the SHA-256 of the body,
    as the gateway gives it back. Each type of resource has a version that may only rise, or stay, and the
    gateway then keeps what it has: so types that haven't changed are not built anew there.
    """

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url.rstrip("/") + _PATH
        self._key = key
        self._digest = ""
        self._repeats = 0
        self._versions: dict[str, int] = {}
        self._sections: dict[str, str] = {}

    def digest(self) -> str:
        """Return the SHA-256 of what the gateway has: see `Target.digest`.

        APISIX 3.13 tells none; there, what we gave it is known by its versions.
        """
        held = self._ask("HEAD")[0].get("X-Digest")
        if held is None and self._digest and self._current() == self._versions:
            return self._digest
        return (held or "").partition("#")[0]

    def put(self, chunks: Sequence[bytes]) -> None:
        """Give the gateway the body *chunks*: see `Target.put`."""
        body = b"".join(chunks)
        digest, sections = hashlib.sha256(body).hexdigest(), _digests(body)
        held = self.digest()
        if held == digest != self._digest:  # an answer of its was lost
            self._begin(digest, sections)
            return
        for _ in range(2):
            if not held or held != self._digest:
                self._begin(held, {})
            versions = {
                name: version + (digest == self._digest or sections.get(name) != self._sections.get(name))
                for name, version in self._versions.items()
            }
            repeats = self._repeats + 1 if digest == self._digest else 0
            if self._send(body, f"{digest}#{repeats}" if repeats else digest, versions):
                self._digest, self._repeats = digest, repeats
                self._versions, self._sections = versions, sections
                return
            held = ""  # somebody else was quicker
        raise GatewayFailed(
            "the gateway is given other configurations at the same time: its versions ran ahead of ours",
            hint="let one thing alone push to it",
        )

    def _begin(self, digest: str, sections: dict[str, str]) -> None:
        """Learn the gateway's versions; it holds *sections* of *digest*, as far as anybody knows."""
        self._versions = self._current()
        self._digest, self._repeats, self._sections = digest, 0, sections

    def _current(self) -> dict[str, int]:
        """Return the versions of all types that the gateway has."""
        document = self._ask("GET")[1]
        try:
            members = msgspec.json.decode(document, type=_Sections)
            return {
                name.removesuffix(_VERSION): int(msgspec.json.decode(raw, type=float))
                for name, raw in members.items()
                if name.endswith(_VERSION)
            }
        except (msgspec.DecodeError, ValueError, OverflowError):
            raise GatewayFailed(
                f"{self._url} answers something else than a configuration", hint="see agent.push"
            ) from None

    def _send(self, body: bytes, digest: str, versions: Mapping[str, int]) -> bool:
        """PUT the body; tell whether the gateway took it: if not, its versions are higher than ours."""
        try:
            self._ask("PUT", _with(body, versions), {"X-Digest": digest})
        except _Refused as refused:
            if refused.status == _BAD and f"{_VERSION} must be greater" in refused.said:
                return False
            if refused.status == _BAD:
                raise GatewayFailed(
                    f"the gateway refuses the whole configuration: {self._which(body) or refused.said}",
                    hint="change or delete that in the control plane; the gateway keeps what it has",
                ) from None
            raise
        return True

    def _which(self, body: bytes) -> str:
        """Return which items the gateway refuses, if it tells; since 3.16 or so it can be asked."""
        if len(body) > _VALIDATED_BYTES:
            return ""
        try:
            self._ask("POST", body, path="/validate")
        except _Refused as refused:
            return "; ".join(_named(refused.document))
        except GatewayFailed:
            pass
        return ""

    def _ask(
        self,
        method: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        path: str = "",
    ) -> tuple[Mapping[str, str], bytes]:
        """Return the headers and the body of the gateway's answer."""
        request = urllib.request.Request(self._url + path, body, dict(headers or {}), method=method)  # noqa: S310 (HttpUrl)
        request.add_header("Content-Type", "application/json")
        if self._key:
            request.add_header("X-API-KEY", self._key)
        try:
            with _OPENER.open(request, timeout=_ASK_S if body is None else _PUT_S) as answer:
                return answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(self._url, error.code, error.read(1 << 20)) from None
        except (OSError, http.client.HTTPException) as error:
            raise GatewayFailed(
                f"{self._url} doesn't answer: {error}", hint="is the gateway running, and its Admin API on?"
            ) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: the key is this gateway's."""

    def redirect_request(self, *_: Any) -> None:
        """Return nothing, so that the redirect is an error."""


# The gateway is beside us: no proxy of the environment's is asked the way.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


class _Refused(GatewayFailed):
    """The gateway answers, and says no."""

    def __init__(self, message: str, hint: str, status: int, document: Any) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.document = document

    @property
    def said(self) -> str:
        """What it said, in one line."""
        return _said(self.document)


_HINTS: Final = {
    _UNAUTHORIZED: "agent.push_key must be a key of deployment.admin.admin_key, of role admin",
    _MISSING: "the gateway must run with role: traditional, config_provider: yaml and its Admin API on",
    _TOO_LARGE: "raise the gateway's nginx_config.http.client_max_body_size",
    _FAILED: "perhaps it is too large for nginx_config.meta.lua_shared_dict.standalone-config, which is 10m",
}


def _refusal(url: str, status: int, body: bytes) -> _Refused:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = None
    said = f": {_said(document)}" if _said(document) else ""
    return _Refused(f"{url} answered {status}{said}", _HINTS.get(status, ""), status, document)


def _said(document: Any) -> str:
    return _plain(document.get("error_msg", "")) if isinstance(document, dict) else ""


def _named(document: Any) -> list[str]:
    """Return what `/validate` says of each item, the first few."""
    errors = document.get("errors") if isinstance(document, dict) else None
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    told = [_told(error) for error in found[:_NAMED]]
    return [*told, f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else told


def _told(error: dict[str, Any]) -> str:
    kind, name = _plain(error.get("resource_type")), _plain(error.get("resource_id"))
    return f"{kind}/{name}: {_plain(error.get('error'))}"


def _plain(text: Any) -> str:
    """Return *text* in one printable line, without what it quotes of a configuration."""
    line = _QUOTED.sub(r'\1 "..."', str(text))[:_TOLD_CHARS]
    return "".join(char if char.isprintable() else " " for char in line)


def _digests(body: bytes) -> dict[str, str]:
    """Return a digest of each section of *body*."""
    try:
        sections = msgspec.json.decode(body, type=_Sections)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GatewayFailed(f"what is to be pushed is no configuration: {error}") from None
    return {name: hashlib.sha256(raw).hexdigest() for name, raw in sections.items()}


def _with(body: bytes, versions: Mapping[str, int]) -> bytes:
    """Return *body*, a JSON object, with the *versions* as its first members."""
    members = ",".join(f'"{name}{_VERSION}":{version}' for name, version in versions.items()).encode()
    rest = body.lstrip()[1:].lstrip()
    return b"{" + members + (b"," if members and not rest.startswith(b"}") else b"") + rest
