"""What the teachers of a run are found able to do, asked once and beside the first calls; written into run.yaml."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from instructlab_like.console import warn
from instructlab_like.errors import InputError, TeacherError
from instructlab_like.flows import AskStep, Flow
from instructlab_like.generation.ledger import Entry, Failure, Intent, Unsent
from instructlab_like.generation.purse import Price, Purse
from instructlab_like.recipe import GenerateRecipe
from instructlab_like.records import Sampling
from instructlab_like.teachers import Teacher
from instructlab_like.teachers.probe import Capabilities, Feature, Need, ProbeCall, describe

FEATURES: tuple[Feature, ...] = ("seed", "logprobs", "n", "schema")


class Probing:
    """Urgent where a template cannot work without what a server may ignore; else nothing waits for it."""

    def __init__(
        self,
        teachers: Mapping[str, Teacher],
        needs: Mapping[str, Sequence[Need]],
        prices: Mapping[str, Price],
        purse: Purse,
    ) -> None:
        self.teachers = teachers  # by identity
        self.needs = needs
        self.prices = prices
        self.purse = purse
        self.urgent = any(need.feature != "seed" for wanted in needs.values() for need in wanted)
        self.found: dict[str, Capabilities] = {}

    async def ask(self, write: Callable[[Entry], Awaitable[object]], /) -> None:
        """Raises InputError for a teacher that ignores what a template needs."""
        for identity, teacher in self.teachers.items():

            async def record(call: ProbeCall, identity: str = identity) -> None:
                await self.enter(identity, call, write)

            try:
                self.found[identity] = found = await teacher.probe(record)
            except TeacherError:  # the calls of the walks meet it, too, and say so
                return
            except InputError:
                if self.urgent:
                    raise
                return
            for line in describe(found, self.needs.get(identity, ()), teacher=identity):
                warn(f"  {line}")

    async def enter(self, identity: str, call: ProbeCall, write: Callable[[Entry], Awaitable[object]]) -> None:
        price = self.prices.get(identity)
        if not call.ended:
            self.purse.beside(price, 1, 0, 0)
            await write(Intent(call.key, call.request, identity, "probe"))
            return
        if call.kind == "unsent":
            self.purse.beside(price, -1, 0, 0)
            await write(Unsent(call.key))
            return
        self.purse.beside(price, 0, call.prompt_tokens, call.completion_tokens)
        if call.completion is not None:
            await write(call.completion)
        else:
            told = (call.error or "no reason given", call.kind or "failed")
            await write(Failure(call.key, *told, call.prompt_tokens, call.completion_tokens))


def needs(flows: Sequence[Flow], identities: Mapping[str, str], recipe: GenerateRecipe) -> dict[str, list[Need]]:
    """What the templates of the flows need of each teacher; a seed is needed wherever an answer is drawn."""
    wanted: dict[str, list[Need]] = {}
    sampling = Sampling(temperature=recipe.temperature, max_tokens=recipe.max_tokens, seed=recipe.seed)
    for flow in flows:
        for step in flow.steps:
            if not isinstance(step, AskStep):
                continue
            template = flow.templates[step.name]
            named = set(template.needs) | ({"seed"} if template.sampled(sampling).temperature else set())
            found = [Need(feature, template.name) for feature in FEATURES if feature in named]
            having = (identity for seat, identity in identities.items() if seat.partition(":")[0] == step.role)
            for identity in dict.fromkeys(having):  # several, where routes choose who has the role
                wanted.setdefault(identity, []).extend(found)
    return wanted
