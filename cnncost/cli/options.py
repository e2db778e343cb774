"""Options that several commands share, and what they mean together."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnncost.analysis.dtypes import DTYPES
from cnncost.cli.common import MODEL_OPTIONS, ColumnParam, parse_settings
from cnncost.errors import UsageError
from cnncost.output.units import CHOICES

if TYPE_CHECKING:
    from cnncost.analysis.columns import Column

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = ("table", "json", "csv", "markdown")
SUFFIXES = {"json": "json", "csv": "csv", "md": "markdown", "markdown": "markdown", "txt": "table"}


def _of_model(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep an option of PyTorch models in the context, where SpecParam finds it."""
    if value:
        kept = parse_settings(value, "--arg") if param.name == "arguments" else value
        ctx.meta.setdefault(MODEL_OPTIONS, {})[param.name] = kept


KEPT: Any = {"expose_value": False, "is_eager": True, "callback": _of_model}
MODEL = (
    click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="Of a PyTorch model: an argument of "
                 "its constructor; repeat for more.", **KEPT),
    click.option("--train", is_flag=True, help="Of a PyTorch model: as in training, with dropout.", **KEPT),
    click.option("--allow-unknown", is_flag=True, help="Of a PyTorch model: operators without a rule count as "
                 "nothing, and the report says so.", **KEPT),
)  # fmt: skip


INPUT = click.option("--input", "-i", "inputs", multiple=True, metavar="CxHxW",
                     help="Input shape without the batch; name=CxHxW for each of several.")  # fmt: skip
SET = click.option("--set", "-s", "settings", multiple=True, metavar="NAME=VALUE",
                   help="Value of a declared parameter; repeat for more.")  # fmt: skip


def given_options(command: F) -> F:
    """--input, --set, --arg and --train: which network is meant, where one image is enough."""
    for option in reversed((INPUT, SET, *MODEL[:2])):
        command = option(command)
    return command


BATCH = click.option("--batch", "-b", type=int, default=1, help="Images in a batch.  [1]")


def check_options(command: F) -> F:
    """--input, --batch, --set and --arg: at which sizes networks are checked, at inference."""
    for option in reversed((INPUT, BATCH, SET, MODEL[0])):
        command = option(command)
    return command


def size_options(command: F) -> F:
    """--input, --batch, --dtype and --set: at which sizes networks are priced."""
    options = (
        INPUT,
        BATCH,
        click.option(
            "--dtype",
            type=click.Choice(tuple(DTYPES)),
            default="fp32",
            help="What an element takes, for bytes.  [fp32]",
        ),
        SET,
        *MODEL,
    )
    for option in reversed(options):
        command = option(command)
    return command


def column_options(columns: Mapping[str, Column], default: Collection[str], names: ColumnParam) -> Callable[[F], F]:
    """--columns (None where not given, which means `default`) and --list-columns, which prints them all."""

    def printed(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            for column in columns.values():
                click.echo(f"{column.name:17}{column.about}{'  (default)' if column.name in default else ''}")
            ctx.exit()

    chosen = click.option(
        "--columns", type=names, metavar="LIST", help="Columns by name, comma-separated; +name adds one; or all."
    )
    listed = click.option("--list-columns", is_flag=True, is_eager=True, expose_value=False, callback=printed,
                          help="Name all columns and what they show.")  # fmt: skip
    return lambda command: chosen(listed(command))


def output_options(units: str | None = None) -> Callable[[F], F]:
    """--format, --output, --force: how a table is written; and --units (None where not given, which means `units`)."""
    options = (
        click.option(
            "--format", "format_", type=click.Choice(FORMATS), help="What to write.  [table, or by -o's suffix]"
        ),
        click.option("--output", "-o", metavar="FILE", help="Write to a file instead of the terminal."),
        click.option("--force", is_flag=True, help="Replace a file that is there already."),
    )

    def decorated(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        if units is None:
            return command
        return click.option("--units", type=click.Choice(CHOICES), help=f"Unit of the numbers in tables.  [{units}]")(
            command
        )

    return decorated


def html_option(shown: str) -> Callable[[F], F]:
    """--html: a page is written too, of what is `shown`."""
    return click.option("--html", metavar="FILE", help=f"Write a page too: {shown}.")


LEGEND = click.option("--no-legend", is_flag=True, help="Leave out the lines below tables that say what is counted.")


def format_of(output: str | None) -> str:
    """What -o's suffix asks for. Raises UsageError for one that is no format."""
    suffix = os.path.splitext(output or "")[1].lower().lstrip(".")
    if output in (None, "-", os.devnull) or not suffix:
        return "table"
    if suffix not in SUFFIXES:
        known = ", ".join(f".{s}" for s in SUFFIXES)
        raise UsageError(f"-o {output}: no format has the suffix .{suffix}", hint=f"use {known}, or give --format")
    return SUFFIXES[suffix]


def no_effect(
    columns: str | None,
    units: str | None,
    format_: str,
    output: str | None,
    force: bool,
    no_legend: bool = False,
    others: Mapping[str, str | None] | None = None,
) -> None:
    """Raise UsageError for an option that would have no effect: who gave it expects one.

    others: further options that write a file, with the file; None where one is not asked for.
    """
    if format_ == "json" and columns is not None:
        raise UsageError("--columns has no effect on JSON", hint="JSON has all of them; choose with --format csv")
    if format_ in ("json", "csv") and units is not None:
        raise UsageError(f"--units has no effect on {format_}", hint="programs get whole numbers")
    if format_ in ("json", "csv") and no_legend:
        raise UsageError(f"--no-legend has no effect on {format_}", hint="it goes with --format table or markdown")
    others = others or {}
    if force and output is None and not any(others.values()):
        *some, last = (f"{option} FILE" for option in ("-o", *others))
        hint = f"it goes with {', '.join(some)} or {last}" if some else f"it goes with {last}"
        raise UsageError("--force has no effect here", hint=hint)
