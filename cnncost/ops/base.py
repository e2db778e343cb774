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
from cnncost.dims import AXES, Shape, Size, Window, ceil_div, is_array, larger, numel, require, shown
from cnncost.errors import OptionError, ShapeError
from cnncost.ops.keeping import Kept
from cnncost.options import Flag, Pads, Sizes, kind_of, spelled

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:  # noqa: D103
        return lambda decorator: decorator


T = TypeVar("T")
SPATIAL_AT_MOST = 3


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
    view: ClassVar[bool] = False
    """True where the output is the input's own storage, seen differently: nothing moves."""
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
                raise self.fault(None, f"{cls.key} needs {name}", f"write it as {{{cls.key}: ..., {name}: ...}}")
            else:
                own[name] = field.default
        if given or len(values) > len(own):
            raise TypeError(f"{cls.__name__} takes {', '.join(own)}; got {', '.join(given) or values}")
        self.check()

    def fault(self, option: str | None, message: str, hint: str | None = None) -> OptionError:
        """An error about one option."""
        error = OptionError(message, hint=hint)
        error.option = option
        return error

    def check(self) -> None:  # noqa: B027  # most ops have no such options
        """Raise `fault(...)` where options contradict each other."""

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

    def buffers(self, *x: Any) -> Size:
        """Numbers kept beside the parameters: only norms with running statistics have any."""
        return 0

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


def spatial_rank(op: Op, x: Shape) -> int:
    """The number of spatial axes of N x C x spatial; raises ShapeError unless it is 1 to 3."""
    rank = len(x) - 2
    if not 1 <= rank <= SPATIAL_AT_MOST:
        raise ShapeError(
            f"{op.key} slides over 1 to 3 spatial axes and its input is {shown(x)}, with {max(rank, 0)}",
            hint="inputs are batch x channels x length, height x width, or depth x height x width; "
            "for vectors use linear, or reshape first",
        )
    return rank


def channels_of(op: Op, x: Shape) -> Size:
    """The size of the channel axis; raises ShapeError where there is none."""
    if len(x) < 2:
        raise ShapeError(f"{op.key} works on channels and its input {shown(x)} has none")
    return x[1]


def one_per_axis(value: Any, rank: int, option: str) -> tuple[Any, ...]:
    """`value` for each of `rank` axes; a list must have one entry an axis."""
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        raise ShapeError(
            f"{option} {spelled(value)} has {len(value)} entries and the input has {rank} spatial axes",
            hint=f"give one number for all axes, or {rank}",
        )
    return value


def by_axis(value: Any) -> str:
    """A per-axis option for tables: 3, or (3, 1) as 3x1."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


class Windowed(Op):
    """Shared by convolutions and pools: a window slides over every spatial axis."""

    if TYPE_CHECKING:
        kernel: Sizes
        stride: Any
        padding: Pads
        dilation: Sizes
        ceil_mode: Flag

    def check(self) -> None:
        steps = self.step if isinstance(self.step, tuple) else (self.step,)
        if isinstance(self.padding, str) and self.padding == "same" and any(is_array(s) or s != 1 for s in steps):
            raise self.fault(
                "padding",
                f"padding same needs stride 1, as in PyTorch, and stride is {spelled(self.step)}",
                "for TensorFlow's rule with strides write same_tf",
            )

    @property
    def step(self) -> Any:
        """The stride; pools use the kernel where none is given."""
        return self.stride

    def windows(self, x: Shape) -> tuple[Window, ...]:
        rank = spatial_rank(self, x)
        kernel = one_per_axis(self.kernel, rank, "kernel")
        stride = one_per_axis(self.step, rank, "stride")
        dilation = one_per_axis(self.dilation, rank, "dilation")
        padding = one_per_axis(self.padding, rank, "padding")
        return tuple(
            Window(n, k, s, d, *sides(p, n, k, s, d)) for n, k, s, d, p in zip(x[2:], kernel, stride, dilation, padding)
        )

    def places(self, x: Shape) -> Shape:
        """Output sizes along the spatial axes."""
        windows = self.windows(x)
        return tuple(w.places(axis, self.ceil_mode) for w, axis in zip(windows, AXES[len(windows)]))

    def taps(self, x: Shape) -> Size:
        """Elements under one window, dilation or not: the product of the kernel's sizes."""
        return numel(one_per_axis(self.kernel, len(x) - 2, "kernel"))

    def sight(self, y: Shape, x: Shape) -> Sight:
        moves = (Along(a, w.reach, w.stride, w.before) for a, w in enumerate(self.windows(x), 2))
        return (None, *moves)

    def uneven(self, x: Shape) -> Size:
        """1 where PyTorch needs a pad layer before, else 0.

        Its own padding is the same on both sides, and in pools at most half of the kernel.
        """
        even: Size = 1
        for w in self.windows(x):
            even = even * (w.before == w.after)
            if not self.weighted:
                even = even * (2 * w.before <= w.kernel)
        return 1 - even

    def padded(self, x: Shape) -> Shape:
        """The input with uneven padding, in ceil mode up to the end of the last window; see torch_padding."""
        windows = self.windows(x)
        if self.ceil_mode:
            return (*x[:2], *((m - 1) * w.stride + w.reach for w, m in zip(windows, self.places(x))))
        return (*x[:2], *(w.n + w.before + w.after for w in windows))

    def keeps_padded(self, x: Shape) -> tuple[Kept, ...]:
        """The input, or what a pad layer before makes of it."""
        uneven = self.uneven(x)
        return Kept("input", numel(x) * (1 - uneven)), Kept("extra", numel(self.padded(x)) * uneven)

    def window_text(self, x: Shape) -> str:
        """kernel/stride, as in 11x11/4."""
        kernel = one_per_axis(self.kernel, len(x) - 2, "kernel")
        return "x".join(map(str, kernel)) + ("" if self.step == 1 else f"/{by_axis(self.step)}")


