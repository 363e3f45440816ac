"""Two nodes of a cluster on this machine: processes with what SLURM or torchrun tells each."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.helpers.places import ROOT

LAUNCHERS = ("slurm", "torchrun")


class Nodes:
    """`wbc` with its words on two nodes, one process each, as `launcher` starts them in `folder`."""

    def __init__(self, launcher: str, words: list[str], folder: Path) -> None:
        port = _free_port()
        self._logs = [folder / f"{launcher}_{port}_{rank}.log" for rank in (0, 1)]
        self.processes = [self._started(launcher, rank, port, words, folder) for rank in (0, 1)]

    def _started(
        self, launcher: str, rank: int, port: int, words: list[str], folder: Path
    ) -> subprocess.Popen[bytes]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable]
        if launcher == "slurm":
            environment |= _told_by_slurm(rank, port)
        else:
            command += [
                "-m",
                "torch.distributed.run",
                "--nnodes=2",
                "--nproc-per-node=1",
                f"--node-rank={rank}",
            ]
            command += ["--master-addr=localhost", f"--master-port={port}"]
        with self._logs[rank].open("wb") as log:
            return subprocess.Popen(
                [*command, "-m", "wbc", *words], cwd=folder, env=environment, stdout=log, stderr=log
            )

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 240) -> None:
        """Until `condition()` holds; no node may end before."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert all(process.poll() is None for process in self.processes), self.printed()
            assert time.monotonic() < deadline, self.printed()
            time.sleep(0.01)

    def codes(self, timeout_s: float = 300) -> list[int]:
        """Of all nodes, once they have ended."""
        try:
            return [process.wait(timeout_s) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()

    def printed(self) -> str:
        return "\n".join(log.read_text() for log in self._logs)


def _told_by_slurm(rank: int, port: int) -> dict[str, str]:
    """The variables of `srun --nodes=2 --ntasks-per-node=1`, of those that Lightning and wbc read.

    MASTER_PORT is not SLURM's: without it Lightning makes one of the job's number, which may be taken here.
    """
    return {
        "SLURM_JOB_ID": "4242",
        "SLURM_JOB_NAME": "wbc",
        "SLURM_NNODES": "2",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NODELIST": "localhost",
        "SLURM_NODEID": str(rank),
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": "0",
        "MASTER_PORT": str(port),
    }


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]
