"""The server of the page: what it can be asked for, and what it answers.

Starlette alone: a dozen addresses, whose few inputs pydantic checks.  A cell is asked for by its number and
nothing else, so no path that a browser sends is ever opened.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from wbc.errors import ImageError, WbcError
from wbc.reviewing.agreement import agreement
from wbc.reviewing.decisions import NotKeptError
from wbc.reviewing.exports import EXPORTS, Reviewed, write_exports
from wbc.reviewing.sent import Decide, Explain, Search, Settle, Undo
from wbc.reviewing.settling import NotNowError
from wbc.reviewing.shown_cells import found_cells, one_cell
from wbc.reviewing.state import Review
from wbc.reviewing.tally import tally
from wbc.reviewing.verdicts import OPEN
from wbc.web.guard import Guard

_A_DAY = "private, max-age=86400, immutable"  # pictures: their address has the hash of the table
_ASSETS = {
    "/": ("index.html", "text/html"),
    "/review.css": ("review.css", "text/css"),
    "/review.js": ("review.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def review_app(review: Review, token: str | None = None, host: str = "") -> Starlette:
    """The application.  token, host: see `wbc.web.guard.Guard`."""
    routes = [
        *(Route(address, _asset(*asset)) for address, asset in _ASSETS.items()),
        Route("/api/session", _asked(_session)),
        Route("/api/cells", _asked(_cells)),
        Route("/api/cells/{cell:int}", _asked(_cell)),
        Route("/api/tally", _asked(_tally)),
        Route("/api/agreement", _asked(_agreement)),
        Route("/api/settling", _asked(_settling)),
        Route("/api/decide", _told(Decide, _decide), methods=["POST"]),
        Route("/api/undo", _told(Undo, _undo), methods=["POST"]),
        Route("/api/explain", _told(Explain, _explain), methods=["POST"]),
        Route("/api/settle", _told(Settle, _settle), methods=["POST"]),
        Route("/api/export", _told(None, _export), methods=["POST"]),
        Route("/exports/{name}", _exported),
        *(
            Route(f"/{kind}/{{cell:int}}.jpg", _picture(kind))
            for kind in ("thumbnail", "picture", "photograph")
        ),
        Route("/heat/{cell:int}.jpg", _heat),
        Route("/known/{cell:int}/{place:int}.jpg", _known),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token, host=host)],
        exception_handlers={ImageError: _missing, NotNowError: _not_now, WbcError: _failed, OSError: _failed},
    )
    app.state.review = review
    app.state.exporting = asyncio.Lock()
    return app


# What is asked.


def _session(review: Review, request: Request) -> dict[str, Any]:
    cells = review.cells
    return {
        "classes": list(cells.classes),
        "verdicts": list(review.decisions.verdicts.words),
        "statuses": _counted(cells.statuses, cells.status),
        "groups": _counted(cells.groups, cells.group),
        "cells": len(cells),
        "answered": int(cells.answered.sum()),
        "reviewers": review.decisions.reviewers,
        "proposed": review.proposed,
        "predictions": review.predictions[:12],
        "title": review.about["title"],
        "model": review.about["model"],
        "caution": review.about["caution"],
        "folder": str(review.folder),
        "no_heat": review.explanations.missing,
        "exports": list(EXPORTS),
    }


def _counted(names: Any, places: np.ndarray) -> list[dict[str, Any]]:
    counts = np.bincount(places, minlength=len(names)).tolist()
    return [{"name": name, "cells": count} for name, count in zip(names, counts, strict=True)]


def _cells(review: Review, request: Request) -> dict[str, Any]:
    return found_cells(review, _checked(Search, dict(request.query_params)))


def _cell(review: Review, request: Request) -> dict[str, Any]:
    return one_cell(review, _number(review, request), request.query_params.get("reviewer"))


def _tally(review: Review, request: Request) -> dict[str, Any]:
    reviewer, group = request.query_params.get("reviewer"), request.query_params.get("group")
    among = None
    if group is not None:
        among = review.cells.group == _checked(Search, {"group": group}).group
    return tally(review.cells, review.decisions.of(reviewer or ""), among) | {
        "can_undo": review.decisions.can_undo(reviewer or "")
    }


def _agreement(review: Review, request: Request) -> dict[str, Any]:
    verdicts = {name: review.decisions.of(name) for name in review.decisions.reviewers}
    return {
        "pairs": agreement(verdicts),
        "reviewers": {name: int((one != OPEN).sum()) for name, one in verdicts.items()},
    }


def _settling(review: Review, request: Request) -> dict[str, Any]:
    return review.settling.state()


# What is told.


def _explain(review: Review, told: Explain) -> dict[str, Any]:
    if told.cell >= len(review.cells):
        raise HTTPException(404, f"there is no cell {told.cell}")
    return review.explanations.ask(told.cell)


def _settle(review: Review, told: Settle) -> dict[str, Any]:
    settling = review.settling
    if told.step == "measure":
        settling.begin(told.reviewer)
    elif told.step == "use":
        settling.use(told.reviewer)
    else:
        settling.cancel()
    return settling.state()


def _decide(review: Review, told: Decide) -> dict[str, Any]:
    if max(told.cells) >= len(review.cells):
        raise HTTPException(404, f"there is no cell {max(told.cells)}")
    words = review.decisions.verdicts.words
    if told.verdict is not None and told.verdict not in words:
        raise HTTPException(422, f"verdict: one of {', '.join(words)}")
    verdict = None if told.verdict is None else words.index(told.verdict)
    return {"changed": review.decisions.decide(told.reviewer, told.cells, verdict)}


def _undo(review: Review, told: Undo) -> dict[str, Any]:
    return {"cells": review.decisions.undo(told.reviewer)}


def _export(review: Review, told: None) -> dict[str, Any]:
    reviewed = Reviewed(review.cells, review.decisions, review.pictures)
    write_exports(reviewed, review.folder, review.about)
    return {"folder": str(review.folder), "files": list(EXPORTS)}


# How it is answered.


def _asked(answer: Callable[[Review, Request], dict[str, Any]]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return JSONResponse(answer(request.app.state.review, request))

    return endpoint


def _told(kind: type[BaseModel] | None, answer: Callable[[Review, Any], dict[str, Any]]) -> Any:
    async def endpoint(request: Request) -> Response:
        try:
            said = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, "the body is no JSON") from error
        told = None if kind is None else _checked(kind, said)
        if kind is not None:
            return JSONResponse(await run_in_threadpool(answer, request.app.state.review, told))
        async with request.app.state.exporting:
            return JSONResponse(await run_in_threadpool(answer, request.app.state.review, told))

    return endpoint


def _checked(kind: type[BaseModel], given: Any) -> Any:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise HTTPException(422, f"{place}: {first['msg']}") from error


def _number(review: Review, request: Request) -> int:
    cell = int(request.path_params["cell"])
    if cell >= len(review.cells):
        raise HTTPException(404, f"there is no cell {cell}")
    return cell


def _picture(kind: str) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        review: Review = request.app.state.review
        jpeg = getattr(review.pictures, kind)(_number(review, request))
        return Response(jpeg, media_type="image/jpeg", headers={"cache-control": _A_DAY})

    return endpoint


def _heat(request: Request) -> Response:
    review: Review = request.app.state.review
    return _made(review.explanations.heat(_number(review, request)))


def _known(request: Request) -> Response:
    review: Review = request.app.state.review
    return _made(review.explanations.known(_number(review, request), int(request.path_params["place"])))


def _made(jpeg: bytes) -> Response:
    """What was asked for before; nothing is made here."""
    if not jpeg:
        raise HTTPException(404, "no picture")
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": _A_DAY})


def _asset(name: str, kind: str) -> Callable[[Request], Response]:
    content = (resources.files("wbc.reviewing") / "static" / name).read_bytes()

    def endpoint(request: Request) -> Response:
        return Response(content, media_type=kind)

    return endpoint


def _exported(request: Request) -> Response:
    """A file of the last export, by one of the few names that there are."""
    name = request.path_params["name"]
    path = request.app.state.review.folder / name
    if name not in EXPORTS or not path.is_file():
        raise HTTPException(404, "not exported yet")
    shown = name.endswith(".html")  # a page without scripts, with its own policy and styles
    headers = {"content-security-policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'"}
    return FileResponse(path, filename=None if shown else name, headers=headers if shown else None)


def _missing(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(getattr(error, "reason", error)), 404)


def _not_now(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 409)


def _failed(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 507 if isinstance(error, NotKeptError | OSError) else 500)
