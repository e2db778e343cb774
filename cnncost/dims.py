"""Arithmetic on sizes. A size is a Python int, or an int64 array with one entry per design point.

Every formula of the project is written with `+ - * //` and the helpers below, so that one network
and a million variants of it are the same walk. A formula branches on structure (flags, number of
axes), never on a size; ints in give Python ints out.

NumPy is imported only when an array is met: a report of one network never loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import floor, gcd, prod
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from cnncost.errors import CnncostError, ShapeError, SpecError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Size = Union[int, npt.NDArray[np.int64]]
else:
    Size = int

Shape = tuple[Size, ...]

LARGEST = 2**31 - 1
"""The largest single size accepted; products of sizes may be larger."""

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of the spatial axes by their number."""


def is_array(value: Any) -> bool:
    """True for a NumPy array; false for ints, floats, bools, strings, lists."""
    return hasattr(value, "ndim")


def entering(value: Any) -> Any:
    """What looks like an array (also a pandas Series, a tensor) as one of NumPy's; a single number as Python's."""
    import numpy as np

    array = np.asarray(value)
    return array.item() if array.ndim == 0 else array


def numel(shape: Shape) -> Size:
    """Number of elements of a tensor of this shape."""
    if shape and is_array(shape[0]):  # the batch, which spans most points, comes last: the others stay small
        return prod(shape[::-1])
    return prod(shape)


