"""Budgets: what a network may cost at most, and at which sizes. `budget:` of a spec, and files for many networks.

Here they are read and their amounts are parsed; analysis.budget holds networks against them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn, TypeVar, Union

from cnncost.errors import SpecError, UsageError, Where, did_you_mean
from cnncost.options import spelled
from cnncost.spec.amounts import Amount, parse_bytes, parse_count, parse_time
from cnncost.spec.document import fail, kind_of_value
from cnncost.spec.files import open_spec
from cnncost.spec.marks import Item, plain, read

T = TypeVar("T")
TIME = "time"
DEFAULTS = "defaults"
"""The key of a file of budgets that holds for all networks."""


class Quantity(NamedTuple):
    """What a limit is for: how its amounts are read, and an example of one."""

    about: str
    parse: Callable[[object, str], Amount]
    example: str


QUANTITIES = {
    "params": Quantity("learned numbers: 5M", parse_count, "5M"),
    "macs": Quantity("multiply-accumulates of the batch: 600M", parse_count, "600M"),
    "flops": Quantity("2 x MACs + all other operations of the batch: 1.2G", parse_count, "1.2G"),
    "layers": Quantity("layers with weights on the longest path: 50", parse_count, "50"),
    "activations": Quantity("bytes of all outputs together: 80MB", parse_bytes, "80MB"),
    "peak": Quantity("most bytes alive at once at inference: 100MB", parse_bytes, "100MB"),
    "training_peak": Quantity("the same in a step of training, SGD with momentum: 2GiB", parse_bytes, "2GiB"),
    TIME: Quantity("least time of the batch by the roofline of each device: {rtx-4090: 5ms}", parse_time, "5ms"),
}
"""Keys of a budget that limit something."""
SIZES = {
    "batch": "the batch at which it holds, 1 if left out",
    "dtype": "the dtype for bytes and times, fp32 if left out",
    "input": "the input at which it holds",
    "set": "values of parameters at which it holds",
}
"""Keys of a budget that say at which sizes it holds."""
KEYS = (*QUANTITIES, *SIZES)
SYNONYMS = {
    **{"parameters": "params", "memory": "peak", "latency": TIME, "activation_bytes": "activations"},
    **{"peak_bytes": "peak", "training_peak_bytes": "training_peak", "depth": "layers", "mac": "macs"},
}
"""What keys may be called: for hints only."""
EXAMPLE = "write `budget: {macs: 600M, params: 5M}`"
TIME_EXAMPLE = "write `time: {rtx-4090: 5ms}`"
FILE_EXAMPLE = "it has a line for each network: `my_net.yaml: {macs: 600M}`"


class Limit(NamedTuple):
    """At most so much of a quantity. device: whose time it is. at: where it stands, None on a command line."""

    quantity: str
    amount: Amount
    device: str | None = None
    at: Where | None = None

    @property
    def most(self) -> Union[int, Fraction]:
        """In counts, bytes or seconds."""
        return self.amount.value

    @property
    def key(self) -> tuple[str, str]:
        """The quantity, and the device as one writes it in small letters."""
        return self.quantity, (self.device or "").lower().replace(" ", "-")


class Budget(NamedTuple):
    """Limits that hold at one batch, dtype, input and parameters; None where they are not said."""

    limits: tuple[Limit, ...] = ()
    batch: int | None = None
    dtype: str | None = None
    input: Any = None
    set: Mapping[str, Any] | None = None
    at: Where | None = None

    def over(self, base: Budget) -> Budget:
        """This one, and from another what it does not say."""
        limits = {limit.key: limit for limit in (*base.limits, *self.limits)}
        sizes = {name: getattr(base, name) for name in ("batch", "dtype", "input") if getattr(self, name) is None}
        settings = {**(base.set or {}), **(self.set or {})} or None
        return self._replace(limits=tuple(limits.values()), set=settings, at=self.at or base.at, **sizes)


def overridden(budgets: tuple[Budget, ...], given: Budget) -> tuple[Budget, ...]:
    """Budgets under limits and sizes that come from outside, which are stronger.

    A limit takes the place of all of its quantity and device; one that has none goes with the first.
    """
    mine = {limit.key: limit for limit in given.limits}
    budgets = budgets or (Budget(),)
    known = {limit.key for budget in budgets for limit in budget.limits}
    more = tuple(limit for key, limit in mine.items() if key not in known)
    result = []
    for number, budget in enumerate(budgets):
        limits = tuple(mine.get(limit.key, limit) for limit in budget.limits) + (more if number == 0 else ())
        result.append(given._replace(limits=()).over(budget)._replace(limits=limits))
    return tuple(result)


# ---- from programs and options --------------------------------------------------------------------


def limit(quantity: str, value: object, device: str | None = None, what: str | None = None) -> Limit:
    """One limit. value: as in a spec. what: how messages call it. Raises UsageError."""
    return Limit(quantity, QUANTITIES[quantity].parse(value, what or quantity), device)


def budget_of(limits: Mapping[str, Any], **sizes: Any) -> Budget:
    """A budget from a mapping as a spec has it: {"macs": "600M", "time": {"rtx-4090": "5ms"}}. Raises UsageError."""
    found: list[Limit] = []
    for key, value in limits.items():
        if key not in QUANTITIES:
            raise UsageError(f"a budget has no limit {spelled(key)}", hint=_near(str(key), QUANTITIES))
        if key != TIME:
            found.append(limit(key, value))
        elif not isinstance(value, Mapping):
            raise UsageError(_no_device(value), hint='write {"time": {"rtx-4090": "5ms"}}')
        else:
            found += [limit(TIME, most, str(device), f"time on {spelled(device)}:") for device, most in value.items()]
    return Budget(tuple(found), **sizes)


def _near(word: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    return did_you_mean(word, known, SYNONYMS)


def _no_device(value: object) -> str:
    return f"time takes a limit for each device, got {kind_of_value(value)}"


# ---- from specs and files -------------------------------------------------------------------------


def read_budget(item: Item | None) -> tuple[Budget, ...]:
    """The budgets of a spec: a mapping, or a list of these. Raises SpecError at what is not understood."""
    if item is None:
        return ()
    entries = item.value if isinstance(item.value, list) else [item]
    if not entries:
        fail("budget is empty", item.key_or_value_at, EXAMPLE)
    return tuple(_budget(entry) for entry in entries)


def _budget(item: Item, limits_needed: bool = True) -> Budget:
    if not isinstance(item.value, dict) or not item.value:
        got = "nothing" if item.value is None else kind_of_value(item.value)
        fail(f"a budget is a mapping with limits, got {got}", item.at, EXAMPLE)
    entries: dict[str, Item] = item.value
    for key, value in entries.items():
        if key not in KEYS:
            fail(f"a budget has no key {spelled(key)}", value.key_or_value_at, _near(key, KEYS))
    limits = tuple(one for key in QUANTITIES if key in entries for one in _limits(key, entries[key]))
    if not limits and limits_needed:
        fail("a budget without a limit", item.at, EXAMPLE)
    return Budget(
        limits,
        _batch(entries.get("batch")),
        _dtype(entries.get("dtype")),
        plain(entries["input"]) if "input" in entries else None,
        _settings(entries.get("set")),
        item.at,
    )


def _limits(key: str, item: Item) -> list[Limit]:
    """The limits after a key: one, or for time one a device."""
    if key != TIME:
        return [_limit(key, item, None, key)]
    if not isinstance(item.value, dict) or not item.value:
        fail(_no_device(plain(item)), item.at, TIME_EXAMPLE)
    return [_limit(key, most, device, f"time on {spelled(device)}:") for device, most in item.value.items()]


def _limit(key: str, item: Item, device: str | None, what: str) -> Limit:
    value = item.text or plain(item)
    return _placed(lambda: limit(key, value, device, what), item.at)._replace(at=item.at)


def _placed(make: Callable[[], T], at: Where) -> T:
    """What is made, or why it cannot be, at a place."""
    try:
        return make()
    except UsageError as e:
        raise SpecError(e.message, hint=e.hint, where=at) from None


def _batch(item: Item | None) -> int | None:
    if item is not None and (type(item.value) is not int or item.value < 1):
        got = spelled(plain(item))
        fail(f"batch must be a whole number of at least 1, got {got}", item.at, SIZES["batch"])
    return None if item is None else int(item.value)


def _dtype(item: Item | None) -> str | None:
    if item is not None and not isinstance(item.value, str):
        fail(f"dtype must be text, got {kind_of_value(item.value)}", item.at, SIZES["dtype"])
    return None if item is None else str(item.value)


def _settings(item: Item | None) -> dict[str, Any] | None:
    settings = None if item is None else plain(item)
    if item is not None and not isinstance(settings, dict):
        fail(f"set must be a mapping, got {spelled(settings)}", item.at, "write set: {width: 0.5}")
    return settings


class Entry(NamedTuple):
    """A line of a file of budgets. name: of a network, a path from the file's folder, or a pattern over either."""

    name: str
    at: Where
    budgets: tuple[Budget, ...]


