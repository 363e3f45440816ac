"""Heat maps and known cells alike, of one cell at a time: made by a thread of its own while others decide.

A page asks, and asks again until there is an answer, so that no request waits.  Of the cells that are asked
for meanwhile the last one waits, and takes the place of the one before: a page that still wants that asks on.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wbc.errors import WbcError
from wbc.reviewing.answering_model import AnsweringModel
from wbc.reviewing.cells import Cells

if TYPE_CHECKING:  # torch takes seconds to import, and most reviews ask for no heat map
    from wbc.reviewing.explainer import Explainer

log = logging.getLogger(__name__)

_KEPT = 256  # cells, some 60 kB each
_PATIENCE_S = 10  # for the cell that is being explained when the command is stopped
WAITING, READY, FAILED = "waiting", "ready", "failed"


@dataclass(frozen=True)
class Explanation:
    """Of one cell.  told: plain values for the page.  heat: JPEG; b"" where it failed.  known: JPEG of each
    known cell, in the order in which `told` has them; b"" of one without a picture.
    """

    told: dict[str, Any]
    heat: bytes = b""
    known: list[bytes] = field(default_factory=list)


class Explanations:
    """Asked from any thread; nothing is read or computed before the first cell is asked for.

    known_cells: the folder of the known cells' pictures, as `wbc explain` takes it.
    """

    def __init__(self, cells: Cells, model: AnsweringModel, known_cells: str | None = None) -> None:
        self._cells, self._model, self._known_cells = cells, model, known_cells
        self._made: OrderedDict[int, Explanation] = OrderedDict()
        self._waiting: int | None = None
        self._at: int | None = None  # the cell that is being explained
        self._unusable = ""  # why the model cannot be used, once that has been tried
        self._is_loaded = False
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def missing(self) -> str:
        """Why there are none, "" where there can be."""
        return self._unusable or self._model.missing

    def ask(self, cell: int) -> dict[str, Any]:
        """What is known of it by now: state, and what goes with that.  It is begun where it is not there."""
        with self._changed:
            if cell in self._made:
                self._made.move_to_end(cell)
                return self._made[cell].told
            if self.missing or self._is_closed:
                return {"state": FAILED, "why": self.missing or "The server is being stopped."}
            if cell != self._at:
                self._waiting = cell
                self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="explanations", daemon=True)
                self._thread.start()
            doing = "Computing" if self._is_loaded else "Reading the model"
            return {"state": WAITING, "doing": doing}

    def heat(self, cell: int) -> bytes:
        """The picture with its heat map as JPEG; b"" where it was not asked for, or failed."""
        with self._changed:
            return self._made[cell].heat if cell in self._made else b""

    def known(self, cell: int, place: int) -> bytes:
        """The picture of the known cell at that place, likewise."""
        with self._changed:
            pictures = self._made[cell].known if cell in self._made else []
            return pictures[place] if place < len(pictures) else b""

    def close(self) -> None:
        """Nothing is begun any more; waits a little for the cell that is being explained."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)

    def _work(self) -> None:
        explainer = self._loaded()
        while explainer is not None:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._is_closed)
                if self._is_closed:
                    return
                cell, self._waiting = self._waiting, None
                self._at = cell
            assert cell is not None
            made = self._explained(explainer, cell)
            with self._changed:
                self._at = None
                self._made[cell] = made
                if len(self._made) > _KEPT:
                    self._made.popitem(last=False)

    def _loaded(self) -> Explainer | None:
        """None where the model cannot be used; `missing` then says why."""
        try:
            path = self._model.checked()
            from wbc.reviewing.explainer import Explainer

            explainer = Explainer(path, self._cells, self._known_cells)
        except (WbcError, OSError, MemoryError) as error:
            log.warning("no heat maps: %s", error)
            self._unusable = f"{error}"
            return None
        self._is_loaded = True
        return explainer

    def _explained(self, explainer: Explainer, cell: int) -> Explanation:
        try:
            return explainer.explain(cell)
        except Exception as error:  # of whatever library: the page says it, and the thread goes on
            if not isinstance(error, WbcError):
                log.exception("no heat map of %s", self._cells.path(cell))
            return Explanation({"state": FAILED, "why": f"{error}" or type(error).__name__})
