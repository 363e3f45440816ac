"""Who may ask: what another page, another name, a stranger or a flood of bytes gets for an answer."""

import asyncio
import re

import pytest
from starlette.testclient import TestClient

from tests.helpers.reviewed import ADDRESS, decide, opened, write_crops
from wbc.reviewing.app import review_app
from wbc.web.guard import MOST_BYTES, is_loopback, new_token

DECISION = {"reviewer": "Anna", "cells": [1], "verdict": "Monocyte"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("predictions")
    write_crops(made)
    return made


@pytest.fixture
def client(folder):
    return opened(folder)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "", "127.0.0.1.evil.example:8765"])
def test_a_name_that_is_not_this_machines_is_refused(client, host):
    """DNS rebinding: another page gives its own name this address."""
    assert client.get("/api/session", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:8765", "192.168.1.7:80"]
)
def test_its_own_names_and_numbers_are_known(client, host):
    assert client.get("/api/session", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "http://127.0.0.1:9999", "http://127.0.0.1:8765.evil.example", None],
)
def test_another_page_can_decide_nothing(client, origin):
    if origin is None:
        del client.headers["origin"]
    else:
        client.headers["origin"] = origin
    answer = client.post("/api/decide", json=DECISION)
    assert (answer.status_code, answer.text) == (403, "asked from another page")
    assert client.review.decisions.reviewers == []


def test_a_form_can_decide_nothing(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = client.post("/api/decide", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.request(method, "/api/decide", json=DECISION).status_code == 405


def test_a_body_is_read_to_its_limit_and_no_further(client):
    read, sent = 0, []

    async def receive():
        nonlocal read
        read += 2**16
        return {"type": "http.request", "body": b" " * 2**16, "more_body": True}  # without end

    async def send(message):
        sent.append(message)

    headers = {"host": "localhost", "origin": "http://localhost", "content-type": "application/json"}
    scope = {"type": "http", "method": "POST", "path": "/api/decide", "query_string": b""} | {
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()]
    }
    asyncio.run(client.app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert read <= MOST_BYTES + 2**16


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"nan", b"\xff", b"[" * 200_000, b'{"reviewer": "Anna"}', b'{"cells": "all"}'],
)
def test_a_body_that_is_no_decision_is_refused(client, body):
    answer = client.post("/api/decide", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert client.review.decisions.reviewers == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"cells": [10**9]}, 404),
        ({"cells": [-1]}, 422),
        ({"cells": []}, 422),
        ({"cells": ["../../etc/passwd"]}, 422),
        ({"cells": list(range(12)) * 1000}, 422),
        ({"verdict": "Blast"}, 422),
        ({"verdict": ""}, 422),
        ({"reviewer": ""}, 422),
        ({"reviewer": "<script>"}, 422),
        ({"reviewer": "=cmd()"}, 422),
        ({"reviewer": "a" * 61}, 422),
        ({"reviewer": "a\n"}, 422),
        ({"more": 1}, 422),
    ],
)
def test_a_decision_of_other_values_is_refused(client, change, status):
    assert client.post("/api/decide", json=DECISION | change).status_code == status
    assert client.review.decisions.rows() == []


@pytest.mark.parametrize(
    "address",
    [
        "/thumbnail/../../etc/passwd",
        "/thumbnail/..%2f..%2fetc%2fpasswd.jpg",
        "/thumbnail/-1.jpg",
        "/thumbnail/12.jpg",
        "/picture/99999999999999999999.jpg",
        "/exports/..%2f..%2fpredictions.csv",
        "/exports/decisions.sqlite",
        "/exports/config.yaml",
        "/static/review.js",
        "//etc/passwd",
    ],
)
def test_no_path_that_a_browser_sends_is_opened(client, address):
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    "address", ["/", "/review.js", "/api/session", "/thumbnail/0.jpg", "/nothing", "/api/decide"]
)
def test_every_answer_has_the_headers_that_keep_a_page_to_itself(client, address):
    headers = client.get(address).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_the_page_has_no_script_or_style_of_its_own_and_asks_nobody_else(client):
    page = client.get("/").text
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page)
    assert not re.search(r"""(src|href)=["'](?!/)""", page)
    script = client.get("/review.js").text
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script
    )
    for text in (page, script, client.get("/review.css").text):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_the_name_by_which_it_was_opened_to_others_is_known(folder):
    app = review_app(opened(folder).review, host="Smears.lab")
    for host, status in (("smears.lab:8765", 200), ("other.lab", 421), ("", 421)):
        assert TestClient(app, ADDRESS).get("/api/session", headers={"host": host}).status_code == status


def test_elsewhere_nothing_is_told_without_the_token(folder):
    token = new_token()
    assert len(token) > 40
    assert token != new_token()
    client = opened(folder, token)
    for address in (
        "/",
        "/api/session",
        "/thumbnail/0.jpg",
        "/?token=wrong",
        f"/api/session?token={token}",
        "/?token=",
    ):
        answer = client.get(address, follow_redirects=False)
        assert answer.status_code == 401, address
        assert "open the link that the command printed" in answer.text
    assert client.post("/api/decide", json=DECISION).status_code == 401
    client.cookies.set("wbc_token", "wrong")
    assert client.get("/api/session").status_code == 401
    client.cookies.clear()
    admitted = client.get(f"/?token={token}", follow_redirects=False)
    assert (admitted.status_code, admitted.headers["location"]) == (303, "/")
    cookie = admitted.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/api/session").status_code == 200  # the cookie was kept
    assert decide(client, "Anna", [1], "Monocyte") == 1
    assert (
        client.post("/api/decide", json=DECISION, headers={"origin": "http://evil.example"}).status_code
        == 403
    )


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)],
)
def test_which_addresses_only_this_machine_reaches(host, alone):
    assert is_loopback(host) is alone
    assert ADDRESS.startswith("http://127.0.0.1")
