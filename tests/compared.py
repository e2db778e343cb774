"""Three small networks to compare, as files."""

from __future__ import annotations

from pathlib import Path

NARROW = """\
name: Narrow
year: 2001
family: wedge
input: 3x7x9
parameters: {out: 5}
layers:
  conv: {conv: out, kernel: 3, bias: false}
  relu: relu
  pool: {global_avg_pool, keep: false}
  fc: {linear: 2, bias: false}
facts:
  - {top1_error: 31.5, top5_error: 9.25, dataset: ILSVRC-2012 validation, crops: 10, source: table 1}
  - {top1_error: 33, top5_error: 10.5, dataset: ILSVRC-2012 validation, source: table 1}
  - {top1_error: 28.1, top5_error: 8.0, dataset: ILSVRC-2012 validation, models: 7, crops: 144, source: table 2}
  - {training_time: 5 to 6 days, source: section 5}
"""
WIDE = """\
extends: narrow
name: Wide
year: 2003
parameters: {out: 50}
facts:
  - {error: 7.25, dataset: CIFAR-10 test, source: table 3}
"""
FIXED = "name: Fixed\ninput: 1x28x28\nlayers: {conv: {conv: 4, kernel: 5}}\n"


def written(folder: Path) -> Path:
    """The networks in a folder."""
    for name, text in (("narrow", NARROW), ("wide", WIDE), ("fixed", FIXED)):
        (folder / f"{name}.yaml").write_text(text)
    return folder
