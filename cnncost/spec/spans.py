"""What each line of a spec became, by path, also inside copies of blocks, which are not expanded line by line."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """What a line became: a range of nodes and the one of its output, and what it took. Enough to run it again."""

    start: int
    end: int
    output: str
    inputs: tuple[str, ...]


class Spans:
    """Spans by path. A copy is noted as a whole; what is inside it is found in its original."""

    def __init__(self) -> None:
        self.own: dict[str, Span] = {}
        self.originals: dict[str, str] = {}

    def __setitem__(self, path: str, span: Span) -> None:
        self.own[path] = span

    def copied(self, source: str, path: str) -> None:
        """Note that what is under `path` is a copy of what is under `source`."""
        self.originals[path] = self._original(source)[0]

    def get(self, path: str) -> Span | None:
        """The span of a layer, block or repeat; None where there is none."""
        if path in self.own:
            return self.own[path]
        original, copies = self._original(path)
        span = self.own.get(original)
        for copy in reversed(copies):
            if span is not None:
                span = self._moved(span, copy)
        return span

    def beside(self, path: str) -> list[str]:
        """Paths in the block that this one would be in, for hints."""
        block, _, name = path.rpartition(".")
        if not name or not block:
            return []
        original = self._original(block)[0]
        found = [block + inner[len(original) :] for inner in self.own if inner.startswith(f"{original}.")]
        return found or self.beside(block)

    def _original(self, path: str) -> tuple[str, list[str]]:
        """The path that was expanded line by line, and the copies on the way to it."""
        copies = []
        while self.originals:
            copy = path
            while copy and copy not in self.originals:
                copy = copy.rpartition(".")[0]
            if not copy:
                break
            copies.append(copy)
            path = self.originals[copy] + path[len(copy) :]
        return path, copies

    def _moved(self, span: Span, copy: str) -> Span:
        """A span inside the original as it is inside a copy."""
        source = self.originals[copy]
        was, now = self.own[source], self.own[copy]
        given = dict(zip(was.inputs, now.inputs))

        def renamed(name: str) -> str:
            return copy + name[len(source) :] if name.startswith(f"{source}.") else given.get(name, name)

        shift = now.start - was.start
        return Span(span.start + shift, span.end + shift, renamed(span.output), tuple(map(renamed, span.inputs)))
