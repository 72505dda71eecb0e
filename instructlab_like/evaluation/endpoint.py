"""A served model as a student: how it is named, what it is asked, and what its replies are taken for. Pure.

A server gives text, and no odds of a text that somebody else wrote: what is chosen must be read from a reply.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from string import ascii_uppercase

from instructlab_like.errors import InputError
from instructlab_like.evaluation.grading import NO_JUDGE
from instructlab_like.evaluation.questions import with_options
from instructlab_like.evaluation.score import score, words
from instructlab_like.generation.ledger import Failure
from instructlab_like.generation.parse import without_thoughts
from instructlab_like.records import Answer, Item, Lineage, Message, Prompt, Record, Sampling, digest, with_context

FORM = "NAME@URL, such as granite@http://localhost:8000/v1"
PLACE = re.compile(r"@(?=https?://)", re.IGNORECASE)
CHOOSE = "Answer with the letter of the right option and nothing else."
NO_ODDS = "an endpoint gives no odds of a text"
NO_OPTION = "no option in its reply"
NOTHING_YET = "cut off in its thoughts: raise max_new_tokens"
# Of what servers say of a prompt that is too long: vLLM, OpenAI, llama.cpp, SGLang and text-generation-inference.
TOO_LONG = re.compile(
    r"context[ _](?:length|size|window)|exceed_context|the context holds|inputs`? (?:tokens|must have less)", re.I
)
SENT_TO = re.compile(r"^https?://\S+: ")
STATUS = re.compile(r"HTTP \d{3}")

DRESS = "*_`\"'“”‘’ \t"  # what is put around an option
SAYS = re.compile(
    r"\b(?:the |my )?(?:(?:correct|right|best|final) )?(?:answer|option|choice)(?: is\b|\s*[:=])[:=\s]*", re.IGNORECASE
)
OPENING = re.compile(r"(?:.*[.:,;!?] )?(?:(?:so|thus|hence|therefore) )?", re.IGNORECASE)  # of what is said so
LETTER = re.compile(
    r"[(\[]?(?:option )?(?P<letter>[a-z])[*_`]*(?:[)\].:,]+[*_`]*\s*|\s+|$)(?:[-–—]\s+)?",
    re.IGNORECASE | re.ASCII,
)
MARKED = re.compile(r"[(\[]?[a-z][*_`]*[)\].:]", re.IGNORECASE | re.ASCII)


class Served(Record):
    """A model at an OpenAI-compatible server. Answers are kept by its name and edition, wherever the server stands."""

    name: str  # at the server
    url: str  # up to /v1
    edition: str = ""  # tells a model from another that had its name before

    @property
    def told(self) -> str:
        """As people write it, without what may be a secret in the URL."""
        url = self.url.partition("?")[0]
        return f"{self.name}@{url}#{self.edition}" if self.edition else f"{self.name}@{url}"


def served(told: str) -> Served | None:
    """What NAME@URL or NAME@URL#EDITION names; None for anything else, such as a folder. Raises InputError."""
    at = PLACE.search(told)
    if at is None:
        return None
    name, (url, _, edition) = told[: at.start()], told[at.end() :].partition("#")
    if not name.strip():
        raise InputError("names no model", where=told.partition("?")[0], fix=f"write {FORM}")
    return Served(name=name, url=url, edition=edition)


def shown(told: str) -> str:
    """What a student was named by, without what may be a secret in it."""
    found = served(told)
    return found.told if found else told


# --- what is asked ----------------------------------------------------------------------------------------------


def asked(item: Item) -> Item:
    """The item as a model is asked that must write its choice: with lettered options, scored by nobody yet."""
    if item.metric != "choice":
        return item
    text = f"{with_options(item.question, item.options, where=item.leaf)}\n\n{CHOOSE}"
    return item.model_copy(update={"question": text, "metric": "exact", "options": ()})


def prompt_of(item: Item, identity: str, max_tokens: int, edition: str = "") -> Prompt:
    """The item as the chat template of a local model gets it; greedy. An edition's answers are its own."""
    content = with_context(item.question, item.context)
    return Prompt(
        messages=(Message(role="user", content=content),),
        sampling=Sampling(temperature=0.0, max_tokens=max_tokens, seed=None),
        yields=("answer",),
        lineage=Lineage(leaf="", leaf_blob="", method="teacher", model=identity, draw=draw_of(edition)),
    )


def draw_of(edition: str) -> int:
    return int(digest(edition)[:7], 16) if edition else 0


