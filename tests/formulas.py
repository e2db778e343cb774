"""Formulas as explanations print them: their exact values."""

from __future__ import annotations

import ast
import math
import operator
import re
from fractions import Fraction
from typing import Any

from cnncost.analysis.explain import Equation, LayerExplanation

DO = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
CALLS: dict[str, Any] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "gcd": lambda a, b: math.gcd(int(a), int(b)),
}


def value_of(formula: str, names: dict[str, int] | None = None) -> Fraction:
    """The exact value of a formula as it is printed: 2x2, 307,200 x 27, floor((7 - 3)/3), weights x height'."""
    formula = re.sub(r"(?<=\d),(?=\d{3})", "", formula)
    formula = re.sub(r"(?<=\d)x(?=\d)| x ", "*", formula).replace("'", "_out")
    known = {name.replace("'", "_out"): Fraction(n) for name, n in (names or {}).items()}
    return exact(ast.parse(formula, mode="eval").body, known, formula)


def exact(node: ast.expr, names: dict[str, Fraction], formula: str) -> Fraction:
    if isinstance(node, ast.BinOp):
        return DO[type(node.op)](exact(node.left, names, formula), exact(node.right, names, formula))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -exact(node.operand, names, formula)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return Fraction(CALLS[node.func.id](*(exact(a, names, formula) for a in node.args)))
    if isinstance(node, ast.Name):
        return names[node.id]
    assert isinstance(node, ast.Constant), formula
    return Fraction(ast.get_source_segment(formula, node) or "")


def check_true(explained: LayerExplanation) -> None:
    """All sides of all equations are equal: in names, in numbers, the value; and so are those in notes."""
    for e in explained.equations:
        assert type(e.value) is int
        assert value_of(e.numbers) == e.value, e
        assert not e.symbols or value_of(e.symbols, explained.names) == e.value, e
    for note in explained.notes:
        if " = " in note:
            found = re.fullmatch(r"(.*) = (.*), about (.*), is not whole: .*", note)
            assert found, note
            assert value_of(found[1]) == Fraction(found[2])
            assert Fraction(found[2]).denominator > 1
            assert abs(Fraction(found[2]) - Fraction(found[3])) <= Fraction(1, 200)


def lines_of(explained: LayerExplanation) -> dict[str, Equation]:
    return {e.quantity: e for e in explained.equations}
