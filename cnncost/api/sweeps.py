"""Design spaces, from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Union

from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph

if TYPE_CHECKING:
    from cnncost.analysis.sweep.arrays import Swept
    from cnncost.analysis.sweep.axes import Axis
    from cnncost.analysis.sweep.space import Space
    from cnncost.devices import Device

Spec = Union[str, "PathLike[str]"]


def sweep(
    network: Graph | Spec,
    vary: Mapping[str, Any] | None = None,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    quantities: Iterable[str] | None = None,
    devices: Iterable[str | Device] = (),
    where: str | None = None,
    **axes: Any,
) -> Swept:
    """Every point of a design space, as labelled arrays.

    network: a path, a bundled name, or a graph that was loaded from one. vary, axes: what varies, by name:
    batch, input (a side of images, or shapes), a parameter, or an entry of one ({"depths.2": range(4, 37)});
    values as lists, ranges, arrays, or text as in `cnncost sweep` ("128:512:32"). input, batch, set: what
    does not vary, batch 1 unless told; a list as batch or input varies, and its axis stands first. quantities:
    params, macs, flops, activation_bytes, weight_bytes, neurons, peak_bytes, training_peak_bytes. devices: the
    least time by their rooflines, too. where: a condition, "macs < 600M and params < 5M". Raises SpecError,
    UsageError.

        found = cnncost.sweep("resnet50", batch=[1, 8, 32], width=range(32, 129, 8))
        found["macs"]          # an array of shape (3, 13)
        found.to_pandas()
    """
    from cnncost.analysis.sweep.arrays import gathered

    varied = {**(vary or {}), **axes}
    if twice := [name for name in axes if name in (vary or {})]:
        raise UsageError(f"{twice[0]} is given twice", hint=f"give it once: {twice[0]}=[...]")
    if _varies(batch, ""):
        varied, batch = _with("batch", batch, varied), None
    if _varies(input, ":,"):
        varied, input = _with("input", input, varied), None
    spec = _spec_of(network)
    return gathered(space_of(spec, varied, input=input, batch=batch, set=set, dtype=dtype, quantities=quantities,
                             devices=devices, where=where))  # fmt: skip


def _varies(value: Any, between: str) -> bool:
    """Whether a batch or an input is several. between: what stands in a text of several; any text is where "" is."""
    if isinstance(value, str):
        return not between or any(sign in value for sign in between)
    return value is not None and not isinstance(value, (int, tuple, Mapping))


def _with(name: str, values: Any, varied: Mapping[str, Any]) -> dict[str, Any]:
    """What varies, and one axis before it. Raises UsageError where it is there."""
    if name in varied:
        raise UsageError(f"{name} is given twice", hint=f"give it once: {name}=[...]")
    return {name: values, **varied}


def space_of(
    spec: Spec,
    vary: Iterable[str] | Mapping[str, Any],
    *,
    input: Any = None,
    batch: int | None = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    quantities: Iterable[str] | None = None,
    devices: Iterable[str | Device] = (),
    where: str | None = None,
    sample: int | None = None,
    seed: int | None = None,
) -> Space:
    """The space that sweep() prices, or so many points drawn of it. Raises SpecError, UsageError."""
    from dataclasses import replace

    from cnncost.analysis.conditions import condition
    from cnncost.analysis.dtypes import dtype_name
    from cnncost.analysis.roofline import ceilings
    from cnncost.analysis.sweep.axes import axes_of
    from cnncost.analysis.sweep.corner import require_countable
    from cnncost.analysis.sweep.source import Source
    from cnncost.analysis.sweep.space import SHORT, Space
    from cnncost.analysis.sweep.walk import DEFAULT, QUANTITIES, Wanted
    from cnncost.devices import Device
    from cnncost.devices import load as load_device
    from cnncost.spec.models import is_model

    if is_model(spec):
        hint = "make it a spec, cnncost import MODEL -o net.yaml, and declare what varies as a parameter"
        raise UsageError(f"{spec} is a PyTorch model, which has no parameters to vary", hint=hint)
    named = DEFAULT if quantities is None else tuple(quantities)
    wanted = tuple(dict.fromkeys(SHORT.get(name, name) for name in (QUANTITIES if named == ("all",) else named)))
    for name in wanted:
        if name not in QUANTITIES:
            raise UsageError(f"unknown quantity {name}", hint=did_you_mean(name, [*QUANTITIES, *SHORT, "all"]))
    sheets = tuple(each if isinstance(each, Device) else load_device(each) for each in devices)
    dtype = dtype_name(dtype)
    for sheet in sheets:
        ceilings(sheet, dtype)
    source = Source(spec, set, input, 1 if batch is None else batch)
    axes = axes_of(vary, source.parameters)
    for axis in axes:
        _once(axis, set or {}, input, batch)
    if seed is not None and sample is None:
        raise UsageError("a seed has no effect here", hint="it goes with --sample")
    space = Space.of(source, axes, Wanted(wanted, dtype, sheets))
    space = space if sample is None else replace(space, sample=(sample, seed or 0))
    space = space if where is None else replace(space, where=condition(where, space.names, space.measures))
    require_countable(space)
    return space


def _once(axis: Axis, set: Mapping[str, Any], input: Any, batch: Any) -> None:
    """Raise UsageError where what varies is given a value, too."""
    shapes = axis.name == "input" and not axis.numeric
    if axis.name == "batch" and batch is not None:
        raise UsageError(f"the batch varies, and is {batch}", hint="give one of them")
    if shapes and input is not None:
        raise UsageError("the input varies, and is given", hint="give one of them")
    for name in set:
        if f"{name}.".startswith(f"{axis.name}."):
            raise UsageError(f"{axis.name} varies, and {name} is set", hint="give one of them")


def _spec_of(network: Graph | Spec) -> Spec:
    """The file that a network was loaded from. Raises UsageError for one that has none."""
    if not isinstance(network, Graph):
        return network
    if network.source is None or network.called:
        raise UsageError(f"{network.name} comes from no spec", hint="give the path of a spec, or a bundled name")
    return network.source
