"""The bundled architectures as a list, and specs by patterns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from cnncost.errors import UsageError, did_you_mean
from cnncost.options import spelled
from cnncost.spec.document import read_document
from cnncost.spec.files import SUFFIXES, bundled_folder, bundled_names, find_spec, open_spec

_PART = re.compile(r"([0-9]{1,300})((?:_[0-9]+)*)(mf(?![a-z]))?|([^0-9]+)")
"""Of a name: a number (_ before decimals, mf for millions where others have gf), or what is between numbers."""
FAMILY = "family:"
"""What stands before a family's name among specs."""


def catalogue() -> list[dict[str, Any]]:
    """name (what `report` takes), title, year, family, about and file of every bundled architecture, sorted by name."""
    entries = []
    for name in bundled_names():
        about = read_document(open_spec(os.path.join(bundled_folder(), f"{name}.yaml"))).about
        entries.append(
            {
                "name": name,
                "network": about.get("name", name),
                "title": about.get("title"),
                "year": about.get("year"),
                "family": about.get("family"),
                "about": about.get("about"),
                "file": f"{name}.yaml",
            }
        )
    return entries


def by_family(entries: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Entries of the catalogue by family: families by their first year, networks by year, then by name."""
    families: dict[str, list[dict[str, Any]]] = {}
    for entry in sorted(entries, key=_age):
        families.setdefault(str(entry["family"] or "other"), []).append(entry)
    return families


def _age(entry: dict[str, Any]) -> tuple[Any, ...]:
    year = entry["year"]
    return year is None, year or 0, natural(entry["name"])


def natural(name: str) -> tuple[Any, ...]:
    """A name to sort by: resnet18 comes before resnet101, x0_25 before x0_5, 400mf before 1_6gf."""
    return tuple(
        (True, float(f"{whole}.{decimals.replace('_', '')}") * (1e-3 if unit else 1)) if whole else (False, text)
        for whole, decimals, unit, text in _PART.findall(name)
    )


def matching(patterns: Iterable[str]) -> dict[str, str]:
    """Specs by paths, names and globs over both, `family:NAME`, or `all` that are bundled: where each lies, and the
    spec. Each once, in order.

    A glob covers files first, as a shell would, and bundled names where no file fits. Raises
    UsageError for what fits nothing.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        for spec in _matching(pattern):
            path = find_spec(spec).path
            found.setdefault(os.path.realpath(path) if path else spec, spec)
    return found


def is_pattern(spec: str) -> bool:
    """Whether this stands for any number of specs, as `matching` reads it."""
    several = spec == "all" or spec.startswith(FAMILY) or bool(set(spec) & set("*?["))
    return several and not os.path.exists(spec)


def _matching(pattern: str) -> list[str]:
    if not is_pattern(pattern):
        return [pattern]
    if pattern == "all":
        return [entry["name"] for entries in by_family(catalogue()).values() for entry in entries]
    if pattern.startswith(FAMILY):
        return family(pattern.removeprefix(FAMILY))
    from glob import glob

    bare = pattern.removesuffix(".yaml")
    names = [path for path in glob(pattern) if path.endswith(SUFFIXES) and os.path.isfile(path)]
    names = names or [name for name in bundled_names() if fnmatchcase(name, bare)]
    if not names:
        message = f"no file and no bundled architecture fits {spelled(pattern)}"
        raise UsageError(message, hint=f"quote it for bundled names: '{bare}'; cnncost list shows them")
    return sorted(names, key=natural)


def family(name: str) -> list[str]:
    """The bundled architectures of a family (a name or a glob), oldest first. Raises UsageError for an unknown one."""
    families = by_family(catalogue())
    names = [entry["name"] for known, entries in families.items() if fnmatchcase(known, name) for entry in entries]
    if not names:
        raise UsageError(f"no family {spelled(name) or repr('')}", hint=did_you_mean(name, families))
    return names
