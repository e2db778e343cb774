"""Small specs that stand for very much: each is refused before it takes the machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cnncost


def doubling(depth: int, leaf: str) -> str:
    blocks = "".join(f"  b{i + 1}: {{layers: {{x: b{i}, y: b{i}}}}}\n" for i in range(depth))
    return f"input: 3x8x8\nblocks:\n  b0: {{layers: {{x: {leaf}}}}}\n{blocks}layers:\n  a: b{depth}\n"


BOMBS = {
    "100,000 brackets": "input: " + "[" * 100_000,
    "100,000 braces": "input: " + "{a: " * 100_000,
    "100,000 indentations": "\n".join(" " * i + "a:" for i in range(2_000)),
    "100,000 parentheses": "input: 3x8x8\nlayers: {a: {conv: '" + "(" * 100_000 + "'}}",
    "400 minus signs": "input: 3x8x8\nlayers: {a: {conv: '" + "-" * 400 + "1'}}",
    "billion laughs": "parameters:\n  a0: &a0 [1]\n"
    + "".join(f"  a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(9)),
    "2^30 layers by doubling": doubling(30, "relu"),
    "2^30 layers with long names": doubling(30, "relu").replace("x:", "x" * 60 + ":").replace("y:", "y" * 60 + ":"),
    "a name of a million letters": "input: 3x8x8\nlayers:\n  ? " + "a" * 1_000_000 + "\n  : {relu: , repeat: 50000}\n",
    "2^30 absent layers by doubling": doubling(30, "{relu: , if: false}"),
    "1000 x 1000 x 1000": "input: 3x8x8\nblocks:\n  a: {layers: {x: {relu: , repeat: 1000}}}\n"
    "  b: {layers: {x: {a: , repeat: 1000}}}\nlayers:\n  c: {b: , repeat: 1000}\n",
    "1000 x 1000 x 1000 absent": "input: 3x8x8\nblocks:\n  a: {layers: {x: {relu: , if: false, repeat: 1000}}}\n"
    "  b: {parameters: [n], layers: {x: {a: , repeat: 1000}}}\nlayers:\n  c: {b: i, repeat: 1000}\n",
    "channels that double": "input: 3x8x8\nblocks:\n  a: {layers: {x: {concat: [input, input]}}}\n"
    "layers:\n  c: {a: , repeat: 40000}\n",
    "reuse of reuse": "input: 3x8x8\nlayers:\n  a0: relu\n"
    + "".join(f"  a{i + 1}: {{reuse: a{i}, repeat: 100}}\n" for i in range(9)),
    "reuse of reuse of absent layers": "input: 3x8x8\nblocks: {a: {layers: {x: {relu: , if: false}}}}\n"
    "layers:\n  a0: a\n" + "".join(f"  a{i + 1}: {{reuse: a{i}, repeat: 100}}\n" for i in range(9)),
    "10^10^10": "input: 3x8x8\nlayers: {a: {conv: 10 ** 10 ** 10}}",
    "multiplied to the end": "input: 3x8x8\nlayers: {a: {conv: " + " * ".join(["9 ** 19"] * 30) + "}}",
    "a long word for an op": "input: 3x8x8\nlayers: {a: " + "relu" * 100_000 + "}",
    "200,000 values": "input: 3x8x8\nlayers: {a: {conv: [" + "1, " * 250_000 + "1]}}",
    "60,000 layers in a row": "input: 3x8x8\nlayers:\n" + "".join(f"  a{i}: relu\n" for i in range(60_000)),
    "a fault at the end of a long file": "input: 3x8x8\nlayers:\n"
    + "".join(f"  a{i}: {{conv: 8, kernel: 3}}\n" for i in range(1_500))
    + "  a: {",
}
CHILD = """
import resource, sys
import cnncost.api, cnncost.spec.expand, cnncost.spec.files
resource.setrlimit(resource.RLIMIT_AS, (200 * 2**20, 200 * 2**20))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
try:
    cnncost.load(sys.argv[1])
except cnncost.CnncostError as e:
    print(str(e)[:300])
"""


@pytest.mark.parametrize("name", BOMBS)
def test_bomb(name: str, folder: Path) -> None:
    """Every bomb is defused within 200 MB of address space and bounded work, in a process of its own.

    Each takes a fraction of a second; what is not bounded is killed.
    """
    Path("net.yaml").write_text(BOMBS[name])
    package = str(Path(cnncost.__file__).parent.parent)
    run = subprocess.run(
        [sys.executable, "-c", CHILD, "net.yaml"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": package},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert re.match(r"net\.yaml:\d+:\d+: ", run.stdout)
