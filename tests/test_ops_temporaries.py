"""What layers take for themselves at inference, held against what PyTorch allocates; see laws.check_temporaries."""

from __future__ import annotations

import laws
import oracle
import pytest
from cases import CASES, TRAINING, Case

ALL = [*CASES, *TRAINING]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("case", ALL, ids=str)
def test_temporaries(case: Case) -> None:
    laws.check_temporaries(case, oracle.taken(case))
