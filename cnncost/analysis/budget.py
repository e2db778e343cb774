"""Networks held against budgets: what they use of each limit, and what has grown since a baseline.

A limit is kept where what is used is not more than it. Counts and bytes are whole numbers and
compared as such; times are the least ones of the roofline.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple, Union

from cnncost.analysis.align import Pair, pairs_of
from cnncost.analysis.baseline import Baseline, Past, called
from cnncost.analysis.report import Report, analyze
from cnncost.analysis.roofline import roofline
from cnncost.devices import SUFFIXES, Device, load
from cnncost.errors import CnncostError, UsageError
from cnncost.graph import Graph
from cnncost.options import spelled
from cnncost.spec.budget import TIME, Budget, Limit

Number = Union[int, float, Fraction]
TRAINING = "training_peak"
TOTALS = {
    **{name: name for name in ("params", "macs", "flops", "layers")},
    **{"activations": "activation_bytes", "peak": "peak_bytes", TRAINING: "training_peak_bytes"},
}
"""Quantities by their names among the totals of the JSON report."""
GROWING = ("params", "macs", "flops", "activations", "peak", TRAINING)
"""Quantities that are held against a baseline; beside them times, on devices that both name."""
BY_LAYER = ("params", "macs", "flops", "activations")
"""Those of them that layers add up to. A field of Cost each, or one of its sums."""
NAMED_AT_MOST = 10
"""Layers that are named as those that grew most."""
_PERCENT = re.compile(r"(\d{1,6})(?:\.(\d{1,6}))?\s*%")


class Use(NamedTuple):
    """What a network uses of a limit: counts, bytes, or seconds. device: whose time it is."""

    limit: Limit
    used: Number
    device: Device | None = None

    @property
    def quantity(self) -> str:
        return self.limit.quantity

    @property
    def over(self) -> bool:
        """Whether more is used than the limit."""
        return self.used > self.limit.most

    @property
    def share(self) -> float | None:
        """The part of the limit that is used; None of a limit of nothing."""
        return float(self.used / self.limit.most) if self.limit.most else None


class Growth(NamedTuple):
    """A quantity before and now. allowed: the part of it by which it may grow."""

    quantity: str
    before: Number
    now: Number
    allowed: Fraction
    device: Device | None = None

    @property
    def over(self) -> bool:
        """Whether it has grown by more than is allowed."""
        return Fraction(self.now) > Fraction(self.before) * (1 + self.allowed)

    @property
    def part(self) -> float | None:
        """By which part it has grown, below 0 where it is less; None where there was nothing."""
        return float((self.now - self.before) / self.before) if self.before else None


@dataclass(frozen=True)
class Budgeted:
    """A network at one batch, dtype, input and parameters, held against limits and a baseline.

    named: what it is called here. set: parameters as they were given. uses: a limit each. past: the
    network in the baseline, None where it is not there or no baseline was given. growths: quantities
    against that.
    """

    report: Report
    named: str
    set: Mapping[str, Any]
    uses: tuple[Use, ...]
    seconds: Mapping[str, float]
    past: Past | None = None
    growths: tuple[Growth, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether no limit is passed and nothing has grown by more than is allowed."""
        return not (any(use.over for use in self.uses) or any(growth.over for growth in self.growths))

    @cached_property
    def grown(self) -> tuple[Pair, ...]:
        """The layers that grew most in what has grown too much, most first; those that shrank are left out.

        A layer's growth is its largest part of the network's figure before; peaks and times count as
        activations. Empty where nothing grew too much, where no layer did by itself, and where the baseline
        has no figures by layer, or too many layers to pair.
        """
        wanted = {g.quantity if g.quantity in BY_LAYER else "activations" for g in self.growths if g.over}
        if not wanted or self.past is None or self.past.layers is None:
            return ()
        whole = {name: max(1, self.past.totals[TOTALS[name]] or 0) for name in wanted}

        def growth(pair: Pair) -> float:
            size = {"activations": self.report.element_bytes}
            return max(size.get(name, 1) * int(pair.difference(name)) / whole[name] for name in wanted)

        try:
            pairs = pairs_of(self.past.layers, self.report.layers)
        except UsageError:
            return ()
        return tuple(sorted((pair for pair in pairs if growth(pair) > 0), key=growth, reverse=True))


@dataclass(frozen=True)
class BudgetCheck:
    """Networks held against their budgets. growth: the part by which they may grow over the baseline."""

    networks: tuple[Budgeted, ...]
    baseline: str | None = None
    growth: Fraction = Fraction(0)

    def __iter__(self) -> Iterator[Budgeted]:
        return iter(self.networks)

    def __len__(self) -> int:
        return len(self.networks)

    @property
    def holds(self) -> bool:
        """Whether all of them are within their budgets."""
        return all(network.holds for network in self.networks)

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(network.named for network in self.networks))
        return f"<BudgetCheck of {names}: {'within' if self.holds else 'over'} budget>"

    def __str__(self) -> str:
        """The table as `cnncost budget` prints it into a pipe."""
        from cnncost.output.budget import budget_table

        return budget_table(self)

    def to_json(self) -> str:
        """The JSON of the check, a public format and a baseline for later ones: `cnncost schema budget`."""
        from cnncost.output.budget import budget_json

        return budget_json(self)


