"""What every op is, and the shared manners of the families.

An op is one class: its fields are the options of the language, its methods the facts. To add one,
see CONTRIBUTING.md. Every formula takes shapes with the batch first (N x C x ...) and counts the
whole batch. `y` is the output shape, `x` the input shape, or `*x` where there are several.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from cnncost.cost import Cost, Operations
from cnncost.dims import At, Shape, Size, Window, decided, is_array, numel
from cnncost.errors import OptionError
from cnncost.ops.keeping import Kept, Temporary
from cnncost.ops.tape import OUTPUT, PARAMETERS, Call, Cast, Gives, Saved
from cnncost.options import kind_of

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:  # noqa: D103
        return lambda decorator: decorator


T = TypeVar("T")
EXAMPLES = {
    "out": "64",
    "kernel": "3",
    "maps": "[[0, 1], [1, 2]]",
    "size": "7",
    "groups": "2",
    "pieces": "2",
    "p": "0.1",
    "parts": "2",
    "range": "[0, 16]",
    "to": "[16, -1]",
    "order": "[0, 2, 1]",
    "amount": "1",
    "block": "2",
    "factor": "2",
}
"""A value for each main option that must be given."""


@dataclass_transform(frozen_default=True)
def layer(cls: type[T]) -> type[T]:
    """Declare an op: a frozen dataclass whose checks, equality and repr come from Op.

    dataclass() would write and compile five methods a class, which is most of the start-up of a
    command-line tool; here it only collects the fields.
    """
    cls = dataclass(init=False, repr=False, eq=False)(cls)
    cls.options = {field.name: field for field in fields(cls)}  # type: ignore[attr-defined, arg-type]
    return cls


class Along(NamedTuple):
    """How one output axis looks at an input axis: a window of `reach` elements that moves by `stride`.

    Output o sees the whole numbers from o x stride - before up to reach - 1 further, as far as the
    input has them. Fractions (of layers that enlarge) are exact: they are never rounded, so that
    windows on windows stay exact too.
    """

    axis: int
    reach: Any = 1
    stride: Any = 1
    before: Any = 0


Sight = tuple[Any, ...]
"""For each output axis after the batch, an Along, or None where it has no place in the input."""


def unmoved(rank: int) -> Sight:
    """The sight of an element-wise op: every output element sees the input element at its place."""
    return tuple(Along(axis) for axis in range(1, rank))


def all_but(sight: Sight, axis: int) -> Sight:
    """`sight`, but the output's `axis` depends on all of the input's."""
    return tuple(None if a == axis else s for a, s in enumerate(sight, 1))


class Op(ABC):
    """A kind of layer. Abstract methods have no default on purpose: unknown is an error."""

    key: ClassVar[str]
    """The op's name in the language."""
    main: ClassVar[str | None] = None
    """The option that the key's own value sets: in `conv: 96`, `out`."""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """The least and the most inputs; None is any number."""
    weighted: ClassVar[bool] = False
    """True where outputs are weighted sums over learned weights: these count as neurons and as layers."""
    gates: ClassVar[bool] = False
    """True where an input that is stretched over the output is a gate, and no part of the network's depth."""
    view: ClassVar[bool] = False
    """True where the output is the input's own storage, seen differently: nothing moves."""
    together: ClassVar[bool] = False
    """True where one operator computes the gradients of inputs and of weights, and keeps what either needs."""
    cast: ClassVar[Cast | None] = None
    """What autocast does with it; see tape.Call."""
    axes_named: ClassVar[tuple[tuple[int, str], ...]] = ()
    """What explanations call an axis, where channels, height and width would mislead."""
    options: ClassVar[dict[str, Field[Any]]] = {}
    """The op's options by name, in the order of the class."""

    def __init__(self, *values: Any, **named: Any) -> None:
        cls, own = type(self), self.__dict__
        given = dict(zip(cls.options, values), **named)
        for name, field in cls.options.items():
            if name in given:
                try:
                    own[name] = kind_of(field.type, cls.__module__).check(given.pop(name))  # type: ignore[arg-type]
                except OptionError as e:
                    raise self.fault(name, f"{name} {e.message}", e.hint) from None
            elif field.default is MISSING:
                raise self.fault(None, f"{cls.key} needs {name}", f"write {cls.example(name)}")
            else:
                own[name] = field.default
        if given or len(values) > len(own):
            raise TypeError(f"{cls.__name__} takes {', '.join(own)}; got {', '.join(given) or values}")
        self.check()

    @classmethod
    def example(cls, option: str | None = None) -> str:
        """How a layer calls the op, for hints: {conv: 64}, or the bare key where that is enough; or with an option."""
        if option is not None and option != cls.main:
            return f"{{{cls.key}: ..., {option}: ...}}"
        needed = cls.main is not None and cls.options[cls.main].default in (MISSING, None)
        return f"{{{cls.key}: {EXAMPLES[str(cls.main)]}}}" if needed else cls.key

    def fault(self, option: str | None, message: str, hint: str | None = None) -> OptionError:
        """An error about one option."""
        error = OptionError(message, hint=hint)
        error.option = option
        return error

    def check(self) -> None:  # noqa: B027  # most ops have no such options
        """Raise `fault(...)` where options contradict each other."""

    def at(self, point: At) -> Op:
        """The op at one design point. Raises OptionError."""
        return type(self)(**{name: point(value) for name, value in self.__dict__.items()})

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"cannot assign to {name}: ops do not change")

    def _values(self) -> tuple[Any, ...]:
        return tuple(self.__dict__.values())

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        changed = [f"{k}={v!r}" for k, v in self.__dict__.items() if is_array(v) or v != self.options[k].default]
        return f"{type(self).__name__}({', '.join(changed)})"

    # ---- facts, one method each ---------------------------------------------------------------

    @abstractmethod
    def shape(self, *x: Any, **_: Any) -> Shape:
        """Output shape; raises ShapeError where the input does not suit."""

    @abstractmethod
    def weights(self, *x: Any, **_: Any) -> Size:
        """Learned numbers that multiply inputs inside a MAC."""

    @abstractmethod
    def biases(self, *x: Any, **_: Any) -> Size:
        """Learned numbers that are added to such a sum."""

    @abstractmethod
    def other_params(self, *x: Any, **_: Any) -> Size:
        """Other learned numbers: scales and shifts of norms, slopes."""

    @abstractmethod
    def macs(self, y: Any, *x: Any, **_: Any) -> Size:
        """Multiply-accumulates. Taps that fall on padding count, as in PyTorch and fvcore."""

    @abstractmethod
    def operations(self, y: Any, *x: Any, **_: Any) -> Operations:
        """Arithmetic at inference that is not a MAC."""

    @abstractmethod
    def sight(self, y: Any, *x: Any, **_: Any) -> Sight:
        """Which input elements an output element depends on, along each axis; sizes are ints here."""

    @abstractmethod
    def keeps(self, y: Any, *x: Any, **_: Any) -> tuple[Kept, ...]:
        """What autograd holds on to after a forward pass in training: eager PyTorch, on the CPU, in float32.

        All inputs and parameters require gradients. Parameters and buffers are not listed, for they
        are there anyway; neither are Python numbers. A tensor of one element counts as such. Inputs
        are taken as contiguous: of others, as after a permute, some kernels make a copy and keep that.
        """

    @abstractmethod
    def module(self, torch: Any, *x: Any, **_: Any) -> Any:
        """The torch.nn.Module that does the same; `torch` is passed in, so that nothing here imports it."""

    def parameter_sizes(self, *x: Any) -> tuple[Size, ...]:
        """Sizes of the tensors that the parameters are."""
        sizes = self.weights(*x), self.biases(*x), self.other_params(*x)
        return tuple(size for size in sizes if decided(size != 0, True))

    def buffers(self, *x: Any) -> Size:
        """Numbers kept beside the parameters: only norms with running statistics have any."""
        return 0

    def counters(self, *x: Any) -> Size:
        """Integers (int64) kept beside the buffers: running statistics count their batches."""
        return 0

    def temporaries(self, y: Any, *x: Any, **_: Any) -> tuple[Temporary, ...]:
        """What the layer takes for itself at inference: eager PyTorch, on the CPU.

        Storages alive at the layer's highest point beside its inputs and its output, as the operators
        of its module make them; what a kernel allocates inside an operator is not seen.
        """
        return ()

    def tape(self, y: Any, *x: Any, **_: Any) -> tuple[Call, ...]:
        """The operators of its module in training, as autograd records them, under the same terms as `keeps`.

        By default a single one that keeps what the layer keeps, and makes a gradient for each input.
        An input of a weighted sum is kept for the gradient of the weights alone, unless both gradients
        are computed together; what works in place keeps a copy of its input where that needs a gradient.
        """
        into = 0 if self.shares_in_training else None
        to = PARAMETERS if self.weighted and not self.together else into
        keeps = tuple(
            Saved(index if what == "input" else OUTPUT if what == "output" else None, elements, itemsize, to)
            for what, elements, index, itemsize in self.keeps(y, *x)
            if is_array(elements) or elements
        )
        gives: tuple[Gives, ...] = ("view",) if self.view else tuple(map(numel, x))
        factors = self.weights(*x)
        learns = factors + self.biases(*x) + self.other_params(*x)
        return (Call(tuple(range(len(x))), numel(y), gives, into, keeps, learns, (), self.cast, factors),)

    def fitted_to(self, *x: Any) -> tuple[Any, ...]:
        """What the parameters are made for: an input that agrees in it can use them again."""
        return self.weights(*x), self.biases(*x), self.other_params(*x), self.buffers(*x)

    @property
    def shares_storage(self) -> bool:
        """True where the output takes no storage of its own at inference: a view, or in place."""
        return self.view or getattr(self, "inplace", False)

    @property
    def shares_in_training(self) -> bool:
        """The same in training, where dropout makes a tensor of its own."""
        return self.shares_storage

    def read(self, y: Any, *x: Any) -> Size:
        """Elements read if each tensor moves once: all inputs, parameters and statistics."""
        if self.view:
            return 0
        params = self.weights(*x) + self.biases(*x) + self.other_params(*x) + self.buffers(*x)
        return sum(map(numel, x)) + params

    def written(self, y: Any, *x: Any) -> Size:
        """Elements written: the output, unless it is a view."""
        return 0 if self.view else numel(y)

    def windows(self, *x: Any) -> tuple[Window, ...]:
        """The sliding windows over the spatial axes; none for most ops."""
        return ()

    def beside(self, *x: Any) -> dict[str, Op]:
        """Layers of the same input and output with other connections, to compare with; sizes are ints here."""
        return {}

    def describe(self, *x: Any) -> str:
        """The op and its telling options in a few characters, for tables."""
        return self.key

    def cost(self, y: Shape, *x: Shape) -> Cost:
        """All counts for output shape `y` and input shapes `x`."""
        outputs = numel(y)
        return Cost(
            self.weights(*x),
            self.biases(*x),
            self.other_params(*x),
            self.buffers(*x),
            self.macs(y, *x),
            *self.operations(y, *x),
            self.read(y, *x),
            self.written(y, *x),
            0 if self.shares_storage else outputs,
            outputs if self.weighted else 0,
        )


class Unlearned(Op):
    """States that an op learns nothing and does no MAC."""

    def weights(self, *x: Any) -> Size:
        return 0

    def biases(self, *x: Any) -> Size:
        return 0

    def other_params(self, *x: Any) -> Size:
        return 0

    def macs(self, y: Any, *x: Any) -> Size:
        return 0


class Free(Unlearned):
    """States that an op computes nothing either: it only moves, renames or selects elements.

    Its gradient then only moves elements back, for which no values are needed.
    """

    def operations(self, y: Any, *x: Any) -> Operations:
        return Operations()

    def keeps(self, y: Any, *x: Any) -> tuple[Kept, ...]:
        return ()


class Elementwise(Op):
    """An op whose output has its input's shape, each element from the element at its place."""

    def shape(self, x: Shape) -> Shape:
        return x

    def sight(self, y: Shape, x: Shape) -> Sight:
        return unmoved(len(y))
