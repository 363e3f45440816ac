"""What `wbc serve` answers: the same as `wbc predict`, every picture by name, and limits that hold."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import wbc
from tests.helpers.drawn_fields import field
from wbc.images.field_crops import cells_to_crop
from wbc.plain.answers import ANSWERED
from wbc.plain.lab_check import ELSEWHERE
from wbc.serving.app import Limits, serve_app
from wbc.serving.records import AnswerRecord, FailureRecord
from wbc.serving.service import FIELDS, ONE_ALONE, Service
from wbc.synthetic.draw import LABS, draw_cell

ADDRESS = "http://127.0.0.1:8766"
LIMITS = Limits(requests=8, most_bytes=2**20, most_pictures=20)


def encoded(rgb: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def predictor():
    return wbc.load("pretrained")


@pytest.fixture(scope="module")
def cells():
    """Drawn cells, three of each of two classes."""
    rng = np.random.default_rng(0)
    names = ["Neutrophil"] * 3 + ["Lymphocyte"] * 3
    return [encoded(draw_cell(name, LABS["lab_e"], rng, 120)[0]) for name in names]


@pytest.fixture(scope="module")
def service(predictor):
    made = Service(predictor, "0" * 64, batch_size=16, most_pixels=10**6)
    yield made
    made.close()


def client(service, limits=LIMITS, **options):
    return TestClient(serve_app(service, limits, {}, **options), base_url=ADDRESS)


@pytest.fixture
def asked(service):
    with client(service) as made:
        yield made


def form(*contents, names=None):
    return [
        ("images", (name, content))
        for name, content in zip(
            names or [f"{number}.png" for number in range(len(contents))], contents, strict=True
        )
    ]


def test_a_form_has_the_answers_of_predict(asked, predictor, cells):
    record = asked.post("/answer", files=form(*cells)).json()
    expected = predictor.predict(cells)
    answers = [one["answer"] for one in record["pictures"]]
    assert [one["prediction"] for one in answers] == expected.labels
    assert [one["set"] for one in answers] == expected.sets
    # The model learnt from another lab than this drawn one, which six of its cells together show.
    assert record["lab"]["elsewhere"]
    withheld = [ELSEWHERE if status == ANSWERED else status for status in expected.status]
    assert [one["status"] for one in answers] == withheld
    assert ELSEWHERE in withheld
    probabilities = [list(one["probabilities"].values()) for one in answers]
    np.testing.assert_allclose(probabilities, expected.probabilities, atol=1e-5)
    assert list(answers[0]["probabilities"]) == predictor.classes
    assert record["differential"]["images"] == len(cells)
    AnswerRecord.model_validate(record)  # what /openapi.json says of it


def test_a_body_that_is_one_picture_is_answered_and_says_what_one_alone_cannot_tell(asked, cells):
    answer = asked.post("/answer?name=17.png", content=cells[0], headers={"content-type": "image/png"})
    record = answer.json()
    assert answer.status_code == 200
    assert record["pictures"][0]["name"] == "17.png"
    assert ONE_ALONE in record["notes"]


def test_pictures_that_cannot_be_read_are_named_and_lose_nothing(asked, cells):
    answer = asked.post("/answer", files=form(cells[0], b"no picture", cells[1], names=["a", "<b>", "c"]))
    first, second, third = answer.json()["pictures"]
    assert answer.status_code == 200
    assert (second["name"], second["error"]["code"]) == ("<b>", "unreadable")
    assert "save it again" in second["error"]["said"]
    assert first["answer"]["prediction"]
    assert third["answer"]["prediction"]
    assert answer.json()["differential"]["unreadable"] == 1


def test_a_request_of_which_nothing_can_be_read_is_no_success(asked):
    assert asked.post("/answer", files=form(b"no picture")).status_code == 422


def test_the_cells_of_a_photograph_are_found_and_answered_as_their_crops(asked, predictor):
    rgb = field([(120, 120), (330, 220)], lobes=3)
    (photograph,) = asked.post("/answer?fields=true", files=form(encoded(rgb))).json()["pictures"]
    assert (photograph["width"], photograph["height"]) == (480, 360)
    boxes = [(cell["x0"], cell["y0"], cell["x1"], cell["y1"]) for cell in photograph["cells"]]
    centres = sorted(((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes)
    np.testing.assert_allclose(centres, [(120, 120), (330, 220)], atol=6)
    crops = [
        rgb[one.crop.y0 : one.crop.y1, one.crop.x0 : one.crop.x1]
        for one in cells_to_crop(rgb, predictor.pictures.usual_share)
    ]
    expected = predictor.predict(crops)
    assert [cell["prediction"] for cell in photograph["cells"]] == expected.labels


def test_photographs_sent_as_crops_are_pointed_out(asked):
    rgb = encoded(field([(100, 90), (240, 260), (380, 90), (100, 280)]))
    assert FIELDS in asked.post("/answer", files=form(rgb)).json()["notes"]


def test_requests_that_wait_are_computed_together(service, cells):
    with client(service, Limits(50, 2**20, 20)) as made, ThreadPoolExecutor(24) as pool:
        before = service.passes.computed
        answers = list(pool.map(lambda _: made.post("/answer", files=form(cells[0])), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    (first, *others) = [answer.json()["pictures"][0]["answer"] for answer in answers]
    for other in others:  # products of matrices round otherwise for another number of pictures in a pass
        assert other == first | {
            "probabilities": pytest.approx(first["probabilities"], abs=1e-5),
            "score": pytest.approx(first["score"], abs=1e-4),
        }
    assert service.passes.computed - before < 24


def code(answer):
    FailureRecord.model_validate(answer.json())
    return answer.status_code, answer.json()["error"]["code"]


def test_what_is_too_much_is_refused_with_the_mend(service, cells):
    with client(service, Limits(8, 100_000, 2)) as made:
        many = made.post("/answer", files=form(*cells[:1] * 3))
        long = made.post("/answer", content=bytes(120_000), headers={"content-type": "image/png"})
        large = made.post("/answer", files=form(encoded(np.zeros((1001, 1000, 3), np.uint8))))
    assert code(many) == (413, "too_large")
    assert "send them in parts" in many.json()["error"]["said"]
    assert code(long) == (413, "too_large")
    assert "upload_mb=" in long.json()["error"]["said"]
    assert large.status_code == 413
    assert "megapixels=" in large.json()["pictures"][0]["error"]["said"]


def test_a_full_queue_says_when_to_ask_again(service, cells):
    with client(service, Limits(0, 2**20, 20)) as made:
        answer = made.post("/answer", files=form(cells[0]))
    assert code(answer) == (503, "busy")
    assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": b"", "headers": {"content-type": "image/png"}}, 400),
        ({"content": b"{}", "headers": {"content-type": "application/json"}}, 415),
        ({"files": [("images", ("", b""))], "data": {"path": "/etc/passwd"}}, 400),
    ],
)
def test_what_is_no_picture_is_refused(asked, sent, status):
    assert asked.post("/answer", **sent).status_code == status


def test_other_pages_and_names_may_not_ask(asked, cells):
    assert (
        asked.post("/answer", files=form(cells[0]), headers={"origin": "http://evil.example"}).status_code
        == 403
    )
    assert asked.get("/health", headers={"host": "evil.example"}).status_code == 421


def test_elsewhere_a_token_is_asked_for(service, cells):
    with client(service, token="a" * 43) as made:
        assert made.get("/health").status_code == 401
        told = {"authorization": f"Bearer {'a' * 43}"}
        assert made.post("/answer", files=form(cells[0]), headers=told).status_code == 200


def test_the_page_and_the_document_need_no_other_host(asked):
    document = asked.get("/openapi.json").json()
    assert {"/answer", "/health", "/version"} <= set(document["paths"])
    for address in ("/", "/api", "/serve.css", "/serve.js", "/icon.svg"):
        answer = asked.get(address)
        assert answer.status_code == 200
        assert "https://" not in answer.text
    assert "innerHTML" not in asked.get("/serve.js").text  # a file's name stays text
    assert asked.get("/health").json()["status"] == "ok"
    assert asked.get("/nothing").status_code == 404
