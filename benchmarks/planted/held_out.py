"""Planted questions that are held out, asked and quoted in many ways, and questions that are merely like them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import TRADES, Trade, dressed, made
from instructlab_like.filters import Surroundings
from instructlab_like.records import Item, Sample, digest

FLOORS = Floors(recall=1.0, precision=0.995)
ITEMS = 60  # of each sort and trade
CRATES = "A van brings {vans} crates of {each} {thing}s to {town}. {broken} are broken. How many are whole?"
INSTRUCTIONS = (
    "Return the text after correcting every error of spelling that you can find in it.",
    "Sum up the following notice in a single sentence for the people who live in the street.",
    "List all the names of people that are mentioned in the passage, one on each line.",
)
ABROAD = (
    "Wie viele {a} hat der Imker aus {t} im Jahr {y} verkauft, bevor er die {b} an seinen Nachbarn {n} gab?",
    "¿Por qué decidió {n} guardar las {a} en el almacén de {t} cuando en {y} ya no quedaban {b} para vender?",
    "В каком году {n} привёз первые {a} в город {t}, если {b} появились там только в {y} году?",
    "在{y}年的春天，{n}为什么把{a}从{t}的仓库搬到河边的小屋里，而没有留下任何{b}？",
    "{y}年に{n}が{t}の倉庫から川のそばの小屋へ{a}を運んだのに、{b}を一つも残さなかったのはなぜですか？",
    "{n} ने सन {y} में {t} के गोदाम से {a} नदी के किनारे वाली झोपड़ी में क्यों रखे और {b} क्यों नहीं छोड़े?",
)


def item(question: str, *, source: str = "heldout", context: str | None = None) -> Item:
    id = digest([question, source, context])[:32]
    fields = {"id": id, "leaf": "knowledge/planted", "source": source, "question": question, "context": context}
    return Item.model_validate({**fields, "answer": "nobody knows"})


def crates(rng: random.Random, trade: Trade) -> str:
    words = trade.draw(rng)
    return CRATES.format(
        vans=rng.randint(2, 60), each=rng.randint(6, 96), broken=rng.randint(1, 9), thing=words["thing"], town="Holm"
    )


def abroad(rng: random.Random, frame: str) -> str:
    words = rng.choice(TRADES).draw(rng)
    return frame.format(a=words["name"], b=words["town"], n=words["name"], t=words["town"], y=words["year"])


def held(rng: random.Random) -> dict[str, list[Item]]:
    return {
        "long": [item(trade.question(rng)) for trade in TRADES for _ in range(ITEMS)],
        "short": [item(trade.short(rng)) for trade in TRADES for _ in range(ITEMS)],
        "simulation": [item(crates(rng, trade), source="simulation") for trade in TRADES for _ in range(ITEMS)],
        "passage": [
            item(rng.choice(INSTRUCTIONS), context=trade.passage(rng, 3)) for trade in TRADES for _ in range(ITEMS)
        ],
        "abroad": [item(abroad(rng, frame)) for frame in ABROAD for _ in range(ITEMS)],
    }


HELD = held(random.Random(11))


def around() -> Surroundings:
    return Surroundings(held_out=tuple(one for items in HELD.values() for one in items))


def equal(rng: random.Random, trade: Trade) -> Sample:
    of = rng.choice(HELD[rng.choice(("long", "short"))])
    return made(dressed(rng, of.question), trade.statement(rng))


def in_another_language(rng: random.Random, trade: Trade) -> Sample:
    asked = rng.choice(HELD["abroad"]).question
    return made(rng.choice((asked, f"{trade.statement(rng)}\n{asked}", asked.rstrip("?？"))), trade.statement(rng))


def part_of_it(rng: random.Random, trade: Trade) -> Sample:
    words = rng.choice(HELD["long"]).question.split()
    size = rng.randint(10, len(words))
    begin = rng.randint(0, len(words) - size)
    asked = " ".join(words[begin : begin + size])
    return made(f"{trade.short(rng)} And {asked.lower().rstrip('?')}, as they say in {trade.draw(rng)['town']}?", "So.")


def earlier_turn(rng: random.Random, trade: Trade) -> Sample:
    asked = rng.choice(HELD["short"]).question
    frame = rng.choice(
        (
            "User: {asked}\n\nAssistant: {said}\n\nUser: {then}",
            "{asked}\n\n{said}\n\n{then}",
            "{said} {asked} {then}",
            "Q: {asked}\nA: {said}\nQ: {then}\nA:",
            'Here is what they asked me: "{asked}" {then}',
        )
    )
    return made(frame.format(asked=asked, said=trade.statement(rng), then=trade.short(rng)), trade.statement(rng))


def in_the_answer(rng: random.Random, trade: Trade) -> Sample:
    asked = rng.choice(HELD[rng.choice(("long", "short"))]).question
    frame = rng.choice(("1. {asked}\n2. {other}", "{other}\n- {asked}", "{said} {asked} {said}"))
    answer = frame.format(asked=asked, other=trade.short(rng), said=trade.statement(rng))
    return made(f"Write a few questions for a quiz on {trade.name}.", answer, kind="knowledge")


def same_passage(rng: random.Random, trade: Trade) -> Sample:
    of = rng.choice(HELD["passage"])
    sentences = (of.context or "").split(". ")
    passage = f"{trade.statement(rng)} {rng.choice(sentences)}. {trade.statement(rng)}"
    whole = rng.random() < 0.5
    return made(of.question, "Done.", kind="grounded", context=of.context if whole else passage)


def same_draw(rng: random.Random, trade: Trade) -> Sample:
    asked = rng.choice(HELD["simulation"]).question
    return made(rng.choice((asked, f"{trade.short(rng)}\n\n{asked}", dressed(rng, asked))), "12", method="simulation")


def other_draw(rng: random.Random, trade: Trade) -> Sample:
    known = {one.question for one in HELD["simulation"]}
    asked = crates(rng, trade)
    while asked in known:
        asked = crates(rng, trade)
    return made(asked, str(rng.randint(10, 900)), method="simulation")


def other_passage(rng: random.Random, trade: Trade) -> Sample:
    return made(rng.choice(INSTRUCTIONS), trade.statement(rng), kind="grounded", context=trade.passage(rng, 3))


def five_words(rng: random.Random, trade: Trade) -> Sample:
    words = rng.choice(HELD["long"]).question.split()
    begin = rng.randint(0, len(words) - 5)
    asked = " ".join(words[begin : begin + 5]).lower().rstrip("?")
    return made(f"Could you say what {asked} has to do with that {trade.draw(rng)['thing']}?", trade.statement(rng))


def short_one_goes_on(rng: random.Random, trade: Trade) -> Sample:
    asked = rng.choice(HELD["short"]).question.rstrip("?")
    return made(f"{asked} that {trade.draw(rng)['name']} {trade.draw(rng)['deed']} then?", trade.statement(rng))


def phrase_in_an_answer(rng: random.Random, trade: Trade) -> Sample:
    words = rng.choice(HELD["long"]).question.rstrip("?").split()
    begin = rng.randint(1, len(words) - 10)
    phrase = " ".join(words[begin : begin + 9])
    return made(trade.question(rng), f"That is so. {trade.statement(rng)[:-1]} {phrase}, {trade.statement(rng)}")


def passage_behind_it(rng: random.Random, trade: Trade) -> Sample:
    asked = rng.choice(HELD["long"]).question
    return made(trade.question(rng), trade.statement(rng), kind="knowledge", context=f"{asked} {trade.passage(rng, 2)}")


def plain(rng: random.Random, trade: Trade) -> Sample:
    return made(trade.question(rng), trade.passage(rng, rng.randint(1, 3)), kind=rng.choice(("knowledge", "freeform")))


Make = Callable[[random.Random, Trade], Sample]
BAD: dict[str, Make] = {
    "an equal question": equal,
    "a question in another language": in_another_language,
    "eight words and more of a question": part_of_it,
    "a short question as a turn, line or sentence": earlier_turn,
    "a question in an answer": in_the_answer,
    "a passage that is held out": same_passage,
    "a simulation's held-out draw": same_draw,
}
GOOD: dict[str, Make] = {
    "another draw of the same simulation": other_draw,
    "an instruction that returns about another passage": other_passage,
    "five words of a question": five_words,
    "a short question that goes on": short_one_goes_on,
    "a phrase of a question in an answer": phrase_in_an_answer,
    "a question in the passage behind a sample": passage_behind_it,
    "questions from the same frames": plain,
}


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for number in range(count):
        bad = number % 2 == 0
        kind, make = rng.choice(list((BAD if bad else GOOD).items()))
        yield Case(kind, (make(rng, rng.choice(TRADES)),), bad)
