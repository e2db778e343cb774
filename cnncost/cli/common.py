"""What several commands share: their options, and where their text goes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from cnncost.errors import UsageError

if TYPE_CHECKING:
    from cnncost.graph import Graph
    from cnncost.output.tables import Paper
    from cnncost.spec.document import Document


FAMILY = "family:"
"""What stands before a family's name among specs, as in spec/catalogue.py, which start-up does not need."""
MODEL_OPTIONS = "cnncost.model"
"""Where a command's context keeps the options that only PyTorch models have."""


class SpecParam(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A spec: a path, a bundled name, - for standard input, or a PyTorch model's name. Completes names and files."""

    name = "spec"

    def known(self) -> Iterable[str]:
        from cnncost.spec.files import bundled_names

        return bundled_names()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from cnncost.spec.models import ModelName, is_model

        asked = ctx.meta.get(MODEL_OPTIONS, {}) if ctx else {}
        if is_model(value):
            return ModelName(value, **asked)
        alone = isinstance(param, click.Argument) and param.nargs == 1
        if asked and alone:
            hint = "parameters of a spec are set with --set" if "arguments" in asked else None
            option = "--arg" if "arguments" in asked else f"--{next(iter(asked)).replace('_', '-')}"
            raise UsageError(f"{option} has no effect on {value}, which is no PyTorch model", hint=hint)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        several = isinstance(param, click.Argument) and param.nargs == -1
        families = _families(ctx.params.get(param.name or "") or (), incomplete) if several else []
        names = [CompletionItem(name) for name in [*self.known(), *families] if name.startswith(incomplete)]
        # Files first: bash's script forgets what comes before them. It takes them where no name fits.
        return [CompletionItem(incomplete, type="file"), *names]


def _families(before: Iterable[str], incomplete: str) -> list[str]:
    """family:NAME for every family, where that is being written; NAME alone in bash, for which a colon ends a word."""
    split = (*before,)[-2:] == (FAMILY[:-1], ":")
    if not split and not (incomplete and FAMILY.startswith(incomplete[: len(FAMILY)])):
        return []
    from cnncost.spec.catalogue import by_family, catalogue

    names = [name for name in by_family(catalogue()) if " " not in name]  # shells would take two words
    return [name if split else FAMILY + name for name in names]


class SpecOrOpParam(SpecParam):
    """The same, or the name of an op."""

    def known(self) -> Iterable[str]:
        from cnncost.ops import MENU

        return [*super().known(), *MENU]


class ColumnParam(click.ParamType):  # type: ignore[type-arg]
    """One or more columns by name, which it completes."""

    name = "column"

    def known(self) -> Iterable[str]:
        from cnncost.analysis.columns import COLUMNS

        return COLUMNS

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        before, comma, last = incomplete.rpartition(",")
        plus = "+" if last.startswith("+") else ""
        known = (f"{before}{comma}{plus}{name}" for name in self.known() if name.startswith(last.lstrip("+")))
        return [CompletionItem(name) for name in known]


class NetworkColumnParam(ColumnParam):
    """The same for the columns of a comparison."""

    def known(self) -> Iterable[str]:
        from cnncost.analysis.compare import NETWORK_COLUMNS

        return NETWORK_COLUMNS


class LateChoice(click.Choice):  # type: ignore[type-arg]
    """A choice among names that are looked up when they are needed, which for most calls is never."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self._names())


class DeviceParam(click.ParamType):  # type: ignore[type-arg]
    """A device by name, which it completes, or the path of a sheet."""

    name = "device"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from cnncost.devices import names

        known = [CompletionItem(name) for name in names() if name.startswith(incomplete.lower())]
        return [CompletionItem(incomplete, type="file"), *known]


def among(names: Callable[[], Iterable[str]]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completion of a word by some names, which are looked up only then."""
    return lambda ctx, param, incomplete: [name for name in names() if name.startswith(incomplete)]


def parse_settings(pairs: tuple[str, ...], option: str = "--set") -> dict[str, Any]:
    """name=value pairs of --set or --arg; values are read as in a spec. Raises UsageError."""
    from cnncost.spec.marks import plain, read

    settings = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name or not text.strip():
            example = "--set width=0.5 or --set depths.2=36" if option == "--set" else "--arg num_classes=10"
            raise UsageError(f"{option} {pair}: no name=value", hint=f"write {example}")
        settings[name.strip()] = plain(read(text, f"{option} {name.strip()}"))
    return settings


def shape_text(value: str) -> str:
    """A shape as specs write it, 3x224x224, also where it was copied from a paper: 3 × 224 × 224."""
    return re.sub(r"(?<=[0-9])\s*[xX×]\s*(?=[0-9])", "x", value.strip())


def parse_inputs(values: tuple[str, ...]) -> Any:
    """--input 3x224x224, or name=3x224x224 for each of several; None where not given."""
    if not values:
        return None
    values = tuple(map(shape_text, values))
    named = [value.partition("=") for value in values]
    if any(equals for _, equals, _ in named):
        if not all(equals for _, equals, _ in named):
            raise UsageError("--input: some with a name and some without", hint="write --input left=3x64x64 for each")
        names = [name for name, _, _ in named]
        if len(set(names)) < len(names):
            raise UsageError(f"--input {names[-1]} given twice", hint="give each input once")
        return {name: shape for name, _, shape in named}
    if len(values) > 1:
        raise UsageError("--input given twice", hint="for several inputs write --input name=3x224x224 for each")
    return values[0]


def load_graph(spec: str, inputs: tuple[str, ...], batch: int, settings: tuple[str, ...]) -> Graph:
    """The graph of a spec, or of a PyTorch model, under the command line's overrides."""
    from cnncost.api.networks import graph_of

    return graph_of(spec, input=parse_inputs(inputs), batch=batch, set=parse_settings(settings))


def load_network(
    spec: str, inputs: tuple[str, ...], batch: int, settings: tuple[str, ...]
) -> tuple[Graph, Document | None]:
    """The same with the spec itself, None for what is no spec."""
    from cnncost.api.networks import graph_and_document

    return graph_and_document(spec, input=parse_inputs(inputs), batch=batch, set=parse_settings(settings))


def paper(output: str | None = None, legend: bool = True) -> Paper:
    """How a file (`output`), or standard output, wants its tables: a terminal has a width and colour, a pipe neither.

    NO_COLOR (no-color.org) makes a terminal plain, and then no name is cut to fit it either.
    """
    from cnncost.output.tables import Paper

    if output and output != "-":
        return Paper(legend=legend)
    if sys.stdout is None:
        raise UsageError("standard output is closed", hint="write to a file with -o FILE")
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    unicode = encoding.startswith("utf")
    if not sys.stdout.isatty():
        return Paper(unicode=unicode, legend=legend)
    from shutil import get_terminal_size

    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Paper(get_terminal_size().columns, colour=not plain, unicode=unicode, cut=not plain, legend=legend)


def deliver(text: str | bytes, output: str | None, force: bool, *specs: str, is_spec: bool = False) -> None:
    """Print, or write a file: whole or not at all, never over another one without force, never over what was read.

    text: bytes for what is no text, such as a picture. is_spec: the text is a spec itself; others are never
    written to a name that is a spec's.
    """
    if output is None or output == "-":
        if sys.stdout is None:
            raise UsageError("standard output is closed", hint="write to a file with -o FILE")
        click.echo(text, nl=False)
        return
    path = _path(output)
    if is_spec and any(_same(spec, path) for spec in specs):
        raise UsageError(f"{output} is the model itself, and would be lost", hint="give another name: imported.yaml")
    if not is_spec:
        spare_specs(output, *specs)
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            _to_device(text, path)
        elif os.path.lexists(path) and not force:
            raise UsageError(f"{output}: exists already", hint="--force replaces it")
        else:
            _to_file(text, path, force)
    except (OSError, UnicodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else e
        raise UsageError(f"{output}: {reason or e}", hint="nothing was written") from None


def may_write(output: str, force: bool, *specs: str, others: Iterable[str | None] = ()) -> None:
    """Raise UsageError where a file could not be written, before the work that it is to hold.

    specs: what is read, and must not be lost. others: what else the command writes, None where it does not.
    """
    if output == "-":
        raise UsageError("- is no file name", hint="standard output has the table; give the name of a file to write")
    path = _path(output)
    if any(other and os.path.realpath(other) == path for other in others):
        raise UsageError(f"{output}: something else is written there", hint="give another name")
    spare_specs(output, *specs)
    if os.path.isfile(path) and not force:
        raise UsageError(f"{output}: exists already", hint="--force replaces it")
    folder = os.path.dirname(path)
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        reason = "Permission denied" if os.path.isdir(folder) else "No such file or directory"
        raise UsageError(f"{output}: {reason}", hint="nothing was written")


def _path(output: str) -> str:
    """What a link points to, not the link. Raises UsageError for what is no file name."""
    path = os.path.realpath(output)
    if not output or output.endswith(os.sep) or os.path.isdir(path):
        raise UsageError(f"{output or repr('')} is no file name", hint="give the name of a file to write")
    return path


def spare_specs(output: str, *specs: str) -> None:
    """Raise UsageError for a name that is a spec's."""
    if output.lower().endswith((".yaml", ".yml")) or any(_same(spec, os.path.realpath(output)) for spec in specs):
        raise UsageError(f"{output}: a report over a spec would lose the spec", hint="give another name: report.txt")


def _same(spec: str, path: str) -> bool:
    return os.path.exists(spec) and os.path.exists(path) and os.path.samefile(spec, path)


def _to_device(text: str | bytes, path: str) -> None:
    """Write to what is no regular file: a device, or a pipe that somebody reads."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # a pipe without a reader fails, and does not hang
    os.set_blocking(descriptor, True)
    with open(descriptor, "wb") as f:
        f.write(_bytes(text))


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _to_file(text: str | bytes, path: str, force: bool) -> None:
    """Write beside the file, then put it in its place at once, with the permissions of the old one."""
    from tempfile import NamedTemporaryFile

    if os.path.exists(path):
        mode = os.stat(path).st_mode & 0o7777
    else:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    with NamedTemporaryFile("wb", dir=os.path.dirname(path), prefix=".cnncost-", delete=False) as f:
        try:
            f.write(_bytes(text))
            f.flush()
            os.chmod(f.name, mode)
            if not force:  # fails where a file has appeared meanwhile
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(f.name, path)
        except BaseException:
            os.unlink(f.name)
            raise
