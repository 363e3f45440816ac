"""What a service refuses and how it says so, whatever is sent; that OpenAPI says what is answered."""

import asyncio
import importlib.metadata
import io
import json
import re
import struct
import zlib

import jsonschema
import numpy as np
import pytest
from PIL import Image

from tests.helpers.served import served
from tests.helpers.trees import picture
from wbc.labels import CLASSES
from wbc.serving.admission import Admission, FullError
from wbc.serving.app import Limits
from wbc.serving.uploads import shown_name

NASTY = "<img src=x onerror=alert(1)>'&.png"


def png(rgb=None):
    file = io.BytesIO()
    Image.fromarray(picture(1, 40) if rgb is None else rgb).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def client(small):
    return served(small, Limits(8, 2**20, 4))


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert error["code"] == code
    return error["said"]


def test_a_bad_picture_is_named_and_costs_none_of_the_others(client):
    files = [
        ("a", (NASTY, b"?")),
        ("a", ("good.png", png())),
        ("b", ("empty.png", b"")),
        ("a", ("cut.png", png()[:90])),
    ]
    answer = client.post("/answer", files=files)
    assert answer.status_code == 200
    pictures = answer.json()["pictures"]
    assert [one["name"] for one in pictures] == [NASTY, "good.png", "empty.png", "cut.png"]
    assert ["error" in one for one in pictures] == [True, False, True, True]
    assert pictures[0]["error"]["code"] == "unreadable"
    assert "no JPEG, PNG, BMP, TIFF or WebP image" in pictures[0]["error"]["said"]
    assert "the file is empty" in pictures[2]["error"]["said"]
    assert "damaged" in pictures[3]["error"]["said"]
    assert answer.json()["differential"]["unreadable"] == 3
    whole = client.post("/answer", files=[files[1]]).json()
    assert pictures[1]["answer"]["prediction"] == whole["pictures"][0]["answer"]["prediction"]


@pytest.mark.parametrize("fields", ["false", "true"])
def test_where_no_picture_can_be_answered_the_status_says_so(client, small, fields):
    address = f"/answer?fields={fields}"
    answer = client.post(address, files={"a": ("a.png", b"?")})
    assert answer.status_code == 422
    assert answer.json()["pictures"][0]["error"]["code"] == "unreadable"
    large = png(np.zeros((1001, 1000, 3), np.uint8))
    answer = client.post(address, files={"a": ("a.png", large)})
    assert answer.status_code == 413
    error = answer.json()["pictures"][0]["error"]
    assert error["code"] == "too_many_pixels"
    assert "1000 x 1001 pixels, and 1 million are accepted" in error["said"]
    # The mend: wbc serve megapixels=...
    assert (
        served(small, most_pixels=2 * 10**6).post(address, files={"a": ("a.png", large)}).status_code == 200
    )


def test_a_small_file_of_endless_pixels_is_refused_by_its_header(client):
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 30_000, 8, 2, 0, 0, 0)
    bomb = png()[:12] + header + struct.pack(">I", zlib.crc32(header)) + png()[33:]
    answer = client.post("/answer", files={"a": ("a.png", bomb)})
    assert answer.status_code == 413
    assert "too large" in answer.json()["pictures"][0]["error"]["said"]


def test_requests_that_hold_no_picture_are_refused_with_the_mend(client):
    headers = {"content-type": "image/png"}
    said = refused(client.post("/answer", content=b"", headers=headers), 400, "bad_request")
    assert "--data-binary" in said
    assert "a field without a file" in refused(
        client.post("/answer", files={"x": (None, "text")}), 400, "bad_request"
    )
    form = {"content-type": "multipart/form-data; boundary=x"}
    refused(client.post("/answer", content=b"", headers=form), 400, "bad_request")
    refused(client.post("/answer", content=b"--x\r\nrubbish", headers=form), 400, "bad_request")
    refused(
        client.post("/answer", content=b"x", headers={"content-type": "multipart/form-data"}),
        400,
        "bad_request",
    )
    assert refused(
        client.post("/answer?fields=perhaps", content=png(), headers=headers), 400, "bad_request"
    ) == ("fields: true or false")
    refused(client.post("/answer", json={"path": "/etc/passwd"}), 415, "unknown_kind")
    refused(client.get("/answer"), 405, "not_allowed")
    refused(client.put("/answer", content=png(), headers=headers), 405, "not_allowed")
    for address in ("/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/static/serve.js", "//etc/passwd"):
        refused(client.get(address), 404, "not_found")


def test_what_is_too_large_is_refused_and_less_of_it_is_answered(client):
    headers = {"content-type": "image/png"}
    body = png() + bytes(2**20)
    assert "more than 1 MB" in refused(
        client.post("/answer", content=body, headers=headers), 413, "too_large"
    )
    chunked = client.post("/answer", content=iter([body[: 2**19], body[2**19 :]]), headers=headers)
    refused(chunked, 413, "too_large")
    several = [("a", (f"{number}.png", png())) for number in range(5)]
    assert "more than 4 pictures; send them in parts" in refused(
        client.post("/answer", files=several), 413, "too_large"
    )
    assert client.post("/answer", files=several[:4]).status_code == 200


