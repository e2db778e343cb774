"""Blocks of documents, and commands in them with what they print: compared by tests, and written anew by

python tests/documents.py docs/check.md
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), flags=re.S | re.M)


def split(block: str) -> list[tuple[str, str]]:
    """(command, output as shown) of a console block."""
    parts = [part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.M)[1:]]
    return [(command, output) for command, _, output in parts]


def commands(document: Path) -> list[tuple[str, str]]:
    """(command, output as shown) of every console block."""
    return [pair for block in blocks(document, "console") for pair in split(block)]


def printed(command: str) -> str:
    """What a command prints in the folder of the project, both streams; `cnncost` is that of this interpreter."""
    line = command.replace("cnncost", f"{sys.executable} -m cnncost", 1)
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    return done.stdout + done.stderr


def filled(document: Path) -> str:
    """The document with what its commands print now."""

    def shown(match: re.Match[str]) -> str:
        return "```console\n" + "".join(f"$ {name}\n{printed(name)}" for name, _ in split(match[1])) + "```"

    text = document.read_text(encoding="utf-8")
    return re.sub(r"^```console\n(.*?)^```", shown, text, flags=re.S | re.M)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(filled(Path(name)), encoding="utf-8")
