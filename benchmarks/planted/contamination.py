"""Planted items of a benchmark (items.jsonl), whole, in part, spaced otherwise; and what all tests have in common."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import TRADES, Trade, dressed, made
from instructlab_like.records import Sample

FILE = "benchmarks/planted/items.jsonl"
FLOORS = Floors(recall=0.99, precision=0.995, options={"files": FILE})
ITEMS = [json.loads(line) for line in Path(__file__).with_name("items.jsonl").read_text(encoding="utf-8").splitlines()]
QUESTIONS = [item["question"] for item in ITEMS if "choices" in item]
SHORT = [item["question"] for item in ITEMS if 0 < len(item.get("question", "").split()) < 9]
PASSAGES = [item["context"] for item in ITEMS if "context" in item]
SOLUTIONS = [item["canonical_solution"] for item in ITEMS if "canonical_solution" in item]
ANSWERS = [item["messages"][1]["content"] for item in ITEMS if "messages" in item]
ABROAD = [item["prompt"] for item in ITEMS if "target" in item]
COMMON = ("True", "False", "yes", "none of the above", "all of them", "C", "42", "knowledge", "glass")
MONTHS = "January, February, March, April, May, June, July, August, September, October, November and December"


def cut(rng: random.Random, text: str, least: int) -> str:
    """Some words in a row, by the count of the filter: an apostrophe ends a word."""
    words = text.split()
    size = rng.randint(min(least, len(words)), len(words))
    begin = rng.randint(0, len(words) - size)
    return " ".join(words[begin : begin + size])


def whole(rng: random.Random, trade: Trade) -> Sample:
    return made(dressed(rng, rng.choice(QUESTIONS + SHORT)), trade.statement(rng))


def part(rng: random.Random, trade: Trade) -> Sample:
    asked = cut(rng, rng.choice(QUESTIONS), 13).rstrip("?")
    return made(f"{trade.short(rng)} Besides, {asked.lower()} is what {trade.draw(rng)['name']} asks.", "So it is.")


def passage(rng: random.Random, trade: Trade) -> Sample:
    given = cut(rng, rng.choice(PASSAGES), 16)
    if rng.random() < 0.5:
        return made(trade.short(rng), trade.statement(rng), kind="grounded", context=f"{trade.statement(rng)} {given}")
    return made(f"{given}\n\n{trade.short(rng)}", trade.statement(rng))


def solution(rng: random.Random, trade: Trade) -> Sample:
    code = rng.choice(SOLUTIONS)
    way = rng.randrange(4)
    if way == 0:
        code = re.sub(r"\s*([-+*/=(),:\[\]])\s*", r" \1 ", code)
    elif way == 1:
        code = code.replace("    ", "\t")
    elif way == 2:
        code = f"```python\n{code}```"
    return made(f"Write a function for {trade.name}.", f"Here it is:\n\n{code}\n{trade.statement(rng)}")


def answer(rng: random.Random, trade: Trade) -> Sample:
    return made(trade.question(rng), f"{trade.statement(rng)} {dressed(rng, rng.choice(ANSWERS))}")


def turn(rng: random.Random, trade: Trade) -> Sample:
    asked = rng.choice(QUESTIONS + [one for one in SHORT if len(one.split()) > 6])
    frame = rng.choice(
        ("User: {asked}\n\nAssistant: {said}\n\nUser: {then}", "Question: {asked} Answer:", "{asked}\n{then}")
    )
    return made(frame.format(asked=asked, said=trade.statement(rng), then=trade.short(rng)), trade.statement(rng))


def another_language(rng: random.Random, trade: Trade) -> Sample:
    asked = rng.choice(ABROAD)
    return made(rng.choice((asked, f"{trade.statement(rng)} {asked}", asked[: len(asked) * 4 // 5])), "1742")


def common_answer(rng: random.Random, trade: Trade) -> Sample:
    said = rng.choice(COMMON)
    return made(rng.choice((trade.question(rng), f"Is it {said}?", said)), said)


def twelve_words(rng: random.Random, trade: Trade) -> Sample:
    """As many as cannot be thirteen, with fewer than fifty letters."""
    text = rng.choice(QUESTIONS + PASSAGES).replace("'", " ")
    words = re.findall(r"\w+", text)
    begin = rng.randint(0, len(words) - 12)
    size = 12
    while sum(map(len, words[begin : begin + size])) >= 46:
        size -= 1
    quoted = " ".join(words[begin : begin + size])
    return made(f"Xim says {quoted} xim. {trade.short(rng)}", trade.statement(rng))


def short_one_goes_on(rng: random.Random, trade: Trade) -> Sample:
    return made(f"{rng.choice(SHORT).rstrip('?')} {trade.draw(rng)['name']} {trade.draw(rng)['deed']}?", "No.")


def behind_it(rng: random.Random, trade: Trade) -> Sample:
    return made(trade.question(rng), trade.statement(rng), kind="knowledge", context=rng.choice(PASSAGES))


def listed(rng: random.Random, trade: Trade) -> Sample:
    first = rng.randint(1, 40)
    numbers = " ".join(str(number) for number in range(first, first + 30))
    return made(trade.question(rng), rng.choice((MONTHS, f"{numbers} and so on.", "a b c d e f g h i j k l m n o p q")))


def plain(rng: random.Random, trade: Trade) -> Sample:
    return made(trade.question(rng), trade.passage(rng, rng.randint(1, 3)))


Make = Callable[[random.Random, Trade], Sample]
BAD: dict[str, Make] = {
    "an item's question, in any typography": whole,
    "thirteen words and more of a question": part,
    "part of an item's passage": passage,
    "an item's code, spaced otherwise": solution,
    "an item's reference answer": answer,
    "an item's question as a turn or a line": turn,
    "an item in another language": another_language,
}
GOOD: dict[str, Make] = {
    "answers that all tests share": common_answer,
    "twelve words of an item": twelve_words,
    "a short question that goes on": short_one_goes_on,
    "an item's passage behind a sample": behind_it,
    "lists that everybody knows": listed,
    "questions from the same frames": plain,
}


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for number in range(count):
        bad = number % 2 == 0
        kind, make = rng.choice(list((BAD if bad else GOOD).items()))
        yield Case(kind, (make(rng, rng.choice(TRADES)),), bad)