def test_a_body_without_end_is_read_to_its_limit(client):
    read, sent = 0, []

    async def receive():
        nonlocal read
        read += 2**16
        return {"type": "http.request", "body": b" " * 2**16, "more_body": True}

    async def send(message):
        sent.append(message)

    headers = {"host": "localhost", "content-type": "image/png"}
    scope = {"type": "http", "method": "POST", "path": "/answer", "query_string": b""} | {
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()]
    }
    asyncio.run(client.app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert read <= 2**20 + 2**16


def test_no_file_of_a_client_goes_to_the_disk(small, monkeypatch, tmp_path):
    """Starlette lays files of more than 1 MB there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    client = served(small, Limits(8, 2**23, 4))
    answer = client.post("/answer", files={"a": ("a.png", png() + bytes(2**21))})
    assert answer.status_code == 200


def test_one_more_than_may_wait_is_told_to_ask_again(small):
    client = served(small, Limits(2, 2**20, 4))
    admission = client.app.state.admission
    with admission.room(10), admission.room(10):
        answer = client.post("/answer", files={"a": ("a.png", png())})
        assert "2 requests wait already" in refused(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/health").json() == {"status": "ok", "waiting": 2, "queue": 2}
    assert client.post("/answer", files={"a": ("a.png", png())}).status_code == 200  # the mend
    assert admission.waiting == 0
    client.post("/answer", files={"a": ("a.png", b"?")})
    client.post("/answer", files={"a": (None, "text")})
    assert admission.waiting == 0  # whatever became of it


def test_bytes_that_wait_are_counted_too_and_given_back():
    admission = Admission(100, 1000)
    for _ in range(2):
        with admission.room(1000), admission.room(None), admission.room(1000):
            with pytest.raises(FullError), admission.room(1001):
                pass
            with admission.room(1000):
                pass
    assert admission.waiting == 0


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("C:\\cells\\a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("", "7"),
        ("a\x1b[31m\n.png", "a�[31m�.png"),
        ("\u202egnp.exe", "�gnp.exe"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_name_comes_back_without_folders_and_what_steers_a_terminal(given, shown):
    assert shown_name(given, 7) == shown


def test_it_tells_what_it_is(client):
    told = client.get("/version").json()
    assert told["wbc"] == importlib.metadata.version("wbc")
    assert told["model"]["sha256"] == "hash"
    assert told["model"]["classes"] == list(CLASSES)
    assert client.get("/health").json()["status"] == "ok"
    client.app.state.stopping = lambda: True
    try:
        assert client.get("/health").status_code == 503
    finally:
        client.app.state.stopping = lambda: False


def checked(document, name, record):
    schema = {"$ref": f"#/components/schemas/{name}"} | {"components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(record)


def test_what_is_answered_is_what_openapi_says(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for name, one in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(one)
        one["additionalProperties"] = one.get("additionalProperties", False)  # nothing that it does not tell
        assert name
    # A box and an answer stand in one record.
    files = [("a", ("a.png", png())), ("a", ("b.png", b"?"))]
    checked(document, "AnswerRecord", client.post("/answer", files=files).json())
    checked(document, "AnswerRecord", client.post("/answer?fields=true", files=files).json())
    checked(document, "FailureRecord", client.post("/answer", files={"a": (None, "x")}).json())
    checked(document, "VersionRecord", client.get("/version").json())
    checked(document, "HealthRecord", client.get("/health").json())
    with pytest.raises(jsonschema.ValidationError):
        checked(document, "HealthRecord", {"status": 1})
    for address, methods in document["paths"].items():
        for method in methods:
            assert client.request(method, address).status_code not in (404, 405)
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])


def test_its_pages_ask_nobody_else_and_hold_no_script_of_their_own(client):
    for address in ("/", "/api"):
        page = client.get(address).text
        assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page)
        assert not re.search(r"""(src|href)=["'](?!/)""", page)
    script = client.get("/serve.js").text
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script
    )
    for address in ("/", "/api", "/serve.js", "/serve.css"):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", client.get(address).text)
    page = client.get("/api").text
    for name in ("/answer", "/health", "/version", "FieldCellRecord", "probabilities"):
        assert name in page


@pytest.mark.parametrize("address", ["/", "/api", "/health", "/nothing", "/answer"])
def test_every_answer_has_the_headers_that_keep_a_page_to_itself(client, address):
    headers = client.get(address).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


def test_elsewhere_a_token_is_asked_for(small):
    token = "a-token-of-twenty-characters-or-more"
    client = served(small, token=token)
    files = {"a": ("a.png", png())}
    for address in ("/", "/health", "/version", "/openapi.json", "/?token=wrong"):
        assert "Authorization: Bearer" in refused(
            client.get(address, follow_redirects=False), 401, "no_token"
        )
    refused(client.post("/answer", files=files), 401, "no_token")
    for wrong in ("Bearer wrong", f"Basic {token}", token, "Bearer", "Bearer \xe9"):
        refused(client.get("/version", headers={"authorization": wrong.encode("latin-1")}), 401, "no_token")
    headers = {"authorization": f"Bearer {token}"}  # the mend
    assert client.post("/answer", files=files, headers=headers).status_code == 200
    assert client.get(f"/?token={token}", follow_redirects=False).status_code == 303
    assert client.post("/answer", files=files).status_code == 200  # by the cookie
    refused(client.post("/answer", files=files, headers={"origin": "http://evil.example"}), 403, "other_page")
