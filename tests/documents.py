"""Console blocks of documents: commands with what they print, compared by tests and written anew by

python tests/documents.py docs/check.md
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```console\n(.*?)^```", re.S | re.M)


def commands(document: Path) -> list[tuple[str, str]]:
    """(command, output as shown) of every console block."""
    parts = [part for block in BLOCK.findall(document.read_text()) for part in re.split(r"^\$ ", block, flags=re.M)[1:]]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def printed(command: str) -> str:
    """What a command prints in the folder of the project, both streams; `cnncost` is that of this interpreter."""
    line = command.replace("cnncost", f"{sys.executable} -m cnncost", 1)
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    return done.stdout + done.stderr


def filled(document: Path) -> str:
    """The document with what its commands print now."""

    def block(match: re.Match[str]) -> str:
        names = [part.partition("\n")[0] for part in re.split(r"^\$ ", match[1], flags=re.M)[1:]]
        return "```console\n" + "".join(f"$ {name}\n{printed(name)}" for name in names) + "```"

    return BLOCK.sub(block, document.read_text())


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(filled(Path(name)))
