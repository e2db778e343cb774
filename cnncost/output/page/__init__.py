"""Pages: one HTML file each, with everything in it, that asks nothing of any network.

web/ has the script's source, page.js what a build makes of it (see web/package.json). What a page shows is data
made here: amounts are written by output/units.py; the script writes ticks of axes, and how many rows it shows.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src '{}'; base-uri 'none'; form-action 'none'"
)
"""What a browser lets a page do: run its own script, known by its hash, and load nothing."""


def page(kind: str, title: str, data: dict[str, Any], packed: dict[str, Any] | None = None, **parts: Any) -> str:
    """A page as text: its template filled with parts.

    kind: the template, and what the script does. data: what the script works on. packed: more of it by name,
    compressed, for there is much of it.
    """
    from cnncost import __version__

    script = _text("page.js")
    return (
        _environment()
        .get_template(f"{kind}.html")
        .render(
            kind=kind,
            title=title,
            version=__version__,
            policy=POLICY.format(_hash(script)),
            style=_text("style.css"),
            script=script,
            data=script_json(data),
            packed={name: _packed(value) for name, value in (packed or {}).items()},
            **parts,
        )
    )


@cache
def _environment() -> Environment:
    """Templates, in which all values are escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

    def breakable(text: str) -> Markup:
        """A name that a line may end in behind its dots."""
        return Markup(escape(text).replace(".", Markup(".<wbr>")))

    loader = FileSystemLoader(os.path.join(os.path.dirname(__file__), "templates"))
    environment = Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["breakable"] = breakable
    return environment


@cache
def _text(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as f:
        return f.read()


def _hash(script: str) -> str:
    """A script as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def script_json(data: Any) -> str:
    """JSON that can stand in a <script>: nothing in it ends one, or begins a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _packed(data: Any) -> str:
    """Base64 of compressed JSON."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
