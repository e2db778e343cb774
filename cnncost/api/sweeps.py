"""Design spaces, from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Union

from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph

if TYPE_CHECKING:
    from cnncost.analysis.sweep.arrays import Swept
    from cnncost.analysis.sweep.space import Space
    from cnncost.devices import Device

Spec = Union[str, "PathLike[str]"]


def sweep(
    network: Graph | Spec,
    vary: Mapping[str, Any] | None = None,
    *,
    input: Any = None,
    batch: Any = 1,
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
    does not vary; a list as batch or input varies. quantities: params, macs, flops, activation_bytes,
    weight_bytes, neurons, peak_bytes, training_peak_bytes. devices: the least time by their rooflines, too.
    where: a condition, "macs < 600M and params < 5M". Raises SpecError, UsageError.

        found = cnncost.sweep("resnet50", batch=[1, 8, 32], width=range(32, 129, 8))
        found["macs"]          # an array of shape (3, 13)
        found.to_pandas()
    """
    from cnncost.analysis.sweep.arrays import gathered

    varied = {**(vary or {}), **axes}
    for name, value in (("batch", batch), ("input", input)):
        if value is not None and not isinstance(value, (int, tuple, str)):
            if name in varied:
                raise UsageError(f"{name} is given twice", hint=f"give it once: {name}=[...]")
            varied = {name: value, **varied}
    batch = 1 if "batch" in varied else batch
    input = None if "input" in varied else input
    spec = _spec_of(network)
    return gathered(space_of(spec, varied, input=input, batch=batch, set=set, dtype=dtype, quantities=quantities,
                             devices=devices, where=where))  # fmt: skip


def space_of(
    spec: Spec,
    vary: Iterable[str] | Mapping[str, Any],
    *,
    input: Any = None,
    batch: int = 1,
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
    source = Source(spec, set, input, batch)
    axes = axes_of(vary, source.parameters)
    if seed is not None and sample is None:
        raise UsageError("a seed has no effect here", hint="it goes with --sample")
    space = Space.of(source, axes, Wanted(wanted, dtype, sheets))
    space = space if sample is None else replace(space, sample=(sample, seed or 0))
    space = space if where is None else replace(space, where=condition(where, space.names))
    require_countable(space)
    return space


def _spec_of(network: Graph | Spec) -> Spec:
    """The file that a network was loaded from. Raises UsageError for one that has none."""
    if not isinstance(network, Graph):
        return network
    if network.source is None or network.called:
        raise UsageError(f"{network.name} comes from no spec", hint="give the path of a spec, or a bundled name")
    return network.source
