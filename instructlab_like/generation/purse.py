"""What a run has spent and may still spend: calls, tokens, money, checked before each call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from instructlab_like.errors import InputError, StoppedError
from instructlab_like.generation.ledger import Spent
from instructlab_like.recipe import Budget
from instructlab_like.records import Prompt
from instructlab_like.teachers.context import EACH_MESSAGE, EACH_PROMPT, ENOUGH, MARGIN, Ratio

MILLION = 1_000_000
FEW, FEW_TOKENS = 200, 100_000  # left of a budget

Price = tuple[float, float]  # of a million tokens in and out


class Most(NamedTuple):
    """The most that a call may take."""

    tokens: float
    money: float


NOTHING = Most(0.0, 0.0)


class Purse:
    """Starts with what the ledger says. A call is refused when it, with those under way, might go over the budget.

    Each call under way is reserved at its most: its answer at max_tokens, its prompt at a token a byte until its
    teacher has counted some, then at the highest ratio seen and a margin. Nothing less keeps a limit while many answers
    of any length are under way; the reserve is given back with each answer, so it costs slots near the end, not money.
    """

    def __init__(self, budget: Budget, before: Mapping[str, Spent], prices: Mapping[str, Price]) -> None:
        """`before` is what was spent and `prices` what tokens cost, both by the teacher's identity.

        What was spent on a teacher that has no price counts at the dearest one known.
        """
        self.budget = budget
        self.limited = budget.tokens is not None or budget.money is not None
        self.prices = prices
        self.dearest: Price = max(prices.values(), key=sum, default=(0.0, 0.0))
        self.calls = sum(part.calls for part in before.values())
        self.tokens_in = sum(part.tokens_in for part in before.values())
        self.tokens_out = sum(part.tokens_out for part in before.values())
        self.money = sum(
            cost(prices.get(model, self.dearest), part.tokens_in, part.tokens_out) for model, part in before.items()
        )
        self.reserved: dict[str, Most] = {}  # by call key
        self.ratios: dict[str, Ratio] = {}  # by the teacher's identity
        self.overrun: dict[str, float] = {}  # answers beyond max_tokens, which some servers ignore

    @property
    def priced(self) -> bool:
        return bool(self.prices)

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    @property
    def under_way(self) -> int:
        return len(self.reserved)

    def refusal(self, prompt: Prompt) -> StoppedError | None:
        """The stop that asking would make necessary, if it would; it may fit once calls under way have ended."""
        budget = self.budget
        if budget.calls is not None and self.calls >= budget.calls:
            return self.stop(f"{budget.calls:,} calls", f"{max(1, 2 * budget.calls)}calls")
        if not self.limited:
            return None
        most = self.most(prompt)
        tokens = self.tokens + sum(one.tokens for one in self.reserved.values()) + most.tokens
        if budget.tokens is not None and tokens > budget.tokens:
            another = f"one more call may take {most.tokens:,.0f}"
            return self.stop(f"{budget.tokens:,} tokens", f"{round(2 * budget.tokens + most.tokens)}tokens", another)
        money = self.money + sum(one.money for one in self.reserved.values()) + most.money
        if budget.money is not None and money > budget.money:
            another = f"one more call may take {most.money:.4f}"
            return self.stop(f"{budget.money:.2f} in money", f"{2 * budget.money + most.money:.2f}", another)
        return None

    def stop(self, limit: str, more: str, another: str = "") -> StoppedError:
        spent = f"{self.calls:,} calls, {self.tokens:,} tokens"
        spent += f" and {self.money:.4f} in money" if self.priced else ""
        why = f"; {another}" if another else ""
        return StoppedError(
            f"the budget of {limit} is used up: {spent} over all of this run{why}",
            where="budget",
            fix=f"raise it, with --budget {more} for example",
        )

    def begin(self, prompt: Prompt) -> None:
        """Reserve what the call may take, where there is a limit to what all may take."""
        self.calls += 1
        self.reserved[prompt.key] = self.most(prompt) if self.limited else NOTHING

    def unused(self, prompt: Prompt) -> None:
        """Take back `begin`: the ledger had the answer, or nothing was sent."""
        self.calls -= 1
        self.reserved.pop(prompt.key, None)

    def end(self, prompt: Prompt, price: Price | None, tokens_in: int, tokens_out: int) -> None:
        """Enter what an attempt was charged."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.money += cost(price, tokens_in, tokens_out)
        self.reserved.pop(prompt.key, None)
        if not self.limited:
            return
        model = prompt.lineage.model
        if tokens_in:
            self.ratios.setdefault(model, Ratio()).learn(size(prompt), tokens_in)
        over = tokens_out / prompt.sampling.max_tokens
        if over > self.overrun.get(model, 1.0):
            self.overrun[model] = over

    def beside(self, price: Price | None, calls: int, tokens_in: int, tokens_out: int) -> None:
        """Enter calls that no prompt of a walk made: a probe's."""
        self.calls += calls
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.money += cost(price, tokens_in, tokens_out)

    @property
    def narrow(self) -> bool:
        """Whether so little is left that nothing of it should go to learning what a teacher can do."""
        budget = self.budget
        dear = cost(self.dearest, FEW_TOKENS, FEW_TOKENS)
        return (
            (budget.calls is not None and budget.calls - self.calls < FEW)
            or (budget.tokens is not None and budget.tokens - self.tokens < FEW_TOKENS)
            or (budget.money is not None and budget.money - self.money < dear)
        )

    def most(self, prompt: Prompt) -> Most:
        model = prompt.lineage.model
        tokens_in = float(size(prompt))
        ratio = self.ratios.get(model)
        if ratio is not None and ratio.seen >= ENOUGH:
            tokens_in *= min(1.0, ratio.high * MARGIN)
        tokens_in += EACH_PROMPT + EACH_MESSAGE * len(prompt.messages)
        tokens_out = prompt.sampling.max_tokens * self.overrun.get(model, 1.0)
        return Most(tokens_in + tokens_out, cost(self.prices.get(model), tokens_in, tokens_out))


BUDGET = re.compile(r"(\d[\d_,]*) *(calls?|tokens?)|(\d+(?:\.\d+)?|\.\d+)", re.ASCII)


def read_budget(told: Iterable[str]) -> dict[str, int | float]:
    """Limits as a user writes them: 500calls, 200000tokens, 5.00; raises InputError for anything else."""
    found: dict[str, int | float] = {}
    for text in told:
        match = BUDGET.fullmatch(text.strip())
        if match is None:
            fix = "give 500calls, 200000tokens, or an amount of money such as 5.00; each may be given once"
            raise InputError(f"{text!r} is no budget", where="--budget", fix=fix)
        count, unit, money = match.groups()
        name = "money" if unit is None else f"{unit.rstrip('s')}s"
        if name in found:
            raise InputError(f"a budget of {name} is given twice", where="--budget", fix="give it once")
        found[name] = float(money) if unit is None else int(re.sub("[_,]", "", count))
    return found


def size(prompt: Prompt) -> int:
    """Bytes of the messages, at least one."""
    return max(1, sum(len(message.content.encode()) for message in prompt.messages))


def cost(price: Price | None, tokens_in: float, tokens_out: float) -> float:
    return 0.0 if price is None else (tokens_in * price[0] + tokens_out * price[1]) / MILLION
