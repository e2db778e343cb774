"""Where specs come from: a path, standard input, or the bundled architectures.

Paths are strings: pathlib would add a twentieth to the start-up of the command line.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from functools import cache
from typing import NamedTuple

from cnncost.errors import SpecError, UsageError, Where, did_you_mean
from cnncost.options import printable, spelled
from cnncost.spec.marks import BYTES_AT_MOST

_OPEN = re.compile(r"/dev/stdin|(/dev|/proc/(self|[0-9]+))/fd/[0-9]+")
"""Pipes that somebody holds open at the other end; another one may have no writer, and would be waited for forever."""
SUFFIXES = (".yaml", ".yml")


class Source(NamedTuple):
    """The text of a spec; `file` is how messages name it, `bundled` that it came with cnncost."""

    text: str
    file: str
    path: str | None
    bundled: bool


@cache
def bundled_folder() -> str:
    """architectures/: inside an installed package, beside it in a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    inside = os.path.join(package, "architectures")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "architectures")


def bundled_names() -> list[str]:
    """Names of the bundled architectures, sorted."""
    return sorted(name[: -len(".yaml")] for name in os.listdir(bundled_folder()) if name.endswith(".yaml"))


class Place(NamedTuple):
    """Where a spec lies: a path (None for standard input), how messages name it, and whether it came with cnncost."""

    path: str | None
    file: str
    bundled: bool


def open_spec(spec: str, beside: str | None = None) -> Source:
    """Read a spec by path or bundled name; `-` is standard input. Raises UsageError, and SpecError for what is no text.

    A file in the current folder (or in `beside`, for extends) comes first; a bare name that is no
    file, with or without .yaml, is a bundled architecture.
    """
    path, file, bundled = find_spec(spec, beside)
    if path is None:
        return Source(_standard_input(), file, None, False)
    try:
        return Source(_read(path, file), file, path, bundled)
    except OSError as e:
        raise _unreadable(spec, e) from None


def find_spec(spec: str, beside: str | None = None) -> Place:
    """Where open_spec reads a spec from. Raises UsageError where there is none."""
    if spec == "-":
        return Place(None, "<stdin>", False)
    shown = spelled(spec) or "''"
    if spec.endswith(".py") and os.path.isfile(spec):
        raise UsageError(f"{shown} is Python, and no spec", hint=f"write {shown}:Attribute for a model in it")
    try:
        found = _found(spec, beside)
        if found is not None:
            return found
        what = _no_file(os.path.join(beside or "", spec)) if spec else None
        if what is not None:
            raise UsageError(f"{shown} {what}", hint="give a file, or the name of a bundled architecture")
    except OSError as e:
        raise _unreadable(spec, e) from None
    except ValueError:  # a name that no file system takes
        pass
    if "\n" in spec:
        raise UsageError(f"{shown}: no such file", hint="give a path, or - for standard input; not the text of a spec")
    hint = did_you_mean(spec.removesuffix(".yaml"), bundled_names())
    if os.sep in spec or not hint.startswith("did"):
        hint = "cnncost list shows the bundled architectures"
    bundled = "" if os.sep in spec else ", and no bundled architecture of that name"
    raise UsageError(f"{shown}: no such file{bundled}", hint=hint)


def _unreadable(spec: str, error: OSError) -> UsageError:
    return UsageError(f"{spelled(spec)}: {error.strerror or error}", hint="give a file that can be read")


def _found(spec: str, beside: str | None) -> Place | None:
    path = os.path.join(beside or "", spec)
    candidates = [path, f"{path}.yaml"] if beside is not None and spec else [path]
    for path in candidates:
        if os.path.isfile(path) or (_OPEN.fullmatch(path) and _is_pipe(path)):
            bundled_too = beside is not None and beside == bundled_folder()
            return Place(path, os.path.basename(path) if bundled_too else printable(path), bundled_too)
    bundled = _bundled(spec)
    return Place(bundled, os.path.basename(bundled), True) if bundled else None


def _is_pipe(path: str) -> bool:
    return os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)


def _no_file(path: str) -> str | None:
    """What a path that cannot be read as a file is, in words; None where nothing is there."""
    try:
        mode = os.stat(path).st_mode
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        if e.errno == errno.ELOOP:
            return "is reached through too many symbolic links"
        raise
    if stat.S_ISDIR(mode):
        return "is a directory"
    return "is a named pipe" if stat.S_ISFIFO(mode) else "is not a regular file"


def _standard_input() -> str:
    data = getattr(sys.stdin, "buffer", None)
    if data is None:  # closed, as by <&-
        raise UsageError("standard input is closed", hint="give a file, or the name of a bundled architecture")
    return _decoded(data.read(BYTES_AT_MOST + 1), "standard input")


def _bundled(spec: str) -> str | None:
    name = spec
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    path = os.path.join(bundled_folder(), f"{name}.yaml")
    return path if name and os.path.basename(name) == name and os.path.isfile(path) else None


def _read(path: str, name: str) -> str:
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