def sides(padding: Any, n: Size, kernel: Size, stride: Size, dilation: Size) -> tuple[Size, Size]:
    """Padding before and after one axis.

    same: dilation x (kernel - 1) in all, the odd element after (PyTorch).
    same_tf: as much as makes ceil(n / stride) places, the odd element after (TensorFlow).
    """
    if isinstance(padding, tuple):
        return padding
    if not isinstance(padding, str):
        return padding, padding
    if padding == "valid":
        return 0, 0
    reach = dilation * (kernel - 1) + 1
    both: Size = reach - 1
    if padding == "same_tf":
        covered: Size = (ceil_div(n, stride) - 1) * stride + reach
        both = larger(covered - n, 0)
    return both // 2, both - both // 2


def torch_padding(torch: Any, op: Windowed, x: Shape, value: float = 0.0) -> tuple[Any, list[Any]]:
    """(padding argument, layers to put before) with which a torch module pads as `op` does.

    What PyTorch's modules cannot pad themselves becomes an explicit pad before them.
    """
    windows = op.windows(x)
    if not op.uneven(x):
        return tuple(w.before for w in windows), []
    both = [(w.before, w.after) for w in windows]
    if op.ceil_mode:  # up to the end of the last window, for PyTorch would not know input from padding
        both = [(w.before, (m - 1) * w.stride + w.reach - w.n - w.before) for w, m in zip(windows, op.places(x))]
    mode = getattr(op, "padding_mode", "zeros")  # pools have none
    return 0, [pad_module(torch, both, "constant" if mode == "zeros" else mode, value)]


def require_room(mode: str, n: Size, before: Size, after: Size, axis: str) -> None:
    """Raise ShapeError where an axis of `n` elements cannot be padded from its own elements."""
    if mode not in ("reflect", "circular"):
        return
    room = n - (mode == "reflect")
    require(
        (before <= room) & (after <= room),
        "padding by {before} and {after} with mode {mode} takes at most {room} of the {n} elements ({axis})",
        before=before,
        after=after,
        mode=mode,
        room=room,
        n=n,
        axis=axis,
        hint="pad less, or with mode replicate",
    )


def pad_module(torch: Any, both: list[tuple[Any, Any]], mode: str, value: float) -> Any:
    """A module that pads the spatial axes by (before, after) each; torch counts them from the last."""
    flat = [n for pair in reversed(both) for n in pair]

    class Pad(torch.nn.Module):  # type: ignore[misc]
        def forward(self, t: Any) -> Any:
            if mode == "constant":
                return torch.nn.functional.pad(t, flat, mode, value)
            return torch.nn.functional.pad(t, flat, mode)

    return Pad()


def in_order(torch: Any, layers: list[Any]) -> Any:
    """One module that runs `layers` in order."""
    return layers[0] if len(layers) == 1 else torch.nn.Sequential(*layers)


def calls(torch: Any, function: Any) -> Any:
    """A module that calls `function` on its inputs, for ops that torch.nn has no module for."""

    class Call(torch.nn.Module):  # type: ignore[misc]
        def forward(self, *tensors: Any) -> Any:
            return function(*tensors)

    return Call()
