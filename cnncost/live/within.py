"""What every layer takes within its network: the network runs, and the clock is read after each layer."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import torch

from cnncost.live.build import Network
from cnncost.live.clocks import Steps
from cnncost.live.subjects import Copies
from cnncost.live.timing import Clock

RUNS = 15
WARM_UP = 3
SECONDS = 3.0
"""A network that takes long is run less often."""


def seconds_within(ready: Copies, clock: Clock) -> list[float]:
    """Seconds of each layer of a network, in order: the median of some runs. What a layer was the last to read is
    let go in its time.
    """
    found: list[list[float]] = []
    begun = clock.now()
    for i in range(WARM_UP + RUNS):
        at = i % len(ready.modules)
        steps = clock.steps(_run(ready.modules[at], ready.inputs[at]))
        if i >= WARM_UP:
            found.append(steps)
        if found and clock.now() - begun > SECONDS:
            break
    return [median(times) for times in zip(*found, strict=True)]


def _run(network: Network, tensors: Sequence[torch.Tensor]) -> Steps:
    return lambda mark: network.run(tensors, mark)
