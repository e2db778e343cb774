"""Progress of work on many things."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

PATIENCE = 1.0
"""Seconds after which progress is shown."""


class Progress:
    """A bar on standard error once it takes longer than a second, where that is a terminal; gone when done."""

    def __init__(self, what: str = "networks") -> None:
        self.what = what
        self.start = monotonic()
        self.wanted = sys.stderr is not None and sys.stderr.isatty()
        self.bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        if not self.wanted or monotonic() - self.start < PATIENCE:
            return
        if self.bar is None:
            from rich.console import Console
            from rich.progress import Progress as Bar

            self.bar = Bar(console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.what, total=total)
        self.bar.update(self.task, completed=done)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
