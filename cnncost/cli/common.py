"""What several commands share: their options, and where their text goes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from cnncost.errors import UsageError

if TYPE_CHECKING:
    from cnncost.graph import Graph
    from cnncost.output.tables import Paper


class SpecParam(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A spec: a path, a bundled name, or - for standard input. Completes names and YAML files."""

    name = "spec"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from cnncost.spec.files import bundled_names

        names = [CompletionItem(name) for name in bundled_names() if name.startswith(incomplete)]
        return [*names, CompletionItem(incomplete, type="file")]


def parse_settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """--set name=value pairs; values are read as in a spec. Raises UsageError."""
    from cnncost.spec.marks import plain, read

    settings = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name or not text.strip():
            raise UsageError(f"--set {pair}: no name=value", hint="write --set width=0.5 or --set depths.2=36")
        settings[name.strip()] = plain(read(text, f"--set {name.strip()}"))
    return settings


def parse_inputs(values: tuple[str, ...]) -> Any:
    """--input 3x224x224, or name=3x224x224 for each of several; None where not given."""
    if not values:
        return None
    named = [value.partition("=") for value in values]
    if any(equals for _, equals, _ in named):
        if not all(equals for _, equals, _ in named):
            raise UsageError("--input: some with a name and some without", hint="write --input left=3x64x64 for each")
        return {name: shape for name, _, shape in named}
    if len(values) > 1:
        raise UsageError("--input given twice", hint="for several inputs write --input name=3x224x224 for each")
    return values[0]


def load_graph(spec: str, inputs: tuple[str, ...], batch: int, settings: tuple[str, ...]) -> Graph:
    """The graph of a spec under the command line's overrides."""
    from cnncost.spec import load

    return load(spec, input=parse_inputs(inputs), batch=batch, set=parse_settings(settings))


def paper() -> Paper:
    """How standard output wants its tables: a terminal has a width and colour, a pipe neither.

    NO_COLOR (no-color.org) makes a terminal plain, and then nothing is cut to its width either.
    """
    from cnncost.output.tables import Paper

    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    unicode = encoding.startswith("utf")
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return Paper(unicode=unicode)
    from shutil import get_terminal_size

    return Paper(get_terminal_size().columns, colour=True, unicode=unicode)


def deliver(text: str, output: str | None, force: bool) -> None:
    """Print, or write a file: whole or not at all, and never over another one without force."""
    if output is None:
        click.echo(text, nl=False)
        return
    from pathlib import Path
    from tempfile import NamedTemporaryFile

    path = Path(output)
    if path.is_dir():
        raise UsageError(f"{output}: is a directory", hint="give a file name")
    if path.exists() and not force:
        raise UsageError(f"{output}: exists already", hint="--force replaces it")
    try:
        if path.exists() and not path.is_file():  # a device or pipe: nothing to replace
            path.write_text(text, encoding="utf-8")
            return
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".cnncost-", delete=False) as f:
            f.write(text)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(f.name, 0o666 & ~mask)
        os.replace(f.name, path)
    except OSError as e:
        raise UsageError(f"{output}: {e.strerror or e}", hint="nothing was written") from None
