"""Watches a forward pass: every operator that PyTorch dispatches becomes a record, with real edges.

Values are followed by tensor and by storage: what is written through a view is later read through
all of them, so that in-place operators have the edges that their results have. Tensors are held
weakly: a storage goes when the model lets go of it, and the record that made it notes when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, UnsupportedOperatorException
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.weak import WeakTensorKeyDictionary

from cnncost.analysis.layout import copies
from cnncost.dims import Shape
from cnncost.errors import SpecError, UsageError
from cnncost.live.operators import rule_of
from cnncost.live.operators.base import OUTPUTS, Call, Layer, UnknownCostError
from cnncost.live.places import Place
from cnncost.ops.base import Op
from cnncost.ops.seen import OPAQUE, Fed, Seen, in_place


class TraceError(UsageError):
    """A model that cannot be traced."""


class RuleError(Exception):
    """A rule that says something else than what PyTorch did: a fault of cnncost, not of the model."""


@dataclass
class Record:
    """One operator as it ran. params: the records of what the op calls its own parameters. operator: PyTorch's name."""

    op: Op
    inputs: tuple[Record, ...]
    shape: Shape
    place: Place
    params: tuple[Record, ...] = ()
    operator: str = ""
    tensor: torch.Tensor | None = None
    """The parameter or buffer that this is, or shows whole under another shape."""
    name: str | None = None
    """The input's, where this is one."""
    for_later: bool = False
    """Whether it only writes to what the model keeps for another time: statistics, counters."""
    until: int | None = None
    """Where it made a storage: the number of the last record made while that was held, of all records for one left."""
    itemsize: int | None = None
    """Bytes of an element, of what is no floating point number."""
    copied: tuple[int, ...] = ()
    """Which of the inputs the operator copied, for they did not lie as it takes them."""

    @property
    def learned(self) -> torch.nn.Parameter | None:
        """The parameter of the model that this is, or shows whole under another shape."""
        return self.tensor if isinstance(self.tensor, torch.nn.Parameter) else None


@dataclass
class _Storage:
    """What is in a storage: the record that last wrote to it, and how often it was written to."""

    base: Record
    last: Record
    size: int
    held: StorageWeakRef
    version: int = 0

    @property
    def gone(self) -> bool:
        return bool(self.held.expired())  # type: ignore[no-untyped-call]