def parse_growth(text: object) -> Fraction:
    """2% or 0.5%; or a number of which 0.02 is 2%. Raises UsageError."""
    if isinstance(text, (int, float, Fraction)) and not isinstance(text, bool) and 0 <= text <= 10**6:
        return Fraction(str(text)) if isinstance(text, float) else Fraction(text)
    found = _PERCENT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise UsageError(f"growth {spelled(text) or repr('')} is no percentage", hint="write 2% or 0.5%")
    decimals = found[2] or ""
    return Fraction(int(found[1] + decimals), 100 * 10 ** len(decimals))


def held(
    graph: Graph,
    budget: Budget,
    baseline: Baseline | None = None,
    growth: Fraction = Fraction(0),
) -> Budgeted:
    """A network against one budget, whose sizes the graph has; and against a baseline.

    Raises UsageError for a dtype or a device that is not known, a training peak where it cannot be
    trained, sizes that are arrays, and a baseline that has the network at other sizes; SpecError
    where that is a fault of a budget's file.
    """
    try:
        report = analyze(graph, budget.dtype or "fp32", fields=False)
    except UsageError as e:
        raise _at(e, budget.at if budget.dtype else None) from None
    if report.swept:
        raise UsageError("a budget is for one design point, not for arrays of sizes", hint="load one point")
    training = (
        report.training_peak_bytes if any(one.quantity == TRAINING for one in budget.limits) or baseline else None
    )
    uses, seconds = [], {}
    for limit in budget.limits:
        try:
            use = _use(report, limit, training)
        except UsageError as e:
            raise _at(e, limit.at) from None
        uses.append(use)
        if use.device is not None:
            seconds[use.device.key] = float(use.used)
    past = None if baseline is None else baseline.of(report, budget.set)
    devices = {use.device.key: use.device for use in uses if use.device}
    growths = () if past is None else tuple(_growths(report, training, seconds, devices, past, growth))
    return Budgeted(
        report, called(report.name, report.source), dict(budget.set or {}), tuple(uses), seconds, past, growths
    )


def _at(error: CnncostError, at: Any) -> CnncostError:
    error.where = error.where or at
    return error


def _use(report: Report, limit: Limit, training: Any) -> Use:
    """What a network uses of a limit."""
    if limit.quantity == TIME:
        device = _device(limit)
        return Use(limit, float(roofline(report.graph, device, report.dtype).total.seconds), device)
    value = training if limit.quantity == TRAINING else report.totals[TOTALS[limit.quantity]]
    if value is None:
        hint = "leave that limit out, or take another dtype; each budget of a list has its own"
        raise UsageError(f"{report.name} has no training peak in {report.dtype}: it cannot be trained so", hint=hint)
    return Use(limit, int(value))


def _device(limit: Limit) -> Device:
    """The device of a limit; the path of a sheet is from the folder of the file that has the limit."""
    name = limit.device or ""
    beside = os.path.join(os.path.dirname(limit.at.file), name) if limit.at is not None else name
    return load(beside if name.lower().endswith(SUFFIXES) and os.path.isfile(beside) else name)


def _growths(
    report: Report,
    training: Any,
    seconds: Mapping[str, float],
    devices: Mapping[str, Device],
    past: Past,
    allowed: Fraction,
) -> Iterator[Growth]:
    """Every quantity that was known before and is now."""
    now = {**report.totals, "training_peak_bytes": training}
    for quantity in GROWING:
        before, after = past.totals[TOTALS[quantity]], now[TOTALS[quantity]]
        if before is not None and after is not None:
            yield Growth(quantity, before, int(after), allowed)
    for key, time in seconds.items():
        if key in past.seconds:
            yield Growth(TIME, past.seconds[key], time, allowed, devices[key])


def check(
    networks: Sequence[Budgeted], baseline: Baseline | None = None, growth: Fraction = Fraction(0)
) -> BudgetCheck:
    """All of them together; those of one name are named by their files. Raises UsageError for a foreign baseline."""
    if baseline is not None and networks and all(network.past is None for network in networks):
        raise baseline.foreign(list(dict.fromkeys(network.named for network in networks)))
    files = Counter(name for name, _ in {(network.named, network.report.source) for network in networks})
    told = (
        replace(network, named=network.report.source or network.named) if files[network.named] > 1 else network
        for network in networks
    )
    return BudgetCheck(tuple(told), None if baseline is None else baseline.file, growth)