class Budgets(NamedTuple):
    """A file of budgets. defaults: what a budget does not say itself. folder: of the file."""

    file: str
    folder: str
    defaults: Budget
    entries: tuple[Entry, ...]


def read_budgets(path: Any) -> Budgets:
    """Read a file of budgets. Raises UsageError where it cannot be read, SpecError at what is not understood."""
    path = os.fsdecode(path)
    if not os.path.isfile(path):
        what = "is a directory" if os.path.isdir(path) else "no such file"
        raise UsageError(f"{spelled(path) or repr('')}: {what}", hint=f"--budget takes a YAML file; {FILE_EXAMPLE}")
    source = open_spec(path)
    if not any(line.split("#")[0].strip() for line in source.text.splitlines()):
        _fault("the file is empty", Where(source.file, 1, 1))
    root = read(source.text, source.file)
    if not isinstance(root.value, dict) or not root.value:
        _fault(f"a file of budgets is a mapping, got {kind_of_value(root.value)}", root.at)
    lines = dict(root.value)
    first = lines.pop(DEFAULTS, None)
    defaults = Budget() if first is None else _budget(first, limits_needed=False)
    entries = []
    for name, item in lines.items():
        each = item.value if isinstance(item.value, list) and item.value else [item]
        budgets = tuple(_budget(one, limits_needed=not defaults.limits).over(defaults) for one in each)
        entries.append(Entry(name, item.key_or_value_at, budgets))
    if not entries and not defaults.limits:
        _fault("no network and no limit here", root.at)
    return Budgets(source.file, os.path.dirname(path), defaults, tuple(entries))


def _fault(message: str, at: Where) -> NoReturn:
    fail(message, at, FILE_EXAMPLE)
