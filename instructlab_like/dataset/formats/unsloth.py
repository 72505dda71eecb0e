"""Conversations as Unsloth's notebooks read them: a column `conversations`, and pairs of answers for its DPO."""

from __future__ import annotations

from pathlib import Path

from instructlab_like.dataset.chats.parts import (
    PREFERENCES,
    Chats,
    Phases,
    System,
    message_lines,
    notes,
    preference_lines,
)
from instructlab_like.dataset.chats.readme import readme
from instructlab_like.dataset.formats import Export, File, Format, Material

CUT = 8192  # characters: about the 2,048 tokens that its notebooks set as max_seq_length
ONE_PHASE = '`load_dataset(".", "skills")` is one phase. '
HOW = """\
```python
from datasets import load_dataset
from unsloth.chat_templates import standardize_data_formats, train_on_responses_only

data = standardize_data_formats(load_dataset(".", split="train"))  # where this card lies
data = data.map(
    lambda rows: {"text": [tokenizer.apply_chat_template(one, tokenize=False) for one in rows["conversations"]]},
    batched=True,
)
trainer = SFTTrainer(model=model, tokenizer=tokenizer, train_dataset=data, args=SFTConfig(dataset_text_field="text"))
trainer = train_on_responses_only(trainer, instruction_part="…", response_part="…")  # the template's own marks
```

`load_dataset(".", "skills")` is one phase. `train_on_responses_only` has only answers learnt. Rows longer than the
model's `max_seq_length` are cut.
"""
PAIRS = """
`load_dataset(".", "preferences", split="train")` has `prompt`, `chosen` and `rejected` for a DPOTrainer.
"""


class Unsloth(Format):
    phases: Phases = "apart"
    """One file for each phase, or one for both, in which each sample stands once."""
    system: System = ""
    """System prompt of rows that have none."""

    def export(self, run: Material, folder: Path) -> Export:  # noqa: ARG002 - the same in any folder
        chats = Chats(run, self.phases, self.system)
        seen = chats.seen(cut=CUT)
        pairs = sum(1 for _ in run.preferences())
        files = [File(one.part.file, message_lines(chats, one.part, "conversations")) for one in seen]
        if pairs:
            files.append(File(PREFERENCES, preference_lines(chats, "prompt", listed=True)))
        how = (HOW if self.phases == "apart" else HOW.replace(ONE_PHASE, "")) + (PAIRS if pairs else "")
        card = readme("Conversations for Unsloth", seen, pairs=pairs, run_card=run.card, how=how, loads=True)
        said = notes(seen, cuts="max_seq_length cuts them, which its notebooks set to 2,048 tokens")
        return Export((*files, File("README.md", [card])), tuple(said))
