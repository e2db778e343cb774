"""The laws of every op, with PyTorch as the oracle; see laws.py for what each says."""

from __future__ import annotations

import inspect
import re
from functools import cache

import laws
import oracle
import pytest
import textbook
import torch
import yaml
from cases import CASES, REFUSED, REUSED, Case

from cnncost.ops import COMPOSED, MENU, SYNONYMS, Op, find

FVCORE = [
    c
    for c in CASES
    if c.key in ("conv", "depthwise_conv", "transposed_conv", "linear", "matmul") and not laws.mirrored(c)
]

expected = cache(lambda number: oracle.expected(CASES[number]))
every_case = pytest.mark.parametrize("number", range(len(CASES)), ids=map(str, CASES))


def concrete(cls: type[Op]) -> set[type[Op]]:
    below = set().union(*map(concrete, cls.__subclasses__()))
    return below | ({cls} if not inspect.isabstract(cls) and "key" in cls.__dict__ else set())


def test_the_menu_is_every_op() -> None:
    assert {find(key) for key in MENU} == concrete(Op)
    assert all(find(key).key == key for key in MENU)


def test_every_synonym_names_an_op_and_is_none() -> None:
    assert set(SYNONYMS.values()) <= set(MENU)
    assert not set(SYNONYMS) & set(MENU)


def test_the_example_of_an_op_is_a_layer() -> None:
    for key in MENU:
        call = yaml.safe_load(find(key).example())
        options = {str(find(key).main): call[key]} if isinstance(call, dict) else {}
        assert find(key)(**options).key == key


def test_what_is_no_op_is_made_of_ops() -> None:
    for word, text in COMPOSED.items():
        assert word not in MENU
        assert word not in SYNONYMS
        assert sum(key in re.split(r"\W+", text) for key in MENU) >= 2


def test_every_op_and_every_option_has_a_case() -> None:
    for key in MENU:
        mine = [c for c in CASES if c.key == key]
        assert mine, f"{key} has no case"
        unset = set(find(key).options) - {name for c in mine for name in c.options}
        assert not unset - {"inplace"} and ("inplace" not in unset), f"no case of {key} sets {unset}"


def test_no_case_is_there_twice() -> None:
    assert len(set(map(str, CASES))) == len(CASES)


@every_case
def test_counts(number: int) -> None:
    laws.check_counts(CASES[number], expected(number))


@every_case
def test_layers_beside_a_layer(number: int) -> None:
    laws.check_beside(CASES[number])


@every_case
def test_traced_sizes_are_sizes(number: int) -> None:
    laws.check_traced(CASES[number])


@every_case
def test_sight(number: int) -> None:
    laws.check_sight(CASES[number], expected(number))


def test_arrays_and_that_every_size_is_swept() -> None:
    swept: dict[str, set[str]] = {key: set() for key in MENU}
    for case in CASES:
        swept[case.key] |= laws.check_arrays(case)
    for key in MENU:
        sizes = {name for name, field in find(key).options.items() if field.type in laws.SWEPT}
        assert swept[key] == sizes, f"{key}: {sizes - swept[key]} never swept"


def test_choices_over_arrays() -> None:
    laws.check_choices()


@every_case
def test_design_points_that_are_alike(number: int) -> None:
    laws.check_points_alike(CASES[number])


@pytest.mark.parametrize("case", FVCORE, ids=str)
def test_macs_are_fvcores(case: Case) -> None:
    op = case.op()
    assert op.macs(op.shape(*case.shapes), *case.shapes) == oracle.fvcore_macs(case)


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_refused(case: Case) -> None:
    laws.check_refused(case)
    laws.check_refused_arrays(case)


def test_every_reason_why_an_op_is_composed_is_needed() -> None:
    several = {c.key for n, c in enumerate(CASES) if len(expected(n).facts.operators) > 1}
    for key in laws.COMPOSED:
        assert key in several, f"{key} is one operator"


def test_every_bound_is_needed() -> None:
    for key in laws.BOUNDS:
        loose = False
        for n, c in enumerate(CASES):
            for position, whole, inputs in expected(n).seen if c.key == key else ():
                loose |= not whole and laws.predicted(c, expected(n).facts.shape, position) != list(inputs)
        assert loose, f"the sight of {key} is exact"


def test_the_free_ops_of_the_textbook_keep_every_value() -> None:
    """They compute nothing: each output element is some input element, or a constant that pads."""
    import torch

    for case in CASES:
        if case.key in textbook.FREE:
            inputs = [torch.rand(s) for s in case.shapes]
            out = oracle.module_of(case.op(), case.shapes, "cpu")(*inputs)
            known = {float(v) for t in inputs for v in t.flatten()} | {float(case.options.get("value", 0.0))}
            assert {float(v) for v in out.flatten()} <= known


@pytest.mark.parametrize(("case", "other", "fits"), REUSED, ids=str)
def test_parameters_fit_where_torch_gives_them_the_same_shapes(case: Case, other: tuple[int, ...], fits: bool) -> None:
    def tensors(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        return [tuple(t.shape) for t in case.op().module(torch, shape).state_dict().values()]

    assert (tensors(case.shapes[0]) == tensors(other)) is fits


def test_reuse_asks_what_parameters_depend_on() -> None:
    laws.check_reused()


def test_a_reshape_in_the_middle_keeps_the_places_around_it() -> None:
    laws.check_places_kept()
