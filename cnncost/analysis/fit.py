"""What fits into a memory: the largest batch, the largest input, and how one is traded for the other.

Peaks are those of the analytic figure at whole networks: nothing is scaled. A guess by differences
says where to look; what is answered has been computed, at the size that fits and at the next that
does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd, lcm, prod
from typing import NamedTuple

from cnncost.analysis.memory import Memory
from cnncost.analysis.receptive import receptive_fields
from cnncost.devices import Device, load
from cnncost.dims import LARGEST
from cnncost.errors import CnncostError, UsageError
from cnncost.graph import Graph
from cnncost.spec.amounts import parse_memory

RESERVE = 2**30
"""Bytes of a device that are left to the driver and the allocator, unless told otherwise. PyTorch's developers

report some 300 MB of CUDA context where kernels are loaded lazily (CUDA 11.7 and later), up to 1 GB and
more before (pytorch/pytorch#107667, facebookresearch/maskrcnn-benchmark#182); what is left of it is
for the allocator's rounding and for cuDNN's workspace.
"""
STRIDE_AT_MOST = 4096
"""A larger one is that of no image: sizes then go in steps of one pixel."""
ROWS_AT_MOST, ROWS_BEYOND = 12, 3
"""Batches of the frontier; those of them that are larger than what fits at the network's own input."""

MemoryAt = Callable[[int, "tuple[int, ...] | None"], Memory]
"""The memory at a batch and an input (None: the network's own). Raises CnncostError where it cannot run."""


class Room(NamedTuple):
    """Memory to fit into: bytes in all, what of them is reserved, and the device that has it, if one was named."""

    total: int
    reserve: int
    device: Device | None = None

    @property
    def free(self) -> int:
        return self.total - self.reserve

    @property
    def on_gpu(self) -> bool:
        """Whether it is the memory of a GPU, whose optimizers update all parameters at once."""
        return self.device is not None and self.device.kind == "gpu"


def room(memory: object = None, device: object = None, reserve: object = None) -> Room:
    """A memory, or a device's, less what is reserved: of a device RESERVE unless told otherwise. Raises UsageError."""
    if (memory is None) == (device is None):
        what = "no memory given" if memory is None else "a memory and a device given"
        raise UsageError(what, hint="give one of the two: --memory 24GB or --device rtx-4090")
    kept = None if reserve is None else parse_memory(reserve, "reserve")
    if memory is not None:
        found = Room(parse_memory(memory), kept or 0)
    else:
        sheet = device if isinstance(device, Device) else load(device)
        if sheet.memory is None:
            raise UsageError(f"the sheet of {sheet.name} does not say its memory", hint="give it: --memory 24GB")
        found = Room(sheet.memory, RESERVE if kept is None else kept, sheet)
    if found.free <= 0:
        left = f"of {found.total:,} bytes {found.reserve:,} are reserved, and none are left"
        raise UsageError(left, hint="reserve less: --reserve 0")
    return found


class Point(NamedTuple):
    """A network at a batch and an input (without the batch). peak: bytes; None where it cannot run there."""

    batch: int
    input: tuple[int, ...]
    peak: int | None


class Found(NamedTuple):
    """The largest that fits, and the next larger one, which does not; None where the language has none."""

    fits: Point
    more: Point | None


@dataclass(frozen=True)
class Fit:
    """What fits into `memory` bytes.

    own: the batch and input that were asked for. batch: the largest at this input; input: the largest
    at this batch; None where not even the smallest fits. step: pixels by which inputs differ.
    frontier: the largest inputs of some batches. grows: whether larger inputs need more parameters.
    fixed: why inputs are not varied; None where they are.
    """

    memory: int
    own: Point
    batch: Found | None
    input: Found | None
    step: int
    frontier: tuple[Found, ...]
    grows: bool = False
    fixed: str | None = None

    @property
    def fits(self) -> bool:
        """Whether the network fits at the batch and input that were asked for."""
        return self.own.peak is not None and self.own.peak <= self.memory


def fit(
    graph: Graph,
    memory: int,
    memory_at: MemoryAt,
    *,
    step: int | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> Fit:
    """What fits. graph: the network at the batch and input that were asked for. memory: bytes.

    step: pixels between inputs; by default the network's stride, so that windows fit as they do at
    its own input. watch: called with the rows of the frontier done and of all, before each. Raises
    CnncostError where the network cannot run at its own sizes.
    """
    sizes = Sizes(graph, step)
    peaks = Peaks(memory, memory_at, sizes)
    own = peaks.point(sizes.batch, 0)
    guess = Guess(peaks)
    batch = largest_batch(peaks, guess)
    fixed = sizes.fixed or peaks.refused(sizes.batch, sizes.period)
    if fixed is not None:
        return Fit(memory, own, batch, None, sizes.step, (), fixed=fixed)
    frontier: list[Found] = []
    batches = _batches(sizes.batch, batch.fits.batch if batch else 1)
    for done, images in enumerate(batches):
        if watch is not None:
            watch(done, len(batches))
        found = largest_input(peaks, guess, images)
        if found is None:
            break
        frontier.append(found)
    mine = next((found for found in frontier if found.fits.batch == sizes.batch), None)
    return Fit(memory, own, batch, mine, sizes.step, tuple(frontier), grows=peaks.grows)


class Sizes:
    """The inputs that are tried: number 0 is the network's own, every next is `step` pixels larger.

    Sides keep their ratio to within half of `period` steps: so many steps are the network's stride,
    and inputs that are a whole number of them apart leave the same pixels over in every window.
    """

    def __init__(self, graph: Graph, step: int | None = None) -> None:
        self.batch = int(graph.batch)
        self.own = tuple(int(n) for n in next(iter(graph.inputs.values()))[1:])
        self.sides = self.own[1:]
        self.fixed = None
        if len(graph.inputs) != 1 or not self.sides:
            self.fixed = (
                "the network has several inputs" if len(graph.inputs) > 1 else "its input has no height and width"
            )
        stride = 1 if self.fixed else stride_of(graph)
        self.step = stride if step is None else step
        self.period = stride // gcd(stride, self.step)

    def input(self, number: int) -> tuple[int, ...]:
        """An input by its number, without the batch."""
        if not number:
            return self.own
        strides, steps = divmod(number, self.period)
        longest = max(self.sides)
        moved = (
            n + self.step * (self.period * ((2 * strides * n + longest) // (2 * longest)) + steps) for n in self.sides
        )
        return (self.own[0], *moved)

    @property
    def smallest(self) -> int:
        """The smallest that is whole strides from the network's own and has sides of 1 at least, in strides."""
        stride = self.step * self.period
        strides = -(max(self.sides) // stride)
        while min(self.input(strides * self.period)) < 1:
            strides += 1
        return strides


def stride_of(graph: Graph) -> int:
    """Input pixels by which the output fields of all layers move: the least common multiple of their strides."""
    fields = receptive_fields(graph).values()
    strides = {n for field in fields if field is not None for n in field.stride if type(n) is int and n}
    stride = lcm(*strides)
    return stride if stride <= STRIDE_AT_MOST else 1


class Peaks:
    """Peaks by batch and number of the input, each computed once."""

    def __init__(self, memory: int, memory_at: MemoryAt, sizes: Sizes) -> None:
        self.memory, self.memory_at, self.sizes = memory, memory_at, sizes
        self.known: dict[tuple[int, int], Memory | CnncostError] = {}

    def at(self, batch: int, number: int) -> Memory | CnncostError:
        """The memory there, or why the network cannot run; of its own sizes that is raised."""
        key = batch, number
        if key not in self.known:
            try:
                self.known[key] = self.memory_at(batch, self.sizes.input(number) if number else None)
            except CnncostError as e:
                if key == (self.sizes.batch, 0):
                    raise
                self.known[key] = e
        return self.known[key]

    def point(self, batch: int, number: int) -> Point:
        found = self.at(batch, number)
        peak = None if isinstance(found, CnncostError) else int(found.peak)
        return Point(batch, self.sizes.input(number), peak)

    def fits(self, batch: int, number: int) -> bool:
        """Whether it runs there, and within the memory. An input that alone is larger is not tried."""
        if batch * prod(self.sizes.input(number)) > self.memory:  # an element takes a byte at least
            return False
        peak = self.point(batch, number).peak
        return peak is not None and peak <= self.memory

    def refused(self, batch: int, number: int) -> str | None:
        """Why the network does not run at an input, None where it does."""
        found = self.at(batch, number)
        if not isinstance(found, CnncostError):
            return None
        return f"at {'x'.join(map(str, self.sizes.input(number)))} it cannot run: {found.message}"

    @property
    def grows(self) -> bool:
        """Whether parameters depend on the input."""
        ran = [memory for memory in self.known.values() if not isinstance(memory, CnncostError)]
        return len({memory.parts.get("parameters") for memory in ran}) > 1


class Guess:
    """Peaks foretold from a few that are known, to look near them.

    The bytes of a step are a polynomial in the input's sides, and linear in the batch: its
    differences over a few inputs, at two batches, say all the others. Where that does not hold, as
    where a side is rounded, it only takes longer to find what fits.
    """

    def __init__(self, peaks: Peaks) -> None:
        self.batch, self.strides = peaks.sizes.batch, peaks.sizes.period
        self.rows = [self._differences(peaks, self.batch + more) for more in (0, 1)]
        if len({len(row) for rows in self.rows for row in rows}) > 1:
            self.rows = []

    @staticmethod
    def _differences(peaks: Peaks, batch: int) -> list[list[int]]:
        """The bytes of every step, and their differences from stride to stride."""
        sizes, rows = peaks.sizes, []
        for strides in range(1 if sizes.fixed else 1 + len(sizes.sides)):
            found = peaks.at(batch, strides * sizes.period)
            if isinstance(found, CnncostError):
                break
            rows.append([int(step.alive) for step in found.steps])
        for order in range(1, len(rows)):
            for at in reversed(range(order, len(rows))):
                rows[at] = [after - before for after, before in zip(rows[at], rows[at - 1])]
        return rows

    def peak(self, batch: int, strides: int) -> int:
        """The peak that is expected."""
        here, next_ = (self._at(rows, strides) for rows in self.rows)
        return max(a + (batch - self.batch) * (b - a) for a, b in zip(here, next_))

    @staticmethod
    def _at(rows: Sequence[Sequence[int]], strides: int) -> list[int]:
        factors = [1]
        for order in range(1, len(rows)):
            factors.append(factors[-1] * (strides - order + 1) // order)
        return [sum(f * n for f, n in zip(factors, column)) for column in zip(*rows)]


def largest_batch(peaks: Peaks, guess: Guess) -> Found | None:
    """The largest batch that fits at the network's own input."""
    start = peaks.sizes.batch
    if guess.rows:
        start = boundary(lambda batch: guess.peak(batch, 0) <= peaks.memory, start, 1, LARGEST) or 1
    batch = boundary(lambda batch: peaks.fits(batch, 0), start, 1, LARGEST)
    if batch is None:
        return None
    return Found(peaks.point(batch, 0), peaks.point(batch + 1, 0) if batch < LARGEST else None)


def largest_input(peaks: Peaks, guess: Guess, batch: int) -> Found | None:
    """The largest input that fits at a batch.

    Inputs that are whole strides apart need the more the larger they are: of these the search finds
    the last that fits. The others in between leave other pixels over, and may need less: those of a
    whole stride beyond are tried one by one.
    """
    sizes, memory = peaks.sizes, peaks.memory
    low, high = sizes.smallest, memory // sizes.step + 1

    def within(strides: int) -> bool:
        if strides <= 0 and isinstance(peaks.at(batch, strides * sizes.period), CnncostError):
            return True  # too small to run, and not too large
        return peaks.fits(batch, strides * sizes.period)

    start = 0
    if guess.rows:
        start = boundary(lambda strides: guess.peak(batch, strides) <= memory, 0, low, high) or 0
    strides = boundary(within, start, low, high)
    if strides is None:
        return None
    best, number = None, strides * sizes.period
    last = number + sizes.period - 1
    while number <= last:
        if peaks.fits(batch, number):
            best, last = number, number + sizes.period
        number += 1
    if best is None:
        return None
    beyond = (peaks.point(batch, number) for number in range(best + 1, best + sizes.period + 1))
    return Found(peaks.point(batch, best), next((point for point in beyond if point.peak is not None), None))


def boundary(holds: Callable[[int], bool], start: int, low: int, high: int) -> int | None:
    """The largest number for which something holds that holds up to it and not beyond; None where not even for low.

    Looks from `start` in steps that double.
    """
    start, step = min(max(start, low), high), 1
    if holds(start):
        yes, no = start, high + 1
        while yes + step <= high:
            if not holds(yes + step):
                no = yes + step
                break
            yes, step = yes + step, 2 * step
    else:
        yes, no = low - 1, start
        while no > low:
            if holds(max(no - step, low)):
                yes = max(no - step, low)
                break
            no, step = max(no - step, low), 2 * step
    while no - yes > 1:
        middle = (yes + no) // 2
        yes, no = (middle, no) if holds(middle) else (yes, middle)
    return yes if yes >= low else None


def _batches(own: int, largest: int) -> list[int]:
    """Batches of the frontier: powers up to some beyond the largest that fits, the own and the largest."""
    factor = 2
    while factor ** (ROWS_AT_MOST - ROWS_BEYOND) <= largest:
        factor *= 2
    powers, batch = [], 1
    while batch <= max(largest, own) * factor**ROWS_BEYOND and batch <= LARGEST:
        powers.append(batch)
        batch *= factor
    return sorted({*powers, own, largest})
