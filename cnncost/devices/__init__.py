"""Data sheets of known devices: peak rates by dtype, memory, bandwidth, clocks; each figure with its source.

A sheet is a YAML file in this folder, or the user's own. docs/devices.md says how one is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from cnncost.errors import UsageError, did_you_mean
from cnncost.options import printable, spelled

BYTES_AT_MOST = 2**20
SUFFIXES = (".yaml", ".yml")
WIDE = {"fp16": "fp32", "bf16": "fp32", "fp8": "fp32", "int8": "int32"}
"""What the kernels of PyTorch and TensorFlow add products up in, unless told otherwise."""


class Source(NamedTuple):
    """Where a figure is printed."""

    title: str
    place: str | None = None
    url: str | None = None

    def __str__(self) -> str:
        return f"{self.title}, {self.place}" if self.place else self.title


class Peak(NamedTuple):
    """One ceiling: the dense rate of one dtype on one kind of unit.

    rate: operations a second, a fused multiply-add being two; as the maker prints it, else as
    derived. unit: what computes it (cores, tensor cores, vector units). accumulate: the dtype of the
    sum, where it is told apart. how: the derivation, units x FMAs x 2 x clock. printed: whether the
    maker prints the rate. fmas: fused multiply-adds a unit and clock; clock: in hertz.
    """

    dtype: str
    unit: str
    accumulate: str | None
    rate: float
    how: str | None
    printed: bool
    fmas: int | None
    clock: float | None
    source: Source | None


class WorkingSet(NamedTuple):
    """How fast data of so many bytes is gone over again and again, in bytes a second. None: not measured."""

    size: int
    read: float | None = None
    copy: float | None = None


@dataclass(frozen=True)
class Device:
    """A device as its data sheet has it. What the sheet does not say is None: unknown is not zero.

    key: the sheet's name, for the command line. gpus: GPUs on the board, which all figures are for
    together. units: streaming multiprocessors or CPU cores. Clocks are in hertz, memory and caches
    in bytes, bandwidths in bytes a second, pin_rate in bits a second and pin, bus in bits, tdp in
    watts, overheads in seconds. threads: of a CPU that was measured. working_sets: bandwidth by the
    size of the data, from small to large. sources: where each figure is from, by field.
    """

    key: str
    file: str
    name: str
    maker: str
    year: int
    kind: str
    peaks: tuple[Peak, ...]
    sources: dict[str, Source]
    about: str | None = None
    aliases: tuple[str, ...] = ()
    gpus: int = 1
    units: int | None = None
    threads: int | None = None
    base_clock: float | None = None
    boost_clock: float | None = None
    l1: int | None = None
    l2: int | None = None
    l3: int | None = None
    memory: int | None = None
    memory_kind: str | None = None
    bus: int | None = None
    pin_rate: float | None = None
    bandwidth: float | None = None
    read_bandwidth: float | None = None
    copy_bandwidth: float | None = None
    launch_overhead: float | None = None
    shortest_kernel: float | None = None
    working_sets: tuple[WorkingSet, ...] = ()
    tdp: float | None = None

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes that it has a peak rate for."""
        return tuple(dict.fromkeys(peak.dtype for peak in self.peaks))

    def peak(self, dtype: str, accumulate: str | None = None) -> Peak:
        """The fastest dense rate of a dtype.

        accumulate: the dtype of the sums; if left out, what frameworks use, which for fp16, bf16 and
        fp8 is fp32 where the device can. Raises UsageError where the sheet has none.
        """
        rates = [p for p in self.peaks if p.dtype == dtype and accumulate in (None, p.accumulate)]
        if accumulate is None:
            rates = [p for p in rates if p.accumulate in (None, WIDE.get(dtype))] or rates
        if not rates:
            has = ", ".join(self.dtypes) or "none at all"
            what = f"{dtype} with sums in {accumulate}" if accumulate else dtype
            raise UsageError(f"{self.name} has no peak rate for {what}", hint=f"its sheet has {has}")
        return max(rates, key=lambda p: p.rate)


@cache
def folder() -> str:
    """Where the sheets that come with cnncost are."""
    return os.path.dirname(os.path.abspath(__file__))


def names() -> list[str]:
    """Keys of the sheets that come with cnncost, sorted."""
    return sorted(name[: -len(".yaml")] for name in os.listdir(folder()) if name.endswith(".yaml"))


def all_devices() -> Iterator[Device]:
    """Every sheet that comes with cnncost, by key."""
    return map(_bundled, names())


def load(name: Any) -> Device:
    """A device by name, or by the path of a sheet.

    Names are those of `names()`, the device's own and its aliases; case, spaces and dashes do not
    matter: "RTX 4090" is rtx-4090. Raises UsageError for an unknown one, SpecError for a faulty sheet.
    """
    try:
        text = os.fsdecode(name)
    except TypeError:
        raise UsageError(f"a device is a name or a path, got {spelled(name)}", hint="write rtx-4090") from None
    if text.lower().endswith(SUFFIXES) or os.sep in text:
        return _read(text, printable(text))
    return _bundled(_key(text))


def plain_name(name: str) -> str:
    """A name without what does not tell devices apart: case, spaces, dashes."""
    return re.sub(r"[\W_]+", "", name.lower())


def _key(name: str) -> str:
    """The key of a sheet by its device's name. Raises UsageError."""
    wanted = plain_name(name)
    keys = {plain_name(key): key for key in names()}
    if wanted in keys:
        return keys[wanted]
    for device in all_devices():
        if wanted in map(plain_name, (device.name, f"{device.maker} {device.name}", *device.aliases)):
            return device.key
    hint = did_you_mean(re.sub(r"[\s_]+", "-", name.strip()), names())
    parts = [key for plain, key in keys.items() if wanted and wanted in plain]
    if parts:
        hint = f"did you mean {', '.join(parts[:-1])}{' or ' if parts[1:] else ''}{parts[-1]}?"
    elif not hint.startswith("did"):
        hint = "cnncost devices lists them; or give the path of a sheet"
    raise UsageError(f"unknown device {spelled(name) or repr('')}", hint=hint)


@cache
def _bundled(key: str) -> Device:
    return _read(os.path.join(folder(), f"{key}.yaml"), f"{key}.yaml")


def _read(path: str, file: str) -> Device:
    """The device of a sheet. Raises UsageError for a file that cannot be read, SpecError for what it says."""
    from cnncost.devices.sheet import device

    key = os.path.splitext(os.path.basename(path))[0]
    return device(text_of(path, file), file, key, os.path.dirname(path))


def text_of(path: str, file: str) -> str:
    """The text of a sheet. Raises UsageError."""
    try:
        with open(path, "rb") as f:
            data = f.read(BYTES_AT_MOST + 1)
        if len(data) > BYTES_AT_MOST:
            raise UsageError(f"{file}: larger than {BYTES_AT_MOST >> 20} MiB", hint="is this a device sheet?")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{file}: not UTF-8 text", hint="is this a device sheet?") from None
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) else "no such file"
        raise UsageError(f"{spelled(file)}: {reason}", hint="cnncost devices lists those that come with it") from None
