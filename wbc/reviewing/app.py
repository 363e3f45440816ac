"""The server of the page: what it can be asked for, and what it answers.

Starlette alone: a dozen addresses, whose few inputs pydantic checks.  A cell is asked for by its number and
nothing else, so no path that a browser sends is ever opened.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from wbc.errors import ImageError, WbcError
from wbc.reviewing.agreement import agreement
from wbc.reviewing.cells import Cells
from wbc.reviewing.decisions import Decisions, NotKeptError
from wbc.reviewing.explanations import Explanations
from wbc.reviewing.exports import EXPORTS, Reviewed, write_exports
from wbc.reviewing.order import ORDERS, review_order
from wbc.reviewing.pictures import Pictures
from wbc.reviewing.settling import NotNowError, Settling
from wbc.reviewing.tally import tally
from wbc.reviewing.verdicts import OPEN
from wbc.utils.reviewers import is_name
from wbc.web.guard import Guard

MOST_CELLS = 10_000  # of one decision
MOST_SHOWN = 500  # of one page of the grid
_A_DAY = "private, max-age=86400, immutable"  # pictures: their address has the hash of the table
_ASSETS = {
    "/": ("index.html", "text/html"),
    "/review.css": ("review.css", "text/css"),
    "/review.js": ("review.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
ALL, TO_DO, SEEN, CHANGED, SPLIT = "all", "open", "seen", "changed", "split"


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("1 to 60 letters, digits, blanks, or any of . ' _ -")
    return text


Reviewer = Annotated[str, AfterValidator(_name)]
_STRICT = ConfigDict(extra="forbid")


class _Decision(BaseModel):
    """verdict: a class, or one of the further ones; null confirms each as it is called."""

    model_config = _STRICT
    reviewer: Reviewer
    cells: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=MOST_CELLS)]
    verdict: str | None


class _Undo(BaseModel):
    model_config = _STRICT
    reviewer: Reviewer


class _Explain(BaseModel):
    model_config = _STRICT
    cell: Annotated[int, Field(ge=0)]


class _Settle(BaseModel):
    """step: measure what the labelled cells gain, use what was measured, or cancel what runs."""

    model_config = _STRICT
    reviewer: Reviewer
    step: Literal["measure", "use", "cancel"]


class _Search(BaseModel):
    """Which cells of which order: `count` after or before a place in it, of those that all filters leave."""

    model_config = _STRICT
    reviewer: Reviewer | None = None
    order: str = ORDERS[0]
    show: str = ALL
    status: int | None = None
    group: int | None = None
    verdict: int | None = None  # what a cell counts as now
    name: Annotated[str, Field(max_length=200)] = ""
    after: int = -1
    before: int | None = None
    count: Annotated[int, Field(ge=1, le=MOST_SHOWN)] = 60


@dataclass
class Review:
    """All that the server knows.  about: facts for the exports; proposed: a name for the reviewer."""

    cells: Cells
    decisions: Decisions
    pictures: Pictures
    explanations: Explanations
    settling: Settling
    folder: Path
    about: dict[str, Any]
    proposed: str
    predictions: str  # the hash of the table
    orders: dict[str, np.ndarray] = field(default_factory=dict)

    def order(self, name: str) -> np.ndarray:
        """(N,) cells, computed once."""
        if name not in self.orders:
            self.orders[name] = review_order(self.cells, name)
        return self.orders[name]


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
        Route("/api/decide", _told(_Decision, _decide), methods=["POST"]),
        Route("/api/undo", _told(_Undo, _undo), methods=["POST"]),
        Route("/api/explain", _told(_Explain, _explain), methods=["POST"]),
        Route("/api/settle", _told(_Settle, _settle), methods=["POST"]),
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
    search = _checked(_Search, dict(request.query_params))
    if search.order not in ORDERS:
        raise HTTPException(400, f"order: one of {', '.join(ORDERS)}")
    mine = review.decisions.of(search.reviewer or "")
    order = review.order(search.order)
    places = np.flatnonzero(_matching(review, search, mine)[order])
    if search.before is None:
        first = int(np.searchsorted(places, search.after, "right"))
    else:
        first = max(0, int(np.searchsorted(places, search.before)) - search.count)
    shown = places[first : first + search.count]
    return {
        "total": len(places),
        "first": first,
        "cells": [_brief(review, int(order[place]), int(place), mine, search.reviewer) for place in shown],
    }


def _matching(review: Review, search: _Search, mine: np.ndarray) -> np.ndarray:
    """(N,) bool."""
    cells = review.cells
    found = np.ones(len(cells), bool)
    if search.status is not None:
        found &= cells.status == search.status
    if search.group is not None:
        found &= cells.group == search.group
    if search.verdict is not None:
        found &= np.where(mine == OPEN, cells.prediction, mine) == search.verdict
    if search.name:
        found &= cells.named(search.name)
    if search.show == TO_DO:
        found &= mine == OPEN
    elif search.show == SEEN:
        found &= mine != OPEN
    elif search.show == CHANGED:
        found &= (mine != OPEN) & (mine != cells.prediction)
    elif search.show == SPLIT:
        found &= _split(review, search.reviewer, mine)
    elif search.show != ALL:
        raise HTTPException(400, f"show: one of {', '.join((ALL, TO_DO, SEEN, CHANGED, SPLIT))}")
    return found


def _split(review: Review, reviewer: str | None, mine: np.ndarray) -> np.ndarray:
    """Where another says something else of a cell than the reviewer does."""
    split = np.zeros(len(mine), bool)
    for name in review.decisions.reviewers:
        if name != reviewer:
            others = review.decisions.of(name)
            split |= (others != OPEN) & (mine != OPEN) & (others != mine)
    return split


def _brief(review: Review, cell: int, place: int, mine: np.ndarray, reviewer: str | None) -> dict[str, Any]:
    cells = review.cells
    prediction = int(cells.prediction[cell])
    return {
        "id": cell,
        "place": place,
        "prediction": prediction,
        "probability": round(float(cells.probabilities[cell, prediction]), 4),
        "status": int(cells.status[cell]),
        "verdict": int(mine[cell]),
        "others": _others(review, cell, mine, reviewer),
        "name": cells.path(cell).rpartition("/")[2],
    }


def _others(review: Review, cell: int, mine: np.ndarray, reviewer: str | None) -> list[tuple[str, int]]:
    """What others said; nothing while the reviewer has not: a second opinion is given without the first."""
    if mine[cell] == OPEN:
        return []
    said = [(name, int(review.decisions.of(name)[cell])) for name in review.decisions.reviewers]
    return [(name, verdict) for name, verdict in said if name != reviewer and verdict != OPEN]


def _cell(review: Review, request: Request) -> dict[str, Any]:
    cell = _number(review, request)
    reviewer = request.query_params.get("reviewer")
    cells, mine = review.cells, review.decisions.of(reviewer or "")
    history = [row for row in review.decisions.rows(cell) if row.reviewer == reviewer or mine[cell] != OPEN]
    box = cells.box(cell)
    found = _brief(review, cell, -1, mine, reviewer) | {
        "path": cells.path(cell),
        "group": cells.groups[cells.group[cell]],
        "label": cells.labels[cell].as_py(),
        "set": cells.sets[cell].as_py(),
        "probabilities": [round(float(value), 4) for value in cells.probabilities[cell]],
        "history": [
            {
                "at": row.at,
                "reviewer": row.reviewer,
                "kind": row.kind,
                "before": row.before,
                "after": row.after,
            }
            for row in history
        ],
    }
    if box is not None:
        found["photograph"] = _photograph(review, cell, mine, reviewer)
    return found


def _photograph(review: Review, cell: int, mine: np.ndarray, reviewer: str | None) -> dict[str, Any] | None:
    """The one that the cell is in, with the boxes of all its cells; None where it cannot be read any more."""
    cells = review.cells
    try:
        size = review.pictures.size(cell)
    except ImageError:
        return None
    here = np.flatnonzero(cells.photograph == cells.photograph[cell]).tolist()
    return {
        "name": cells.photograph_path(cell).rpartition("/")[2],
        "size": size,
        "cells": [_brief(review, one, -1, mine, reviewer) | {"box": cells.box(one)} for one in here],
    }


def _tally(review: Review, request: Request) -> dict[str, Any]:
    reviewer, group = request.query_params.get("reviewer"), request.query_params.get("group")
    among = None
    if group is not None:
        among = review.cells.group == _checked(_Search, {"group": group}).group
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


def _explain(review: Review, told: _Explain) -> dict[str, Any]:
    if told.cell >= len(review.cells):
        raise HTTPException(404, f"there is no cell {told.cell}")
    return review.explanations.ask(told.cell)


def _settle(review: Review, told: _Settle) -> dict[str, Any]:
    settling = review.settling
    if told.step == "measure":
        settling.begin(told.reviewer)
    elif told.step == "use":
        settling.use(told.reviewer)
    else:
        settling.cancel()
    return settling.state()


def _decide(review: Review, told: _Decision) -> dict[str, Any]:
    if max(told.cells) >= len(review.cells):
        raise HTTPException(404, f"there is no cell {max(told.cells)}")
    words = review.decisions.verdicts.words
    if told.verdict is not None and told.verdict not in words:
        raise HTTPException(422, f"verdict: one of {', '.join(words)}")
    verdict = None if told.verdict is None else words.index(told.verdict)
    return {"changed": review.decisions.decide(told.reviewer, told.cells, verdict)}


def _undo(review: Review, told: _Undo) -> dict[str, Any]:
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
