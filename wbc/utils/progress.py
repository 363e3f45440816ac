"""Progress of long loops: a bar on a terminal, a plain line now and then in a file or a pipe.

`progress` goes round an iterable; `Progress` is told of what is done.  Only the first process of a job shows
anything.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import Any, TypeVar

from tqdm import tqdm

from wbc.utils.durations import in_words

Item = TypeVar("Item")

_LINE_EVERY_S = 30.0
_REDRAW_EVERY_S = 0.1
_WORTH_A_LINE_S = 5.0  # what ends sooner leaves no line: the log says what came of it
_MEMORY_S = 30.0  # at least; what is older counts less and less in the rate
_BAR_COLUMNS = 30  # at most
_EIGHTHS = " ▏▎▍▌▋▊▉█"

_every_s: float | None = None  # between lines, where a reader of this process's output wants more of them

_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")  # as Lightning looks for them


def is_first_process() -> bool:
    """Whether this process is the first of those that a launcher started together, or the only one."""
    return next((int(os.environ[name]) for name in _RANKS if name in os.environ), 0) == 0


def tell_every(seconds: float) -> None:
    """From now on a line in a file or a pipe comes so often: a program reads them, and shows them anew."""
    global _every_s  # noqa: PLW0603  # what is printed is the process's, as its output is
    _every_s = seconds


def on_terminal() -> bool:
    """Whether bars can be redrawn where they go, which is stderr."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def progress(
    items: Iterable[Item], title: str, unit: str, total: int | None = None, *, shown: bool = True
) -> Iterator[Item]:
    """The `items` one by one, with their progress; `total` where they have no length."""
    if total is None:
        total = len(items) if isinstance(items, Sized) else None
    with Progress(title, unit, total, shown=shown) as bar:
        for item in items:
            yield item
            bar.update()


class Progress:
    """How far a loop is, in `unit`s such as "image"; a context manager.

    A line in a file or a pipe comes every `line_every_s` seconds, and one at the end of what took a while.
    total: None where it is not known.  done: what was done before, by an earlier run.
    at_most: whether the loop may end before its total.  leaves_line: whether one may come at the end.
    shown: False for what another process shows.
    `title` and `note`, a remark behind the estimate, may be changed on the way.
    """

    def __init__(
        self,
        title: str,
        unit: str,
        total: int | None = None,
        *,
        done: int = 0,
        at_most: bool = False,
        line_every_s: float = _LINE_EVERY_S,
        leaves_line: bool = True,
        shown: bool = True,
    ) -> None:
        self.title = title
        self.note = ""
        self.done = done
        self._unit = unit
        self._total = total
        self._at_most = at_most
        self._before = done
        self._leaves_line = leaves_line
        self._shown = shown and is_first_process()
        self._every_s = _REDRAW_EVERY_S if on_terminal() else _every_s or line_every_s
        self._started = self._told = self._measured = time.monotonic()
        self._new = 0  # since it was measured last
        self._count = self._seconds = 0.0  # of which the rate is made
        self._bar: Any = None
        if self._shown and on_terminal():
            # A size of its own: where a terminal tells none, tqdm would draw nothing.
            self._bar = tqdm(bar_format="{desc}", leave=False, ncols=10_000, nrows=20, file=sys.stderr)
            self._tell()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(finished=kind is None)

    def update(self, count: int = 1) -> None:
        """`count` more are done."""
        self.done += count
        self._new += count
        now = time.monotonic()
        if self._shown and now - self._told >= self._every_s:
            self._measure(now)
            if self._bar is not None or self.done != self._total:  # the line at the end is about to come
                self._tell()
            self._told = now

    def found(self, count: int) -> None:
        """`count` more were done before: they say nothing of how fast this is."""
        self.done += count
        self._before += count

    def line_was_told(self) -> None:
        """The log has just said how far this is: the next line waits its whole time."""
        self._told = time.monotonic()

    def close(self, finished: bool = True) -> None:
        """Take the bar away; what is `finished` and took a while leaves a line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        seconds = time.monotonic() - self._started
        if self._shown and self._leaves_line and finished and seconds >= _WORTH_A_LINE_S:
            count = self.done - self._before
            rate = f", {_rate_in_words(count / seconds, self._unit)}" if count > 1 else ""
            self._write(f"{self.title}: {_counted(count, self._unit)} in {in_words(seconds)}{rate}")
        self._shown = False

    def _measure(self, now: float) -> None:
        """Add the stretch since the last one to what the rate is made of, in which older ones fade."""
        seconds = now - self._measured
        kept = math.exp(-seconds / max(_MEMORY_S, (now - self._started) / 2))
        self._count = kept * self._count + self._new
        self._seconds = kept * self._seconds + seconds
        self._measured, self._new = now, 0

    def _tell(self) -> None:
        if self._bar is None:
            self._write(f"{self.title}: {self._state()}")
        else:
            self._bar.set_description_str(self._drawn(_columns()))

    def _write(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)  # above the bars of others
        sys.stderr.flush()

    def _state(self, short: bool = False) -> str:
        """Such as "3,200 of 10,000 images, 90 images/s, 1 min 15 s left"."""
        if self._total is None:
            parts = [_counted(self.done, self._unit)]
        else:
            parts = [f"{self.done:,} of {_counted(self._total, self._unit)}"]
        if self._count:
            rate = self._count / self._seconds
            if not short:
                parts.append(_rate_in_words(rate, self._unit))
            if self._total is not None and self.done < self._total:
                left = in_words(math.ceil((self._total - self.done) / rate))
                parts.append(f"at most {left} left" if self._at_most else f"{left} left")
        return ", ".join([*parts, self.note] if self.note else parts)

    def _drawn(self, columns: int) -> str:
        """One line of `columns` at most: the bar takes what the words leave; rate and title give way."""
        columns -= 1  # a full line would wrap on some terminals
        share, state, space = "", self._state(), 0
        if self._total is not None:
            done = min(1.0, self.done / self._total) if self._total else 1.0
            share = f"{math.floor(100 * done):3d} %, "
            if len(self.title) + len(share) + len(state) + 12 > columns:
                state = self._state(short=True)
            space = min(_BAR_COLUMNS, columns - len(self.title) - len(share) - len(state) - 4)
            if space >= 5:
                share = f"{share[:-2]} |{_bar(done, space)}| "
        words = f": {share}{state}"
        room = max(columns - len(words), 0)
        title = self.title if len(self.title) <= room else self.title[: max(room - 1, 0)] + "…"
        return (title + words)[:columns]


def _columns() -> int:
    """Of the terminal; 80 where it tells none."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns or shutil.get_terminal_size().columns


def _bar(share: float, columns: int) -> str:
    eighths = round(8 * columns * share)
    if "utf" not in (getattr(sys.stderr, "encoding", None) or "").lower():
        return ("#" * (eighths // 8)).ljust(columns)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(columns)


def _counted(count: int, unit: str) -> str:
    return f"{count:,} {unit if count == 1 else plural(unit)}"


def plural(unit: str) -> str:
    """Of the units of this package: "images", "batches"."""
    return unit + ("es" if unit.endswith(("ch", "s", "x")) else "s")


def _rate_in_words(rate: float, unit: str) -> str:
    """Such as "90 images/s"; of slow things the time that one takes."""
    if rate < 1:
        return f"{in_words(1 / rate)} for each {unit}"
    return f"{rate:,.0f} {plural(unit)}/s" if rate >= 10 else f"{rate:.1f} {plural(unit)}/s"
