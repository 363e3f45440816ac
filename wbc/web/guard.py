"""What keeps a page or a service to its users: who may ask, from where, and how much.

Other pages that the same browser has open are the danger on one machine: they can send requests to it (CSRF),
or give their own name its address (DNS rebinding).  Elsewhere everybody in the network is, hence the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 2**20  # of a request's body
_COOKIE = "wbc_token"
_HEADERS = {
    # Only what this server sends: no script or style amid the page, no other host, no frame around it.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def new_token() -> str:
    """One that cannot be guessed."""
    return secrets.token_urlsafe(32)


def _plain(status: int, why: str) -> Response:
    return PlainTextResponse(why, status)


class Guard:
    """Answers before `app` does where a request is not to reach it.

    token: None where none is asked for.  host: by which name the page was opened to others, if by one.
    kinds: what may be posted, by content type or the part of it before the /.  most_bytes: of a body; None
    where `app` bounds it itself.  programs: whether those that are no browsers may post too; they send no
    origin, and the token as `Authorization: Bearer <token>`.  refused: makes an answer of status and reason.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str | None = None,
        host: str = "",
        kinds: Sequence[str] = ("application/json",),
        most_bytes: int | None = MOST_BYTES,
        programs: bool = False,
        refused: Callable[[int, str], Response] = _plain,
    ) -> None:
        self._app = app
        self._token = token
        self._kinds = kinds
        self._most_bytes = most_bytes
        self._programs = programs
        self._no = refused
        self._names = {"localhost", socket.gethostname().lower(), socket.getfqdn().lower(), host.lower()} - {
            ""
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(Request(scope))
        if refusal is None and scope["method"] not in ("GET", "HEAD") and self._most_bytes is not None:
            body = await bounded(receive, self._most_bytes)
            if body is None:
                refusal = self._no(413, f"more than {self._most_bytes:,} bytes")
            else:
                receive = again(body, receive)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if not self._is_own(host):
            return self._no(
                421, f"{host!a} is no name of this machine; use the address that the command printed"
            )
        if self._token is not None and not self._knows_token(request.headers):
            return self._admitted(request)
        return None if request.method in ("GET", "HEAD") else self._refusal_to_write(request, host)

    def _refusal_to_write(self, request: Request, host: str) -> Response | None:
        if request.method != "POST":
            return self._no(405, "only GET and POST are understood")
        origin = request.headers.get("origin")
        # A browser names the page that posts, and a program has none to name.
        if not (origin is None and self._programs) and (origin or "").partition("://")[2] != host:
            return self._no(403, "asked from another page")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in self._kinds and kind.partition("/")[0] not in self._kinds:
            return self._no(415, f"give {' or '.join(self._kinds)} as content-type")
        return None

    def _is_own(self, host: str) -> bool:
        """A number, or a name of this machine: a name that somebody gave its address is neither."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name.lower() in self._names
        return True

    def _knows_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if self._programs and scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        return cookie is not None and self._is_token(cookie.value)

    def _is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def _admitted(self, request: Request) -> Response:
        """To the page, with a cookie, where the link has the token."""
        given = parse_qs(request.url.query).get("token", [""])[0]
        if request.method != "GET" or request.url.path != "/" or not self._is_token(given):
            how = ", or send it as Authorization: Bearer <token>" if self._programs else ""
            return self._no(
                401, f"open the link that the command printed: it has a token, which is not here{how}"
            )
        answer = RedirectResponse("/", 303)  # so that the token stays in no address bar
        answer.set_cookie(_COOKIE, given, httponly=True, samesite="strict")
        return answer


async def bounded(receive: Receive, most_bytes: int) -> bytes | None:
    """The body; None where it is too long, of which no more than that is read, and where its sender left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > most_bytes:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def again(body: bytes, receive: Receive) -> Receive:
    """What was read already, to be read once more."""
    left = [body]

    async def receive_again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return receive_again
