"""Networks side by side: what each costs, its published error, its ratios to one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnncost.analysis.columns import Column
from cnncost.analysis.report import Report, figures
from cnncost.cost import Cost
from cnncost.dims import Shape
from cnncost.errors import UsageError, did_you_mean

VALIDATION = "ILSVRC-2012 validation"
"""Errors are on these images unless the comparison says otherwise."""


class ErrorRate(NamedTuple):
    """A published error rate, in percent, and how it was measured.

    top1, top5: None where it was not printed; where classes are few, top1 is the error. crop_size:
    pixels of a crop's side, where told.
    """

    top1: float | None
    top5: float | None
    dataset: str | None
    models: int
    crops: int
    source: str
    place: str | None
    crop_size: int | None = None

    @property
    def how(self) -> str:
        """What tells it from others, in words: 1 crop, 10 crops, 7 models x 144 crops, CIFAR-10 test."""
        crops = f"{self.crops} crop{'' if self.crops == 1 else 's'}"
        models = f"{self.models} models x " if self.models > 1 else ""
        if self.dataset == VALIDATION:
            return models + crops
        return (self.dataset or "not said on what") + (f", {models}{crops}" if self.models * self.crops > 1 else "")


def error_rate(facts: Iterable[Mapping[str, Any]], side: int | None = None) -> ErrorRate | None:
    """The error that a comparison shows: on the ILSVRC-2012 validation images if there is one, of one model rather
    than several, with the fewest crops; of equals one at an input of `side` pixels, and of these the first.
    """
    rates = [fact for fact in facts if {"top1_error", "top5_error", "error"} & fact.keys()]
    if not rates:
        return None

    def order(fact: Mapping[str, Any]) -> tuple[Any, ...]:
        other_size = fact.get("crop_size", side) != side
        return fact.get("dataset") != VALIDATION, fact.get("models", 1), fact.get("crops", 1), other_size

    fact = min(rates, key=order)
    return ErrorRate(
        fact.get("top1_error", fact.get("error")),
        fact.get("top5_error"),
        fact.get("dataset"),
        fact.get("models", 1),
        fact.get("crops", 1),
        fact["source"],
        fact.get("place"),
        fact.get("crop_size"),
    )


class NetworkRow(NamedTuple):
    """One network of a comparison. Counts are for the whole batch.

    name: what it is called here, a bundled name or a file's. network: its name for people. cost,
    layers (with weights, on the longest path), peak_bytes: as in its report. nodes: layers of any kind. facts:
    what was measured of it. notes: what a reader of its counts must know. training_peak_bytes: as in
    its report; None too where it was not asked for. least_seconds: by the rooflines of devices that were asked for,
    with their names.
    """

    name: str
    network: str
    source: str | None
    about: dict[str, Any]
    inputs: dict[str, Shape]
    cost: Cost
    layers: int
    nodes: int
    element_bytes: int
    peak_bytes: int
    facts: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()
    training_peak_bytes: int | None = None
    least_seconds: tuple[tuple[str, float], ...] = ()

    @property
    def totals(self) -> dict[str, Any]:
        """The figures of the JSON report."""
        return {**figures(self.cost, self.element_bytes), "peak_bytes": self.peak_bytes, "layers": self.layers}

    @property
    def side(self) -> int | None:
        """Pixels of the input's side, where it is an image."""
        first = _first_input(self)
        return int(first[-1]) if len(first) > 1 else None

    @property
    def error_rate(self) -> ErrorRate | None:
        return error_rate(self.facts, self.side)

    @property
    def tested(self) -> str | None:
        """How the error was measured, and at which size where that is not the one that is priced."""
        error = self.error_rate
        if error is None or error.crop_size in (None, self.side):
            return error.how if error else None
        return f"{error.how}, {error.crop_size} px"

    @property
    def moved_bytes(self) -> Any:
        return (self.cost.read + self.cost.written) * self.element_bytes

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte moved; None where nothing moves."""
        return self.cost.flops / self.moved_bytes if self.moved_bytes else None


class LeftOut(NamedTuple):
    """A network that could not be priced at the sizes or parameters given, and why."""

    name: str
    reason: str


def called(report: Report) -> str:
    """A network's short name: that of its file, without folder and suffix."""
    return short_name(report.name, report.source)


def short_name(name: str, source: str | None) -> str:
    """The same of a network by its name for people and the path of its file."""
    file = (source or "").rsplit("/", 1)[-1]
    return (file.rsplit(".", 1)[0] if file.endswith((".yaml", ".yml")) else file) or name


def network_row(report: Report, facts: tuple[dict[str, Any], ...] = (), training: bool = False) -> NetworkRow:
    """The row of a network: its report without the layers. training: with the memory that training takes.

    Raises UsageError for one over arrays.
    """
    if report.swept:
        raise UsageError("a comparison has one number a cell", hint="compare single networks, without arrays of sizes")
    return NetworkRow(
        called(report),
        report.name,
        report.source,
        report.about,
        report.inputs,
        report.total,
        report.depth,
        len(report.layers),
        report.element_bytes,
        report.memory.peak,  # type: ignore[arg-type]  # not over arrays
        facts,
        report.notes,
        report.training_peak_bytes if training else None,  # type: ignore[arg-type]  # not over arrays
    )


def _total(name: str) -> Callable[[NetworkRow], Any]:
    return lambda row: getattr(row.cost, name)


def _about(key: str) -> Callable[[NetworkRow], Any]:
    return lambda row: row.about.get(key)


def _error(field: str) -> Callable[[NetworkRow], Any]:
    return lambda row: getattr(row.error_rate, field, None)


def _first_input(row: NetworkRow) -> Shape:
    return next(iter(row.inputs.values()))[1:]


