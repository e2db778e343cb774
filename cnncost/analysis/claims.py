"""Published figures re-derived: what is exact, what was rounded or cut, what is off and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from cnncost.analysis.quantities import Quantities, chosen_layers
from cnncost.analysis.report import LayerReport, Report, analyze
from cnncost.dims import shown
from cnncost.errors import CnncostError, SpecError
from cnncost.graph import Graph
from cnncost.spec.claims import Claim
from cnncost.spec.document import Document
from cnncost.spec.expand import expand
from cnncost.spec.expr import evaluate
from cnncost.spec.names import Names, parameter_values
from cnncost.spec.printed import FIGURE_HINT, Figure, Rounding, figure, is_shape, rounding

EXACT, ROUNDED, DIFFERS, OPEN = "exact", "within rounding", "off", "not reproduced"
WRONG, STALE = "does not hold", "holds after all"
VERDICTS = {
    EXACT: "derived to the last digit",
    ROUNDED: "derived, within the rounding that is stated",
    DIFFERS: "another figure is derived, and why is known",
    OPEN: "not reproduced; what was tried is on file",
    WRONG: "another figure is derived, and no reason is given",
    STALE: "derived, though a reason says that it is not",
}
"""The closed list of verdicts; the last two are faults."""
FAULTS = (WRONG, STALE)


class Verdict(NamedTuple):
    """A claim beside what is derived for it.

    derived: a number, or a shape as text. off: by how much it differs from the printed figure, as a
    fraction of that; None for shapes.
    """

    claim: Claim
    derived: Any
    off: float | None
    verdict: str

    @property
    def holds(self) -> bool:
        return self.verdict not in FAULTS


@dataclass(frozen=True)
class Verification:
    """The verdicts on one network's claims, in the order of the file, and what is measured and not derived."""

    name: str
    source: str
    about: dict[str, Any]
    verdicts: tuple[Verdict, ...]
    facts: tuple[dict[str, Any], ...]

    @property
    def holds(self) -> bool:
        return all(verdict.holds for verdict in self.verdicts)


def verify(document: Document) -> Verification:
    """Derive every claim of a spec. Raises SpecError, at the claim, for one that cannot be read or derived."""
    points = _Points(document)
    verdicts = []
    for claim in document.claims:
        try:
            verdicts.append(_verdict(claim, points))
        except CnncostError as e:
            raise SpecError(e.message, hint=e.hint, where=claim.at) from None
    name = str(document.about.get("name") or document.source.file)
    return Verification(name, document.source.file, document.about, tuple(verdicts), document.facts)


def counted(verifications: Iterable[Verification]) -> dict[str, int]:
    """How many verdicts of each kind there are."""
    counts = dict.fromkeys(VERDICTS, 0)
    for verification in verifications:
        for verdict in verification.verdicts:
            counts[verdict.verdict] += 1
    return counts


class _Points:
    """The network at the points at which claims are derived, each analysed once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.known: dict[str, tuple[Graph, Report]] = {}

    def at(self, claim: Claim) -> tuple[Graph, Report]:
        point = repr((claim.set, claim.input, claim.batch, claim.dtype))
        if point not in self.known:
            graph = expand(self.document, claim.input, claim.batch, claim.set)
            self.known[point] = graph, analyze(graph, claim.dtype)
        return self.known[point]


def _verdict(claim: Claim, points: _Points) -> Verdict:
    graph, report = points.at(claim)
    layers = chosen_layers(report, claim.of, claim.without)
    if claim.quantity == "output":
        return _of_shape(claim, layers[-1].output_shape[1:])
    rounded = rounding(claim.rounding)

    def derive(layers: tuple[LayerReport, ...]) -> Fraction:
        scope = Quantities(graph, report, layers, {"crops": claim.crops, "models": claim.models})
        value = evaluate(claim.quantity, scope)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise SpecError(f"quantity {claim.quantity} is no number", hint="write macs, or params - biases")
        return _fraction(value)

    if rounded.each_layer:
        assert rounded.to is not None
        derived = sum((_whole(derive((layer,)), rounded.to, rounded.how) for layer in layers), Fraction(0))
    else:
        derived = derive(layers)
    printed = _printed(claim, points.document)
    off = float((derived - printed.value) / printed.value) if printed.value else float(derived != 0)
    shown_value = int(derived) if derived.denominator == 1 else float(derived)
    return Verdict(claim, shown_value, off, _judged(claim, _agreement(derived, printed, rounded)))


def _of_shape(claim: Claim, sizes: tuple[Any, ...]) -> Verdict:
    """A printed shape, channels first as here or last as in many papers."""
    if not is_shape(claim.printed):
        raise SpecError(f"the output is a shape, and {claim.printed!r} is none", hint="print it as 10x32x32")
    orders = (sizes, (*sizes[1:], sizes[0]))
    same = claim.printed in map(shown, orders)
    return Verdict(claim, shown(sizes), None, _judged(claim, EXACT if same else None))


def _printed(claim: Claim, document: Document) -> Figure:
    """The printed figure as a number; a product is taken with the values of the spec's parameters."""
    found = figure(claim.printed)
    if found is not None:
        return found
    if is_shape(claim.printed):
        raise SpecError(f"{claim.printed} is a shape, and {claim.quantity} a number", hint="write quantity: output")
    text = claim.printed.replace("\N{MULTIPLICATION SIGN}", "*").replace(" x ", " * ")
    try:
        value = evaluate(text, Names(parameter_values(document, claim.set), {}, {}))
    except SpecError as e:
        raise SpecError(f"printed {claim.printed!r} is not understood: {e.message}", hint=FIGURE_HINT) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SpecError(f"printed {claim.printed!r} is no number", hint=FIGURE_HINT)
    return Figure(_fraction(value), Fraction(1))


def _agreement(derived: Fraction, printed: Figure, rounded: Rounding) -> str | None:
    """exact, within rounding, or None where a figure is neither."""
    if rounded.each_layer:
        return ROUNDED if derived == printed.value else None
    if derived == printed.value:
        return EXACT
    unit = rounded.to or printed.last_digit
    if rounded.how == "nearest" and printed.value % unit == 0:  # a tie may have gone either way
        return ROUNDED if abs(derived - printed.value) * 2 <= unit else None
    return ROUNDED if _whole(derived, unit, rounded.how) == printed.value else None


def _fraction(value: float) -> Fraction:
    """A number as it is written: 3 / 10 is 0.3, and not the double that is nearest to it."""
    return Fraction(repr(value))


def _whole(value: Fraction, unit: Fraction, how: str) -> Fraction:
    """A number made whole in a unit: cut, up, or to the nearest."""
    if how == "cut":
        return value // unit * unit
    return -(-value // unit) * unit if how == "up" else (value + unit / 2) // unit * unit


def _judged(claim: Claim, agreement: str | None) -> str:
    if claim.reason is None:
        return agreement or WRONG
    return STALE if agreement else DIFFERS if claim.differs else OPEN
