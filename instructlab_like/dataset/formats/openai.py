"""Files for OpenAI's fine-tuning: nothing but messages in a row, and beside them which row is which sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from instructlab_like.dataset.chats.parts import (
    PREFERENCES,
    Chats,
    Part,
    Phases,
    Seen,
    System,
    descent,
    line,
    lineage,
    notes,
    turns,
)
from instructlab_like.dataset.chats.readme import readme
from instructlab_like.dataset.formats import Export, File, Format, Material
from instructlab_like.records import Preference

FEWEST = 10  # examples of a training file
LARGEST = 512_000_000  # bytes of a file
LONGEST = 65_536  # tokens of an example, for the models that take most; a token is a character or more in most texts
LINEAGE = "lineage.jsonl"
HOW = f"""\
```console
openai api files.create --purpose fine-tune --file TRAIN.jsonl   # test.jsonl in the same way
openai api fine_tuning.jobs.create --model MODEL --training-file FILE-ID --validation-file FILE-ID
```

A row there may hold `messages` and nothing else, so `{LINEAGE}` says which line of which file is which sample. A
training file has at least {FEWEST} rows, a file at most 512 MB; how many tokens a row may have depends on the model,
and is {LONGEST:,} at most: what is longer is cut. All answers of a row are learnt.
"""
PAIRS = """
`preferences.jsonl` is for fine-tuning by preference (DPO): `input`, `preferred_output`, `non_preferred_output`.
"""


class OpenAI(Format):
    phases: Phases = "together"
    """One file for both phases, in which each sample stands once, or one for each."""
    system: System = ""
    """System prompt of rows that have none."""

    def export(self, run: Material, folder: Path) -> Export:  # noqa: ARG002 - the same in any folder
        chats = Chats(run, self.phases, self.system)
        seen = chats.seen(cut=LONGEST)
        pairs = sum(1 for _ in usable(chats))
        files = [File(one.part.file, told(chats, one.part)) for one in seen]
        if pairs:
            files.append(File(PREFERENCES, pair_lines(chats)))
        files.append(File(LINEAGE, descents(chats, seen, pairs=bool(pairs))))
        how = HOW.replace("TRAIN", next((one.part.name for one in seen if one.part.phase), "train"))
        how += PAIRS if pairs else ""
        card = readme("Conversations for OpenAI", seen, pairs=pairs, run_card=run.card, how=how)
        said = [*notes(seen, cuts=f"more than {LONGEST:,} tokens are cut"), *limits(chats, seen)]
        return Export((*files, File("README.md", [card])), tuple(said))


def limits(chats: Chats, seen: Sequence[Seen]) -> Iterator[str]:
    """What would be refused there."""
    for one in seen:
        if one.part.phase and one.rows < FEWEST:
            yield f"{one.part.file}: {one.rows} rows; OpenAI takes at least {FEWEST}"
        size = sum(map(len, told(chats, one.part)))
        if size > LARGEST:
            yield f"{one.part.file}: {size:,} bytes; OpenAI takes {LARGEST:,} at most: split it"


def told(chats: Chats, part: Part) -> Iterator[bytes]:
    for row in chats.rows(part):
        yield line({"messages": turns(row.messages)})


def usable(chats: Chats) -> Iterator[Preference]:
    """The pairs that answer a user, as they must there."""
    return (pair for pair in chats.preferences() if pair.messages and pair.messages[-1].role == "user")


def pair_lines(chats: Chats) -> Iterator[bytes]:
    for pair in usable(chats):
        yield line(
            {
                "input": {"messages": turns(pair.messages)},
                "preferred_output": [{"role": "assistant", "content": pair.chosen_answer}],
                "non_preferred_output": [{"role": "assistant", "content": pair.rejected_answer}],
            }
        )


def descents(chats: Chats, seen: Sequence[Seen], *, pairs: bool) -> Iterator[bytes]:
    """File and line, from 1, of each sample."""
    for one in seen:
        for number, row in enumerate(chats.rows(one.part), start=1):
            yield line({"file": one.part.file, "line": number} | lineage(row))
    if pairs:
        for number, pair in enumerate(usable(chats), start=1):
            yield line({"file": PREFERENCES, "line": number} | descent(pair))
