"""Many cases in a process of their own: a crash, a hang or much memory there is a finding, not the end."""

import faulthandler
import multiprocessing
import resource
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

_GIB = 2**30
_CONTEXT = multiprocessing.get_context("forkserver")


def complaints(
    job: Callable[[int], str | None], cases: int, limit_s: int, limit_gib: float | None = None
) -> list[str]:
    """What went wrong in job(0) ... job(cases - 1), each of which says nothing where all is well.

    A case may take `limit_s`, and `limit_gib` more memory than the process had before.
    """
    found, first = [], 0
    while first < cases:
        ours, theirs = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=_run, args=(job, range(first, cases), limit_s, limit_gib, theirs))
        process.start()
        theirs.close()
        try:
            while True:
                first, complaint = ours.recv()
                if complaint:
                    found.append(f"case {first}: {complaint}")
        except EOFError:
            process.join()
        if process.exitcode != 0:
            found.append(f"case {first}: the process ended with {process.exitcode}: a crash, or {limit_s} s")
        first += 1
    return found


def _run(
    job: Callable[[int], str | None], cases: range, limit_s: int, limit_gib: float | None, pipe: Connection
) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (16 * _GIB, 16 * _GIB))  # so that the machine survives
    for number in cases:
        pipe.send((number, None))
        faulthandler.dump_traceback_later(limit_s, exit=True)
        before = _peak_bytes(forget=True)
        try:
            complaint = job(number)
        except BaseException as error:
            complaint = "".join(traceback.format_exception(error, limit=-2))
        more = (_peak_bytes() - before) / _GIB
        if limit_gib is not None and more > limit_gib:
            complaint = f"{complaint or ''} took {more:.1f} GiB"
        faulthandler.cancel_dump_traceback_later()
        pipe.send((number, complaint))


def _peak_bytes(*, forget: bool = False) -> int:
    """The most memory that this process had since the last `forget`."""
    if forget:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))
