"""Plants single faults in the formulas, one at a time, and tells which of them the laws do not notice.

    python tests/mutate.py                 every fault, some minutes; exit code 1 if any survives
    python tests/mutate.py --sample 60     a fixed sample of that size
    python tests/mutate.py --list          what would be planted

Package and tests are copied to a folder of their own. PyTorch is asked once, for what it expects of
every case; then every fault gets a process of its own that loads the changed module from memory and
runs the laws of laws.py and the tests of sizes on it. A fault survives if none fails. Those that
change no number are in EQUIVALENT, with the reason.

Faults are planted in cnncost/dims.py and cnncost/ops: arithmetic swapped or a term dropped,
comparisons swapped, constants and flags changed, conditions turned round, a kind of operation
mistaken for another, a result replaced. Left alone are what builds or describes (module, describe),
texts, and what raises an error rather than counts: but not its condition.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SEED = 20240607
SECONDS_AT_MOST = 30

NO_FORMULAS = ("__init__", "modules", "conv_modules", "seen")
"""Modules without formulas of their own: the counts of seen.py are given to it by the rules of live/operators."""
SOURCES = ["dims", *(f"ops.{p.stem}" for p in sorted((ROOT / "cnncost/ops").glob("*.py")) if p.stem not in NO_FORMULAS)]

SKIPPED = {
    "module", "local_module", "partial_module", "pad_module", "torch_padding", "in_order", "calls",
    "describe", "by_axis", "window_text", "example", "fault", "__repr__", "__hash__", "__eq__", "__setattr__",
    "_values", "dataclass_transform", "layer",
}  # fmt: skip
"""Functions that build PyTorch modules, or words."""

KINDS = ("additions", "multiplications", "comparisons", "divisions", "exponentials")

BINARY: dict[type, list[type]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add, ast.FloorDiv],
    ast.FloorDiv: [ast.Mult, ast.Mod],
    ast.Mod: [ast.FloorDiv],
    ast.Pow: [ast.Mult],
    ast.Div: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
}
COMPARE: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
NAMES = {
    "larger": "smaller",
    "smaller": "larger",
    "ceil_div": "larger",
    "common_divisor": "larger",
    "all": "any",
    "any": "all",
}

EQUIVALENT = {
    "dims numel: shape and is_array(shape[0]) -> not (shape and is_array(shape[0]))": "a product in another order",
    "dims numel: shape and is_array(shape[0]) -> shape": "a product in another order",
    "dims numel: -1 -> 1": "a product in another order",
    "dims decided: choice == first -> choice != first": "what all choose is found below, too",
    "ops.pool RoIPool.temporaries: 1 * (self.rois == 1) -> self.rois == 1": "true counts as one",
    "ops.axes divides: 1 -> 0": "one group loses its shortcut past a check that it passes",
    "ops.tape Call: 0 -> 1": "nobody asks for the factors of calls that autocast leaves alone",
    "ops.tape Tape.add: 0 -> 1": "nobody asks for the factors of calls that autocast leaves alone",
    "ops.tapes l2_norm: 0 -> 1": "its input is kept by the division, too",
    "ops.norm LRN: 1 -> 2": "k changes no count",
    "ops.norm LRN: 1 -> 0": "k changes no count",
    "ops.axes along: axis < 0 -> axis <= 0": "axis 0, the batch, is refused before and after",
    "ops.axes along: 0 -> 1": "axis 0, the batch, is refused before and after",
    "ops.reshape Flatten.span: 1 -> 0": "without an axis after the batch the next check refuses too",
    "ops.reshape Upsample.shape: 2 -> 1": "only what the message shows",
    "ops.reshape Upsample.area: 2 -> 3": "the size of the pool is taken from the output's shape",
    "ops.reshape Upsample.area: 2 -> 1": "the size of the pool is taken from the output's shape",
}
"""Faults that change no number, by what --list prints of them (without the line), and why."""


class Fault(NamedTuple):
    source: str
    line: int
    function: str
    before: str
    after: str
    tree: ast.Module
    place: tuple[Any, str, int | None]
    node: ast.AST

    @property
    def key(self) -> str:
        return f"{self.source} {self.function}: {self.before} -> {self.after}"

    def __str__(self) -> str:
        return f"{self.source}:{self.line} {self.function}: {self.before} -> {self.after}"

    def plant(self) -> ast.Module:
        """The module with the fault in it: its one tree is changed, so call this in a process of its own."""
        parent, field, index = self.place
        old = getattr(parent, field)
        setattr(parent, field, self.node if index is None else _replaced(old, index, self.node))
        return ast.fix_missing_locations(self.tree)


# ---- planting ---------------------------------------------------------------------------------


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    """Every way to get this node wrong."""
    if isinstance(node, ast.BinOp):
        for op in BINARY.get(type(node.op), []):
            yield _with(node, op=op())
        yield node.left
        if not isinstance(node.op, ast.FloorDiv | ast.Mod | ast.Pow | ast.Sub):
            yield node.right
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in COMPARE:
                yield _with(node, ops=[*node.ops[:i], COMPARE[type(op)](), *node.ops[i + 1 :]])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        yield from node.values
    elif isinstance(node, ast.IfExp):
        yield _with(node, body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int):
            yield ast.Constant(node.value + 1)
            if node.value:
                yield ast.Constant(node.value - 1)
    elif isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        yield _with(node, id=NAMES[node.id])
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("Operations", "standardised")
    ):
        for i, keyword in enumerate(node.keywords):
            others = [k for k in KINDS if k not in {w.arg for w in node.keywords}]
            if others:
                yield _with(node, keywords=_replaced(node.keywords, i, _with(keyword, arg=others[0])))
            yield _with(node, keywords=_replaced(node.keywords, i))
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "0":
        yield ast.Return(ast.Constant(0))
    elif isinstance(node, ast.If) and not isinstance(node.test, ast.Name):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def _with(node: Any, **changes: Any) -> Any:
    new = copy.copy(node)
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def _replaced(items: list[Any], at: int, *new: Any) -> list[Any]:
    return [*items[:at], *new, *items[at + 1 :]]


def places(node: ast.AST, function: str = "") -> Iterator[tuple[ast.AST, str, tuple[Any, str, int | None]]]:
    """(node, function it is in, (parent, field, index)) of every node where a fault may be planted."""
    for field, value in ast.iter_fields(node):
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _spared(node, field, index, child):
                continue
            inside = f"{function}.{child.name}".strip(".") if hasattr(child, "name") else function
            yield child, inside, (node, field, index)
            yield from places(child, inside)


def _spared(parent: ast.AST, field: str, index: int | None, child: ast.AST) -> bool:
    if isinstance(child, ast.FunctionDef):
        return child.name in SKIPPED
    if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
        return True
    if isinstance(child, ast.Import | ast.ImportFrom | ast.Raise | ast.JoinedStr) or field in ("annotation", "returns"):
        return True
    if isinstance(parent, ast.FunctionDef) and field == "decorator_list":
        return True
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id == "require":
        return field == "keywords" or bool(index)  # texts and the numbers shown in them
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True
    if isinstance(child, ast.Assign):
        return ast.unparse(child.targets[0]) in ("SPATIAL_AT_MOST", "LARGEST", "AXES", "T", "__all__", "axes_named")
    if isinstance(child, ast.AnnAssign) and isinstance(parent, ast.ClassDef):
        return not isinstance(child.value, ast.Constant) or isinstance(child.value.value, float | str)
    return False


def faults() -> list[Fault]:
    """Every fault, in the order of the sources."""
    found = []
    for source in SOURCES:
        path = ROOT / "cnncost" / f"{source.replace('.', '/')}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node, function, (parent, field, index) in list(places(tree)):
            for new in replacements(node):
                before = ast.unparse(node if not isinstance(node, ast.If) else node.test)
                after = ast.unparse(new if not isinstance(new, ast.If) else new.test)
                line: int = node.lineno  # type: ignore[attr-defined]
                found.append(Fault(source, line, function, before, after, tree, (parent, field, index), new))
    return found


def _distinct(found: list[Fault]) -> list[Fault]:
    """Faults once each: a function may have the same line twice."""
    return list({(f.key, f.line): f for f in found}.values())


# ---- running ----------------------------------------------------------------------------------


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module of the package with a fault in it."""

    def __init__(self, fault: Fault) -> None:
        self.name, self.tree = f"cnncost.{fault.source}", fault.plant()

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module: Any) -> None:
        exec(compile(self.tree, self.name, "exec"), module.__dict__)


