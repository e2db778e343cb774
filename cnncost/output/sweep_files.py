"""Rows of a sweep in files: CSV and JSON lines as text, npz and Parquet by way of raw records.

Impossible points have no quantities, and say why.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncost.analysis.choice import POINT
from cnncost.analysis.sweep.part import Part
from cnncost.analysis.sweep.run import Job, run
from cnncost.analysis.sweep.space import Rows, Space, Summary
from cnncost.errors import UsageError

if TYPE_CHECKING:
    import zipfile

IMPOSSIBLE = "impossible"
"""The column of reasons."""
TEXTS = ("csv", "jsonl")
ARRAYS = ("npz", "parquet")
AT_ONCE = 2**16
"""Rows that are converted at once."""


class Lines(NamedTuple):
    """Rows as text. quantities: the columns that impossible points do not have."""

    format: str
    columns: tuple[str, ...]
    quantities: tuple[str, ...]

    def head(self) -> bytes:
        """What a file begins with."""
        if self.format != "csv":
            return b""
        return (",".join([POINT, *map(_cell, self.columns), IMPOSSIBLE]) + "\n").encode()

    def __call__(self, rows: Rows) -> bytes:
        """Rows as lines, so many at once: text takes far more room in Python than in a file."""
        count = len(rows.refused)
        return b"".join(self._some(rows, start, start + AT_ONCE) for start in range(0, count, AT_ONCE))

    def _some(self, rows: Rows, start: int, stop: int) -> bytes:
        columns = {name: column[start:stop] for name, column in rows.columns.items()}
        rows = Rows(columns, rows.refused[start:stop], rows.reasons)
        names = (POINT, *self.columns)
        values = [rows.columns[name].tolist() for name in names]
        possible = self._template(rows, names)
        if (rows.refused < 0).all():
            return "".join(map(possible.__mod__, zip(*values))).encode()
        reasons = [_cell(text) if self.format == "csv" else _json(text) for text in rows.reasons]
        own = [values[i] for i, name in enumerate(names) if name not in self.quantities]
        refusing = self._template(rows, [name for name in names if name not in self.quantities], True)
        lines = [
            possible % row if reason < 0 else refusing % (*key, reasons[reason])
            for row, key, reason in zip(zip(*values), zip(*own), rows.refused.tolist())
        ]
        return "".join(lines).encode()

    def _template(self, rows: Rows, names: Sequence[str], refused: bool = False) -> str:
        """A line with a place for every value. refused: with a reason, and nothing for quantities."""
        if self.format == "csv":
            cells = [_place(rows.columns[name]) if name in names else "" for name in (POINT, *self.columns)]
            return ",".join([*cells, "%s" if refused else ""]) + "\n"
        pairs = [f"{_json(name)}: {_place(rows.columns[name], True)}" for name in names]
        pairs += [f"{_json(name)}: null" for name in self.quantities if name not in names]
        return "{" + ", ".join([*pairs, f'"{IMPOSSIBLE}": {"%s" if refused else "null"}']) + "}\n"


def _place(column: npt.NDArray[Any], quoted: bool = False) -> str:
    """A place in a line for a column's values; text has no quotes in it, for it comes from axes."""
    return {"i": "%d", "f": "%r"}.get(column.dtype.kind, '"%s"' if quoted else "%s")


def _cell(text: str) -> str:
    """A text in CSV."""
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# ---- raw records ------------------------------------------------------------------------------------


