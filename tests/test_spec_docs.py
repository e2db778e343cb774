"""docs/spec.md: every example loads, and the table of ops is what the classes say.

`python tests/test_spec_docs.py` writes the table anew.
"""

from __future__ import annotations

import re

import pytest
from documents import ROOT, blocks
from specs import net, wires

import cnncost
from cnncost.ops import MENU
from cnncost.spec.budget import KEYS
from cnncost.spec.document import ABOUT, COMMON, TOP
from cnncost.spec.expr import SIZES
from cnncost.spec.functions import FUNCTIONS
from cnncost.spec.schema import op_table

FILE = ROOT / "docs" / "spec.md"
EXAMPLES = blocks(FILE, "yaml")
TABLE = re.compile(r"(<!-- ops: .*? -->\n).*?(<!-- end of ops -->)", re.DOTALL)


def text() -> str:
    return FILE.read_text(encoding="utf-8")


def with_table(document: str) -> str:
    return TABLE.sub(lambda match: match[1] + op_table() + match[2], document)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(example: str) -> None:
    assert cnncost.analyze(net(example)).total.params > 0


def test_what_the_text_says_of_the_examples() -> None:
    first, joins, block, _, excite, attention, residual, extends, reuse, _ = map(net, EXAMPLES)
    assert len(first) == 10
    assert wires(joins)[-1] == "sum: add(project, input)"
    assert wires(block)[-1] == "skip: relu(a.conv)"
    assert excite.shapes["se.scale"] == (1, 64, 28, 28)
    assert cnncost.analyze(excite).total.macs == 2 * 64 * (64 // 8)
    heads, tokens, width = 4, 196, 64
    assert attention.shapes["scores"] == (1, heads, tokens, tokens)
    assert cnncost.analyze(attention).total.macs == 4 * tokens * width**2 + 2 * tokens**2 * width
    assert residual.shapes["stage1.0.add"] == (1, 16, 64, 64)
    assert [name for name in residual.shapes if name.endswith("shortcut")] == ["stage1.0.shortcut", "stage2.0.shortcut"]
    names = list(extends.shapes)
    assert "norm1" not in names
    assert names[names.index("pool5") + 1] == "drop5"
    assert cnncost.analyze(reuse).total.params == 16 * 3 * 3**2 + 16


def test_the_table_of_ops_is_up_to_date() -> None:
    assert with_table(text()) == text(), "python tests/test_spec_docs.py writes it anew"


def test_nothing_is_left_out() -> None:
    said = text()
    missing = [word for word in (*ABOUT, *TOP, *COMMON, *KEYS, "after", "op") if f"`{word}" not in said]
    missing += [name for name in FUNCTIONS if f"`{name}(" not in said]
    missing += [name for name in SIZES if f".{name}`" not in said]
    missing += [key for key in MENU if f"| `{key}` |" not in said]
    assert missing == []


if __name__ == "__main__":
    FILE.write_text(with_table(text()), encoding="utf-8")