class Refusals:
    """Design points that cannot be, each with the first reason met: of a space some may fail and the rest be priced.

    shape: of the arrays of design points. reasons: errors, in the order in which they were met. points: the first
    point of each. first: of each point the number of its reason, -1 where there is none.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        import numpy as np

        self.reasons: list[CnncostError] = []
        self.points: list[tuple[Any, ...]] = []
        self.first = np.full(shape, -1, np.int32)

    def note(self, ok: Any, error: CnncostError) -> None:
        """Points that are not `ok` have this reason, unless they have one."""
        import numpy as np

        new = ~np.broadcast_to(ok, self.first.shape) & (self.first < 0)
        if new.any():
            self.first[new] = len(self.reasons)
            self.reasons.append(error)
            self.points.append(np.unravel_index(int(np.argmax(new)), new.shape))

    def unless_refused(self, ok: Any) -> Any:
        """Where a condition holds, or nothing holds any more."""
        return ok | (self.first >= 0)


_refusals: Refusals | None = None


@contextmanager
def refusing(found: Refusals) -> Iterator[Refusals]:
    """Within, a condition that fails at some design points is noted there, and what is computed goes on.

    What comes out at these points means nothing.
    """
    global _refusals  # noqa: PLW0603  # formulas have no argument for it
    before, _refusals = _refusals, found
    try:
        yield found
    finally:
        _refusals = before


@contextmanager
def noting_ended() -> Iterator[None]:
    """Within, conditions are raised where they fail, whatever is noted around."""
    global _refusals  # noqa: PLW0603
    before, _refusals = _refusals, None
    try:
        yield
    finally:
        _refusals = before


def refused(ok: Any, error: SpecError) -> bool:
    """Whether a failing condition over arrays was noted instead of raised."""
    if _refusals is None or not is_array(ok):
        return False
    _refusals.note(ok, error)
    return True


def noted() -> int:
    """How many refusals were noted; 0 where they are raised."""
    return len(_refusals.reasons) if _refusals is not None else 0


At = Callable[[Any], Any]
"""What a value is at one design point: numbers in place of arrays, also inside of lists."""


def reworded(start: int, say: Callable[[At], object]) -> None:
    """Refusals noted since then are said as of their first design point alone: `say` does what was refused, there."""
    found = _refusals
    if found is None:
        return
    for number in range(start, len(found.reasons)):
        point = found.points[number]
        try:
            with noting_ended():
                say(lambda value: at_point(value, point, found.first.shape))  # noqa: B023  # called at once
        except CnncostError as e:
            found.reasons[number] = e


def placed_since(start: int, where: Any, layer: str | None) -> None:
    """Refusals noted since then are of this place, unless they have one."""
    for error in _refusals.reasons[start:] if _refusals is not None else ():
        error.where, error.layer = error.where or where, error.layer or layer


def at_point(value: Any, index: Any, shape: Any) -> Any:
    """What a value is at one of the design points of a space of that shape, also inside of lists and mappings."""
    if isinstance(value, dict):
        return {key: at_point(v, index, shape) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([at_point(v, index, shape) for v in value])
    return _at(value, index, shape)


class DiffersError(SpecError):
    """Design points differ in structure. choice: an array over them."""

    def __init__(self, choice: Any) -> None:
        super().__init__("design points differ in structure", hint="vary structural parameters one value at a time")
        self.choice = choice


def choosing() -> bool:
    """Whether `decided` decides for arrays, too."""
    return _refusals is not None


def decided(choice: Any, otherwise: Any = None) -> Any:
    """A choice that sizes make, whether a tensor is stretched, say, or how many parts there are.

    For an array: that of all design points that can be, where refusals are noted; raises DiffersError where
    they choose differently. Elsewhere `otherwise`.
    """
    if not is_array(choice):
        return choice
    if _refusals is None:
        return otherwise
    first = choice.flat[0]
    if (choice == first).all():
        return first.item()
    import numpy as np

    possible = _refusals.first < 0
    among = np.broadcast_to(choice, possible.shape)[possible]
    if not among.size:
        return first.item()
    if (among != among[0]).any():
        raise DiffersError(choice)
    return among[0].item()


def require(ok: Any, message: str, *, hint: str | None = None, **values: Any) -> None:
    """Raise ShapeError unless `ok` holds, everywhere if it is an array.

    `message` and `hint` are format strings over `values`; for arrays they show the first design
    point that fails.
    """
    if not is_array(ok):
        if ok:
            return
    else:
        import numpy as np

        if np.all(ok):
            return
        if _refusals is not None:
            ok = _refusals.unless_refused(ok)
            if np.all(ok):
                return
        ok = np.broadcast_to(ok, np.broadcast_shapes(ok.shape, *(v.shape for v in _arrays(values.values()))))
        bad = np.unravel_index(int(np.argmin(ok)), ok.shape)
        values = {k: _at(v, bad, ok.shape) for k, v in values.items()}
    error = ShapeError(message.format(**values), hint=hint and hint.format(**values))
    if not refused(ok, error):
        raise error


def _arrays(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from _arrays(value) if isinstance(value, tuple) else [value] if is_array(value) else []


def _at(value: Any, index: Any, shape: Any) -> Any:
    """The entry of `value` at a design point; of a shape, as people write it."""
    if is_array(value):
        import numpy as np

        return np.broadcast_to(value, shape)[index].item()
    if isinstance(value, tuple):
        return shown(_at(v, index, shape) for v in value)
    return value


def ceil_div(a: Size, b: Size) -> Size:
    """a / b, rounded up."""
    return -(-a // b)


def larger(a: Size, b: Size) -> Size:
    """The larger of two sizes, entry by entry."""
    if is_array(a) or is_array(b):
        import numpy as np

        return np.maximum(a, b)
    return max(a, b)


def smaller(a: Size, b: Size) -> Size:
    """The smaller of two sizes, entry by entry."""
    return -larger(-a, -b)


def common_divisor(a: Size, b: Size) -> Size:
    """Greatest common divisor, entry by entry."""
    if is_array(a) or is_array(b):
        import numpy as np

        # Sizes come as floating point where counts are only estimated, to see whether int64 can hold them.
        return np.gcd(np.asarray(a, np.int64), np.asarray(b, np.int64))
    return _came(gcd(a, b), "gcd", a, b)


def scaled(n: Size, factor: float) -> Size:
    """floor(n * factor) in double precision, which is how PyTorch scales a size."""
    if is_array(n):
        import numpy as np

        return np.floor(n * factor).astype(np.int64)
    return _came(floor(n * factor), "floor", n, factor)


def _came(result: int, how: str, *operands: Any) -> int:
    """`result`, for operands that record how sizes come about (see cnncost/analysis/trace.py) with that record."""
    for operand in operands:
        if hasattr(operand, "came"):
            return operand.came(result, how, operands)  # type: ignore[no-any-return]
    return result


def round_to(value: Any, divisor: Any) -> Any:
    """`value` rounded to a multiple of `divisor`, never more than 10 percent down.

    The rule that MobileNet's authors use for channel counts (round half up, at least `divisor`,
    one step up where rounding would lose more than a tenth), for numbers and arrays.
    """
    nearest = (value + divisor / 2) // divisor * divisor
    if is_array(nearest):
        import numpy as np

        nearest = np.maximum(nearest, divisor)
        return (nearest + divisor * (nearest < 0.9 * value)).astype(np.int64)
    nearest = max(int(nearest), divisor)
    return nearest + divisor * (nearest < 0.9 * value)


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of an element-wise operation on two tensors, axis by axis.

    Raises ShapeError where two sizes differ and neither is 1, or the numbers of axes differ: NumPy
    and PyTorch then align the last axes, and so the batch of one tensor with another axis.
    """
    if len(a) != len(b):
        raise ShapeError(
            f"shapes {shown(a)} and {shown(b)} do not join: they have {len(a)} and {len(b)} axes",
            hint="give both the same axes, batch first: keep: true on global pools, or reshape",
        )
    for m, n in zip(a, b):
        require(
            (m == n) | (m == 1) | (n == 1),
            "shapes {a} and {b} do not join",
            a=shown(a),
            b=shown(b),
            hint="each pair of sizes must be equal, or one of them 1; check `from`",
        )
    # One of the two is 1 wherever they differ, so the larger is the result.
    return tuple(larger(m, n) for m, n in zip(a, b))


