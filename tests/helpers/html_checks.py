"""What a page of HTML is made of, and what it could ask of others."""

import base64
import io
import re
from html.parser import HTMLParser

from PIL import Image

NASTY = """<script>alert('1')</script> & "quoted".png"""


class Elements(HTMLParser):
    """The elements of a page as (tag, attributes), its texts, and the text of each style and script."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag):
        return [" ".join(text.split()) for inside, text in self.texts if inside == tag and text.strip()]


def requests(text: str) -> list[str]:
    """What a browser could ask for outside the page."""
    parsed = Elements(text)
    found = [
        value
        for _, attributes in parsed.elements
        for name, value in attributes.items()
        if name in ("src", "srcset", "href", "action", "data", "poster", "style")
        and not value.startswith(("data:", "#"))
    ]
    code = " ".join(text for inside, text in parsed.texts if inside in ("style", "script"))
    return found + re.findall(r"url\(|@import|https?:|fetch|import\(|XMLHttpRequest", code)


def decoded(uri: str) -> Image.Image:
    kind, data = re.fullmatch(r"data:image/(\w+);base64,(.+)", uri).groups()
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.format == kind.upper()
    return image