NETWORK_COLUMNS = {
    column.name: column
    for column in (
        Column("name", "name", "text", "what report takes: a bundled name, or the file's", lambda r: r.name),
        Column("network", "network", "text", "the name for people", lambda r: r.network),
        Column("year", "year", "year", "year of the paper", _about("year")),
        Column("family", "family", "text", "what it belongs with", _about("family")),
        Column("input", "input", "shape", "shape of the (first) input without the batch", _first_input),
        Column("layers", "layers", "number", "layers with weights on the longest path", lambda r: r.layers),
        Column("nodes", "all layers", "number", "layers of any kind, the rows of its report", lambda r: r.nodes),
        Column("params", "params", "count", "weights + biases + other learned numbers", _total("params")),
        Column("weights", "weights", "count", "learned numbers that multiply inside MACs", _total("weights")),
        Column("biases", "biases", "count", "learned numbers added to these sums", _total("biases")),
        Column("other_params", "other params", "count", "scales and shifts of norms, slopes", _total("other_params")),
        Column("buffers", "buffers", "count", "running statistics: kept, not learned", _total("buffers")),
        Column("macs", "MACs", "count", "multiply-accumulates", _total("macs")),
        Column("flops", "FLOPs", "count", "2 x MACs + all other operations", _total("flops")),
        Column("operations", "other ops", "count", "operations that are no MACs", _total("operations")),
        Column("neurons", "neurons", "count", "outputs of layers with weights", _total("neurons")),
        Column("activation_bytes", "activations", "bytes", "storage of all outputs",
               lambda r: r.cost.activations * r.element_bytes),
        Column("weight_bytes", "parameters", "bytes", "storage of the parameters",
               lambda r: r.cost.params * r.element_bytes),
        Column("peak_bytes", "peak", "bytes", "most bytes alive at once at inference", lambda r: r.peak_bytes),
        Column("training_peak_bytes", "training peak", "bytes", "the same in training, SGD with momentum",
               lambda r: r.training_peak_bytes),
        Column("moved_bytes", "moved", "bytes", "elements read and written, layer by layer", lambda r: r.moved_bytes),
        Column("intensity", "FLOPs/B", "number", "FLOPs per byte moved", lambda r: r.intensity),
        Column("top1_error", "top-1", "percent", "published top-1 error", _error("top1")),
        Column("top5_error", "top-5", "percent", "published top-5 error", _error("top5")),
        Column("tested", "tested", "text", "crops, models and images of these errors", lambda r: r.tested),
        Column("source", "file", "text", "where the network is written", lambda r: r.source),
    )
}  # fmt: skip
NETWORK_DEFAULT = (
    "name", "year", "family", "input", "layers", "params", "macs", "flops", "activation_bytes", "weight_bytes",
    "peak_bytes", "top1_error", "top5_error", "tested",
)  # fmt: skip
NETWORK_SYNONYMS = {
    "memory": "peak_bytes",
    "activations": "activation_bytes",
    "depth": "layers",
    "error": "top5_error",
    "top1": "top1_error",
    "top5": "top5_error",
    "parameters": "params",
}
"""What columns may be called: for hints only."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Networks side by side, at one batch and dtype.

    base: the one that ratios are to, which is one of the rows; None for no ratios. left_out: what a
    pattern stood for too, but could not be priced at the sizes given.
    """

    networks: tuple[NetworkRow, ...]
    batch: int
    dtype: str
    base: NetworkRow | None = None
    left_out: tuple[LeftOut, ...] = ()

    def __iter__(self) -> Iterator[NetworkRow]:
        return iter(self.networks)

    def __len__(self) -> int:
        return len(self.networks)

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(row.name for row in self.networks)}>"

    def __getitem__(self, name: str) -> NetworkRow:
        """A network by name. Raises KeyError with the nearest one."""
        for row in self.networks:
            if row.name == name:
                return row
        raise KeyError(f"no {name} here: {did_you_mean(name, [row.name for row in self.networks])}")

    def ratio(self, row: NetworkRow, column: Column) -> float | None:
        """A network's figure over the base's; None where there is none to divide by, or the column has no ratio."""
        if self.base is None or not column.adds_up:
            return None
        of, value = column.value(self.base), column.value(row)
        return value / of if of and value is not None else None

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict a network, ready for pandas.DataFrame: all columns, and with a base the ratios."""
        return [
            {name: column.value(row) for name, column in NETWORK_COLUMNS.items()}
            | {f"{c.name}_ratio": self.ratio(row, c) for c in NETWORK_COLUMNS.values() if self.base and c.adds_up}
            for row in self.networks
        ]

    def __str__(self) -> str:
        """The table as `cnncost compare` prints it into a pipe."""
        from cnncost.output.compare import comparison_table

        return comparison_table(self)

    def to_json(self) -> str:
        """The JSON comparison, a public format: `cnncost schema compare`."""
        from cnncost.output.compare import to_json

        return to_json(self)

    def to_markdown(self) -> str:
        """The usual columns for a document."""
        from cnncost.output.compare import to_markdown

        return to_markdown(self)

    def _repr_html_(self) -> str:
        from cnncost.output.compare import html_table

        return html_table(self)


def comparison(
    rows: Iterable[NetworkRow], batch: int, dtype: str, base: int | None = None, left_out: Iterable[LeftOut] = ()
) -> Comparison:
    """A comparison of rows; those of one name are named by their files. base: the place of the one ratios are to."""
    rows = list(rows)
    names = Counter(row.name for row in rows)
    told = tuple(row._replace(name=row.source or row.network) if names[row.name] > 1 else row for row in rows)
    return Comparison(told, batch, dtype, None if base is None else told[base], tuple(left_out))