# --- what the replies are taken for -----------------------------------------------------------------------------


def answered(item: Item, model: str, text: str, *, cut: bool = False) -> Answer:
    """The answer that a reply to `asked(item)` is; what has no score says why. `cut`: it was not at its end."""
    told = without_thoughts(text).strip()
    if cut and not told:
        return Answer(item=item.id, model=model, text="", score=None, unscored=NOTHING_YET)
    if item.metric == "judge":
        return Answer(item=item.id, model=model, text=told, score=None, unscored=NO_JUDGE)
    if item.metric != "choice":
        return Answer(item=item.id, model=model, text=told, score=score(item, told))
    place = chosen(item.options, told)
    if place is None:
        return Answer(item=item.id, model=model, text=told, score=None, unscored=NO_OPTION)
    taken = item.options[place]
    return Answer(item=item.id, model=model, text=taken, score=float(taken == item.answer), chosen=place)


def without_odds(item: Item, model: str) -> Answer:
    """The answer to an item that asks how likely a text is."""
    return Answer(item=item.id, model=model, text="", score=None, unscored=NO_ODDS)


def missed(item: Item, model: str, failure: Failure) -> Answer:
    """What is known of an item without a reply. One that does not fit the model's context counts as for a local one."""
    why = SENT_TO.sub("", failure.error.splitlines()[0]) if failure.error else "no reason given"
    if failure.kind == "refused" and (not failure.sent or TOO_LONG.search(why)):
        return Answer(item=item.id, model=model, text="", score=0.0, unanswered=why)
    status = STATUS.search(why)
    said = f" ({status[0]})" if status else ""
    reason = f"refused by its server{said}" if failure.kind == "refused" else f"no answer: {failure.kind}{said}"
    return Answer(item=item.id, model=model, text="", score=None, unscored=reason)


def chosen(options: Sequence[str], reply: str) -> int | None:
    """The place of the one option that a reply names, by its letter, by its text or by both; None where it is unclear.

    The first line may be the option and nothing else, or any line may say "the answer is …". Nothing is guessed: a
    letter with another option's text, two answers, or an option somewhere in a sentence name none.
    """
    lines = lines_of(reply)
    if not lines:
        return None
    found = {said(options, line) for line in lines if SAYS.search(line)}
    first = named(options, lines[0])
    if first is not None and (len(lines) == 1 or named(options, lines[1]) in (None, first)):
        found.add(first)
    return found.pop() if len(found) == 1 else None


def lines_of(reply: str) -> list[str]:
    """The lines that are not blank; what stands below "Answer:" as if it stood behind it."""
    lines: list[str] = []
    for line in (line.strip(DRESS) for line in unicodedata.normalize("NFKC", reply).splitlines()):
        if line and lines and (says := SAYS.search(lines[-1])) and not lines[-1][says.end() :].strip(DRESS):
            lines[-1] = f"{lines[-1]} {line}"
        elif line:
            lines.append(line)
    return lines


def said(options: Sequence[str], line: str) -> int | None:
    """The option behind "the answer is", where a sentence begins so."""
    *_, says = SAYS.finditer(line)
    return named(options, line[says.end() :].strip(DRESS)) if OPENING.fullmatch(line, 0, says.start()) else None


def named(options: Sequence[str], line: str) -> int | None:
    """The option that a line is, and nothing else; None where letter and text are two options."""
    found = {place for place in (by_letter(options, line), by_text(options, line)) if place is not None}
    return found.pop() if len(found) == 1 else None


def by_letter(options: Sequence[str], told: str) -> int | None:
    """The option whose letter this is, alone or before its own text."""
    letter = LETTER.match(told)
    place = ascii_uppercase.index(letter["letter"].upper()) if letter else len(options)
    if letter is None or place >= len(options):
        return None
    rest, own = told[letter.end() :].strip(DRESS), options[place].strip()
    begun = rest.casefold().startswith(own.casefold()) and rest[len(own) : len(own) + 1] in (".", ";", "(")
    return place if not rest.strip(".") or begun or by_text(options, rest) == place else None


def by_text(options: Sequence[str], told: str) -> int | None:
    """The option that says the same words, articles in front and punctuation apart, if it is the only one."""
    as_written = [place for place, option in enumerate(options) if folded(option) == folded(told)]
    alike = [place for place, option in enumerate(options) if words(told) and words(option) == words(told)]
    if MARKED.match(told):  # "A. …" says a letter, and not an article
        alike = []
    found = as_written or alike
    return found[0] if len(found) == 1 else None


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()
