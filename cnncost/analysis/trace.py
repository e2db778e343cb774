"""Sizes that remember how they were computed, so that an op's own formula can be shown.

A `Traced` size is an int in every way, and carries an expression over names. Where a formula leaves
whole numbers (a flag, the length of a list, a fraction), what comes out is a plain number again, and
stands in the expression as such: less is told then, but nothing wrong.

What says nothing is left out as expressions grow: factors and divisors of 1, terms of 0; equal terms
are counted (x + p + p is x + 2 p), and constants added up (k - 1 + 1 is k).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any, Union

GROUP_AT_LEAST = 3
"""Factors of a product that keep their brackets within another: out x (channels x kernel x kernel)."""
TIGHT_BELOW = 1000


@dataclass(frozen=True)
class Number:
    """A number that no name is known for."""

    value: int


@dataclass(frozen=True)
class Name:
    """A size with a name. quiet: left out where it changes nothing, as a dilation of 1 does."""

    text: str
    value: int
    quiet: bool = False


@dataclass(frozen=True)
class Sum:
    """Terms, each so many times, and a constant."""

    terms: tuple[tuple[int, Expr], ...]
    constant: int

    @property
    def value(self) -> int:
        return sum(times * term.value for times, term in self.terms) + self.constant


@dataclass(frozen=True)
class Product:
    """Factors and a coefficient; a product among the factors stands in brackets."""

    coefficient: int
    factors: tuple[Expr, ...]

    @property
    def value(self) -> int:
        return self.coefficient * prod(factor.value for factor in self.factors)


@dataclass(frozen=True)
class Quotient:
    """A division that rounds down, or up."""

    over: Expr
    under: Expr
    up: bool = False

    @property
    def value(self) -> int:
        return -(-self.over.value // self.under.value) if self.up else self.over.value // self.under.value

    @property
    def exact(self) -> bool:
        """Whether nothing is rounded."""
        return self.over.value % self.under.value == 0


@dataclass(frozen=True)
class Call:
    """A function of sizes and numbers: gcd(a, b), floor(n x 1.5)."""

    how: str
    operands: tuple[Any, ...]
    value: int


Expr = Union[Number, Name, Sum, Product, Quotient, Call]
ONE = Number(1)

# ---- building ---------------------------------------------------------------------------------


def told(size: Any) -> Expr:
    """How a size was computed; of a plain number, the number."""
    return size.expr if isinstance(size, Traced) else Number(int(size))


def _terms(expr: Expr) -> tuple[tuple[tuple[int, Expr], ...], int]:
    """An expression as terms and a constant."""
    if isinstance(expr, Number):
        return (), expr.value
    if isinstance(expr, Sum):
        return expr.terms, expr.constant
    if isinstance(expr, Name) and expr.quiet and expr.value == 0:
        return (), 0
    if isinstance(expr, Product) and expr.coefficient != 1:
        return ((expr.coefficient, _product(1, expr.factors)),), 0
    return ((1, expr),), 0


def plus(a: Expr, b: Expr, sign: int = 1) -> Expr:
    """a + b, or a - b with a sign of -1."""
    counts: dict[Expr, int] = {}
    (first, one), (second, other) = _terms(a), _terms(b)
    for times_, term in (*first, *((sign * n, t) for n, t in second)):
        counts[term] = counts.get(term, 0) + times_
    terms = tuple((n, term) for term, n in counts.items() if n)
    constant = one + sign * other
    if not terms:
        return Number(constant)
    if len(terms) == 1 and not constant:
        return times(Number(terms[0][0]), terms[0][1])
    return Sum(terms, constant)


def _product(coefficient: int, factors: Sequence[Expr]) -> Expr:
    if coefficient == 0:
        return Number(0)
    if not factors:
        return Number(coefficient)
    return factors[0] if coefficient == 1 and len(factors) == 1 else Product(coefficient, tuple(factors))


def times(a: Expr, b: Expr) -> Expr:
    """a x b. The right side keeps its brackets where it has several factors."""
    coefficient = 1
    factors: list[Expr] = []
    for right, side in enumerate((a, b)):
        if isinstance(side, Number):
            coefficient *= side.value
        elif isinstance(side, Product):
            coefficient *= side.coefficient
            group = right and len(flat(side)) >= GROUP_AT_LEAST
            factors += [_product(1, side.factors)] if group else side.factors
        elif isinstance(side, Name) and side.quiet and side.value in (0, 1):
            coefficient *= side.value
        else:
            factors.append(side)
    return _product(coefficient, factors)


def over(a: Expr, b: Expr, up: bool = False) -> Expr:
    """a / b, rounded down or up."""
    if b == ONE or (isinstance(b, Name) and b.quiet and b.value == 1):
        return a
    if a == b:
        return ONE
    if isinstance(a, Number) and isinstance(b, Number):
        return Number(Quotient(a, b, up).value)
    return Quotient(a, b, up)


def negative(a: Expr) -> Expr:
    """-a; the negative of a negative quotient rounded down is one rounded up."""
    if isinstance(a, Quotient) and not a.up and a.over.value <= 0:
        return over(negative(a.over), a.under, up=True)
    return times(Number(-1), a)


def flat(expr: Expr) -> tuple[Expr, ...]:
    """The factors of a product, those in brackets too."""
    if not isinstance(expr, Product):
        return (expr,)
    return tuple(inner for factor in expr.factors for inner in flat(factor))


class Traced(int):
    """An int that knows how it was computed."""

    expr: Expr

    def __new__(cls, expr: Expr) -> Traced:
        self = super().__new__(cls, expr.value)
        self.expr = expr
        return self

    def came(self, result: int, how: str, operands: tuple[Any, ...]) -> int:
        """`result`, told as a function of `operands`: what helpers of dims.py do beyond + - * // say so."""
        if how == "gcd" and told(operands[0]) == told(operands[1]):
            return self
        if how == "floor" and result != Fraction(int(operands[0])) * Fraction(str(operands[1])) // 1:
            return result  # the double is not the decimal that would be shown
        return Traced(Call(how, tuple(told(o) if isinstance(o, int) else o for o in operands), result))

    def __neg__(self) -> int:
        return Traced(negative(self.expr))

    def __pow__(self, n: Any, modulo: Any = None) -> Any:
        return prod((self,) * n) if type(n) is int and n > 0 and modulo is None else int(self).__pow__(n, modulo)


