"""Tapes of the layers whose modules run several operators, or one with a gradient in several; see tape.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncost.dims import Shape, Size, decided, numel
from cnncost.ops.keeping import INDICES
from cnncost.ops.tape import OUTPUT, PARAMETERS, Call, Gives, Saved, Tape, one

if TYPE_CHECKING:
    from cnncost.ops.conv import LocalConv, PartialConv
    from cnncost.ops.l2_norm import L2Norm
    from cnncost.ops.norm import LRN
    from cnncost.ops.pool import L2Pool, RoIPool


def power(tape: Tape, n: Size) -> Tape:
    """x ** p of the n elements that there are last. Its gradient is grad * (p * x ** (p - 1))."""
    return tape.then(n, n, keeps=(Saved(tape.last, n),), work=2 * n)


def quotient(tape: Tape, n: Size) -> Tape:
    """The layer's input, n elements, by what there is last. The divisor's gradient is -grad * (x / d / d)."""
    keeps = Saved(0, n), Saved(tape.last, n)
    return tape.add((0, tape.last), n, (n, n), keeps=keeps, work=2 * n)


def scaled(tape: Tape, n: Size, factors: Size) -> Tape:
    """The n elements that there are last times learned factors, whose gradient is summed up from n products."""
    keeps = (Saved(tape.last, n, to=PARAMETERS),)
    return tape.then(n, n, keeps=keeps, learns=factors, work=n, cast="mixed")


def largest(n: Size, m: Size) -> tuple[Call, ...]:
    """The largest of n elements along an axis or more, m of them. Those equal to it, counted, share its gradient."""
    keeps = Saved(0, n), Saved(OUTPUT, m)
    return Tape().add((0,), m, (n,), keeps=keeps, work=m, masks=n + m * INDICES).done


def joined(tape: Tape, values: list[int], n: Size) -> Tape:
    """Values side by side, n elements in all. Their gradients are parts of that."""
    gives: Gives = "view"
    return tape.add(tuple(values), n, (gives,) * len(values))


def lrn(op: LRN, x: Shape) -> tuple[Call, ...]:
    """x * x, padded by channels, averaged, scaled, + k, to the power of beta; x divided by that."""
    n, squares = numel(x), op.squares(x)
    tape = Tape().add((0, 0), n, (n, n), keeps=(Saved(0, n),)).then(squares, n)
    tape.then(n, squares, keeps=(Saved(tape.last, squares),), cast="full").then(n, n).then(n, "same")
    power(tape, n)
    return quotient(tape, n).done


def l2_norm(op: L2Norm, x: Shape) -> tuple[Call, ...]:
    """Lengths, at least eps, spread over the channels; x divided by them; and scaled."""
    n, positions = numel(x), numel(x[:1]) * numel(x[2:])
    lengths = Saved(0, n), Saved(OUTPUT, positions)
    tape = Tape().then(positions, n, keeps=lengths, work=n, masks=positions)
    tape.then(positions, positions, keeps=(Saved(tape.last, positions),), masks=positions)
    tape.then(n, positions, into=tape.last)
    quotient(tape, n)
    return scaled(tape, n, x[1]).done if op.affine else tape.done


def l2_pool(op: L2Pool, y: Shape, x: Shape) -> tuple[Call, ...]:
    """Powers, their mean; its sign times its size, scaled to the sum, and the root of that."""
    n, m, tape = numel(x), numel(y), Tape()
    bare, padded = op.before_powers(x)
    if not one(bare):  # arrays of sizes are taken to be padded
        tape.then(padded, n)
        n = padded
    powers = power(tape, n).last
    mean = tape.then(m, n, keeps=(Saved(powers, n),)).last
    sign = tape.then(m, m).last
    tape.add((mean,), m, (m,), keeps=(Saved(mean, m),), work=m).then(m, m, keeps=(Saved(OUTPUT, m),))
    factors = sign, tape.last
    tape.add(factors, m, (m, m), keeps=tuple(Saved(factor, m) for factor in factors)).then(m, m)
    return power(tape, m).done


def roi_pool(op: RoIPool, y: Shape, x: Shape, rois: int) -> tuple[Call, ...]:
    """Of each region a slice along every axis, and its pool; all stacked. rois: how many regions."""
    tape, region, pools = Tape(), op.regions(x)[2:], []
    pooled = numel((*x[:2], *y[2:]))
    for _ in range(rois):
        shape, value = x, 0
        for axis, (whole, part) in enumerate(zip(x[2:], region), 2):
            smaller = (*shape[:axis], part, *shape[axis + 1 :])
            if decided(part != whole, part is not whole):
                value = tape.add((value,), numel(smaller), (numel(shape),), into=value).last
            shape = smaller
        keeps = Saved(value, numel(shape)), Saved(None, pooled, INDICES)
        pools.append(tape.add((value,), pooled, (numel(shape),), keeps=keeps).last)
    return joined(tape, pools, numel(y)).done


def local_conv(op: LocalConv, y: Shape, x: Shape) -> tuple[Call, ...]:
    """The input padded, which copies it, its windows unfolded, one product a place, and the bias."""
    n, m, padded = numel(x), numel(y), numel(op.padded(x))
    tape = Tape().add((0,), padded, (n,))
    shape = op.padded(x)
    for axis, (w, places) in enumerate(zip(op.windows(x), op.places(x)), 2):
        after = (*shape[:axis], places, *shape[axis + 1 :], w.reach)
        tape.then(numel(after), numel(shape), into=tape.last)
        shape = after
        if not one(w.dilation):
            thinned = (*shape[:-1], w.kernel)
            tape.then(numel(thinned), numel(shape), into=tape.last)
            shape = thinned
    windows, weights = numel(shape), op.weights(x)
    tape.then(windows, "same")
    keeps = (Saved(tape.last, windows, to=PARAMETERS),)
    tape.then(m, windows, keeps=keeps, learns=weights, cast="low", factors=weights)
    if not (one(op.groups) or one(x[0])):  # put side by side by a copy
        tape.then(m, m)
    return tape.then(m, "same", learns=op.biases(x), cast="mixed").done if op.bias else tape.done


def partial_conv(op: PartialConv, y: Shape, x: Shape) -> tuple[Call, ...]:
    """For each output channel a selection of input channels and its convolution; all joined."""
    tape, outs = Tape(), []
    whole = op.padded(x) if op.pads_first(x) else x
    if whole is not x:
        tape.put(op.pad_call(x))
    source = tape.last
    plane = numel(y) // y[1]
    for row in op.maps:
        chosen = numel(whole) // whole[1] * len(row)
        index = (Saved(None, len(row), INDICES),)
        taken = tape.add((source,), chosen, (numel(whole),), keeps=index, work=numel(whole)).last
        factors = len(row) * op.taps(x)
        keeps = (Saved(taken, chosen),)
        learns = factors + op.bias
        tape.add((taken,), plane, (chosen,), keeps=keeps, learns=learns, cast="low", factors=factors)
        outs.append(tape.last)
    return joined(tape, outs, numel(y)).done
