"""Servers that end with the test."""

import pytest

from tests.helpers.review_server import ReviewServer


@pytest.fixture
def serve():
    """`serve(folder, *words)`: a review that serves."""
    servers = []

    def start(folder, *words):
        servers.append(ReviewServer(folder, *words))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