def shown(shape: Iterable[Any]) -> Any:
    """A shape as people write it, 1x96x55x55; a tuple where it holds arrays."""
    shape = tuple(shape)
    return shape if any(is_array(n) for n in shape) else "x".join(map(str, shape))


class Window(NamedTuple):
    """One axis of a sliding window over `n` elements, with padding before and after."""

    n: Size
    kernel: Size
    stride: Size
    dilation: Size
    before: Size
    after: Size

    @property
    def reach(self) -> Size:
        """Elements from the first tap to the last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def room(self) -> Size:
        """How far the window can slide."""
        return self.n + self.before + self.after - self.reach

    def places(self, axis: str, ceil_mode: bool = False) -> Size:
        """Number of places of the window: floor((n + padding - reach) / stride) + 1.

        With ceil_mode the division rounds up, but a last window that would start in the padding
        after the input is dropped, as in PyTorch's pooling. (Dumoulin & Visin 2016, relationship 6)
        Raises ShapeError where the window is larger than the padded input; with ceil_mode only
        where it is by a whole stride.
        """
        count = (ceil_div(self.room, self.stride) if ceil_mode else self.room // self.stride) + 1
        require(
            count >= 1,
            "a window of {reach} is larger than its input of {n} ({axis})",
            hint="with {before} + {after} of padding the window reaches {reach}: use a larger input, more "
            "padding, or a smaller kernel or dilation",
            reach=self.reach,
            n=self.n,
            before=self.before,
            after=self.after,
            axis=axis,
        )
        if not ceil_mode:
            return count
        return count - ((count - 1) * self.stride >= self.n + self.before)

    def leftover(self) -> Size:
        """Elements, padding included, that the last place of the window does not reach."""
        return self.room % self.stride

    def dropped(self, places: Size) -> Size:
        """Input elements at the far border that none of so many places of the window reaches."""
        seen: Size = (places - 1) * self.stride + self.reach
        return larger(self.n + self.before - seen, 0)
