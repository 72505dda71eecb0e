"""Upstream's documented limits, which nobody enforces there: longer texts do not fit the prompts made of them.

A word is what stands between blanks; where blanks are rare, as in Japanese, twelve characters count as a word. A file
of more than 200,000 characters is no leaf's, and is not looked through for secrets and personal data.
"""

from __future__ import annotations

from collections.abc import Iterable

from instructlab_like.checking.hits import LONGEST_PAGE
from instructlab_like.checking.pairs import seed_pairs
from instructlab_like.checking.subject import Subject, texts
from instructlab_like.taxonomy.findings import Finding, Findings
from instructlab_like.taxonomy.tree import HELD_OUT, QNA
from instructlab_like.taxonomy.yaml_lines import Mapping

CONTEXT = 500  # words
PAIR = 250  # words of question and answer together
LEAF = 2_300  # words of all texts of the seed examples
CHARACTERS_A_WORD = 12  # at the most, on average


def findings(subject: Subject) -> Iterable[Finding]:
    found = Findings(subject.place.naming(QNA))
    for text in texts(subject):
        if text.file == QNA and text.field.startswith("seed_examples[") and text.field.endswith("].context"):
            words = _words(text.value)
            if words > CONTEXT:
                fix = "shorten it, or make two seed examples of it"
                found.error(text, "long-context", _message("context", words, CONTEXT), fix=fix, field=text.field)
    for pair in seed_pairs(subject):
        words = sum(_words(text.value) for text in (pair.question, pair.answer) if text)
        if words > PAIR:
            message = _message("question and its answer", words, PAIR)
            found.error(pair.question or pair, "long-pair", message, fix="shorten them", field=pair.field)
    _whole(subject, found)
    return [*found.found, *_files(subject)]


def _files(subject: Subject) -> Iterable[Finding]:
    for name, data in subject.files.own.items():
        if name != HELD_OUT and len(data) > LONGEST_PAGE and len(data.decode("utf-8", "replace")) > LONGEST_PAGE:
            found = Findings(subject.place.naming(name))
            message = f"the file holds more than {LONGEST_PAGE:,} characters"
            found.error(None, "long-file", message, fix="shorten it, or move texts into documents")
            yield from found.found


def _whole(subject: Subject, found: Findings) -> None:
    sheet = subject.reading.sheets.get(QNA)
    seeds = sheet.root.entry("seed_examples") if sheet and isinstance(sheet.root, Mapping) else None
    words = sum(
        _words(text.value) for text in texts(subject) if text.file == QNA and text.field.startswith("seed_examples")
    )
    if seeds and words > LEAF:
        message = _message("seed examples", words, LEAF)
        found.error(seeds, "long-leaf", message, fix="shorten them, or make two leaves of it", field="seed_examples")


def _words(text: str) -> int:
    return max(len(text.split()), len(text) // CHARACTERS_A_WORD)


def _message(what: str, words: int, most: int) -> str:
    return f"{words:,} words in the {what}, of at most {most:,}"
