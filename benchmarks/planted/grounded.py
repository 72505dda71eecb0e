"""Planted numbers and names that a passage does not have, and the same facts in every honest spelling.

Passages of six registers, English and German, are filled with drawn values. An answer tells some of them in other words
and another spelling; planted is one value that the passage lacks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.planted import Case, Floors
from instructlab_like.records import Lineage, Sample, digest

FLOORS = Floors(recall=0.95, precision=0.95)

FIRST_TEXT = """Aiko Beatriz Callum Dagmar Esra Fintan Giulia Henrik Ingeborg Jurek Katya Leandro Mireille Nkechi
Oskar Priya Quentin Rafaela Soren Tamsin Ulrike Viktor Wanda Ximena Yusuf Zofia Alasdair Bronwen Cosimo Delphine"""
FIRST = FIRST_TEXT.split()
LAST_TEXT = """Abernathy Bergström Castellanos Dragomir Eskelund Fontaine Grzybowski Hallström Iwasaki Jankowski
Kowalczyk Lindqvist Mbeki Nakagawa O'Rourke Pettersen Quillfeather Rosenthal Szymański Takahashi Undset Vandermeer
Whitlock Xanthopoulos Yamamoto Zielinski Achterberg Bellweather Czerny Dunwoody"""
LAST = LAST_TEXT.split()
PLACES_TEXT = """Aldersund Brockhaven Cresswick Dunmorrow Eskmouth Fairholt Gravenport Hollinsea Inverloch Jarlsby
Kestwick Lorvane Merrowdale Nantford Ostermoor Pellingham Quarrenton Ravensgate Stavering Thornaby Ulverdale Vessoria
Wexcombe Yarrowfield"""
PLACES = PLACES_TEXT.split()
KINDS_TEXT = "Institute Foundation Council Society Laboratory Commission"
KINDS = KINDS_TEXT.split()
TOPICS_TEXT = "Marine Research|Rural Health|Northern Trade|Solar Physics|Public Archives|Inland Navigation"
TOPICS = TOPICS_TEXT.split("|")
MONTHS_TEXT = "January February March April May June July August September October November December"
MONTHS = MONTHS_TEXT.split()
MONATE_TEXT = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
MONATE = MONATE_TEXT.split()
WORDS_TEXT = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
WORDS = WORDS_TEXT.split()
TENS_TEXT = "_ _ twenty thirty forty fifty sixty seventy eighty ninety"
TENS = TENS_TEXT.split()
ORDINALS_TEXT = "_ first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
ORDINALS = ORDINALS_TEXT.split()
ZAHLEN_TEXT = "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf"
ZAHLEN = ZAHLEN_TEXT.split()


def in_words(number: int) -> str:
    if number < 20:
        return WORDS[number]
    return TENS[number // 10] + (f"-{WORDS[number % 10]}" if number % 10 else "")


@dataclass(frozen=True)
class Values:
    """What a passage tells."""

    person: str
    other: str
    place: str
    town: str
    body: str
    year: int
    later: int
    day: int
    month: int
    crowd: int
    few: int
    many: int
    share: int
    length: float
    money: float
    rank: int


def drawn(rng: random.Random) -> Values:
    people = [f"{first} {last}" for first, last in zip(rng.sample(FIRST, 2), rng.sample(LAST, 2), strict=True)]
    place, town = rng.sample(PLACES, 2)
    year = rng.randint(1790, 1990)
    return Values(
        *people,
        place,
        town,
        f"{rng.choice(KINDS)} for {rng.choice(TOPICS)}",
        year,
        year + rng.randint(13, 29),
        rng.randint(13, 28),
        rng.randint(1, 12),
        rng.randint(100_200, 8_999_900),
        rng.randint(3, 12),
        rng.randint(30, 99),
        rng.choice([12, 17, 23, 34, 41, 58, 63, 72, 86]),
        rng.randint(105, 990) / 10,
        rng.randint(11, 98) / 10,
        rng.randint(3, 12),
    )


# --- how each value may be spelled ------------------------------------------------------------------------------

Spell = Callable[[Values, random.Random], str]


def initials(body: str) -> str:
    return "".join(word[0] for word in body.split() if word != "for")


SPELLINGS: dict[str, Spell] = {
    "person": lambda v, r: r.choice(
        [v.person, v.person.split()[1], f"{v.person[0]}. {v.person.split()[1]}", f"Dr. {v.person}"]
    ),
    "other": lambda v, r: r.choice([v.other, v.other.split()[1]]),
    "place": lambda v, _: v.place,
    "town": lambda v, _: v.town,
    "body": lambda v, r: r.choice([f"the {v.body}", f"the {initials(v.body)}"]),
    "year": lambda v, r: r.choice([f"{v.year}", f"{v.year}", f"the {v.year // 10}0s", f"the year {v.year}"]),
    "later": lambda v, _: f"{v.later}",
    "date": lambda v, r: r.choice(
        [
            f"{MONTHS[v.month - 1]} {v.day}, {v.year}",
            f"{v.day} {MONTHS[v.month - 1]} {v.year}",
            f"{v.year}-{v.month:02}-{v.day:02}",
            f"{v.day:02}/{v.month:02}/{v.year}",
            f"the {v.day}th of {MONTHS[v.month - 1]} {v.year}",
        ]
    ),
    "crowd": lambda v, r: r.choice(
        [f"{v.crowd:,}", f"{v.crowd}", f"{v.crowd:,}".replace(",", " "), f"about {v.crowd / 1e6:.1f} million"]
        if v.crowd > 1_000_000
        else [f"{v.crowd:,}", f"{v.crowd}", f"roughly {round(v.crowd, -3):,}"]
    ),
    "few": lambda v, r: r.choice([f"{v.few}", in_words(v.few)]),
    "many": lambda v, r: r.choice([f"{v.many}", in_words(v.many)]),
    "share": lambda v, r: r.choice(
        [f"{v.share} percent", f"{v.share}%", f"{v.share} per cent", f"{in_words(v.share)} percent"]
    ),
    "length": lambda v, r: r.choice(
        [
            f"{v.length} kilometres",
            f"{v.length} km",
            f"{round(v.length * 1000):,} metres",
            f"{v.length}".replace(".", ",") + " km",
        ]
    ),
    "money": lambda v, r: r.choice([f"${v.money} million", f"{v.money} million dollars", f"${round(v.money * 1e6):,}"]),
    "rank": lambda v, r: r.choice([ORDINALS[v.rank], f"{v.rank}{'rd' if v.rank == 3 else 'th'}"]),
}
PLAIN: dict[str, Spell] = {  # as the passage has it
    "person": lambda v, _: v.person,
    "other": lambda v, _: v.other,
    "place": lambda v, _: v.place,
    "town": lambda v, _: v.town,
    "body": lambda v, _: f"the {v.body}",
    "year": lambda v, _: f"{v.year}",
    "later": lambda v, _: f"{v.later}",
    "date": lambda v, _: f"{v.day} {MONTHS[v.month - 1]} {v.year}",
    "crowd": lambda v, _: f"{v.crowd:,}",
    "few": lambda v, _: in_words(v.few),
    "many": lambda v, _: f"{v.many}",
    "share": lambda v, _: f"{v.share}%",
    "length": lambda v, _: f"{v.length} km",
    "money": lambda v, _: f"${v.money} million",
    "rank": lambda v, _: ORDINALS[v.rank],
}

# --- passages, questions about them, and answers in other words ---------------------------------------------------

PASSAGES = {
    "encyclopaedia": (
        "{place} is a port on the northern coast. It received its charter in {year} and, by the census of {later}, had"
        " {crowd} inhabitants. Its breakwater, {length} long, was planned by {person} and is the {rank} longest of the"
        " region. About {share} of the harbour's income comes from fishing. A ferry crosses to {town} {few} times a "
        "day.",
        [
            ("How long is the breakwater?", "Its outer wall stretches over {length}."),
            ("Who planned the breakwater of {place}?", "{person} drew up the design for it."),
            ("Who planned the breakwater of {place}?", "It was {person}."),
            ("When did {place} get its charter?", "The town was chartered in {year}."),
            ("How many people lived in {place}?", "In {later}, {crowd} people were counted there."),
            ("What does fishing contribute?", "Fishing accounts for {share} of what the harbour earns."),
            ("How often does the ferry run?", "Every day there are {few} crossings to {town}."),
            ("Where does the ferry go?", "{town} is where it goes."),
            ("How does the breakwater rank?", "Among those of the area it comes {rank} in length."),
        ],
    ),
    "law": (
        "By an ordinance of {date}, every employer with more than {many} workers in the district of {place} must elect"
        " a safety delegate. The delegate serves for {few} years. An employer who fails to comply is fined {money}. "
        "The bill was brought in by {person} and opposed by {body}; {share} of the members voted for it.",
        [
            ("Who is bound by the ordinance?", "Firms employing over {many} people in {place}."),
            ("When was the ordinance passed?", "It dates from {date}."),
            ("What does a breach cost?", "Whoever breaks the rule has to pay {money}."),
            ("Who opposed the bill?", "The resistance came from {body}."),
            ("Who introduced the bill?", "{person} introduced it in the chamber."),
            ("How long is the term of a delegate?", "A term lasts {few} years."),
            ("How large was the majority?", "Support stood at {share}."),
        ],
    ),
    "medicine": (
        "In a trial led by {person} at {body}, {crowd} records were screened and {many} patients enrolled in {year}. "
        "They took the drug for {few} weeks. Symptoms improved in {share} of them, while {other} reported no effect in"
        " a smaller cohort from {town}. The trial cost {money}.",
        [
            ("How many patients took part?", "The study group had {many} members."),
            ("Who led the trial?", "The trial was run by {person}."),
            ("Where was the trial carried out?", "At {body}."),
            ("How many benefited?", "There was an improvement for {share} of the participants."),
            ("How long did treatment last?", "Treatment went on for {few} weeks."),
            ("Who disagreed?", "{other} saw no benefit in another group."),
            ("How many records were looked at?", "The team went through {crowd} files."),
            ("When were patients enrolled?", "Enrolment took place in {year}."),
        ],
    ),
    "technology": (
        "The pumping station at {place} went into service on {date}. Its main line runs {length} to {town} and has "
        "{few} valves. {person} of {body} replaced {many} sensors in {later}, which cut losses by {share}. The upgrade"
        " cost {money}; it was the {rank} since the station opened.",
        [
            ("How long is the main line?", "The pipe covers a distance of {length}."),
            ("When did the station start?", "Operation began on {date}."),
            ("How many sensors were replaced?", "A total of {many} sensors were swapped."),
            ("Who replaced the sensors?", "{person} carried out the work."),
            ("What did it save?", "Losses fell by {share}."),
            ("How many valves are there?", "There are {few} of them on the line."),
            ("Which upgrade was it?", "This was the {rank} one."),
            ("Where does the line end?", "The line ends in {town}."),
        ],
    ),
    "story": (
        "When {person} came home to {place} in the autumn of {year}, the old mill had stood empty for {few} years. "
        "Letters lay behind the door, {many} of them, each sealed by {other}. The last was dated {date}, and it spoke "
        "of {town}, of a debt of {money}, and of a road of {length} that nobody had walked since.",
        [
            ("Who came home?", "{person} returned after a long absence."),
            ("Who had sealed the letters?", "Each of them bore the seal of {other}."),
            ("How many letters were there?", "Behind the door {many} letters had piled up."),
            ("What was the date of the last letter?", "It had been written on {date}."),
            ("How long had the mill been empty?", "Nobody had worked there for {few} years."),
            ("Which place did the letter mention?", "The letter was about {town}."),
            ("How long was the road?", "The way was {length} long."),
        ],
    ),
    "business": (
        "{body} reported revenue of {money} for {later}, up {share} on the year. It runs {many} branches, {few} of "
        "them in {place}, and served {crowd} customers. {person}, its {rank} director since {year}, announced that "
        "{other} would take over in {town}.",
        [
            ("What was the revenue?", "Turnover reached {money}."),
            ("How much did revenue grow?", "It rose by {share}."),
            ("Who is the director?", "At the head stands {person}."),
            ("Who takes over in {town}?", "The new head there is {other}."),
            ("How many customers were served?", "The company looked after {crowd} clients."),
            ("How many branches are in {place}?", "There are {few} offices in that town."),
            ("Since when has the director served?", "The appointment goes back to {year}."),
            ("How many branches are there?", "The network has {many} branches."),
        ],
    ),
}
GROUPS = {
    "person": "name of a person",
    "other": "name of a person",
    "place": "name of a place",
    "town": "name of a place",
    "body": "name of a body",
    "year": "year or date",
    "later": "year or date",
    "date": "year or date",
    "crowd": "count",
    "few": "count",
    "many": "count",
    "rank": "ordinal",
    "share": "percentage",
    "length": "measure",
    "money": "sum of money",
}


def told(template: str, values: Values, spell: dict[str, Spell], rng: random.Random) -> str:
    text = template
    for name, say in spell.items():
        while f"{{{name}}}" in text:
            text = text.replace(f"{{{name}}}", say(values, rng), 1)
    return text[0].upper() + text[1:] if text.startswith("the ") else text


def slots(template: str) -> list[str]:
    return [name for name in PLAIN if f"{{{name}}}" in template]


def changed(values: Values, slot: str, rng: random.Random) -> Values:
    """The values with one of them wrong: a neighbour, swapped digits, another power of ten, somebody else."""
    known = {values.year, values.later, values.day, values.month, values.crowd, values.few, values.many, values.share}
    known |= {values.rank, *range(1, 3)}
    while True:
        other = drawn(rng)
        wrong: dict[str, object] = {}
        if slot == "date":
            part = rng.choice(["day", "month", "year"])
            wrong = {part: getattr(other, part)}
            if part == "month" and (MONTHS[other.month - 1] == MONTHS[values.month - 1] or other.month in known):
                continue
        elif slot in ("length", "money"):
            now = getattr(values, slot)
            wrong = {
                slot: rng.choice([round(now * 10, 1), round(now + rng.randint(1, 9) / 10, 1), getattr(other, slot)])
            }
        elif slot in ("person", "other"):
            given = getattr(values, slot).split()[0]
            new = [
                name
                for name in (*other.person.split(), *other.other.split())
                if name not in f"{values.person} {values.other}"
            ]
            if len(new) < 4:
                continue
            wrong = {slot: rng.choice([f"{new[0]} {new[1]}", f"{given} {new[1]}"])}
        elif slot == "crowd":
            wrong = {slot: rng.choice([values.crowd * 10, values.crowd + 300_000, other.crowd])}
        else:
            wrong = {slot: getattr(other, slot)}
        made = Values(**{**{name: getattr(values, name) for name in Values.__dataclass_fields__}, **wrong})
        new_value = next(iter(wrong.values()))
        if made != values and new_value not in known and new_value not in (values.place, values.town, values.body):
            if slot == "body" and initials(str(new_value)) == initials(values.body):
                continue
            if slot == "year" and made.year // 10 == values.year // 10:
                continue
            if slot == "crowd" and abs(made.crowd - values.crowd) < 200_000:
                continue
            return made


def sample(question: str, answer: str, passage: str) -> Sample:
    return Sample(
        id=digest([question, answer, passage])[:32],
        kind="knowledge",
        question=question,
        answer=answer,
        context=passage,
        lineage=Lineage(leaf="knowledge/planted", leaf_blob="", method="given", model=""),
    )


def english(rng: random.Random, *, bad: bool) -> Case:
    register = rng.choice(list(PASSAGES))
    text, pairs = PASSAGES[register]
    values = drawn(rng)
    passage = told(text, values, PLAIN, rng)
    question, answer = rng.choice(pairs)
    asked = told(question, values, PLAIN, rng)
    if not bad:
        said = told(answer, values, SPELLINGS, rng)
        if rng.random() < 0.25:
            again = rng.choice([pair for pair in pairs if pair[1] != answer])[1]
            said += " " + told(again, values, SPELLINGS, rng)
        return Case(f"honest: {register}", (sample(asked, said, passage),), bad=False)
    open_slots = [slot for slot in slots(answer) if f"{{{slot}}}" not in question]
    slot = rng.choice(open_slots)
    exact = {
        **SPELLINGS,
        "year": PLAIN["year"],
        "crowd": PLAIN["crowd"],
        "other": PLAIN["other"],
        "person": PLAIN["person"],
    }
    said = told(answer, changed(values, slot, rng), exact, rng)
    kind = "name that opens the sentence" if answer.startswith(f"{{{slot}}}") else GROUPS[slot]
    return Case(kind, (sample(asked, said, passage),), bad=True)


GERMAN = (
    "Die Brücke von {place} wurde im Jahr {year} eröffnet. Sie ist {many} Meter lang und ruht auf {few} Pfeilern. "
    "Entworfen hat sie {person}; die Kosten betrugen {money} Millionen Mark. Die Fähre nach {town} verlor dadurch "
    "{share} Prozent ihrer Fahrgäste."
)
GERMAN_PAIRS = [
    ("Wer hat die Brücke entworfen?", "Der Entwurf des Bauwerks stammt von {person}.", "person"),
    ("Wer hat die Brücke entworfen?", "{person} hat die Pläne gezeichnet.", "person"),
    ("Wann wurde die Brücke eröffnet?", "Die Einweihung war im Jahr {year}.", "year"),
    ("Wie lang ist die Brücke?", "Ihre Länge beträgt {many} Meter.", "many"),
    ("Worauf ruht die Brücke?", "Das Bauwerk steht auf {few} Stützen aus Stein.", "few"),
    ("Was verlor die Fähre?", "Die Zahl der Passagiere ging um {share} Prozent zurück.", "share"),
]
GERMAN_PLAIN = {
    **PLAIN,
    "few": lambda v, _: ZAHLEN[v.few],
    "money": lambda v, _: f"{v.money}".replace(".", ","),
    "share": lambda v, _: f"{v.share}",
}
GERMAN_SPELLED = {**GERMAN_PLAIN, "few": lambda v, r: r.choice([ZAHLEN[v.few], f"{v.few}"])}


def german(rng: random.Random, *, bad: bool) -> Case:
    values = drawn(rng)
    passage = told(GERMAN, values, GERMAN_PLAIN, rng)
    question, answer, slot = rng.choice(GERMAN_PAIRS)
    if bad:
        wrong = changed(values, slot, rng)
        kind = "name in German" if slot == "person" else "number in German"
        return Case(kind, (sample(question, told(answer, wrong, GERMAN_SPELLED, rng), passage),), bad=True)
    return Case("honest: German", (sample(question, told(answer, values, GERMAN_SPELLED, rng), passage),), bad=False)


LOOSE = [
    ("What is told?", "1. A town is described.\n2. Some people are named.\n3. Numbers are given."),
    (
        "What is told?",
        "**Key Points**\n\n- **Main Subject**: something built\n- **Final Result**: it changed over time",
    ),
    ("Is anything told about the weather?", "No. Nothing of the kind is mentioned here."),
    ("What is told?", "Unfortunately, there is no single answer. However, several people and some money play a part."),
    ("Which two things are told?", "Two things: a place and a person."),
]


def reckoned(rng: random.Random) -> Case:
    """What follows from a passage by counting and reckoning, and what only looks like a number or a name."""
    values = drawn(rng)
    register = rng.choice(list(PASSAGES))
    passage = told(PASSAGES[register][0], values, PLAIN, rng)
    first, second = rng.randint(14, 60), rng.randint(61, 99)
    crew = (
        f"The {values.place} crew had {first} sailors and {second} marines. It sailed in {values.year} and returned in "
        f"{values.later}."
    )
    pairs = [
        (crew, "How many people were aboard in total?", f"In total, {first + second} people were aboard."),
        (crew, "How many years was the crew away?", f"They were away for {values.later - values.year} years."),
        (crew, "How many more marines than sailors were there?", f"There were {second - first} more."),
        (crew, "Who was aboard?", "Both sailors and marines. Nobody else is listed."),
        *((passage, question, answer) for question, answer in LOOSE),
    ]
    text, question, answer = rng.choice(pairs)
    return Case("honest: counted, listed, in plain words", (sample(question, answer, text),), bad=False)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for number in range(count):
        turn = number % 10
        if turn < 4:
            yield english(rng, bad=True)
        elif turn == 4:
            yield german(rng, bad=True)
        elif turn < 8:
            yield english(rng, bad=False)
        else:
            yield german(rng, bad=False) if turn == 8 else reckoned(rng)
