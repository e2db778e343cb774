"""Names of what is written: those of the graph where the language takes them, and each once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import takewhile

from cnncost.ops import MENU
from cnncost.spec.document import INPUT
from cnncost.spec.folding import Address
from cnncost.spec.marks import normalize
from cnncost.spec.outline import Path, Unit

NAME_AT_MOST = 60


class Unique:
    """Names that are legal and differ from each other."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = dict.fromkeys(taken, 1)  # how often each was wanted

    def new(self, wish: str) -> str:
        """The name that is wished for, or that with a number."""
        name = wish
        while name in self.taken:
            self.taken[wish] += 1
            name = f"{wish[: NAME_AT_MOST - 6]}_{self.taken[wish]}"
        self.taken[name] = 1
        return name


def legal(name: str) -> str:
    """A name that a layer can have."""
    name = re.sub(r"[^\w+#-]", "_", normalize(name))[:NAME_AT_MOST]
    return f"{name}_" if name == INPUT else name or "_"


def line_names(paths: dict[Address, Path], names: Unique) -> dict[Address, str]:
    """A name for each line: the first and the last parts of its path, as many as tell the lines apart.

    A group that holds most of the lines, like `features`, is left out, unless only a number would remain.
    """
    trunk = _trunk(list(paths.values()))
    ends = {line: _tail(path) for line, path in paths.items()}
    while True:
        short = {}
        for line, whole in paths.items():
            path = whole[len(trunk) :] if whole[: len(trunk)] == trunk != whole else whole
            short[line] = path if len(path) <= ends[line] + 1 else (path[0], *path[-ends[line] :])
        times = Counter(short.values())
        same = [line for line, path in short.items() if times[path] > 1 and ends[line] < len(paths[line])]
        if not same:
            break
        for line in same:
            ends[line] += 1
    numbered = {line for line, path in short.items() if path[0].isdecimal()}
    return {line: names.new(legal("_".join((*trunk[-1:], *path) if line in numbered else path)))
            for line, path in short.items()}  # fmt: skip


def _tail(path: Path) -> int:
    """How many parts of a path there are from its last word on: those after it are numbers."""
    return next((n for n, part in enumerate(reversed(path), 1) if not part.isdecimal()), len(path))


def _trunk(paths: list[Path]) -> Path:
    """The path of the groups that hold more than half of what is around them."""
    trunk: Path = ()
    while True:
        inside = [path for path in paths if path[: len(trunk)] == trunk and len(path) > len(trunk) + 1]
        group, n = Counter(path[len(trunk)] for path in inside).most_common(1)[0] if inside else ("", 0)
        if 2 * n <= len(paths):
            return trunk
        trunk = (*trunk, group)


def block_name(units: list[Unit]) -> str:
    """What units that are alike are called: the ops of a short one, else what their names have in common."""
    parts = units[0].parts
    if len(parts) <= 3 and all(part.node is not None for part in parts):
        return "_".join(part.node.op.key for part in parts if part.node).replace("batch_norm", "bn")
    named = [next((word for word in reversed(unit.path) if not word[0].isdecimal()), "block") for unit in units]
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*named))
    word = "".join(letters[0] for letters in same) if len(set(named)) > 1 else named[0].rstrip("0123456789")
    word = re.sub(r"(?<=[^\W\d_])\d+$", "", legal(word).strip("_+#-"))
    if len(word) < 2 or word in MENU or word[0].isdecimal():
        word = f"{word}_block" if word in MENU else "block"
    return word[: NAME_AT_MOST - 10]
