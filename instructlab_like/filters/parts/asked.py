"""What a question asks for, as far as its words tell: answers may sound like a fault because they were asked to."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from instructlab_like.filters.parts.phrasebook import phrasebook
from instructlab_like.filters.parts.wording import read

# decline: how to refuse or regret; speech: what somebody says; writing: a letter, a story or the like; program: about
# models and machines; addressed: who the model is; language: a translation, or anything in a language that is named.
What = Literal["decline", "speech", "writing", "program", "addressed", "language"]
BOOK = phrasebook("asked")
LOOKED_AT = (
    500  # characters at the start and at the end of a long question: what lies between is a text, or other turns
)


@lru_cache(maxsize=64)
def asks_for(question: str, what: What) -> bool:
    reading = read(question if len(question) <= 2 * LOOKED_AT else f"{question[:LOOKED_AT]} {question[-LOOKED_AT:]}")
    return BOOK.search(what, reading, " ".join(reading.text.split())) is not None
