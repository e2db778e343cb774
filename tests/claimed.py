"""A network to make claims about."""

from __future__ import annotations

from specs import faults

from cnncost.analysis.claims import Verification, verify
from cnncost.spec.document import read_document
from cnncost.spec.files import Source

NET = """
paper: a paper
input: 3x20x15
parameters: {classes: 7, width: 10}
blocks:
  pair:
    parameters: [out]
    layers:
      a: {conv: out, kernel: 3, padding: 1}
      b: {conv: out, kernel: 3, padding: 1, bias: false}
layers:
  stem: {conv: width, kernel: [5, 3], stride: 2}
  one: {pair: width}
  sum: {add: [one, stem]}
  two: {pair: 2 * width}
  pool: global_avg_pool
  flatten: flatten
  fc: {linear: classes}
"""


def claimed(*lines: str, net: str = NET) -> Verification:
    """The verdicts on claims about NET."""
    text = net + "claims:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    assert faults(text) == []
    return verify(read_document(Source(text, "net.yaml", None, False)))
