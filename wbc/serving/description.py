"""What can be asked, and what is answered: as OpenAPI, and as a page that needs no network."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from wbc.serving.records import AnswerRecord, FailureRecord, HealthRecord, VersionRecord

_MODELS = (AnswerRecord, FailureRecord, HealthRecord, VersionRecord)
_REF = "#/components/schemas/{model}"
_BINARY = {"type": "string", "format": "binary"}
_FAILURES = {
    400: "no picture, or another field than files",
    401: "no token, where one is asked for",
    403: "another page's script asks",
    408: "sent too slowly",
    413: "more bytes, pictures or pixels than are taken",
    415: "another content type",
    500: "failed here",
    503: "too many wait; Retry-After says when to ask again",
}


def openapi(version: str) -> dict[str, Any]:
    """The document, of OpenAPI 3.1."""
    _, schemas = models_json_schema([(one, "serialization") for one in _MODELS], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wbc serve",
            "version": version,
            "description": (
                "Answers pictures of white blood cells: class, calibrated probability, set and status, as "
                "wbc predict does. For research; no medical device."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # Without one by default; with one where it listens beyond this machine.
        "security": [{}, {"token": []}],
        "paths": {
            "/answer": {"post": _answer()},
            "/health": {
                "get": {
                    "operationId": "health",
                    "summary": "Whether it answers, and how much waits",
                    "responses": {
                        "200": _json("it answers", HealthRecord),
                        "503": _json("it stops", HealthRecord),
                    },
                }
            },
            "/version": {
                "get": {
                    "operationId": "version",
                    "summary": "The program, and which model answers",
                    "responses": {"200": _json("both", VersionRecord)},
                }
            },
        },
    }


def _answer() -> dict[str, Any]:
    form = {
        "type": "object",
        "properties": {"images": {"type": "array", "items": _BINARY}},
        "description": "any number of files, whatever their fields are called",
    }
    return {
        "operationId": "answer",
        "summary": "Answers one picture, several, or the cells of photographs",
        "description": (
            "JPEG, PNG, BMP, TIFF or WebP. The pictures of one request are taken for those of one lab: "
            "together they tell whether the promise holds there. A picture that cannot be read is named and "
            "costs none of the others."
        ),
        "parameters": [
            {
                "name": "fields",
                "in": "query",
                "description": "true: photographs of whole fields, in which white cells are found first",
                "schema": {"type": "boolean", "default": False},
            },
            {
                "name": "name",
                "in": "query",
                "description": "of a picture that is the body itself; it only comes back",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/*": {"schema": _BINARY},
                "application/octet-stream": {"schema": _BINARY},
                "multipart/form-data": {"schema": form},
            },
        },
        "responses": {
            "200": _json("answers, of one picture at least", AnswerRecord),
            "422": _json("no picture could be read; each says why", AnswerRecord),
            **{
                str(status): _json(what, FailureRecord)
                for status, what in sorted(_FAILURES.items())
                if status != 413
            },
            "413": {
                "description": _FAILURES[413],
                "content": {
                    "application/json": {"schema": {"anyOf": [_schema(FailureRecord), _schema(AnswerRecord)]}}
                },
            },
        },
    }


def _json(what: str, kind: type[BaseModel]) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": _schema(kind)}}}


def _schema(kind: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=kind.__name__)}


def api_page(document: dict[str, Any]) -> str:
    """The document as a page for people."""
    pages = Environment(
        loader=PackageLoader("wbc.serving"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["kind"] = _kind
    return pages.get_template("api.html").render(document=document)


def _kind(schema: dict[str, Any]) -> str:
    """What a value may be, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"name: {_kind(schema['additionalProperties'])}"
    return str(schema.get("type", json.dumps(schema)))
