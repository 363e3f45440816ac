"""One thread a process: pytest-xdist runs one process a core, and threads that wait for each other spin."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; inherited by the subprocesses

import pytest

from tests.helpers import browser


@pytest.fixture
def visit(tmp_path):
    """`visit(page)` in a real browser; skips where there is none."""
    if browser.EXECUTABLE is None:
        pytest.skip("there is no Chromium to open the page in")
    return lambda page: browser.visit(page, tmp_path)
