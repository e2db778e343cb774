"""Networks against budgets: which networks, and which of the budgets that there are for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

from cnncost.api.networks import Spec, graph_of
from cnncost.errors import CnncostError, SpecError, UsageError
from cnncost.graph import Graph
from cnncost.onnx import is_onnx
from cnncost.spec import document_of, expanded
from cnncost.spec.catalogue import is_pattern
from cnncost.spec.files import SUFFIXES
from cnncost.spec.models import is_model
from cnncost.spec.several import Meant, meant, name_it

if TYPE_CHECKING:
    from cnncost.analysis.baseline import Baseline
    from cnncost.analysis.budget import BudgetCheck, Budgeted
    from cnncost.spec.budget import Budget, Budgets, Entry

GraphAt = Callable[[Any, Any, Any], Graph]
"""The graph at an input, a batch and parameters."""
NO_LIMIT = "give one: --max-macs 600M; or write `budget: {macs: 600M}` into the spec, or a file of budgets"


def budget(
    networks: Graph | Spec | Iterable[Graph | Spec] = (),
    limits: Mapping[str, Any] | Budget | None = None,
    *,
    file: Spec | None = None,
    baseline: Spec | None = None,
    growth: Any = 0,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> BudgetCheck:
    """What networks use of their budgets, and whether they have grown since a baseline.

    networks: as in compare(); those of `file` if left out. limits: {"macs": "600M", "peak": "100MB",
    "time": {"rtx-4090": "5ms"}}, the names of spec.budget.QUANTITIES; they are stronger than those of
    the spec's own `budget:` and of file, a YAML file of budgets by network. baseline: a file that
    to_json() of this or of a report has written, or -; growth: the part by which any figure may grow, "2%"
    or 0.02. input, batch, set, dtype: as in analyze(), stronger than those of the budgets. watch: called
    with the networks done and of all, before each. Raises SpecError, ShapeError; UsageError also for a
    network without any limit, where there is no baseline either.
    """
    from cnncost.analysis.baseline import read_baseline
    from cnncost.analysis.budget import check, parse_growth
    from cnncost.spec.budget import Budget, budget_of, read_budgets

    given = limits if isinstance(limits, Budget) else budget_of(limits or {})
    given = given._replace(input=input, batch=batch, set=set or None, dtype=dtype)
    allowed = parse_growth(growth)
    before = None if baseline is None else read_baseline(baseline)
    named = [networks] if isinstance(networks, (str, os.PathLike, Graph)) else list(networks)
    book = None if file is None else _Book(read_budgets(file))
    chosen = meant(named) if named or book is None else book.networks
    if not chosen:
        hint = "give a spec, or a file of budgets that names some: --budget FILE"
        raise UsageError("no network to hold against a budget", hint=hint)
    found: list[Budgeted] = []
    for done, (place, one) in enumerate(chosen.items()):
        if watch is not None:
            watch(done, len(chosen))
        try:
            found += _held(one, place, book, given, before, allowed)
        except CnncostError as e:
            name_it(e, one)
            raise
    return check(found, before, allowed)


def _held(
    one: Meant, place: object, book: _Book | None, given: Budget, before: Baseline | None, allowed: Fraction
) -> list[Budgeted]:
    """A network against each of its budgets."""
    from cnncost.analysis.budget import held
    from cnncost.spec.budget import overridden

    network: Any = one.network
    own: tuple[Budget, ...] = ()
    if isinstance(network, Graph) or is_model(network) or is_onnx(network):
        graph_at: GraphAt = lambda input, batch, set: graph_of(network, input, batch, set)  # noqa: E731
    else:
        read = cache(lambda: document_of(network))  # standard input is there only once
        own = read().budget
        graph_at = lambda input, batch, set: expanded(read, input, 1 if batch is None else batch, set)  # noqa: E731
    budgets = overridden(own if book is None else book.of(place, own), given)
    if before is None and not all(each.limits for each in budgets):
        raise UsageError("no limit to hold it against", hint=NO_LIMIT)
    return [held(_graph(graph_at, each, given), each, before, allowed) for each in budgets]


def _graph(graph_at: GraphAt, budget: Budget, given: Budget) -> Graph:
    """The graph at the sizes of a budget. A fault of sizes that the budget itself has is at its place."""
    try:
        return graph_at(budget.input, budget.batch, budget.set)
    except UsageError as e:
        sizes = ("input", "batch", "set")
        if budget.at is None or all(getattr(budget, name) == getattr(given, name) for name in sizes):
            raise
        raise SpecError(e.message, hint=e.hint, where=budget.at) from None


class _Book:
    """A file of budgets, and which networks its lines mean. Of several lines for one network the last holds."""

    def __init__(self, budgets: Budgets) -> None:
        self.defaults = budgets.defaults
        self.networks: dict[object, Meant] = {}
        self.lines: dict[object, tuple[Budget, ...]] = {}
        for entry in budgets.entries:
            for place, one in _networks(entry, budgets.folder).items():
                self.networks.setdefault(place, one)
                self.lines[place] = entry.budgets

    def of(self, place: object, own: tuple[Budget, ...]) -> tuple[Budget, ...]:
        """The budgets of a network: its line's; without one the spec's own, over the defaults."""
        if place in self.lines:
            return self.lines[place]
        return tuple(each.over(self.defaults) for each in own) or (self.defaults,)


def _networks(entry: Entry, folder: str) -> dict[object, Meant]:
    """The networks that a line means; paths are from the file's folder. Raises SpecError at the line."""
    name, beside = entry.name, os.path.join(folder, entry.name)
    is_path = os.sep in name or name.endswith((*SUFFIXES, ".onnx")) or ".py:" in name
    if is_path or os.path.isfile(beside) or (is_pattern(name) and _files(beside)):
        name = beside
    try:
        return meant([name])
    except CnncostError as e:
        raise SpecError(e.message, hint=e.hint, where=entry.at) from None


def _files(pattern: str) -> list[str]:
    from glob import glob

    return [path for path in glob(pattern) if path.endswith(SUFFIXES)]
