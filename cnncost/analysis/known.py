"""What results files tell of one device in one setting: layers and networks with their timings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cnncost.analysis.bench import Layer, network_subject
from cnncost.analysis.measurements import LAYER, NETWORK, Measurement, Setting, layer_of
from cnncost.analysis.samples import Timing
from cnncost.devices import Device, plain_name
from cnncost.errors import CnncostError, UsageError
from cnncost.graph import Graph

FIELDS = {"dtype": "--dtype", "layout": "--layout", "direction": "--pass", "threads": "--threads"}
"""Fields of a setting that the command line chooses, and how."""


@dataclass(frozen=True)
class Known:
    """Layers and networks that were measured in one setting, by the key of the measurement."""

    layers: Mapping[str, tuple[Layer, Timing]]
    networks: Mapping[str, Timing]


def setting_for(device: Device, measured: Mapping[str, Sequence[Measurement]], wanted: Setting) -> Setting:
    """The wanted setting as the measurements name its device, and with their threads where none are asked for.

    measured: by file. wanted: `device` is not looked at. Raises UsageError for results of another
    device, or with several numbers of threads, and for threads that the sheet does not hold for.
    """
    names = {plain_name(name) for name in (device.name, f"{device.maker} {device.name}", *device.aliases, device.key)}
    if device.threads and wanted.threads and device.threads != wanted.threads:
        raise UsageError(
            f"the sheet of {device.name} holds for {device.threads} threads, and not for {wanted.threads}",
            hint=f"cnncost machine --threads {wanted.threads} writes another",
        )
    called = wanted.device
    for file, own in measured.items():
        others = list(dict.fromkeys(m.setting.device for m in own if plain_name(m.setting.device) not in names))
        if others:
            raise UsageError(
                f"{file}: measured on {', '.join(others)}, and not on {device.name}",
                hint="name that device's sheet; cnncost machine writes one, and aliases in it are other names",
            )
        called = own[0].setting.device
    threads = wanted.threads or device.threads
    counts = sorted({m.setting.threads for own in measured.values() for m in own if m.setting.threads is not None})
    if threads is None and len(counts) > 1:
        several = ", ".join(map(str, counts))
        raise UsageError(f"measured with {several} threads", hint=f"choose: --threads {counts[0]}")
    if device.kind == "cpu" and threads is None and counts:
        threads = counts[0]
    return wanted._replace(device=called, threads=threads if device.kind == "cpu" else None)


def known(measured: Mapping[str, Sequence[Measurement]], setting: Setting) -> Known:
    """What was measured in a setting, by file. Raises UsageError for a file with no layer in it."""
    layers: dict[str, tuple[Layer, Timing]] = {}
    networks: dict[str, Timing] = {}
    for file, own in measured.items():
        fitting = [m for m in own if m.setting == setting and m.timing is not None]
        if not any(m.what == LAYER for m in fitting):
            raise _nothing(file, own, setting)
        for m in fitting:
            timing = m.timing
            assert timing is not None
            if m.what != LAYER:
                networks[m.key] = timing
                continue
            try:
                op, inputs = layer_of(m.subject)
            except CnncostError:  # of another version, with an op that this one does not have
                continue
            layers[m.key] = (Layer(op, inputs, ("",)), timing)
    return Known(layers, networks)


def _nothing(file: str, own: Iterable[Measurement], setting: Setting) -> UsageError:
    """The error of a file without a layer of the setting: which field it differs in."""
    settings = list(dict.fromkeys(m.setting for m in own if m.timing is not None and m.what == LAYER))
    if not settings:
        return UsageError(f"{file}: no layer was measured", hint="give a file that cnncost bench NETWORK wrote")
    nearest = min(settings, key=lambda s: sum(a != b for a, b in zip(s, setting)))
    for name in Setting._fields:
        has, wants = getattr(nearest, name), getattr(setting, name)
        if has != wants:
            option = FIELDS.get(name)
            word = "pass" if name == "direction" else name
            hint = f"predict that with {option} {has}, or measure with cnncost bench {option} {wants}"
            if option is None:
                hint = "measure in the usual form: cnncost bench NETWORK --results FILE"
            return UsageError(f"{file}: measured with {word} {has}, and not {wants}", hint=hint)
    raise AssertionError("a setting that fits has layers")


def networks_of(measured: Mapping[str, Sequence[Measurement]], setting: Setting) -> Iterator[Graph]:
    """The bundled architectures whose whole was measured, at the sizes at which it was."""
    from cnncost.spec import load
    from cnncost.spec.catalogue import catalogue

    names: dict[str, str] = {}
    for own in measured.values():
        for m in own:
            if m.what != NETWORK or m.setting != setting or m.timing is None:
                continue
            names = names or {entry["network"]: entry["name"] for entry in catalogue()}
            name, inputs = names.get(m.subject["network"]), m.subject["inputs"]
            if name is None or len(inputs) != 1:
                continue
            (sizes,) = inputs.values()
            try:
                graph = load(name, input="x".join(map(str, sizes[1:])), batch=sizes[0])
            except CnncostError:  # of another version
                continue
            if network_subject(graph) == m.subject:
                yield graph
