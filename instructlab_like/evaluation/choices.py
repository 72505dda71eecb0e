"""How a choice is decided from likelihoods. Pure: shared by the local runner and by what is written for other tools."""

from __future__ import annotations

import math
from collections.abc import Sequence

NOT_FINITE = "the model's numbers are not finite"


def by_length(option: str, nats: float) -> float:
    """The log-likelihood of an option for each of its characters; lm-evaluation-harness decides `acc_norm` by it."""
    return -nats / len(option)


def pick(options: Sequence[str], nats: Sequence[float]) -> int | str:
    """The place of the option that is likeliest by its length, the first of equals; a text: why there is none.

    An impossible option (infinite nats) is never taken. NaN leaves the choice undecided; so do impossible options only.
    """
    found = [by_length(option, loss) for option, loss in zip(options, nats, strict=True)]
    if any(math.isnan(one) for one in found) or not any(math.isfinite(one) for one in found):
        return NOT_FINITE
    return found.index(max(found))
