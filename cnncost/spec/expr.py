"""Arithmetic expressions of the spec language: parsed, never evaluated as Python.

    2 * width        depths.0         input.channels // 2        round_to(32 * width, 8)
    2 if i == 0 else 1                stride != 1 or input.channels != out

Names are declared parameters; `layer.channels`, `.length`, `.height`, `.width`, `.depth` and
`.size` (the last axis) are sizes of earlier layers. Values may be arrays: one entry a design point.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from cnncost.dims import AXES, Shape, choosing, decided, is_array, shown
from cnncost.errors import SpecError, did_you_mean
from cnncost.options import spelled
from cnncost.spec.functions import FUNCTIONS, LARGEST_RESULT, bounded, called_on_arrays, number

LENGTH_AT_MOST = 500
DEPTH_AT_MOST = 60


class Scope(Protocol):
    """Where an expression looks names up."""

    def value(self, name: str) -> Any: ...

    def size(self, owner: str, name: str) -> Any: ...


Compiled = Callable[[Scope], Any]

_ENTRY = re.compile(r"\b([A-Za-z_]\w*)((?:\.\d+)+)(?![\w.])")
_SHAPE = re.compile(r"\d+(x\d+)+")
_SIZE_OF = re.compile(
    r"[\w+#-]+\.(" + "|".join(("channels", "size", *sorted({a for axes in AXES.values() for a in axes}))) + ")"
)


@lru_cache(4096)
def compiled(text: str) -> Compiled:
    """A function of a scope that computes the expression. Raises SpecError for what is not arithmetic."""
    if len(text) > LENGTH_AT_MOST:
        raise SpecError(f"an expression of {len(text)} characters", hint=f"at most {LENGTH_AT_MOST}: use a parameter")
    try:
        tree = parsed(_ENTRY.sub(_with_brackets, text.strip()))
    except SyntaxError:
        raise SpecError(
            f"cannot read {spelled(text)} as an expression" if text.strip() else "an empty expression",
            hint=_unreadable(text.strip()),
        ) from None
    if too_deep(tree):
        raise SpecError(f"expression {spelled(text)} is nested too deep", hint="use parameters for its parts")
    return _compile(tree)


def parsed(source: str) -> ast.expr:
    """The tree of an expression of Python's grammar. Raises SyntaxError for whatever is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python would only warn about is a slip here
            return ast.parse(source, mode="eval").body
    except (ValueError, MemoryError, RecursionError) as e:
        raise SyntaxError(str(e)) from None


