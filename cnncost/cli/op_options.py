"""Options of an op on the command line: --kernel 3, --kernel=3, --no-bias; and several values of one, to sweep over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from cnncost.cli.common import shape_text
from cnncost.errors import UsageError

if TYPE_CHECKING:
    from cnncost.graph import Graph

POINTS_AT_MOST = 10_000
_RANGE = re.compile(r"(\d+):(\d+)(?::(\d+))?")


def texts_of(op: str, words: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The text of the main option, or None, and of the others by name. Raises UsageError."""
    from cnncost.ops import find

    known = find(op).options
    flags = {name for name, field in known.items() if field.type == "Flag"}
    main, options, rest = None, dict[str, str](), list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            if main is not None:
                hint = "options go by name: --kernel 3; a flag stands alone: --no-bias"
                raise UsageError(f"{op} takes one value of its own, got {main} and {word}", hint=hint)
            main = word
            continue
        name, equals, text = word.removeprefix("--").replace("-", "_").partition("=")
        text = word.partition("=")[2]
        if name.removeprefix("no_") in flags and name not in flags:
            name, text, equals = name.removeprefix("no_"), "false", "="
        elif name in flags and not equals and (not rest or rest[0] not in ("true", "false")):
            text, equals = "true", "="
        if not equals:
            if not rest and name in known:
                raise UsageError(f"{word} has no value", hint=f"write {word} VALUE")
            text = rest.pop(0) if rest else ""
        if name in options:
            raise UsageError(f"--{name} given twice", hint="for one value an axis write 3x5")
        options[name] = text
    return main, options


def options_of(op: str, words: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """The value of the main option, or None, and of the others by name. Raises UsageError."""
    from cnncost.spec.single import option_of

    main, texts = texts_of(op, words)
    options = {name: option_of(op, name, text) for name, text in texts.items()}
    return (None if main is None else option_of(op, None, main)), options


def values(name: str, text: str) -> list[str]:
    """The values of an axis: 16,32,64, or 16:512:16 up to the end itself; one value as it is. Raises UsageError."""
    found = _RANGE.fullmatch(text)
    if found is None:
        return [text] if text.startswith("[") else [part.strip() for part in text.split(",")]
    first, last, step = int(found[1]), int(found[2]), int(found[3] or 1)
    if step == 0 or first > last:
        why = "a step of 0" if step == 0 else "it ends before it begins"
        raise UsageError(f"{name} {text}: {why}", hint="write first:last:step, like 16:512:16")
    if (last - first) // step >= POINTS_AT_MOST:
        raise UsageError(f"{name} {text}: more than {POINTS_AT_MOST:,} values", hint="take a larger step")
    return [str(n) for n in range(first, last + 1, step)]


def expanded(op: str, words: Sequence[str], inputs: Sequence[str], batch: int) -> list[Graph]:
    """A layer at every combination of its options' values and inputs, each a network of its own. Raises UsageError."""
    from cnncost.ops import find
    from cnncost.spec.single import option_of, single

    main, texts = texts_of(op, words)
    if not inputs:
        raise UsageError(f"{op} alone needs --input", hint="write --input 3x224x224, channels x height x width")
    shapes = [shape_text(shape) for shape in inputs]
    together = find(op).arity != (1, 1)  # several inputs of one layer, not one input of several
    axes: list[list[Any]] = [[shapes] if together else [[shape] for shape in shapes]]
    axes.append([None] if main is None else [option_of(op, None, text) for text in values(op, main)])
    axes += [[(name, option_of(op, name, v)) for v in values(f"--{name}", text)] for name, text in texts.items()]
    points = 1
    for axis in axes:
        points *= len(axis)
    if points > POINTS_AT_MOST:
        raise UsageError(f"{points:,} layers to time, more than {POINTS_AT_MOST:,}", hint="take larger steps")
    return [single(op, value, dict(options), shape, batch) for shape, value, *options in product(*axes)]
