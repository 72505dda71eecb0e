"""What calls to teachers came to, leaf by leaf: the run's files say who needs which, the ledger what each took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import fsum
from pathlib import Path
from typing import NamedTuple, cast

from instructlab_like.generation.books import Books
from instructlab_like.generation.purse import Price, cost
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.report.contribution import LeafCost
from instructlab_like.stages.generating.asking import price_of
from instructlab_like.stages.lookup import rows_of, uses
from instructlab_like.workspace import Run

CHARGES = "SELECT key, model, attempts, tokens_in, tokens_out FROM calls"
CHARGES_OF_1 = (
    "SELECT key, model, attempts, coalesce(json_extract(answer, '$.prompt_tokens'), 0), "
    "coalesce(json_extract(answer, '$.completion_tokens'), 0) FROM calls"
)


class Charge(NamedTuple):
    """What one call took over all attempts."""

    model: str
    calls: int
    tokens_in: int
    tokens_out: int


class Costs(NamedTuple):
    """By leaf, for those that needed a call; and of the whole run, probes and what no leaf needs now included."""

    leaves: Mapping[str, LeafCost]
    total: LeafCost


def leaf_costs(run: Run, recipe: GenerateRecipe) -> Costs | None:
    """What each leaf's calls took; None where the run asked a teacher and its ledger is gone.

    Raises InputError for a ledger that cannot be read, InUseError while a run holds it.
    """
    if not run.ledger.is_file():
        return None if recipe.everybody else Costs({}, LeafCost())
    taken = charges(run.ledger)
    needed: dict[str, set[str]] = {}
    for leaf, call in uses(run, evaluated=False) if taken else ():
        if call in taken:
            needed.setdefault(leaf, set()).add(call)
    making = {call for calls in needed.values() for call in calls}
    measuring = {cast("dict[str, str]", row)["call"] for row in rows_of(run.asked)} - making
    taken = {call: charge for call, charge in taken.items() if call not in measuring}
    sharing = Counter(call for calls in needed.values() for call in calls)
    prices = {f"http:{told.model}": price for told in recipe.everybody if (price := price_of(told))}
    several = {call for call, leaves in sharing.items() if leaves > 1}
    leaves = {leaf: summed(calls, taken, prices, several) for leaf, calls in needed.items()}
    return Costs(leaves, summed(set(taken), taken, prices, several))


def charges(ledger: Path) -> dict[str, Charge]:
    """Every call of a ledger by its key."""
    with Books(ledger) as books, books.translated():
        rows = books.connection.execute(CHARGES if books.version > 1 else CHARGES_OF_1).fetchall()
    return {key: Charge(*counts) for key, *counts in rows}


def summed(calls: set[str], taken: Mapping[str, Charge], prices: Mapping[str, Price], several: set[str]) -> LeafCost:
    found = [taken[call] for call in calls]
    known = all(one.model in prices for one in found)
    money = fsum(cost(prices[one.model], one.tokens_in, one.tokens_out) for one in found) if known else None
    return LeafCost(
        calls=sum(one.calls for one in found),
        tokens_in=sum(one.tokens_in for one in found),
        tokens_out=sum(one.tokens_out for one in found),
        money=money,
        shared=sum(taken[call].calls for call in calls & several),
    )