def too_deep(tree: ast.AST) -> bool:
    """Whether a tree has more levels than DEPTH_AT_MOST."""
    level = [tree]
    for _ in range(DEPTH_AT_MOST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True


def _with_brackets(entry: re.Match[str]) -> str:
    """depths.0 as depths[0]: braces in YAML take no brackets in a bare value, and --set writes it so too."""
    return entry[1] + "".join(f"[{i}]" for i in entry[2][1:].split("."))


def _unreadable(text: str) -> str:
    """A hint for a text that is no expression."""
    if _SHAPE.fullmatch(text):
        return f"for a size an axis write a list: [{text.replace('x', ', ')}]"
    if _SIZE_OF.search(text):
        return "names of layers in expressions have letters, digits and _ only, and begin with no digit"
    return "expressions are arithmetic over parameters, like 2 * width or input.channels // 2"


class AtSomeError(SpecError):
    """Arithmetic that has no result; of arrays, at some design point at least."""


def evaluate(text: str, scope: Scope) -> Any:
    """The value of an expression in a scope. Raises SpecError."""
    try:
        return compiled(text)(scope)
    except ZeroDivisionError:
        raise AtSomeError(f"{spelled(text)} divides by zero", hint="check the parameters it uses") from None
    except OverflowError:
        raise AtSomeError(f"{spelled(text)} is beyond 2^63", hint="check the parameters it uses") from None
    except ValueError:
        raise AtSomeError(f"{spelled(text)} is not a finite number", hint="check the parameters it uses") from None


def holds(text: str, scope: Scope) -> bool:
    """Whether a condition holds in a scope. Raises SpecError."""
    return _truth(evaluate(text, scope))


def _power(base: Any, exponent: Any) -> Any:
    if type(base) is int and type(exponent) is int and exponent > 64 and abs(base) > 1:
        raise OverflowError
    result = base**exponent
    if isinstance(result, complex):
        raise SpecError(f"{base} ** {exponent} is not a real number", hint="check the parameters it uses")
    return result


ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
COMPARISON: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


LANGUAGE = (
    "there are numbers, names, + - * / // % **, comparisons, and/or/not, a if b else c, x[i], layer.channels, "
    f"and {', '.join(FUNCTIONS)}"
)
_WORDS = {"true": True, "false": False}  # as YAML writes them

SIZES = ("channels", "depth", "height", "width", "length", "size")


def size_of(shape: Shape, name: str, layer: str) -> Any:
    """A named size of a shape: channels, a spatial axis, or size, which is the last of these."""
    if name not in SIZES:
        raise SpecError(f"{layer}.{name} is no size", hint=did_you_mean(name, SIZES))
    if name == "channels" and len(shape) > 1:
        return shape[1]
    axes = AXES.get(len(shape) - 2, ())
    if name == "size" and axes:
        return shape[-1]
    if name not in axes:
        has = ", ".join([*(["channels"] if len(shape) > 1 else []), *axes]) or "only the batch"
        raise SpecError(f"{layer} has no {name}: its shape is {shown(shape)}", hint=f"it has {has}")
    return shape[axes.index(name) - len(axes)]


def _truth(value: Any) -> bool:
    if is_array(value):
        if choosing():
            return bool(decided(value))
        if value.size == 1 or (value == value.flat[0]).all():
            return bool(value.flat[0])
        raise SpecError(
            "a condition that differs between design points", hint="vary structural parameters one value at a time"
        )
    return bool(value)


def _compile(node: ast.AST) -> Compiled:
    if isinstance(node, ast.Constant):
        return _constant(node.value)
    if isinstance(node, ast.Name):
        if node.id in _WORDS:
            return _constant(_WORDS[node.id])
        return lambda scope, name=node.id: scope.value(name)  # type: ignore[misc]
    if isinstance(node, ast.BinOp):
        return _binary(node)
    if isinstance(node, ast.UnaryOp):
        return _unary(node)
    if isinstance(node, ast.Compare):
        return _compare(node)
    if isinstance(node, ast.BoolOp):
        return _logical(node)
    if isinstance(node, ast.IfExp):
        test, yes, no = _compile(node.test), _compile(node.body), _compile(node.orelse)
        return lambda scope: yes(scope) if _truth(test(scope)) else no(scope)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return _size(node.value.id, node.attr)
    if isinstance(node, ast.Subscript):
        return _subscript(node)
    if isinstance(node, ast.Call):
        return _call(node)
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_compile(item) for item in node.elts]
        return lambda scope: [item(scope) for item in items]
    raise SpecError(
        f"{spelled(ast.unparse(node))} is not part of the expression language",
        hint=LANGUAGE,
    )


def _size(layer: str, name: str) -> Compiled:
    return lambda scope: scope.size(layer, name)


def _constant(value: Any) -> Compiled:
    if not isinstance(value, (bool, int, float, str)):
        raise SpecError(f"{spelled(value)} is not part of the expression language", hint=LANGUAGE)
    bounded(value)
    return lambda scope: value


def _binary(node: ast.BinOp) -> Compiled:
    function = ARITHMETIC.get(type(node.op))
    if function is None:
        raise SpecError(f"operator in {spelled(ast.unparse(node))} is not accepted", hint="use + - * / // % **")
    left, right = _compile(node.left), _compile(node.right)

    def binary(scope: Scope) -> Any:
        a, b = number(left(scope)), number(right(scope))
        return _over_arrays(function, a, b) if is_array(a) or is_array(b) else bounded(function(a, b))

    return binary


