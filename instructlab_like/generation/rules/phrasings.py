"""Other ways to ask for the same fact, by verb and preposition.

{s} is the subject; {v} is/are/was/were and {d} does/do/did agree with it; {w} is/was goes with a singular noun.
"""

from __future__ import annotations

from instructlab_like.generation.sentences import words

# (verb, preposition or kind of the answer) -> questions
SYNONYMS: dict[tuple[str, str], tuple[str, ...]] = {
    ("build", "by"): ("Who {w} the builder of {s}?", "Name the builder of {s}.", "Whose work {v} {s}?"),
    ("found", "by"): ("Who {w} the founder of {s}?", "Who started {s}?", "Name the person who founded {s}."),
    ("design", "by"): ("Who {w} the designer of {s}?", "Who drew the plans for {s}?", "Name the designer of {s}."),
    ("invent", "by"): ("Who {w} the inventor of {s}?", "Name the inventor of {s}."),
    ("discover", "by"): ("Who {w} the discoverer of {s}?", "Name the discoverer of {s}."),
    ("write", "by"): ("Who {w} the author of {s}?", "Name the author of {s}."),
    ("paint", "by"): ("Who {w} the painter of {s}?",),
    ("compose", "by"): ("Who {w} the composer of {s}?",),
    ("create", "by"): ("Who {w} the creator of {s}?",),
    ("own", "by"): ("Who {w} the owner of {s}?", "To whom {d} {s} belong?"),
    ("lead", "by"): ("Who {w} the leader of {s}?", "Who {w} the head of {s}?", "Who {w} in charge of {s}?"),
    ("run", "by"): ("Who {w} in charge of {s}?", "Who {w} the manager of {s}?"),
    ("direct", "by"): ("Who {w} the director of {s}?",),
    ("produce", "by"): ("Who {w} the producer of {s}?",),
    ("publish", "by"): ("Who {w} the publisher of {s}?",),
    ("teach", "by"): ("Who {w} the teacher of {s}?", "Name the teacher of {s}."),
    ("make", "by"): ("Who {w} the maker of {s}?", "Name the maker of {s}."),
    ("power", "by"): ("What {d} {s} run on?", "How {v} {s} powered?"),
    ("drive", "by"): ("What {d} {s} run on?", "How {v} {s} driven?"),
    ("build", "year"): ("What year does {s} date from?", "What is the building year of {s}?"),
    ("found", "year"): ("What is the founding year of {s}?", "When did {s} begin?"),
    ("establish", "year"): ("When did {s} begin?",),
    ("bear", "year"): ("What is the birth year of {s}?", "In what year did {s} come into the world?"),
    ("bear", "date"): ("What is the birth date of {s}?", "What is the birthday of {s}?"),
    ("bear", "place"): ("What is the birthplace of {s}?", "Where does {s} come from?"),
    ("die", "year"): ("What is the year of death of {s}?",),
    ("finish", "year"): ("When was {s} completed?", "What year does {s} date from?"),
    ("complete", "year"): ("When was {s} finished?",),
    ("happen", "year"): ("When was {s}?", "What is the year of {s}?"),
    ("hold", "day"): ("What is the day of {s}?", "When is {s}?"),
    ("meet", "day"): ("What is the meeting day of {s}?", "On which day are the meetings of {s}?"),
    ("open", "day"): ("What is the opening day of {s}?", "On which day is {s} open?"),
    ("stand", "place"): ("Where is {s}?", "Where can {s} be found?", "Where can one see {s}?"),
    ("lie", "place"): ("Where is {s}?", "Where can {s} be found?", "What is the location of {s}?"),
    ("locate", "place"): ("Where is {s}?", "Where can {s} be found?", "What is the location of {s}?"),
    ("situate", "place"): ("Where is {s}?", "Where can {s} be found?", "What is the location of {s}?"),
    ("base", "place"): ("Where {w} the home of {s}?",),
    ("live", "place"): ("What {w} the home of {s}?", "Where {w} the home of {s}?"),
    ("nest", "place"): ("Where is the nest of {s}?", "Where {d} {s} build a nest?"),
    ("start", "place"): ("Where {d} {s} begin?", "What is the starting point of {s}?"),
    ("sail", "to"): ("What is the destination of {s}?", "Where {d} {s} go?"),
    ("travel", "to"): ("What is the destination of {s}?", "Where {d} {s} go?"),
    ("run", "on"): ("What powers {s}?", "How is {s} powered?", "Where does {s} get its power from?"),
    ("feed", "on"): ("What does {s} eat?", "What is the food of {s}?", "What is the diet of {s}?"),
    ("live", "on"): ("What does {s} eat?", "What is the food of {s}?", "What does {s} feed on?"),
    ("eat", ""): ("What is the food of {s}?", "What {d} {s} feed on?", "Which food {d} {s} eat?"),
    ("consist", "of"): ("What are the parts of {s}?", "Which parts {d} {s} have?", "What is {s} made up of?"),
    ("deal", "in"): ("What {d} {s} sell?", "What {d} {s} trade in?"),
    ("trade", "in"): ("What {d} {s} sell?", "What {d} {s} deal in?"),
    ("use", ""): ("What is used by {s}?", "What {d} {s} work with?"),
    ("sell", ""): ("What is sold by {s}?", "What can one buy from {s}?", "Which goods {d} {s} sell?"),
    ("make", ""): ("What is made by {s}?", "What is the product of {s}?", "Which goods {d} {s} make?"),
    ("produce", ""): ("What is produced by {s}?", "What is the product of {s}?"),
    ("play", "the"): ("Which instrument {d} {s} play?", "What instrument can {s} play?", "Name the instrument of {s}."),
    ("mean", ""): ("What is the meaning of {s}?", "What is meant by {s}?", "What does it mean: {s}?"),
    ("stand", "for"): ("What is the meaning of {s}?", "What is meant by {s}?"),
    ("know", "for"): ("What is {s} famous for?", "For what is {s} famous?", "Why is {s} famous?"),
    ("weigh", ""): ("How heavy {v} {s}?", "What {w} the weight of {s}?", "What {d} {s} weigh?"),
    ("cost", ""): ("What {w} the price of {s}?", "What {d} {s} cost?", "What must one pay for {s}?"),
    ("take", "duration"): ("What {w} the duration of {s}?", "How much time {d} {s} take?", "How long {v} {s}?"),
    ("last", "duration"): ("What {w} the duration of {s}?", "For how long {d} {s} last?"),
    ("paint", "colour"): ("What colour {v} {s}?", "What {w} the colour of {s}?", "Which colour {d} {s} have?"),
    ("make", "of"): ("What material {v} {s} made of?", "Which material was used for {s}?", "From what {v} {s} made?"),
    ("build", "of"): ("What material {v} {s} built of?", "Which material was used for {s}?"),
    ("lay", "count"): ("How many eggs are laid by {s}?",),
}  # fmt: skip

