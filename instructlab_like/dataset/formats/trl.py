"""Conversations and pairs of answers as TRL's SFTTrainer and DPOTrainer read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from instructlab_like.dataset.chats.parts import (
    PREFERENCES,
    Chats,
    Part,
    Phases,
    System,
    line,
    lineage,
    notes,
    preference_lines,
    turns,
)
from instructlab_like.dataset.chats.readme import readme
from instructlab_like.dataset.formats import Export, File, Format, Material

CUT = 4096  # characters: about the 1,024 tokens after which SFTConfig cuts a row by default
ONE_PHASE = '; load_dataset(".", "skills"): one phase'
HOW = {
    "messages": """\
```python
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

data = load_dataset(".")  # where this card lies; load_dataset(".", "skills"): one phase
args = SFTConfig(output_dir="out", assistant_only_loss=True, max_length=4096)
SFTTrainer(model="MODEL", args=args, train_dataset=data["train"]).train()
```

`assistant_only_loss=True` has only answers learnt; it needs a chat template with `{% generation %}` marks, or one that
TRL knows. Without it questions are learnt, too. Rows longer than `max_length` tokens are cut.
""",
    "prompt-completion": """\
```python
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

data = load_dataset(".")  # where this card lies; load_dataset(".", "skills"): one phase
args = SFTConfig(output_dir="out", max_length=4096)
SFTTrainer(model="MODEL", args=args, train_dataset=data["train"]).train()
```

Of each row the last answer is learnt, and nothing else. Rows longer than `max_length` tokens are cut.
""",
}
PAIRS = """
```python
from trl import DPOConfig, DPOTrainer

pairs = load_dataset(".", "preferences", split="train")
DPOTrainer(model="MODEL", args=DPOConfig(output_dir="dpo"), train_dataset=pairs, processing_class=tokenizer).train()
```
"""


class Trl(Format):
    phases: Phases = "apart"
    """One file for each phase, or one for both, in which each sample stands once."""
    rows: Literal["messages", "prompt-completion"] = "messages"
    """Whole conversations, or what was asked and the last answer apart."""
    system: System = ""
    """System prompt of rows that have none."""

    def export(self, run: Material, folder: Path) -> Export:  # noqa: ARG002 - the same in any folder
        chats = Chats(run, self.phases, self.system)
        seen = chats.seen(cut=CUT)
        pairs = sum(1 for _ in run.preferences())
        files = [File(one.part.file, self.told(chats, one.part)) for one in seen]
        how = HOW[self.rows]
        if pairs:
            files.append(File(PREFERENCES, preference_lines(chats, "prompt", listed=True)))
            how += PAIRS
        if self.phases == "together":
            how = how.replace(ONE_PHASE, "")
        card = readme("Conversations for TRL", seen, pairs=pairs, run_card=run.card, how=how, loads=True)
        told = list(notes(seen, cuts="SFTConfig(max_length=…) cuts them, at 1,024 tokens by default"))
        several = sum(one.answers for one in seen)
        if several and self.rows == "prompt-completion":
            told.append(f"{several} rows have several answers, of which only the last is learnt; --rows messages: all")
        return Export((*files, File("README.md", [card])), tuple(told))

    def told(self, chats: Chats, part: Part) -> Iterator[bytes]:
        for row in chats.rows(part):
            said = turns(row.messages)
            if self.rows == "messages":
                yield line({"messages": said, **lineage(row)})
            else:
                yield line({"prompt": said[:-1], "completion": said[-1:], **lineage(row)})
