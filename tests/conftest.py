"""One thread a process: pytest-xdist runs one process a core, and threads that wait for each other spin."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; inherited by the subprocesses
