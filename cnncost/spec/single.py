"""One layer as a network of its own: an op, its options and its inputs, without a file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from typing import Any

from cnncost.errors import OptionError, UsageError, did_you_mean
from cnncost.graph import Graph, GraphBuilder
from cnncost.ops import MENU, SYNONYMS, find, unknown_op_hint
from cnncost.ops.base import EXAMPLES
from cnncost.options import KINDS, kind_of, spelled
from cnncost.spec.files import bundled_names
from cnncost.spec.lines import OPTION_SYNONYMS
from cnncost.spec.marks import plain, read
from cnncost.spec.names import parse_shape

_SIZES = re.compile(r"[0-9]+(x[0-9]+)+")


def is_op(word: Any) -> bool:
    """Whether a word means an op: files and bundled networks of that name come first."""
    return isinstance(word, str) and word in MENU and not _is_network(word)


def _is_network(word: str) -> bool:
    return os.path.isfile(word) or word.removesuffix(".yaml") in bundled_names()


def no_such_op(word: str, options: Sequence[str]) -> None:
    """Raise UsageError for a word that is no network, and by its name or its options was meant as an op."""
    meant = word.lower() in {**SYNONYMS, **MENU} or any(option.startswith("--") for option in options)
    if meant and word != "-" and not _is_network(word):
        raise UsageError(f"{spelled(word)} is neither a network nor an op", hint=unknown_op_hint(word))


def several(shapes: Any) -> list[Any]:
    """Shapes of the inputs: of one, of a list of them, of none."""
    if shapes is None:
        return []
    many = isinstance(shapes, (list, tuple)) and any(isinstance(s, (str, list, tuple)) for s in shapes)
    return list(shapes) if many else [shapes]


def single(key: str, main: Any, options: Mapping[str, Any], inputs: Sequence[Any], batch: Any = 1) -> Graph:
    """A network of one layer. main: the value of the op's main option, or None.

    Raises UsageError for a bad argument, SpecError for an option or an input that the op cannot take.
    """
    cls = find(key)
    if main is not None:
        if cls.main is None or cls.main in options:
            what = f"{key} takes no value of its own" if cls.main is None else f"{cls.main} is given twice"
            both = "" if cls.main is None else f" and {spelled(options[cls.main])}"
            hint = f"options of {key}: {', '.join(cls.options) or 'none'}"
            raise UsageError(f"{what}: {spelled(main)}{both}", hint=hint)
        options = {cls.main: main, **options}
    if not inputs:
        raise UsageError(f"{key} has no input", hint="give its shape without the batch: 3x224x224")
    for name in options:
        if name not in cls.options:
            hint = did_you_mean(name, cls.options, {**OPTION_SYNONYMS, "size": "kernel"})
            raise UsageError(f"{key} has no option {spelled(name)}", hint=hint)
    for name, field in cls.options.items():
        if field.default is MISSING and name not in options:
            raise UsageError(f"{key} needs {name}", hint=f"such as {EXAMPLES[name]}")
    builder = GraphBuilder()
    names = ["input"] if len(inputs) == 1 else [f"input_{i}" for i in range(1, len(inputs) + 1)]
    try:
        batch = KINDS["Size"].check(batch)
    except OptionError as e:
        raise UsageError(f"batch {e.message}", hint="give the number of images, like 32") from None
    for name, shape in zip(names, inputs):
        builder.add_input(name, (batch, *parse_shape(shape)))
    try:
        builder.add(key, cls(**options), tuple(names))
    except OptionError as e:
        e.layer = e.layer or key
        raise
    return Graph(key, builder.inputs, tuple(builder.nodes))


def option_of(key: str, name: str | None, text: str) -> Any:
    """The value of an option (None: the main one) as a command line gives it: as in a spec, or 3x5, one an axis."""
    cls = find(key)
    field = cls.options.get(name or cls.main or "")
    if field is None:
        return text  # an error that single() explains
    if _SIZES.fullmatch(text):
        return tuple(int(n) for n in text.split("x"))
    kind = kind_of(str(field.type), cls.__module__)
    try:
        return kind.read(plain(read(text, f"--{field.name}")), lambda word: word)
    except OptionError as e:
        raise UsageError(f"{field.name} {e.message}", hint=e.hint) from None
