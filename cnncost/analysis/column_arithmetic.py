"""Arithmetic and comparisons over columns of a sweep, entry by entry: exact for whole numbers, and never a warning.

A column is an array of bool, text, int64 or float64; or of Python's own numbers, where ints pass 2^63 or
entries are missing (NaN). Ints go over to Python's where int64 might wrap, and are told apart there too;
with a number in double precision everything is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


def entering(column: Any) -> Array:
    """A column as an array of bool, text, int64, float64, or Python's numbers where there are larger ints or gaps."""
    array = np.asarray(column)
    if array.dtype.kind in "bU":
        return array
    if array.dtype.kind == "f":
        return array.astype(np.float64, copy=False)
    if np.can_cast(array.dtype, np.int64):
        return array.astype(np.int64, copy=False)
    values = array.ravel().tolist()
    if array.dtype.kind == "S" or any(isinstance(value, str) for value in values):
        return array.astype(np.str_)
    return _objects([np.nan if value is None else value for value in values], array.shape)


def _objects(values: list[Any], shape: tuple[int, ...]) -> Array:
    made = np.empty(len(values), object)
    made[:] = values
    return made.reshape(shape)


def kind(array: Array) -> str:
    """What a column holds, in words."""
    return {"b": "true or false", "U": "text"}.get(array.dtype.kind, "a number")


def compared(function: Callable[[Any, Any], Any], a: Array, b: Array) -> Array:
    """A comparison, entry by entry; false where there is nothing to compare."""
    if "f" in a.dtype.kind + b.dtype.kind:
        a, b = _floats(a), _floats(b)
    if function is operator.ne and kind(a) == "a number":
        return compared(operator.lt, a, b) | compared(operator.gt, a, b)  # NaN differs from nothing
    return np.asarray(function(a, b), np.bool_)


def calculated(function: Callable[[Any, Any], Any], a: Array, b: Array) -> Array:
    """Arithmetic, entry by entry: whole numbers exactly; NaN where it divides by zero."""
    if function is operator.truediv or "f" in a.dtype.kind + b.dtype.kind:
        a, b = _floats(a), _floats(b)
    elif "O" in a.dtype.kind + b.dtype.kind or _passes(function, a, b):
        a, b = np.asarray(a, object), np.asarray(b, object)
    if function in (operator.add, operator.sub, operator.mul):
        return _whole(function(a, b))
    zero = np.asarray(b == 0, np.bool_)
    if not zero.any():
        return _whole(function(a, b))
    found = _whole(function(a, np.where(zero, 1, b)))
    return np.where(zero, np.nan, found if found.dtype.kind == "f" else found.astype(object))


def _whole(found: Any) -> Array:
    """A result as an array: of arrays without axes NumPy makes numbers, and Python's may be large."""
    return found if isinstance(found, np.ndarray) else entering(found)


def _passes(function: Callable[[Any, Any], Any], a: Array, b: Array) -> bool:
    """Whether whole numbers might pass 2^63: by the largest of each, as if they met."""
    bounds = [max(-int(n.min()), int(n.max())) if n.size else 0 for n in (a, b)]
    return (bounds[0] * bounds[1] if function is operator.mul else sum(bounds)) >= 2**63


def _floats(array: Array) -> Array:
    """Numbers in double precision; those beyond it are infinite."""
    if array.dtype.kind != "O":
        return array.astype(np.float64, copy=False)
    return np.array([_float(value) for value in array.ravel().tolist()], np.float64).reshape(array.shape)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
