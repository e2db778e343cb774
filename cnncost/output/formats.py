"""What all that is written for programs and documents has in common: JSON, CSV, rows of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def json_text(value: Any) -> str:
    """Plain data as JSON."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Lines of CSV; None is an empty cell."""
    import csv
    from io import StringIO

    out = StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def table_row(cells: Iterable[str]) -> str:
    """A line of a table in Markdown."""
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"
