"""What training keeps of every op, held against what PyTorch's autograd saves; see laws.check_keeps."""

from __future__ import annotations

from functools import cache

import laws
import oracle
import pytest
from cases import CASES, TRAINING, Case

from cnncost.ops import MENU, find
from cnncost.ops.base import Unlearned
from cnncost.ops.pointwise import Activation

ALL = [*CASES, *TRAINING]

held = cache(lambda number: oracle.held(ALL[number]))


@pytest.mark.parametrize("number", range(len(ALL)), ids=map(str, ALL))
def test_keeps(number: int) -> None:
    laws.check_keeps(ALL[number], held(number))


@pytest.mark.parametrize("case", TRAINING, ids=str)
def test_arrays(case: Case) -> None:
    laws.check_arrays(case)


def test_no_case_is_there_twice() -> None:
    assert len(set(map(str, ALL))) == len(ALL)


def test_an_op_that_does_not_say_is_no_op() -> None:
    class Silent(Unlearned):
        shape = operations = sight = module = Unlearned.macs

    with pytest.raises(TypeError, match="keeps"):
        Silent()


def test_every_activation_says_what_its_gradient_is_computed_from() -> None:
    for op in map(find, MENU):
        if issubclass(op, Activation):
            assert hasattr(op, "grad_from") or op.keeps is not Activation.keeps, op.key


def test_the_cases_have_all_that_can_be_kept() -> None:
    kinds = {key for number in range(len(ALL)) for key in held(number)}
    assert kinds == {*(("input", i, 4) for i in range(4)), ("output", 0, 4), ("extra", 0, 4), ("extra", 0, 8)}


def test_what_is_in_place_and_what_is_not_keep_the_same_or_a_copy() -> None:
    """The input that is overwritten is kept as a copy, unless the output serves as well, or nothing is needed."""
    for number, case in enumerate(ALL):
        if case.options.get("inplace") and len(case.shapes) == 1 and case.key != "dropout":
            (((what, _, _), elements),) = held(number).items()
            other = Case(case.key, case.shapes, {**case.options, "inplace": False})
            assert elements == sum(oracle.held(other).values())
            assert what == ("extra" if find(case.key).grad_from == "input" else "input")