def _over_arrays(function: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Entry by entry, with the errors that Python's numbers raise: NumPy would wrap, warn or go on."""
    import numpy as np

    if function in (operator.truediv, operator.floordiv, operator.mod) and not np.all(b):
        raise ZeroDivisionError
    if function is _power and np.any(np.less(b, 0)):
        a = np.asarray(a, np.float64)
    if function is _power and "f" in (np.asarray(a).dtype.kind, np.asarray(b).dtype.kind):
        return _powers(a, b)
    with np.errstate(all="ignore"):
        near = function(np.asarray(a, np.float64), np.asarray(b, np.float64))
    if np.isnan(near).any():
        raise ValueError
    if (np.abs(near) > LARGEST_RESULT).any():
        raise OverflowError
    return function(a, b)


def _powers(a: Any, b: Any) -> Any:
    """Powers of floating-point numbers by Python: NumPy's own differ from these in the last digit."""
    import numpy as np

    pairs = np.broadcast(np.asarray(a), np.asarray(b))
    values = [_power(x.item(), y.item()) for x, y in pairs]
    return np.array(values, np.float64).reshape(pairs.shape)


def _unary(node: ast.UnaryOp) -> Compiled:
    operand = _compile(node.operand)
    if isinstance(node.op, ast.Not):
        return lambda scope: not _truth(operand(scope))
    if isinstance(node.op, ast.USub):
        return lambda scope: -number(operand(scope))
    if isinstance(node.op, ast.UAdd):
        return lambda scope: number(operand(scope))
    raise SpecError(f"operator in {spelled(ast.unparse(node))} is not accepted", hint="use + - * / // % **")


def _compare(node: ast.Compare) -> Compiled:
    parts = [_compile(node.left), *map(_compile, node.comparators)]
    functions = [COMPARISON.get(type(op)) for op in node.ops]
    if None in functions:
        raise SpecError(f"comparison {spelled(ast.unparse(node))} is not accepted", hint="use == != < <= > >=")

    def compare(scope: Scope) -> Any:
        values = [part(scope) for part in parts]
        try:
            results = [f(a, b) for f, a, b in zip(functions, values, values[1:])]  # type: ignore[misc]
        except TypeError:
            raise SpecError(
                f"{' and '.join(map(spelled, values))} cannot be compared",
                hint="compare numbers with numbers, and words by == and !=",
            ) from None
        return results[0] if len(results) == 1 else all(map(_truth, results))

    return compare


def _logical(node: ast.BoolOp) -> Compiled:
    parts = [_compile(value) for value in node.values]
    every = isinstance(node.op, ast.And)

    def logical(scope: Scope) -> bool:
        for part in parts:
            if _truth(part(scope)) is not every:
                return not every
        return every

    return logical


def _subscript(node: ast.Subscript) -> Compiled:
    if isinstance(node.slice, ast.Slice):
        raise SpecError(f"slice {spelled(ast.unparse(node))} is not accepted", hint="take one entry: depths[0]")
    values, index = _compile(node.value), _compile(node.slice)
    text = ast.unparse(node.value)

    def item(scope: Scope) -> Any:
        these, i = values(scope), index(scope)
        if not isinstance(these, (list, tuple)):
            raise SpecError(f"{text} is {spelled(these)}, not a list", hint=f"write just {text}")
        if type(i) is not int or not -len(these) <= i < len(these):
            hint = f"{text} has the entries 0 to {len(these) - 1}" if len(these) > 1 else f"{text} has only entry 0"
            hint = hint if these else f"{text} is empty"
            raise SpecError(f"{text} has no entry {spelled(i)}", hint=hint)
        return these[i]

    return item


def _call(node: ast.Call) -> Compiled:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in FUNCTIONS:
        raise SpecError(f"unknown function {spelled(name)}", hint=did_you_mean(name, FUNCTIONS))
    if node.keywords:
        raise SpecError(f"{name} takes no named arguments", hint="write round_to(width, 8)")
    function, arguments = FUNCTIONS[name], [_compile(a) for a in node.args]

    def call(scope: Scope) -> Any:
        values = [a(scope) for a in arguments]
        try:
            if any(map(is_array, values)):
                return called_on_arrays(function, values)
            return bounded(function(*values))
        except TypeError:
            raise SpecError(
                f"{name}({', '.join(map(spelled, values))}) does not work", hint="check its arguments"
            ) from None

    return call
