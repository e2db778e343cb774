"""A forward and a backward pass as eager PyTorch runs them: which storages are there, operator by operator.

Autograd holds on to what a call keeps until its gradient has been computed. The engine runs the
calls in the reverse of their order: their gradients exist before that of their output goes, and what
they kept goes after. A tensor that several calls take gets a gradient from each: the first waits,
the next are added to it, in place where nothing else holds it or shares its storage.

Under autocast a call that works in the low dtype casts its inputs and parameters first; casts of
parameters that learn are there until the forward pass ends, and as long as a call keeps them.

No branch here is on a size, so that one walk serves one network and arrays of design points alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from cnncost.analysis.books import Books, Store
from cnncost.analysis.memory import What
from cnncost.analysis.recorded import FULL, LEAF, LOW, PART, Cast, Gradient, Layer, Record, StopHereError, Value
from cnncost.dims import Size, decided
from cnncost.ops.tape import NOWHERE, OUTPUT, PARAMETERS, Call, Gives, Saved


class Autograd:
    """Runs layers forward, which leaves the records of their calls, and these backward.

    itemsize: bytes of an element of the parameters. autocast: whether calls are cast. accumulates:
    whether gradients of the parameters are there already, to which new ones are added.
    """

    def __init__(self, books: Books, itemsize: int, *, autocast: bool = False, accumulates: bool = False) -> None:
        self.books, self.itemsize, self.autocast, self.accumulates = books, itemsize, autocast, accumulates
        self.records: list[Record] = []
        self.keeping = True
        self._again: Iterator[Record] | None = None
        self._stop: Record | None = None
        self._learned: set[tuple[str, int]] = set()
        self._casts: dict[tuple[str, int], tuple[Cast, ...]] = {}

    # ---- forward ----------------------------------------------------------------------------------

    @contextmanager
    def without_keeping(self) -> Iterator[None]:
        """What runs here keeps nothing."""
        self.keeping = False
        yield
        self.keeping = True

    @contextmanager
    def again(self, records: Sequence[Record], stop: Record) -> Iterator[None]:
        """What runs here has run before, without keeping, and left these records. It ends with the call of `stop`."""
        self._again, self._stop = iter(records), stop
        with suppress(StopHereError):
            yield
        self._again = self._stop = None

    def run(self, layer: Layer, calls: Sequence[Call], inputs: Sequence[Value]) -> Value:
        """Run the calls of a layer on its inputs; returns its output, which the caller holds."""
        values = list(inputs)
        last = _last_uses(calls, len(inputs))
        for number, call in enumerate(calls, len(inputs)):
            self._forward(layer, number, call, values)
            for done in last.get(number, ()):
                self.release(values[done])
            if self._stop is not None and self._stop is values[-1].record:
                gone = {value for n, done in last.items() if n <= number for value in done}
                for value in range(len(inputs), len(values)):
                    if value not in gone:
                        self.release(values[value])
                raise StopHereError
        if not calls:
            self.hold(values[0])
        return values[-1] if calls else values[0]

    def parameter(self, layer: Layer, elements: Size) -> Value:
        """A parameter that layers take as an input."""
        value = Value(None, elements, self.itemsize)
        if layer.learns:
            value.record = Record(layer, LEAF, Call((), elements, ()), [], self.itemsize)
            self.records.append(value.record)
        return value

    def hold(self, value: Value) -> None:
        """Python holds a tensor once more."""
        if value.store is not None:
            value.store.holders += 1

    def release(self, value: Value) -> None:
        """Python holds a tensor once less."""
        if value.store is not None:
            self.books.drop(value.store)

    def forward_ends(self) -> None:
        """Casts of parameters go, but for those that calls keep."""
        for cast in (cast for casts in self._casts.values() for cast in casts):
            self.books.drop(cast.store)
        self._casts.clear()

    def _forward(self, layer: Layer, number: int, call: Call, values: list[Value]) -> None:
        """Run one call and append its output to `values`."""
        books, idle = self.books, list[Store]()
        learns = layer.learns and _any(call.learns)
        parameters: tuple[Cast, ...] = ()
        if self.autocast and call.cast == "low" and _any(call.learns):
            parameters = self._cast_parameters(layer, number, call, learns)
        seen, casts = self._cast_inputs(layer, call, values)
        wanted = [seen[i] if seen[i].record is not None else None for i in call.takes]
        itemsize = max([seen[i].itemsize for i in call.takes], default=self.itemsize)
        if call.cast == "mixed":
            itemsize = max(itemsize, self.itemsize)
        store = seen[call.into].store if call.into is not None else None
        if store is None or call.into is None:
            unmade = self._stop is not None and self._stops_before(layer, number, call)
            store = books.new(layer.name, "activation", 0 if unmade else call.out * itemsize)
        else:
            itemsize = seen[call.into].itemsize
            store.holders += 1
        out = Value(store, call.out, itemsize)
        values.append(out)
        seen = values if casts == [] else [*seen, out]
        record = None
        if learns or any(wanted):
            record = out.record = self._record(layer, number, call, wanted, itemsize, call.learns if learns else 0)
            record.casts = tuple(cast.record for cast in parameters if cast.record is not None)
        for kept in call.keeps:
            self._keep(record, kept, seen, itemsize, layer, learns, idle)
        together = any(kept.to is None for kept in call.keeps)  # gradients of inputs and parameters
        if parameters and record is not None and self.keeping and (together or any(wanted)):
            books.keep(parameters[-1].store, 1)
            record.kept.append((parameters[-1].store, 1))
        if not learns:
            idle += [cast.store for cast in parameters]
        books.look()
        for own in idle:
            books.drop(own)
        for value in casts:
            self.release(value)

    def _cast_inputs(self, layer: Layer, call: Call, values: list[Value]) -> tuple[list[Value], list[Value]]:
        """Values as a call sees them, and those of them that are cast, the last first."""
        if not self.autocast or call.cast not in ("low", "full"):
            return values, []
        size, seen, casts = LOW if call.cast == "low" else FULL, list(values), list[Value]()
        for i in dict.fromkeys(reversed(call.takes)):
            if values[i].itemsize != size:
                seen[i] = self._convert(layer, values[i], size)
                casts.append(seen[i])
        return seen, casts

    def _stops_before(self, layer: Layer, number: int, call: Call) -> bool:
        """Whether a call is the last to run again, and need not run itself: all that it keeps it takes."""
        stop = self._stop
        if stop is None or (stop.layer.name, stop.number) != (layer.name, number):
            return False
        return all(isinstance(kept.value, int) for kept in call.keeps)

    def _record(
        self, layer: Layer, number: int, call: Call, wanted: Sequence[Value | None], itemsize: int, learned: Size
    ) -> Record:
        """The record of a call: a new one, or that of the first time where the call runs again."""
        if self._again is not None:
            again = next(self._again)
            again.takes = wanted
            return again
        record = Record(layer, number, call, wanted, itemsize)
        record.learns = learned
        self.records.append(record)
        return record

    def _keep(
        self,
        record: Record | None,
        kept: Saved,
        values: Sequence[Value],
        itemsize: int,
        layer: Layer,
        any_learned: bool,
        idle: list[Store],
    ) -> None:
        """Keep a tensor for the backward pass, if it needs it. idle: gets what the call makes for nothing."""
        if isinstance(kept.to, int):
            needed = record is not None and values[record.call.takes[kept.to]].record is not None
        else:
            needed = {None: record is not None, PARAMETERS: any_learned, NOWHERE: False}[kept.to]
        needed = needed and self.keeping
        if kept.value is None:
            if not needed and kept.to not in (None, NOWHERE):
                return
            size = self.itemsize if kept.itemsize == PARAMETERS else kept.itemsize or itemsize
            what: What = "saved" if needed else "temporary"
            store = self.books.new(layer.name, what, kept.elements * size)
            if needed and record is not None:
                record.kept.append((store, 1))
            else:
                idle.append(store)
            return
        source = values[-1 if kept.value == OUTPUT else kept.value].store
        if needed and source is not None and record is not None:
            self.books.keep(source, kept.elements)
            if source.what == "activation":
                source.what = "saved"
            record.kept.append((source, kept.elements))

    def _convert(self, layer: Layer, value: Value, itemsize: int) -> Value:
        """A value in another dtype."""
        store = self.books.new(layer.name, "activation", value.elements * itemsize)
        made = Value(store, value.elements, itemsize)
        if value.record is not None:
            call = Call((0,), value.elements, (value.elements,))
            made.record = self._record(layer, -1, call, [value], value.itemsize, 0)
        return made

    def _cast_parameters(self, layer: Layer, number: int, call: Call, learns: bool) -> tuple[Cast, ...]:
        """The parameters of a call in the low dtype: biases, and factors. Casts of those that learn are made once."""
        key = (layer.owner, number)
        if key in self._casts:
            return self._casts[key]
        casts = []
        for part, elements in enumerate((call.learns - call.factors, call.factors)):
            if _any(elements):
                store, record = self.books.new(layer.owner, "cast weights", elements * LOW), None
                if learns:
                    made = Call((), elements, (), factors=part * elements)
                    record = self._record(layer, number + PART * part, made, [], self.itemsize, elements)
                casts.append(Cast(store, record))
        if learns:
            self._casts[key] = tuple(casts)
        return tuple(casts)

    # ---- backward ---------------------------------------------------------------------------------

    def seed(self, loss: Value) -> Store:
        """The gradient of the loss is there, held by the caller."""
        store = self.books.new("loss", "gradient", loss.elements * loss.itemsize)
        if loss.record is not None:
            store.holders += 1
            loss.record.gradient = Gradient(store, loss.itemsize)
        self.books.look()
        return store

    def backward(self, record: Record) -> None:
        """Compute the gradients of one call, and let go of what it kept."""
        books, call, gradient = self.books, record.call, record.gradient
        if gradient is None:
            return
        if record.number == LEAF:
            self._arrived(record, gradient)
            return
        made = [self._made(record, gradient, give, value) for give, value in zip(call.gives, record.takes)]
        temporary: Size = 0
        for elements, itemsize, to in call.work:
            if to is None or record.takes[to] is not None:
                temporary = temporary + elements * (itemsize or record.itemsize)
        books.look(temporary)
        for i, (value, new) in enumerate(zip(record.takes, made)):
            if value is not None and new is not None and new.itemsize != value.itemsize:
                made[i] = self._gradient(record.layer, value)
                books.look(temporary if _any(record.learns) else 0)
                self._release(new)
        learned = self._learn(record)
        books.look(temporary)
        record.gradient = None
        self._release(gradient)
        for store, kept in reversed(record.kept):
            books.unkeep(store, kept)
        record.kept.clear()
        for value, new in zip(record.takes, made):
            if value is not None and new is not None:
                self._send(record.layer, value, new)
        if record.layer.turned and not record.casts and _any(record.learns):
            before = books.new(record.layer.owner, "gradient", call.factors * self.itemsize)
            books.look()
            books.drop(before)
        if learned is not None:
            books.drop(learned)

    def _made(self, record: Record, gradient: Gradient, give: Gives, value: Value | None) -> Gradient | None:
        """The gradient of a value that a call takes."""
        if value is None:
            return None
        if not isinstance(give, str):
            size = give * record.itemsize
            return Gradient(self.books.new(record.layer.name, "gradient", size), record.itemsize)
        if give == "same":
            gradient.uses += 1
            return gradient
        gradient.store.holders += 1
        return Gradient(gradient.store, gradient.itemsize, alone=False)

    def _learn(self, record: Record) -> Store | None:
        """Make the gradients of a call's parameters; returns what is to be let go once they are added to others."""
        if not _any(record.learns):
            return None
        if record.casts:
            self._learn_casts(record)
            return None
        place = (record.layer.owner, record.number)
        first = place not in self._learned and not self.accumulates
        self._learned.add(place)
        what: What = "parameter gradient" if first else "gradient"
        store = self.books.new(record.layer.owner, what, record.learns * self.itemsize)
        return None if first else store

    def _arrived(self, record: Record, gradient: Gradient) -> None:
        """The gradient of a parameter is its own, or a copy where something else holds it."""
        if self.accumulates:
            self._release(gradient)
        elif gradient.uses == 1:
            self.books.turn(gradient.store, "parameter gradient")
        else:
            self.books.new(record.layer.name, "parameter gradient", record.call.out * self.itemsize)
            self.books.look()
            self._release(gradient)

    def _learn_casts(self, record: Record) -> None:
        """Make the gradients of the parameters' casts, which these turn into those of the parameters."""
        for cast in record.casts:
            store = self.books.new(record.layer.owner, "gradient", cast.learns * LOW)
            if cast.gradient is None:
                cast.gradient = Gradient(store, LOW)
            else:
                self.books.look()
                self.books.drop(store)

    def _gradient(self, layer: Layer, value: Value) -> Gradient:
        """A new gradient of a value."""
        store = self.books.new(layer.name, "gradient", value.elements * value.itemsize)
        return Gradient(store, value.itemsize)

    def _send(self, layer: Layer, value: Value, new: Gradient) -> None:
        """Add a gradient to what there is of a value's so far."""
        target = value.record
        if target is None:
            return
        old = target.gradient
        if old is None:
            target.gradient = new
            return
        if old.uses == 1 and old.alone:
            self.books.look()
        else:
            target.gradient = self._gradient(layer, value)
            self.books.look()
            self._release(old)
        self._release(new)

    def _release(self, gradient: Gradient) -> None:
        gradient.uses -= 1
        if not gradient.uses:
            self.books.drop(gradient.store)


def _any(elements: Size) -> bool:
    """Whether there is something; of arrays that are not, at some sizes at least, see `decided`."""
    return bool(decided(elements != 0, True))


def _last_uses(calls: Sequence[Call], inputs: int) -> dict[int, list[int]]:
    """For each call of a layer, by its output's number, the values inside the layer that it is the last to take."""
    if len(calls) < 2:
        return {}
    last = {number: number for number in range(inputs, inputs + len(calls) - 1)}
    for number, call in enumerate(calls, inputs):
        for taken in call.takes:
            if taken in last:
                last[taken] = number
    found: dict[int, list[int]] = {}
    for value, number in last.items():
        found.setdefault(number, []).append(value)
    return found
