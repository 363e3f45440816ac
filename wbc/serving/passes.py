"""Passes of the network: pictures of all requests that wait are computed together."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import NamedTuple

import torch
from torch import Tensor

from wbc.answers.predictor import Outputs, Predictor


class _Waiting(NamedTuple):
    pixels: Tensor
    outputs: Future[Outputs]


class Passes:
    """Takes one picture at a time, from any thread; a thread of its own computes.

    batch_size: pictures of one pass at most.  A pass takes what waits when the one before has ended: nobody
    waits for more to come.
    """

    def __init__(self, predictor: Predictor, batch_size: int) -> None:
        self.computed = 0  # passes
        self._predictor = predictor
        self._batch_size = batch_size
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="passes", daemon=True)
        self._thread.start()

    def outputs(self, pixels: Tensor) -> Future[Outputs]:
        """Of one picture (1, 3, S, S) of 0..255, once a pass has computed them."""
        coming: Future[Outputs] = Future()
        self._waiting.put(_Waiting(pixels, coming))
        return coming

    def close(self) -> None:
        """Once all that waits is computed."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            one = self._waiting.get()
            taken = []
            while one is not None:
                if one.outputs.set_running_or_notify_cancel():  # else whoever asked has gone
                    taken.append(one)
                if len(taken) == self._batch_size:
                    break
                try:
                    one = self._waiting.get_nowait()
                except queue.Empty:
                    break
            else:
                is_open = False
            if taken:
                self._compute(taken)

    def _compute(self, taken: list[_Waiting]) -> None:
        try:
            outputs = self._predictor.outputs(torch.cat([one.pixels for one in taken]))
        except Exception as error:  # such as of memory: told to whoever waits, and the next pass is computed
            for one in taken:
                one.outputs.set_exception(error)
            return
        self.computed += 1
        for row, one in enumerate(taken):
            one.outputs.set_result(Outputs(*(values[row : row + 1] for values in outputs)))
