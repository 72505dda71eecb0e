"""Ten thousand damaged answers in tags, as many in JSON: no question gets another's answer, and no loss is silent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from corrupted import FIELDS, SCHEMA, TAG, corrupted_json, corrupted_tags, owners

from instructlab_like.answer_schema import read_schema
from instructlab_like.generation.parse import Group, Reading, read, reason
from instructlab_like.records import Completion

ANSWERS = 10_000
VAGUE = re.compile(r"^the answer (is|holds|does|breaks|'s)|^none of the \d+ begun")


def belongs_together(group: Group, fields: Sequence[str]) -> bool:
    """Whether each text of a group is one that stood there, and all are of the same one."""
    found = [owners(group.texts[name]) for name in fields]
    return {field for one in found for _, field in one} == set(range(len(fields))) and all(
        one == {(next(iter(found[0]))[0], number)} for number, one in enumerate(found)
    )


def why(text: str, yields: Sequence[str], schema: str | None, reading: Reading) -> str:
    completion = Completion(key="k", text=text, finish_reason="stop")
    return reason(completion, yields, schema, reading.broken)


def test_no_damaged_answer_in_tags_gives_a_wrong_pair() -> None:
    counts: Counter[str] = Counter()
    for number in range(ANSWERS):
        text, yields = corrupted_tags(number)
        reading = read(text, yields)
        for group in reading.groups:
            assert belongs_together(group, yields), f"answer {number}: {group}\n{text}"
        counts["kept"] += len(reading.groups)
        if not reading.groups:
            counts["rejected"] += 1
            told = why(text, yields, None, reading)
            assert VAGUE.search(told), f"answer {number}: {told}"
            assert reading.broken or not TAG.search(text.rpartition("</think")[2]) or "thoughts" in told, text
    assert counts["kept"] > 7_000  # of about 35,000: what is sound is not thrown away with the rest
    assert counts["rejected"] > 2_000


def test_no_damaged_answer_in_json_gives_a_wrong_pair() -> None:
    schema = read_schema(SCHEMA, str).text
    counts: Counter[str] = Counter()
    for number in range(ANSWERS):
        text = corrupted_json(number)
        reading = read(text, FIELDS, schema)
        for group in reading.groups:
            assert belongs_together(group, FIELDS[:2]), f"answer {number}: {group}\n{text}"
            assert group.texts["score"] in set("12345")
        counts["kept"] += len(reading.groups)
        if not reading.groups:
            counts["rejected"] += 1
            told = why(text, FIELDS, schema, reading)
            assert VAGUE.search(told), f"answer {number}: {told}"
            assert reading.broken or "{" not in text, text
    assert counts["kept"] > 4_000
    assert counts["rejected"] > 4_000
