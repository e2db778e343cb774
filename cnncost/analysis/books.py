"""Books of storages: what is alive, what was, and the highest point of every step."""

from __future__ import annotations

from collections.abc import Iterator

from cnncost.analysis.memory import LASTING, Held, Phase, Step, What, highest
from cnncost.dims import Size, is_array, larger


class Store:
    """One storage. holders: tensors that hold it. parts: bytes held at some sizes only, by what keeps them.

    born, died: ticks of the books; None where it is alive.
    """

    __slots__ = ("born", "bytes", "died", "holders", "name", "parts", "what")

    def __init__(self, name: str, what: What, size: Size, born: int) -> None:
        self.name, self.what, self.bytes, self.born = name, what, size, born
        self.died: int | None = None
        self.holders = 1
        self.parts: list[Size] = []

    @property
    def any(self) -> bool:
        """Whether there is something of it, at some sizes at least."""
        return is_array(self.bytes) or self.bytes != 0


class Books:
    """Storages come and go; after each operator one looks at what is alive. A tick passes with every look.

    alive: bytes that are. lasts: those of them that are no activations. activations: the most bytes
    alive at once without these.
    """

    def __init__(self) -> None:
        self.alive: Size = 0
        self.lasts: Size = 0
        self.tick = 0
        self.stores: list[Store] = []
        self.steps: list[Step] = []
        self.activations: Size = 0
        self._tops: list[tuple[int, Size]] = []
        self._top: Size = 0
        self._top_at: tuple[int, Size] = (0, 0)

    def new(self, name: str, what: What, size: Size) -> Store:
        """A storage that one tensor holds."""
        store = Store(name, what, size, self.tick)
        self.stores.append(store)
        self.alive = self.alive + size
        if what in LASTING:
            self.lasts = self.lasts + size
        return store

    def turn(self, store: Store, what: What) -> None:
        """A storage that lasts from here on."""
        store.what = what
        self.lasts = self.lasts + store.bytes

    def keep(self, store: Store, kept: Size) -> None:
        """One more holds a storage, where `kept` is not 0."""
        if type(kept) is int:
            store.holders += kept != 0
        else:
            store.parts.append((kept != 0) * store.bytes)

    def unkeep(self, store: Store, kept: Size) -> None:
        """The reverse of `keep`; parts go in the reverse of their order, too."""
        if type(kept) is int:
            if kept:
                self.drop(store)
            return
        before = highest(store.parts)
        store.parts.pop()
        if not store.holders:
            self._less(store, before)

    def drop(self, store: Store) -> None:
        """One tensor less holds a storage."""
        store.holders -= 1
        if not store.holders:
            self._less(store, store.bytes)

    def _less(self, store: Store, before: Size) -> None:
        """No tensor holds all of a storage."""
        gone = before - highest(store.parts)
        self.alive = self.alive - gone
        if store.what in LASTING:
            self.lasts = self.lasts - gone
        if not store.parts:
            store.died = self.tick

    def look(self, temporary: Size = 0) -> None:
        """Note what is alive, with so many bytes more for a moment."""
        alive = self.alive + temporary
        own = alive - self.lasts
        if isinstance(alive, int) and isinstance(self._top, int):
            if alive > self._top:
                self._top, self._top_at = alive, (self.tick, temporary)
        else:
            self._top = larger(self._top, alive)
        if not isinstance(own, int) or not isinstance(self.activations, int):
            self.activations = larger(self.activations, own)
        elif own > self.activations:
            self.activations = own
        self.tick += 1

    def step(self, layer: str, phase: Phase) -> None:
        """A layer has run: since the step before, this was its highest point."""
        if self._top_at[0] == self.tick:  # there was no operator
            self.look()
        self.steps.append(Step(layer, phase, self._top, self.alive, self._top_at[1]))
        self._tops.append(self._top_at)
        self._top, self._top_at = 0, (self.tick, 0)

    def held_now(self) -> Iterator[Held]:
        """What is alive."""
        return (Held(store.name, store.what, store.bytes) for store in self.stores if store.died is None and store.any)

    def held_at(self, step: int) -> Iterator[Held]:
        """What is alive at the highest point of a step, by index."""
        tick, temporary = self._tops[step]
        for store in self.stores:
            if store.any and store.born <= tick and (store.died is None or store.died > tick):
                yield Held(store.name, store.what, store.bytes)
        if temporary:
            yield Held(self.steps[step].layer, "temporary", temporary)