# noun of a measure -> how it is asked for with an adjective or a verb
MEASURED: dict[str, tuple[str, ...]] = {
    "height": ("How tall {v} {s}?", "How high {v} {s}?", "What height {d} {s} have?"),
    "length": ("How long {v} {s}?", "What length {d} {s} have?"),
    "width": ("How wide {v} {s}?", "What width {d} {s} have?"),
    "depth": ("How deep {v} {s}?", "What depth {d} {s} have?"),
    "thickness": ("How thick {v} {s}?",),
    "weight": ("How heavy {v} {s}?", "How much {d} {s} weigh?", "What {d} {s} weigh?"),
    "age": ("How old {v} {s}?",),
    "population": ("How many people live in {s}?", "How many inhabitants {d} {s} have?"),
    "price": ("How much {d} {s} cost?", "What {d} {s} cost?"),
    "cost": ("How much {d} {s} cost?", "What {d} {s} cost?"),
    "area": ("How large {v} {s}?", "How big {v} {s}?"),
    "size": ("How large {v} {s}?", "How big {v} {s}?"),
    "speed": ("How fast {v} {s}?",),
    "duration": ("How long {d} {s} last?", "How long {v} {s}?"),
    "diet": ("What {d} {s} eat?", "What {d} {s} feed on?"),
    "habitat": ("Where {d} {s} live?",),
    "name": ("What {v} {s} called?",),
    "lifespan": ("How long {d} {s} live?",),
    "capacity": ("How much can {s} hold?",),
    "accuracy": ("How accurate {v} {s}?", "How exact {v} {s}?"),
    "temperature": ("How warm {v} {s}?",),
    "range": ("What range {d} {s} have?",),
    "sign": ("What {w} the symbol of {s}?",),
    "leader": ("Who leads {s}?", "Who {w} in charge of {s}?"),
    "head": ("Who leads {s}?", "Who {w} in charge of {s}?"),
    "mayor": ("Who leads {s} as mayor?",),
    "founder": ("Who founded {s}?",),
    "builder": ("Who built {s}?",),
    "inventor": ("Who invented {s}?",),
    "owner": ("Who owns {s}?",),
    "author": ("Who wrote {s}?",),
}


# counted noun -> other ways to ask how many of them the subject has
COUNTED: dict[str, tuple[str, ...]] = {
    noun: (f"How many {noun} {{v}} there in {{s}}?",)
    for noun in sorted(words("rooms seats places pupils inhabitants windows arches floors books beds shelves"))
} | {
    "inhabitants": ("What is the population of {s}?", "How many people live in {s}?"),
    "members": ("How many people belong to {s}?", "How many members {v} there in {s}?"),
}


def synonyms(key: tuple[str, str], *, subject: str, past: bool, plural: bool) -> list[str]:
    return [fill(text, subject=subject, past=past, plural=plural) for text in SYNONYMS.get(key, ())]


def measured(noun: str, *, subject: str, past: bool, plural: bool) -> list[str]:
    return [fill(text, subject=subject, past=past, plural=plural) for text in MEASURED.get(noun, ())]


def fill(text: str, *, subject: str, past: bool, plural: bool) -> str:
    be = ("were" if plural else "was") if past else ("are" if plural else "is")
    do = "did" if past else ("do" if plural else "does")
    filled = text.format(s=subject, v=be, d=do, w="was" if past else "is")
    if plural:  # the templates' own present tense
        filled = filled.replace(f" is {subject}", f" are {subject}").replace(f" does {subject}", f" do {subject}")
    return filled
