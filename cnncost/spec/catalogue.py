"""The bundled architectures as a list."""

from __future__ import annotations

import os
from typing import Any

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