def _binary(tell: Callable[[Expr, Expr], Expr], do: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """The method for an operator and the one for its operands the other way round."""

    def result(a: Any, b: Any) -> Any:
        expr = tell(told(a), told(b))
        assert expr.value == do(int(a), int(b))
        return expr.value if isinstance(expr, Number) else Traced(expr)

    def forward(self: Traced, other: Any) -> Any:
        return result(self, other) if isinstance(other, int) else NotImplemented

    def backward(self: Traced, other: Any) -> Any:
        return result(other, self) if isinstance(other, int) else NotImplemented

    return forward, backward


for _name, _tell, _do in (
    ("add", plus, operator.add),
    ("sub", lambda a, b: plus(a, b, -1), operator.sub),
    ("mul", times, operator.mul),
    ("floordiv", over, operator.floordiv),
):
    _forward, _backward = _binary(_tell, _do)
    setattr(Traced, f"__{_name}__", _forward)
    setattr(Traced, f"__r{_name}__", _backward)


def named(text: str, value: Any, quiet: bool = False) -> Traced:
    """A size with a name."""
    return Traced(Name(text, int(value), quiet))


# ---- putting in what is known by a name -------------------------------------------------------


def using(expr: Expr, known: Iterable[tuple[Name, Expr]]) -> Expr:
    """The expression with earlier results by their names; a product may hold one among other factors."""
    for name, definition in known:
        if len(flat(definition)) > 1 or isinstance(definition, (Sum, Quotient, Call)):
            expr = _replaced(expr, name, definition)
    return expr


def _replaced(expr: Expr, name: Name, definition: Expr) -> Expr:
    if expr == definition:
        return name
    if isinstance(expr, Sum):
        if isinstance(definition, Sum) and set(definition.terms) <= set(expr.terms):
            return plus(_replaced(plus(expr, definition, -1), name, definition), name)
        total: Expr = Number(0)
        for n, term in expr.terms:
            total = plus(total, times(Number(n), _replaced(term, name, definition)))
        return plus(total, Number(expr.constant))
    if isinstance(expr, Product):
        return _within(expr, name, definition)
    if isinstance(expr, Quotient):
        return over(_replaced(expr.over, name, definition), _replaced(expr.under, name, definition), expr.up)
    return expr


def _within(expr: Product, name: Name, definition: Expr) -> Expr:
    """A product with the factors of another one replaced by its name."""
    factors, wanted = list(flat(expr)), list(flat(definition))
    coefficient = definition.coefficient if isinstance(definition, Product) else 1
    if (
        not isinstance(definition, Product)
        or expr.coefficient % coefficient
        or any(factors.count(f) < wanted.count(f) for f in wanted)
    ):
        inner: Expr = Number(expr.coefficient)
        for factor in expr.factors:
            inner = times(inner, _replaced(factor, name, definition))
        return inner
    first = min(factors.index(f) for f in wanted)
    factors.insert(first, name)
    for f in wanted:
        del factors[factors.index(f)]
    return _product(expr.coefficient // coefficient, factors)


def names_in(expr: Expr) -> dict[str, int]:
    """Names of an expression with their values."""
    if isinstance(expr, Name):
        return {expr.text: expr.value}
    parts: tuple[Any, ...] = ()
    if isinstance(expr, Sum):
        parts = tuple(term for _, term in expr.terms)
    elif isinstance(expr, Product):
        parts = expr.factors
    elif isinstance(expr, Quotient):
        parts = (expr.over, expr.under)
    elif isinstance(expr, Call):
        parts = tuple(o for o in expr.operands if not isinstance(o, float))
    return {text: value for part in parts for text, value in names_in(part).items()}


# ---- showing ----------------------------------------------------------------------------------


def text(expr: Expr, numbers: bool, rounding: bool = True) -> str:
    """An expression in names, or in numbers; without `rounding` as if divisions were exact.

    A division that is exact is written a/b, one that is rounded floor(a/b) or ceil(a/b).
    """
    if isinstance(expr, Number):
        return f"{expr.value:,}"
    if isinstance(expr, Name):
        return f"{expr.value:,}" if numbers else expr.text
    if isinstance(expr, Call):
        operands = [str(o) if isinstance(o, float) else text(o, numbers) for o in expr.operands]
        return f"{expr.how}({' x '.join(operands) if expr.how == 'floor' else ', '.join(operands)})"
    if isinstance(expr, Quotient):
        a = text(expr.over, numbers, rounding)
        b = text(expr.under, numbers, rounding)
        a = f"({a})" if isinstance(expr.over, (Sum, Product, Quotient)) else a
        b = f"({b})" if isinstance(expr.under, (Sum, Product, Quotient)) else b
        how = "ceil" if expr.up else "" if expr.exact else "floor"
        return f"{how}({a}/{b})" if how and rounding else f"{a}/{b}"
    if isinstance(expr, Product):
        return _product_text(expr, numbers, rounding, brackets=True)
    return _sum_text(expr, numbers, rounding)


def _product_text(expr: Product, numbers: bool, rounding: bool, brackets: bool) -> str:
    parts = [f"{expr.coefficient:,}"] if expr.coefficient != 1 else []
    for place, factor in enumerate(expr.factors):
        if isinstance(factor, Product):
            inner = _product_text(factor, numbers, rounding, brackets=False)
            parts.append(f"({inner})" if brackets and (place or parts) else inner)
        else:
            shown = text(factor, numbers, rounding)
            parts.append(f"({shown})" if isinstance(factor, Sum) else shown)
    return " x ".join(parts)


def _sum_text(expr: Sum, numbers: bool, rounding: bool) -> str:
    """Terms with their signs, one that is added first."""
    parts = []
    for n, term in expr.terms:
        negated = numbers and isinstance(term, Name) and term.value < 0
        shown = Name(term.text, -term.value) if negated and isinstance(term, Name) else term
        count = abs(n)
        if count == 1:
            words = text(shown, numbers, rounding)
        elif numbers and isinstance(shown, Name) and max(count, shown.value) < TIGHT_BELOW:
            words = f"{count}x{shown.value}"
        else:
            words = text(times(Number(count), shown), numbers, rounding)
        parts.append(((n < 0) != negated, words))
    if expr.constant:
        parts.append((expr.constant < 0, f"{abs(expr.constant):,}"))
    lead = next((i for i, (minus, _) in enumerate(parts) if not minus), 0)
    first, *rest = parts[lead], *parts[:lead], *parts[lead + 1 :]
    return f"{'-' * first[0]}{first[1]}" + "".join(f" {'-' if minus else '+'} {words}" for minus, words in rest)


def exactly(expr: Expr) -> Fraction:
    """The value of an expression if divisions were exact."""
    if isinstance(expr, Sum):
        return sum((n * exactly(term) for n, term in expr.terms), Fraction(expr.constant))
    if isinstance(expr, Product):
        return expr.coefficient * prod((exactly(f) for f in expr.factors), start=Fraction(1))
    if isinstance(expr, Quotient):
        return exactly(expr.over) / exactly(expr.under)
    return Fraction(expr.value)
