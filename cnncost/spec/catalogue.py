"""The bundled architectures as a list, and specs by patterns."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from cnncost.errors import UsageError
from cnncost.options import spelled
from cnncost.spec.document import read_document
from cnncost.spec.files import bundled_folder, bundled_names, open_spec


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


def matching(patterns: Iterable[str]) -> list[str]:
    """Specs by paths, names and globs over both; `all` is every bundled one. Each once, in order.

    A glob covers files first, as a shell would, and bundled names where no file fits. Raises
    UsageError for a glob that fits nothing; a plain name is not looked up here.
    """
    from fnmatch import fnmatchcase
    from glob import glob

    found: dict[str, None] = {}
    for pattern in patterns:
        names = [pattern]
        if pattern == "all" and not os.path.exists(pattern):
            names = bundled_names()
        elif set(pattern) & set("*?[") and not os.path.exists(pattern):
            bare = pattern.removesuffix(".yaml")
            names = sorted(path for path in glob(pattern) if os.path.isfile(path))
            names = names or [name for name in bundled_names() if fnmatchcase(name, bare)]
            if not names:
                message = f"no file and no bundled architecture fits {spelled(pattern)}"
                raise UsageError(message, hint=f"quote it for bundled names: '{bare}'; cnncost list shows them")
        found.update(dict.fromkeys(names))
    return list(found)
