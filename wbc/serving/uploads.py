"""The pictures of a request: a body that is one, or a form with any number of files."""

from __future__ import annotations

import asyncio
import unicodedata

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import Message, Receive

from wbc.serving.service import Upload
from wbc.web.guard import again, bounded

FORM = "multipart/form-data"
KINDS = ("image", "application/octet-stream", FORM)  # content types of a request
_MOST_NAME = 200  # characters of a file's name that come back
_SENT_WITHIN_S = 120  # a body, or its sender holds room that others wait for
_SENT_AFTER_S = 5  # what is still sent of a body that is refused


async def uploads(request: Request, most_bytes: int, most_pictures: int) -> list[Upload]:
    """The pictures in their order, none of which is decoded.

    Raises HTTPException for a body that is too long, too slow or none, and for a form with other fields.
    """
    try:
        body = await asyncio.wait_for(bounded(request.receive, most_bytes), _SENT_WITHIN_S)
    except asyncio.TimeoutError as error:
        raise HTTPException(408, f"the pictures were not sent within {_SENT_WITHIN_S} s") from error
    if body is None:
        raise HTTPException(413, too_long(most_bytes))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        if not body:
            raise HTTPException(
                400, "the body is empty: send a picture, as curl --data-binary @cell.png does"
            )
        return [Upload(shown_name(request.query_params.get("name", ""), 1), body)]
    return await _of_form(Request(request.scope, again(body, _nothing)), most_bytes, most_pictures)


async def _of_form(request: Request, most_bytes: int, most_pictures: int) -> list[Upload]:
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=most_pictures, max_fields=0, max_part_size=most_bytes
    )
    parser.spool_max_size = most_bytes + 1  # no file of a client's goes to the disk
    try:
        form = await parser.parse()
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        sent = [(file.filename or "", await file.read()) for file in files]
        await form.close()
    except (MultiPartException, KeyError) as error:
        said = getattr(error, "message", "the form has no boundary")
        if "Too many files" in said:
            raise HTTPException(413, f"more than {most_pictures} pictures; send them in parts") from error
        if "Too many fields" in said:
            said = "a field without a file"
        raise HTTPException(400, f"{said}: send files alone, as curl -F images=@cell.png does") from error
    if not sent:
        raise HTTPException(400, "the form has no file: send some, as curl -F images=@cell.png does")
    return [Upload(shown_name(name, number), content) for number, (name, content) in enumerate(sent, 1)]


def too_long(most_bytes: int) -> str:
    """Said of a body of more bytes than are taken."""
    size = f"{most_bytes / 2**20:g} MB"
    return f"more than {size}; send fewer pictures at once, or start wbc serve with more upload_mb="


def shown_name(name: str, number: int) -> str:
    """The last part of a client's path, without what steers a terminal or a page; by number without any."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join("�" if unicodedata.category(one) in ("Cc", "Cf", "Cs") else one for one in last)
    return plain[:_MOST_NAME] or str(number)


async def read_away(receive: Receive, most_bytes: int) -> None:
    """What is still sent of a request that is refused: many clients read no answer before all is sent."""
    try:
        await asyncio.wait_for(_read_away(receive, most_bytes), _SENT_AFTER_S)
    except asyncio.TimeoutError:
        return


async def _read_away(receive: Receive, most_bytes: int) -> None:
    read, more = 0, True
    while more and read <= most_bytes:
        message = await receive()
        read += len(message.get("body", b""))
        more = message.get("more_body", False)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