@dataclass
class _Ref:
    record: Record
    version: int
    storage: _Storage = field(repr=False)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs operators on fake tensors and records them.

    place: what a record's place is, asked when it is made. allow_unknown: operators without a rule
    become opaque.
    """

    def __init__(self, model: torch.nn.Module, place: Callable[[], Place], *, allow_unknown: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.place, self.allow_unknown = place, allow_unknown
        self._parameters = {p.untyped_storage()._cdata: p for p in model.parameters() if not is_lazy(p)}
        self.records: list[Record] = []
        self._refs: Any = WeakTensorKeyDictionary()
        self._storages: dict[int, _Storage] = {}
        """By address, which no other storage gets as long as there is a weak reference to this one."""
        self._passing: dict[int, _Storage] = {}
        """Those that the model does not hold for good."""
        self._fakes: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    # ---- tensors and what they hold --------------------------------------------------------------

    def fake(self, real: torch.Tensor) -> torch.Tensor:
        """The fake that stands for a parameter, a buffer or a constant of the model."""
        if id(real) not in self._fakes:
            made = torch.empty_strided(real.shape, real.stride(), dtype=real.dtype, device="cpu")
            self._fakes[id(real)] = (real, made)
            self.bind(made, self._append(self._held(real)))
        return self._fakes[id(real)][1]

    def _held(self, real: torch.Tensor) -> Record:
        """The record of a tensor of the model; what shows a parameter whole (`p.data`) is that parameter."""
        shape, elements = tuple(real.shape), real.numel()
        owner = self._parameters.get(real.untyped_storage()._cdata, real)
        if not isinstance(real, torch.nn.Parameter) and owner.numel() == real.numel():
            real = owner
        if isinstance(real, torch.nn.Parameter):
            return Record(Seen("parameter", shape, other_params=elements), (), shape, self.place(), tensor=real)
        op = Seen("buffer", shape, buffers=elements * real.is_floating_point())
        return Record(op, (), shape, self.place(), tensor=real)

    def bind(self, tensor: torch.Tensor, record: Record) -> None:
        """Say that a tensor holds what a record made."""
        where = tensor.untyped_storage()
        storage = self._storages.get(where._cdata)
        if storage is None:
            storage = _Storage(record, record, where.nbytes(), StorageWeakRef(where))  # type: ignore[no-untyped-call]
            self._storages[where._cdata] = storage
            if record.tensor is None:
                self._passing[where._cdata] = storage
            if not tensor.is_floating_point():
                record.itemsize = tensor.element_size()
        self._refs[tensor] = _Ref(record, storage.version, storage)

    def write(self, tensor: torch.Tensor, record: Record) -> None:
        """Say that a record wrote to a tensor in place: all other views of its storage now hold something else."""
        storage = self._refs[tensor].storage
        if tensor.numel() * tensor.element_size() != storage.size and record.shape != storage.base.shape:
            op = Seen("update", storage.base.shape, view=True)
            before = storage.last if storage.last.shape == storage.base.shape else storage.base
            storage.last = self._append(Record(op, (before, record), op.shape(), record.place))
        else:
            storage.last = record
        storage.version += 1
        self._refs[tensor] = _Ref(record, storage.version, storage)

    def read(self, tensor: torch.Tensor) -> Record:
        """The record of what a tensor holds now."""
        ref: _Ref | None = self._refs.get(tensor)
        if ref is None:  # made where no mode watches
            op = Seen("constant", tuple(tensor.shape))
            record = self._append(Record(op, (), op.shape(), self.place()))
            self.bind(tensor, record)
            return record
        if ref.version < ref.storage.version:
            last, shape = ref.storage.last, tuple(tensor.shape)
            if last.shape != shape:
                last = self._append(Record(Seen("view", shape, view=True), (last,), shape, self.place()))
            ref.record, ref.version = last, ref.storage.version
        return ref.record

    def is_buffer(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is one that the model holds and does not learn."""
        record = self.read(tensor)
        return record.tensor is not None and record.learned is None

    def bury(self) -> None:
        """Note the storages that nothing holds any more."""
        for where, storage in [item for item in self._passing.items() if item[1].gone]:
            storage.base.until = len(self.records) - 1
            del self._passing[where], self._storages[where]

    def finish(self) -> None:
        """Note the storages that are left when the model has run."""
        self.bury()
        for storage in self._passing.values():
            storage.base.until = len(self.records)

    # ---- records ---------------------------------------------------------------------------------

    def _append(self, record: Record) -> Record:
        self.records.append(record)
        return record

    def emit(self, layer: Layer, call: Call, shape: Shape | None) -> Record:
        """Append the record of a layer; of layers inside layers first. shape: what came out, to be agreed with."""
        inputs = tuple(self.emit(i, call, None) if isinstance(i, Layer) else self.read(i) for i in layer.inputs)
        if not layer.choices:
            return inputs[0]
        shapes = tuple(i.shape for i in inputs)
        op, found = fitting(layer, shapes, shape, call)
        params = tuple(self.read(p) for p in layer.params if p is not None)
        if any(p.learned is None for p in params):
            op, inputs, params = Fed(op, len(inputs)), (*inputs, *params), ()
        record = Record(op, inputs, found, self.place(), params, call.name)
        record.copied = tuple(i for i, t in enumerate(layer.inputs) if is_copied(op, t))
        if op.view and len(inputs) == 1 and prod(found) == prod(shapes[0]):
            record.tensor = inputs[0].tensor
        return self._append(record)

    # ---- dispatch --------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim" or func in PLAIN:
            return func(*args, **kwargs)
        self.bury()
        if func in LOOKS and has_values(args[0]):
            with _disable_current_modes():  # a number that the model holds
                return func(*args)
        if func in LIFTS and has_values(args[0]):  # torch.tensor(...), whose numbers PyTorch keeps
            lifted = func(*args)
            self.read(lifted)
            return lifted
        call = Call(func, *self._faked(args, kwargs), self)
        rule = rule_of(call)
        if rule is None and call.decomposes:
            with self:
                return func.decompose(*call.args, **call.kwargs)
        try:
            call.out = func(*call.args, **call.kwargs)
        except UnsupportedOperatorException:
            if call.name not in OUTPUTS:
                raise unknown(call, "PyTorch does not know the shape of its output") from None
            call.out = call.first.new_empty(OUTPUTS[call.name](call))
        if not call.outs:
            return call.out
        if rule is None and not self.allow_unknown:
            raise unknown(call)
        try:
            self._record(call, opaque if rule is None else rule)
        except UnknownCostError as e:
            if not self.allow_unknown:
                raise unknown(call, str(e), ALLOW) from None
            self._record(call, opaque)
        except Exception as e:
            raise RuleError(f"the rule of {call.name} fails on {call.shown()}: {e}") from e
        return call.out

    def _record(self, call: Call, rule: Callable[[Call], Any]) -> None:
        """Append the records of an operator that has run, and say which tensor holds which."""
        outs = call.outs
        for_later = bool(call.mutated) and all(map(self.is_buffer, call.mutated))
        made = rule(call)
        layers = made if isinstance(made, list) else [made]
        before = len(self.records)
        records = {layer.output: self.emit(layer, call, tuple(outs[layer.output].shape)) for layer in layers}
        main = records.get(0)
        # An operator that does nothing, such as dropout_ outside training, passes an older record on.
        own = any(main is record for record in self.records[before:])
        if main is not None and own and call.inplace and not main.op.shares_storage:
            main.op = in_place(main.op, main.shape, *(i.shape for i in main.inputs))
        if main is not None and for_later:
            main.for_later, main.tensor = True, self.read(call.mutated[0]).tensor
        for i, out in enumerate(outs):
            if i not in records:
                shape = tuple(out.shape)
                beside = Seen("output", shape, text=f"output {i} of {call.name}", view=True)
                records[i] = self._append(Record(beside, (main,) if main else (), shape, self.place()))
            if any(out is t for t in call.mutated):
                self.write(out, records[i])
            else:
                self.bind(out, records[i])

    def _faked(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Arguments with fakes in place of the model's tensors, and the CPU in place of the meta device."""
        flat, spec = tree_flatten((args, kwargs))
        for i, value in enumerate(flat):
            if isinstance(value, torch.Tensor):
                if value not in self._refs and not isinstance(value, FakeTensor):
                    flat[i] = self.fake(value)
            elif isinstance(value, torch.device) and value.type != "cpu":
                flat[i] = torch.device("cpu")
        faked: tuple[Any, Any] = tree_unflatten(flat, spec)
        return faked


PLAIN = {torch.ops.aten.sym_size.int, torch.ops.aten.sym_numel.default, torch.ops.aten.is_same_size.default}
"""Operators that make no tensor."""
LOOKS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.item.default, torch.ops.aten.is_nonzero.default}
"""Operators that make a Python number of a tensor."""
LIFTS = {torch.ops.aten.lift_fresh.default, torch.ops.aten.lift_fresh_copy.default}
"""Operators that bring a tensor of plain numbers in."""