class Records(NamedTuple):
    """Rows as records of one type, so that a file of them can be mapped. fields: name and type of every column.
    quantities: the columns that impossible points do not have.
    """

    fields: tuple[tuple[str, str], ...]
    quantities: tuple[str, ...]

    @classmethod
    def of(cls, space: Space) -> Records:
        """Of a space, whose axes tell how wide text is."""
        from cnncost.analysis.sweep.space import column_of

        axes = [(axis.name, column_of(axis.values).dtype.str) for axis in space.axes]
        seconds = {name for name in space.wanted.columns if name not in space.wanted.quantities}
        quantities = [(name, "<f8" if name in seconds else "<i8") for name in space.wanted.columns]
        return cls(((POINT, "<i8"), *axes, *quantities, (IMPOSSIBLE, "<i4")), space.wanted.columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype([(name, kind) for name, kind in self.fields])

    def head(self) -> bytes:
        """Nothing: only records."""
        return b""

    def __call__(self, rows: Rows) -> Any:
        """Rows as records, with the reasons that they number."""
        records = np.zeros(len(rows.refused), self.dtype)
        for name, _ in self.fields[:-1]:
            records[name] = rows.columns[name]
        for name in self.quantities:
            records[name][rows.refused >= 0] = 0
        records[IMPOSSIBLE] = rows.refused
        return records, rows.reasons


class Stored(NamedTuple):
    """Records in a file."""

    path: str
    dtype: np.dtype[Any]

    @property
    def length(self) -> int:
        return os.path.getsize(self.path) // self.dtype.itemsize

    def parts(self) -> Iterator[Any]:
        """Records, so many at once; one empty part of none."""
        for start in range(0, max(1, self.length), AT_ONCE):
            yield np.fromfile(self.path, self.dtype, AT_ONCE, offset=start * self.dtype.itemsize)


def write_npz(records: Stored, reasons: Sequence[str], quantities: Sequence[str], target: IO[bytes]) -> None:
    """An array a column, and `reasons`, which `impossible` numbers; -1 is possible. No column is in memory whole.

    Quantities of impossible points are 0, as in the arrays of cnncost.sweep().
    """
    import zipfile

    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for name in records.dtype.names or ():
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=True) as member:
                kind = records.dtype[name]
                descr, shape = np.lib.format.dtype_to_descr(kind), (records.length,)
                about = {"descr": descr, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, about)
                for part in records.parts():
                    member.write(np.ascontiguousarray(part[name]).tobytes())
        with archive.open(_member("reasons.npy"), "w") as member:
            np.lib.format.write_array(member, np.array(reasons, np.str_), allow_pickle=False)


def _member(name: str) -> zipfile.ZipInfo:
    """A member of an archive, without the time, so that the same sweep gives the same bytes."""
    import zipfile

    about = zipfile.ZipInfo(name)
    about.compress_type = zipfile.ZIP_DEFLATED
    return about


def write_parquet(records: Stored, reasons: Sequence[str], quantities: Sequence[str], target: IO[bytes]) -> None:
    """A row group for so many rows at once; quantities of impossible points are null."""
    arrow, parquet = require_parquet()
    writer: Any = None
    for part in records.parts():
        refused = part[IMPOSSIBLE] >= 0
        columns: dict[str, Any] = {}
        for name in part.dtype.names[:-1]:
            own = np.ascontiguousarray(part[name])
            if own.dtype.kind == "U":
                columns[name] = arrow.array(own.tolist(), arrow.string())
            else:
                columns[name] = arrow.array(own, mask=refused if name in quantities else None)
        texts = [reasons[n] if n >= 0 else None for n in part[IMPOSSIBLE].tolist()]
        columns[IMPOSSIBLE] = arrow.array(texts, arrow.string())
        table = arrow.table(columns)
        if writer is None:
            writer = parquet.ParquetWriter(target, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def require_parquet() -> tuple[Any, Any]:
    """The library that writes Parquet. Raises UsageError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("Parquet needs pyarrow", hint="pip install 'cnncost[parquet]', or write .npz") from None
    return pyarrow, pyarrow.parquet


# ---- a whole space ----------------------------------------------------------------------------------


def encoder(space: Space, format_: str) -> Any:
    """How rows go into a file."""
    return Lines(format_, space.columns, space.wanted.columns) if format_ in TEXTS else Records.of(space)


def write(
    space: Space,
    path: str,
    format_: str,
    workers: int,
    force: bool,
    watch: Callable[[int, int], None],
    dask: str | None = None,
) -> Summary:
    """A space into a file, tile by tile, so that memory does not grow with it. Where a sweep of the same space has been
    cut off, it goes on behind what that has left.

    watch: called with the points done and of all, after every tile. Raises UsageError.
    """
    encode = encoder(space, format_)
    part = Part(path, f"{space.digest}-{format_}", encode.head(), force)
    try:
        for done in run(Job(space, encode=encode), workers, part.tiles, dask):
            data = done.written
            if format_ in ARRAYS:
                records, reasons = data
                numbers = np.array([*part.number(reasons), -1], np.int32)
                records[IMPOSSIBLE] = numbers[records[IMPOSSIBLE]]
                data = records.tobytes()
            part.add(data, done.summary)
            watch(part.summary.points, space.size)
        part.finish(_converter(encode, list(part.reasons), format_) if format_ in ARRAYS else None)
    finally:
        part.close()  # with no tile in it, it is taken away
    return part.summary


def _converter(encode: Records, reasons: list[str], format_: str) -> Callable[[str, IO[bytes]], None]:
    """Records as another form of file."""
    form = {"npz": write_npz, "parquet": write_parquet}[format_]
    return lambda path, target: form(Stored(path, encode.dtype), reasons, encode.quantities, target)
