"""Where specs come from: a path, standard input, or the bundled architectures."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cnncost.errors import UsageError, did_you_mean
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
    file, with or without .yaml, is a bundled architecture. Raises UsageError.
    """
    if spec == "-":
        return Source(_decoded(sys.stdin.buffer.read(BYTES_AT_MOST + 1), "standard input"), "<stdin>", None, False)
    path = (beside / spec) if beside else Path(spec)
    try:
        if path.is_file() or _is_pipe(path):
            return Source(_read(path, spec), spec, path, False)
        if beside and path.with_name(path.name + ".yaml").is_file():
            path = path.with_name(path.name + ".yaml")
            return Source(_read(path, path.name), path.name, path, False)
        bundled = _bundled(spec)
        if bundled:
            return Source(_read(bundled, spec), bundled.name, bundled, True)
        if path.is_dir():
            raise UsageError(f"{spec}: is a directory", hint="give a file, or the name of a bundled architecture")
    except OSError as e:
        raise UsageError(f"{spec}: {e.strerror or e}") from None
    except ValueError:
        raise UsageError(f"{spec!r} is no file name") from None
    name = spec.removesuffix(".yaml")
    if os.sep in spec:
        raise UsageError(f"{spec}: no such file", hint="cnncost list shows the bundled architectures")
    near = did_you_mean(name, bundled_names())
    raise UsageError(
        f"{spec}: no such file, and no bundled architecture of that name",
        hint=near if near.startswith("did") else "cnncost list shows the bundled architectures",
    )


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
        column = e.start - (data.rfind(b"\n", 0, e.start) + 1) + 1
        raise UsageError(
            f"{name}:{line}:{column}: not text: byte #x{data[e.start]:02x} is not UTF-8",
            hint="is this an architecture file? They are plain UTF-8 text",
        ) from None
