"""Planted copies of passages and seed pairs, and the short quotations and retellings that are right."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import TRADES, Trade, dressed, made
from instructlab_like.filters import LeafFacts, Surroundings
from instructlab_like.records import Pair, Sample, Seed

FLOORS = Floors(recall=0.98, precision=0.99)
SAME = {"in": "within", "the": "this", "and": "as well as", "of": "from", "a": "one", "with": "using", "most": "many"}
TASK = "Decide whether the tone of the following note about our {name} is friendly or cross:"


def seeds(rng: random.Random, trade: Trade) -> tuple[Seed, ...]:
    knowledge = [
        Seed(
            number=number,
            line=10 * number,
            context=trade.passage(rng, 5),
            pairs=tuple(Pair(question=trade.question(rng), answer=trade.statement(rng)) for _ in range(3)),
        )
        for number in range(1, 5)
    ]
    pair = Pair(question=f"{TASK.format(name=trade.name)} {trade.statement(rng)}", answer="friendly")
    long = Pair(question=trade.short(rng), answer=trade.passage(rng, 5))
    return (*knowledge, Seed(number=5, line=50, pairs=(pair,)), Seed(number=6, line=60, pairs=(long,)))


def path(trade: Trade) -> str:
    return f"knowledge/planted/{trade.name}"


LEAVES = {path(trade): LeafFacts(path=path(trade), seeds=seeds(random.Random(trade.name), trade)) for trade in TRADES}


def around() -> Surroundings:
    return Surroundings(leaves=LEAVES)


def pairs(trade: Trade) -> list[Pair]:
    return [pair for seed in LEAVES[path(trade)].seeds[:4] for pair in seed.pairs]


def knowledge(question: str, answer: str, trade: Trade, passage: str, *, method: str = "teacher") -> Sample:
    return made(question, answer, leaf=path(trade), kind="knowledge", context=passage, method=method)


def stretch(rng: random.Random, text: str, least: int, most: int) -> str:
    words = text.split()
    size = rng.randint(least, min(most, len(words)))
    begin = rng.randint(0, len(words) - size)
    return " ".join(words[begin : begin + size])


def in_a_row(rng: random.Random, trade: Trade) -> Sample:
    passage = trade.passage(rng, 8)
    copied = dressed(rng, stretch(rng, passage, 52, 85))
    return knowledge(trade.question(rng), f"{rng.choice(('', trade.statement(rng)))} {copied}", trade, passage)


def in_pieces(rng: random.Random, trade: Trade) -> Sample:
    passage = trade.passage(rng, 8)
    words = stretch(rng, passage, 80, 100).split()
    for place in range(rng.randint(16, 20), len(words) - 14, rng.randint(18, 24)):
        words[place] = trade.draw(rng)["name"]
    return knowledge(trade.question(rng), " ".join(words), trade, passage)


def in_the_question(rng: random.Random, trade: Trade) -> Sample:
    passage = trade.passage(rng, 6)
    asked = f"It says: {stretch(rng, passage, 52, 70)} {trade.short(rng)}"
    return knowledge(asked, trade.statement(rng), trade, passage)


def seeds_passage(rng: random.Random, trade: Trade) -> Sample:
    of = rng.choice(LEAVES[path(trade)].seeds[:4]).context or ""
    return knowledge(trade.question(rng), stretch(rng, of, 52, 60), trade, trade.passage(rng, 4))


def seed_pair(rng: random.Random, trade: Trade) -> Sample:
    pair = rng.choice(pairs(trade))
    return knowledge(dressed(rng, pair.question), dressed(rng, pair.answer), trade, trade.passage(rng, 4))


def nearly_a_seed_pair(rng: random.Random, trade: Trade) -> Sample:
    pair = rng.choice(pairs(trade))
    return knowledge(edited(rng, pair.question), edited(rng, pair.answer), trade, trade.passage(rng, 4))


def edited(rng: random.Random, text: str) -> str:
    """With one word or two that hold sentences together put otherwise."""
    words = text.split()
    places = [place for place, word in enumerate(words) if word in SAME]
    for place in rng.sample(places, min(len(places), rng.randint(1, 2))):
        words[place] = SAME[words[place]]
    return " ".join(words)


def seeds_answer(rng: random.Random, trade: Trade) -> Sample:
    answer = LEAVES[path(trade)].seeds[5].pairs[0].answer
    return made(f"Write a note on {trade.draw(rng)['name']}.", stretch(rng, answer, 52, 90), leaf=path(trade))


def extract(rng: random.Random, trade: Trade) -> Sample:
    passage = trade.passage(rng, 6)
    return knowledge(trade.question(rng), stretch(rng, passage, 1, 40), trade, passage)


def retold(rng: random.Random, trade: Trade) -> Sample:
    passage = trade.passage(rng, 6)
    words = passage.split()
    for place in range(rng.randint(4, 7), len(words), rng.randint(6, 8)):
        words[place] = trade.draw(rng)["rival"]
    return knowledge(trade.question(rng), " ".join(words), trade, passage)


def quoted_in_a_long_answer(rng: random.Random, trade: Trade) -> Sample:
    passage = trade.passage(rng, 6)
    return knowledge(trade.question(rng), f"{stretch(rng, passage, 12, 40)} {trade.passage(rng, 4)}", trade, passage)


def own_passage(rng: random.Random, trade: Trade) -> Sample:
    passage = trade.passage(rng, 6)
    return made("Set the commas right.", passage, leaf=path(trade), kind="grounded", context=passage.replace(",", ""))


def same_instruction(rng: random.Random, trade: Trade) -> Sample:
    asked = f"{TASK.format(name=trade.name)} {trade.statement(rng)}"
    return made(asked, rng.choice(("friendly", "cross")), leaf=path(trade))


def a_seeds_question(rng: random.Random, trade: Trade) -> Sample:
    pair = rng.choice(pairs(trade))
    return knowledge(pair.question, trade.statement(rng), trade, trade.passage(rng, 4))


def other_names(rng: random.Random, trade: Trade) -> Sample:
    """A seed pair in which somebody else does the same."""
    pair = rng.choice(pairs(trade))
    told = (pair.question + "\n" + pair.answer).split(" ")
    for place, word in enumerate(told):
        if word[:1].isupper() and place and len(word) > 5:
            told[place] = trade.draw(rng)["rival"] + word[len(word.rstrip("?.,'s")) :]
    question, _, answer = " ".join(told).partition("\n")
    return knowledge(question, answer, trade, trade.passage(rng, 4))


def by_rules(rng: random.Random, trade: Trade) -> Sample:
    passage = trade.passage(rng, 6)
    return knowledge("What does the passage say?", passage, trade, passage, method="rules")


Make = Callable[[random.Random, Trade], Sample]
BAD: dict[str, Make] = {
    "fifty words and more of the passage": in_a_row,
    "most of an answer in pieces of the passage": in_pieces,
    "the passage in the question": in_the_question,
    "the passage of a seed": seeds_passage,
    "a seed pair, in any typography": seed_pair,
    "a seed pair, a word or two put otherwise": nearly_a_seed_pair,
    "a seed's long answer": seeds_answer,
}
GOOD: dict[str, Make] = {
    "extracts of up to 40 words": extract,
    "a retelling": retold,
    "a quotation in a longer answer": quoted_in_a_long_answer,
    "a grounded sample's own passage": own_passage,
    "a seed's instruction about another text": same_instruction,
    "a seed's question answered otherwise": a_seeds_question,
    "a seed pair about somebody else": other_names,
    "what rules made": by_rules,
}


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for number in range(count):
        bad = number % 2 == 0
        kind, make = rng.choice(list((BAD if bad else GOOD).items()))
        yield Case(kind, (make(rng, rng.choice(TRADES)),), bad)