def in_a_process(fault: Fault | None, expected: list[Any], show: bool = False) -> bool:
    """True if the laws notice the fault; with none they must hold."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return status != 0
    code = 1
    try:
        signal.alarm(SECONDS_AT_MOST)
        if fault:
            sys.meta_path.insert(0, Planted(fault))
        examine(fault.source if fault else "", expected)
        code = 0
    except BaseException:
        if show:
            traceback.print_exc()
    finally:
        os._exit(code)


def examine(source: str, expected: list[Any]) -> None:
    """Run the laws, the nearest first."""
    import laws
    import numpy as np
    import tapes
    from cases import CASES, REFUSED, TRAINING
    from laws import Expected, Facts, Seen

    from cnncost.ops import MENU

    def known(number: int) -> Expected:
        facts, operations, seen, *_ = expected[number]
        return Expected(Facts(*facts), operations, tuple(Seen(*s) for s in seen))

    def near(key: str) -> bool:
        return f"ops.{MENU[key][0]}" == source

    np.seterr(all="raise")
    if source == "dims":
        sizes()
    if source.startswith("ops.tape"):
        tapes.check_answers(expected[-1])
        laws.check_choices()
    order = sorted(range(len(CASES)), key=lambda n: not near(CASES[n].key))
    for number in order:
        laws.check_counts(CASES[number], known(number))
        laws.check_sight(CASES[number], known(number))
    for case, answer in sorted(zip([*CASES, *TRAINING], expected), key=lambda pair: not near(pair[0].key)):
        *_, held, taken = answer
        laws.check_keeps(case, *held)
        laws.check_temporaries(case, laws.Taken(*taken))
    tapes.check_answers(expected[-1])
    for case in sorted(REFUSED, key=lambda c: not near(c.key)):
        laws.check_refused(case)
    for number in order:
        if near(CASES[number].key) or source in ("dims", "ops.axes", "ops.base", "ops.window"):
            laws.check_beside(CASES[number])
            laws.check_traced(CASES[number])
    laws.check_options()
    laws.check_reused()
    laws.check_places_kept()
    for number in order:
        if near(CASES[number].key) or source in ("dims", "ops.axes", "ops.base", "ops.window"):
            laws.check_arrays(CASES[number])
        if near(CASES[number].key) or source in ("dims", "ops.axes", "ops.base", "ops.window", "ops.tape", "ops.tapes"):
            laws.check_points_alike(CASES[number])


def sizes() -> None:
    import test_dims

    for name, test in vars(test_dims).items():
        if name.startswith("test_") and "never_load" not in name:
            test()


def ask_pytorch(path: str) -> None:
    """Write what PyTorch and the textbook expect of every case, as plain tuples."""
    import oracle
    from cases import CASES, TRAINING

    answers = [(case, oracle.expected(case)) for case in CASES]
    plain: list[Any] = [
        (tuple(e.facts), e.operations, [tuple(s) for s in e.seen], oracle.held(case), tuple(oracle.taken(case)))
        for case, e in answers
    ]
    plain += [(oracle.held(case), tuple(oracle.taken(case))) for case in TRAINING]
    *steps, sizes = oracle.taped()
    plain.append((*map(tuple, steps), sizes))
    Path(path).write_bytes(pickle.dumps(plain))


def main(argv: list[str] | None = None) -> int:
    out = partial(print, flush=True)  # what is still in a buffer, every process would print
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="plant only so many, drawn with a fixed seed")
    parser.add_argument("--only", help="plant only those whose line in --list contains this")
    parser.add_argument("--list", action="store_true", help="show the faults and stop")
    parser.add_argument("--expected", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.expected:
        ask_pytorch(options.expected)
        return 0
    chosen = [f for f in _distinct(faults()) if not options.only or options.only in str(f)]
    stale = set() if options.only else set(EQUIVALENT) - {f.key for f in chosen}
    chosen = [f for f in chosen if f.key not in EQUIVALENT]
    if options.sample:
        chosen = sorted(random.Random(SEED).sample(chosen, options.sample), key=lambda f: (f.source, f.line))
    if options.list:
        out("\n".join(map(str, chosen)))
        return 0
    import numpy  # noqa: F401  # loaded once here, so that no process has to
    import pytest  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/expected"
        for part in ("cnncost", "tests"):
            shutil.copytree(ROOT / part, f"{folder}/{part}", ignore=shutil.ignore_patterns("__pycache__"))
        sys.path[:] = [folder, f"{folder}/tests", *(p for p in sys.path if Path(p) != ROOT / "tests")]
        environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{folder}/tests"}
        subprocess.run([sys.executable, f"{folder}/tests/mutate.py", "--expected", path], check=True, env=environment)
        expected = pickle.loads(Path(path).read_bytes())
        if in_a_process(None, expected, show=True):
            out("the laws do not hold without any fault")
            return 1
        survivors = []
        for fault in chosen:
            if not in_a_process(fault, expected):
                survivors.append(fault)
                out(f"survives: {fault}")
    for key in stale:
        out(f"not there any more: {key}")
    out(f"{len(chosen)} faults planted, {len(chosen) - len(survivors)} noticed, {len(survivors)} survived")
    out(f"{len(EQUIVALENT)} more change no number")
    return 1 if survivors or stale else 0


if __name__ == "__main__":
    sys.exit(main())
