"""Attributes of a cell in words, and which of them speak for its class or against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp, softmax

MOST_FOR, MOST_AGAINST = 4, 2  # words of a reason: more are not read
# Of the arrays: D features, A attributes, V values of all, C classes.
_SHAPES = {
    "weight": "DV",
    "bias": "V",
    "thresholds": "A",
    "max_errors": "A",
    "shares": "V",
    "class_weight": "VC",
    "class_bias": "C",
}
UNTOLD = "nothing is said of this cell"
_LEAST_EFFECT = math.log(2)  # of a word that speaks: its change halves or doubles the odds of the class


class Word(NamedTuple):
    """An attribute of one cell: its most probable value, and whether that is sure enough to be said."""

    attribute: str
    value: str
    probability: float
    answered: bool

    def __str__(self) -> str:
        """As people read it: nucleus shape: segmented-bilobed (0.93)."""
        return f"{self.attribute.replace('_', ' ')}: {self.value} ({self.probability:.2f})"


class Reasons(NamedTuple):
    """What words say of a decision, as people read it; "" where no word speaks."""

    speak_for: str
    speak_against: str
    told: str  # the class by the words alone, with its probability; UNTOLD where no attribute is answered


class CellWords(NamedTuple):
    """Of one cell: a word for each attribute; those that speak for its class, and those against it, the
    strongest first; and the class that the words alone tell, with its probability.
    """

    words: tuple[Word, ...]
    speak_for: tuple[Word, ...]
    speak_against: tuple[Word, ...]
    told_class: str
    told_probability: float

    @property
    def silenced(self) -> CellWords:
        """The same with nothing said: no attribute is answered, so none speaks."""
        words = tuple(word._replace(answered=False) for word in self.words)
        return self._replace(words=words, speak_for=(), speak_against=())

    @property
    def reasons(self) -> Reasons:
        """The same in three lines."""
        return Reasons(
            ", ".join(map(str, self.speak_for)),
            ", ".join(map(str, self.speak_against)),
            f"{self.told_class} ({self.told_probability:.2f})"
            if any(word.answered for word in self.words)
            else UNTOLD,
        )


@dataclass(frozen=True)
class FittedWords:
    """What `wbc.words.fit` fitted for A attributes of V values together and C classes.

    weight (D, V), bias (V,): features to calibrated logits of values, attribute by attribute.  thresholds
    (A,): the probability from which an attribute is answered, infinite where none is.  max_errors (A,): what
    these promise.  shares (V,): how often each value occurs.  class_weight (V, C), class_bias (C,): from
    probabilities of values to logits of classes, by the words alone.
    """

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    weight: np.ndarray
    bias: np.ndarray
    thresholds: np.ndarray
    max_errors: np.ndarray
    shares: np.ndarray
    class_weight: np.ndarray
    class_bias: np.ndarray

    def state(self) -> dict[str, Any]:
        """Names in plain lists, and arrays: what a checkpoint or an exported folder keeps."""
        named = {"names": list(self.names), "values": [list(values) for values in self.values]}
        return named | {name: getattr(self, name) for name in _SHAPES}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], features: int, classes: int) -> FittedWords:
        """The words that `state` came from, of a network with so many features and classes.

        Raises KeyError, TypeError or ValueError for anything else.
        """
        names, values = tuple(state["names"]), tuple(map(tuple, state["values"]))
        told = [*names, *(value for one in values for value in one)]
        if not all(type(name) is str and name for name in told) or len(set(names)) != len(names):
            raise ValueError("words whose attributes and values are not all named, each attribute once")
        if len(values) != len(names) or not all(len(set(one)) == len(one) > 1 for one in values):
            raise ValueError("words of attributes without two values or more, each once")
        extent = {"D": features, "C": classes, "A": len(names), "V": sum(map(len, values))}
        arrays = {}
        for name, letters in _SHAPES.items():
            array = arrays[name] = np.asarray(state[name])
            shape = tuple(extent[letter] for letter in letters)
            if array.shape != shape or array.dtype.kind != "f":
                raise ValueError(f"words whose {name} is not of numbers {shape}")
            # No attribute is answered of which the threshold is infinite.
            if np.isnan(array).any() or (name != "thresholds" and np.isinf(array).any()):
                raise ValueError(f"words whose {name} are not finite numbers")
        words = cls(names, values, **arrays)
        shares = [words.shares[part] for part in words.parts()]
        if any(abs(one.sum() - 1) > 1e-3 or one.min() < 0 for one in shares):
            raise ValueError("words whose values' shares are none")
        return words

    def parts(self) -> list[slice]:
        """Where the values of each attribute lie among all."""
        ends = np.cumsum([len(values) for values in self.values]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Features (N, D) to the calibrated probability of each value, (N, V) float32."""
        logits = features.astype(np.float32) @ self.weight + self.bias
        return np.concatenate([softmax(logits[:, part], axis=1) for part in self.parts()], axis=1)

    def class_logits(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities of values (N, V) to logits of classes (N, C), by the words alone."""
        return np.asarray(probabilities @ self.class_weight + self.class_bias)

    def effects(self, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """(N, A): by how much the log-odds of class `targets` (N,) fall when an attribute is changed.

        Changed: its most probable value is taken from it, and the others stand as often as they occur.  Above
        0 it speaks for the class, below 0 against it.
        """
        logits = self.class_logits(probabilities)
        before = _log_odds(logits, targets)
        found = np.empty((len(probabilities), len(self.names)))
        for place, part in enumerate(self.parts()):
            own = probabilities[:, part]
            others = np.tile(self.shares[part], (len(own), 1))
            others[np.arange(len(own)), own.argmax(axis=1)] = 0
            others /= others.sum(axis=1, keepdims=True)
            changed = logits + (others - own) @ self.class_weight[part]
            found[:, place] = before - _log_odds(changed, targets)
        return found

    def describe(
        self, features: np.ndarray, targets: Sequence[int], spoken: Sequence[bool], classes: Sequence[str]
    ) -> list[CellWords]:
        """Features (N, D) of cells, and the class that each was named, by number.

        spoken: False for what is no known cell, of which nothing is answered.
        """
        probabilities = self.probabilities(features)
        effects = self.effects(probabilities, np.asarray(targets, int))
        told = softmax(self.class_logits(probabilities), axis=1)
        return [self._cell(*one, classes) for one in zip(probabilities, effects, told, spoken, strict=True)]

    def _cell(
        self,
        probabilities: np.ndarray,
        effects: np.ndarray,
        told: np.ndarray,
        spoken: bool,
        classes: Sequence[str],
    ) -> CellWords:
        words = []
        for name, values, part, threshold in zip(
            self.names, self.values, self.parts(), self.thresholds, strict=True
        ):
            own = probabilities[part]
            best = int(own.argmax())
            answered = bool(spoken and own[best] >= threshold)
            words.append(Word(name, values[best], float(own[best]), answered))
        size = np.abs(effects)
        speaking = [
            place
            for place in np.argsort(-size, kind="stable")
            if words[place].answered and size[place] >= _LEAST_EFFECT
        ]
        best = int(told.argmax())
        return CellWords(
            tuple(words),
            tuple(words[place] for place in speaking if effects[place] > 0)[:MOST_FOR],
            tuple(words[place] for place in speaking if effects[place] < 0)[:MOST_AGAINST],
            classes[best],
            float(told[best]),
        )


def _log_odds(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Of one class each (N,) against all others together, by logits (N, C)."""
    rows = np.arange(len(logits))
    others = logits.astype(np.float64)
    own = others[rows, targets]
    others[rows, targets] = -np.inf
    return np.asarray(own - logsumexp(others, axis=1))
