"""Where specs come from: a path, standard input, or the bundled architectures."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cnncost.errors import SpecError, UsageError, Where, did_you_mean
from cnncost.options import spelled
from cnncost.spec.marks import BYTES_AT_MOST

SUFFIXES = (".yaml", ".yml")


class Source(NamedTuple):
    """The text of a spec; `file` is how messages name it, `bundled` that it came with cnncost."""

    text: str
    file: str
    path: Path | None
    bundled: bool


@cache
def bundled_folder() -> Path:
    """architectures/: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "architectures"
    return inside if inside.is_dir() else package.parent / "architectures"


def bundled_names() -> list[str]:
    """Names of the bundled architectures, sorted."""
    return sorted(p.stem for p in bundled_folder().glob("*.yaml"))


def open_spec(spec: str, beside: Path | None = None) -> Source:
    """Read a spec by path or bundled name; `-` is standard input.

    A file in the current folder (or `beside`, for extends) comes first; a bare name that is no
    file, with or without .yaml, is a bundled architecture. Raises UsageError, and SpecError for what
    is not text.
    """
    if spec == "-":
        return Source(_decoded(sys.stdin.buffer.read(BYTES_AT_MOST + 1), "standard input"), "<stdin>", None, False)
    shown = spelled(spec) or "''"
    try:
        found = _found(spec, beside)
        if found is not None:
            return found
        if spec and (beside or Path()).joinpath(spec).is_dir():
            raise UsageError(f"{shown} is a directory", hint="give a file, or the name of a bundled architecture")
    except OSError as e:
        raise UsageError(f"{shown}: {e.strerror or e}", hint="give a file that can be read") from None
    except ValueError:  # a name that no file system takes
        pass
    hint = did_you_mean(spec.removesuffix(".yaml"), bundled_names())
    if os.sep in spec or not hint.startswith("did"):
        hint = "cnncost list shows the bundled architectures"
    bundled = "" if os.sep in spec else ", and no bundled architecture of that name"
    raise UsageError(f"{shown}: no such file{bundled}", hint=hint)


def _found(spec: str, beside: Path | None) -> Source | None:
    path = beside / spec if beside else Path(spec)
    if path.is_file() or _is_pipe(path):
        return Source(_read(path, str(path)), str(path), path, False)
    if beside and spec:
        path = path.with_name(path.name + ".yaml")
        if path.is_file():
            return Source(_read(path, str(path)), str(path), path, False)
    bundled = _bundled(spec)
    return Source(_read(bundled, bundled.name), bundled.name, bundled, True) if bundled else None


def _is_pipe(path: Path) -> bool:
    return path.exists() and stat.S_ISFIFO(path.stat().st_mode)


def _bundled(spec: str) -> Path | None:
    name = spec
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    path = bundled_folder() / f"{name}.yaml"
    return path if name and Path(name).name == name and path.is_file() else None


def _read(path: Path, name: str) -> str:
    with open(path, "rb") as f:
        return _decoded(f.read(BYTES_AT_MOST + 1), name)


def _decoded(data: bytes, name: str) -> str:
    if len(data) > BYTES_AT_MOST:
        raise UsageError(f"{name}: larger than {BYTES_AT_MOST >> 20} MiB", hint="is this an architecture file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        column = len(data[data.rfind(b"\n", 0, e.start) + 1 : e.start].decode("utf-8")) + 1
        raise SpecError(
            f"not text: byte #x{data[e.start]:02x} is not UTF-8",
            hint="is this an architecture file? They are plain UTF-8 text",
            where=Where(name, line, column),
        ) from None