def is_copied(op: Op, given: Any) -> bool:
    """Whether an operator copies what it is given, for it does not lie as the operator takes it."""
    lying = isinstance(given, torch.Tensor) and not given.is_contiguous()
    return lying and not op.view and copies(op, (), tuple(given.shape), given.stride())


def has_values(tensor: torch.Tensor) -> bool:
    """Whether a tensor is one of the model's, with numbers in it."""
    return not isinstance(tensor, FakeTensor) and tensor.device.type != "meta"


ALLOW = "--allow-unknown counts it as nothing and says so"


def unknown(call: Call, reason: str | None = None, hint: str | None = None) -> TraceError:
    """The error for an operator without a rule, or of which PyTorch itself does not know enough."""
    if reason is not None:
        return TraceError(f"{call.func._schema.name} called on {call.shown()}: {reason}", hint=hint)
    return TraceError(
        f"no rule says what {call.func._schema.name} costs, called on {call.shown()}",
        hint=f"{ALLOW}; CONTRIBUTING.md shows how to add a rule",
    )


def opaque(call: Call) -> Layer:
    """The layer of an operator of which nothing is known but its shapes."""
    return Layer(Seen(OPAQUE, call.y, text=f"{OPAQUE} {call.name}"), call.tensors)


def fitting(layer: Layer, shapes: tuple[Shape, ...], shape: Shape | None, call: Call) -> tuple[Op, Shape]:
    """The first of a layer's ops that takes these inputs and gives this shape, which the last one must do."""
    found = None
    for choice in layer.choices:
        try:
            op = choice if isinstance(choice, Op) else choice()
            found = op.shape(*shapes)
        except SpecError:
            continue
        if shape is None or found == shape:
            return op, found
    raise RuleError(f"the rule of {call.name} gives {found} for {call.shown()}, PyTorch {shape}")
