"""The server: what it can be asked for, and what it answers.

Starlette alone, as of `wbc review`.  Nothing that a client sends is a path of this machine: pictures are
bytes, and their names only come back.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from wbc.serving.admission import Admission, FullError
from wbc.serving.description import api_page, openapi
from wbc.serving.service import TOO_MANY_PIXELS, Service
from wbc.serving.uploads import KINDS, read_away, too_long, uploads
from wbc.web.guard import Guard

log = logging.getLogger(__name__)

RETRY_AFTER_S = 2
_ASSETS = {
    "/": ("index.html", "text/html"),
    "/serve.css": ("serve.css", "text/css"),
    "/serve.js": ("serve.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_CODES = {
    400: "bad_request",
    401: "no_token",
    403: "other_page",
    404: "not_found",
    405: "not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unknown_kind",
    421: "other_name",
    422: "unreadable",
    503: "busy",
}


@dataclass(frozen=True)
class Limits:
    """Of what may be sent.  requests: that may wait at once; most_bytes, most_pictures: of one."""

    requests: int
    most_bytes: int
    most_pictures: int


class Counted:
    """What was answered since the start."""

    requests = pictures = 0


def serve_app(
    service: Service, limits: Limits, about: Mapping[str, Any], token: str | None = None, host: str = ""
) -> Starlette:
    """The application.  about: a `ModelRecord` as plain values.  token, host: see `wbc.web.guard.Guard`."""
    version = importlib.metadata.version("wbc")
    document = openapi(version)
    page = api_page(document)

    async def told_api(request: Request) -> Response:
        return HTMLResponse(page)

    async def told_document(request: Request) -> Response:
        return JSONResponse(document)

    async def told_version(request: Request) -> Response:
        return JSONResponse({"wbc": version, "model": dict(about)})

    app = Starlette(
        routes=[
            *(Route(address, _asset(*asset)) for address, asset in _ASSETS.items()),
            Route("/api", told_api),
            Route("/openapi.json", told_document),
            Route("/version", told_version),
            Route("/health", _health),
            Route("/answer", _answer, methods=["POST"]),
        ],
        middleware=[
            Middleware(
                Guard, token=token, host=host, kinds=KINDS, most_bytes=None, programs=True, refused=failure
            )
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.state.service, app.state.limits = service, limits
    app.state.admission = Admission(limits.requests, limits.most_bytes)
    app.state.counted = Counted()
    app.state.stopping = lambda: False  # set by the job, whose server knows
    return app


def failure(status: int, said: str, headers: Mapping[str, str] | None = None) -> Response:
    """A `FailureRecord`."""
    error = {"code": _CODES.get(status, "failed"), "said": said}
    return JSONResponse({"error": error}, status, headers=headers)


async def _health(request: Request) -> Response:
    state = request.app.state
    stopping = state.stopping()
    record = {
        "status": "stopping" if stopping else "ok",
        "waiting": state.admission.waiting,
        "queue": state.admission.requests,
    }
    return JSONResponse(record, 503 if stopping else 200)


async def _answer(request: Request) -> Response:
    state = request.app.state
    limits: Limits = state.limits
    fields = _is_true(request.query_params.get("fields", "false"))
    announced = request.headers.get("content-length")
    size = int(announced) if announced is not None and announced.isdecimal() else None
    if size is not None and size > limits.most_bytes:
        await read_away(request.receive, limits.most_bytes)
        raise HTTPException(413, too_long(limits.most_bytes), {"connection": "close"})
    try:
        with state.admission.room(size):
            sent = await uploads(request, limits.most_bytes, limits.most_pictures)
            record = await state.service.answer(sent, fields)
    except FullError as error:
        await read_away(request.receive, limits.most_bytes)
        raise HTTPException(
            503,
            f"{state.admission.waiting} requests wait already; ask again in {RETRY_AFTER_S} s",
            {"retry-after": str(RETRY_AFTER_S)},
        ) from error
    state.counted.requests += 1
    state.counted.pictures += len(sent)
    return JSONResponse(record, _status(record["pictures"]))


def _is_true(given: str) -> bool:
    if given.lower() not in ("true", "false", "1", "0"):
        raise HTTPException(400, "fields: true or false")
    return given.lower() in ("true", "1")


def _status(pictures: list[dict[str, Any]]) -> int:
    """200 where anything was answered; else of what was wrong with all."""
    codes = {one["error"]["code"] if "error" in one else None for one in pictures}
    if None in codes:
        return 200
    return 413 if codes == {TOO_MANY_PIXELS} else 422


def _asset(name: str, kind: str) -> Any:
    content = (resources.files("wbc.serving") / "static" / name).read_bytes()

    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=kind)

    return endpoint


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = error.detail
    if error.status_code == 404:
        said = "there is nothing at this address; GET /api tells what there is"
    elif error.status_code == 405:
        said = "not with this method; GET /api tells how"
    return failure(error.status_code, said, error.headers)


def _failed(request: Request, error: Exception) -> Response:
    """What nobody foresaw; the traceback goes to the log, not to the client."""
    return failure(500, "it failed here; the log of wbc serve says why")
