"""Conversations for LLaMA-Factory, and the dataset_info.json that names them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from instructlab_like.dataset.chats.parts import (
    PREFERENCES,
    Chats,
    Part,
    Phases,
    Seen,
    System,
    message_lines,
    notes,
    preference_lines,
)
from instructlab_like.dataset.chats.readme import readme
from instructlab_like.dataset.formats import Export, File, Format, Material

CUT = 8192  # characters: about the 2,048 tokens of cutoff_len by default
INFO = "dataset_info.json"
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
HOW = """\
`dataset_info.json` names the files: give this folder as `dataset_dir`, and the names as `dataset` and `eval_dataset`.
To have them beside other datasets, copy the files into your `data` folder and the entries into its `dataset_info.json`.

```yaml
dataset_dir: .  # where this card lies
dataset: {train}
eval_dataset: {test}
template: …  # that of the model
cutoff_len: 4096  # rows are cut there; 2048 by default
```

Only answers are learnt there unless `train_on_prompt` is set. Knowledge comes first, skills go on from its adapter
(`adapter_name_or_path`).
"""
PAIRS = """
`{pairs}` are preference pairs for `stage: dpo` or `stage: rm`.
"""


class LlamaFactory(Format):
    phases: Phases = "apart"
    """One file for each phase, or one for both, in which each sample stands once."""
    system: System = ""
    """System prompt of rows that have none."""
    prefix: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = "ilk"
    """What the names in dataset_info.json begin with."""

    def export(self, run: Material, folder: Path) -> Export:  # noqa: ARG002 - the same in any folder
        chats = Chats(run, self.phases, self.system, alternating=True)
        seen = chats.seen(cut=CUT)
        pairs = sum(1 for _ in run.preferences())
        files = [File(one.part.file, message_lines(chats, one.part, "messages")) for one in seen]
        if pairs:
            files.append(File(PREFERENCES, preference_lines(chats, "messages", listed=False)))
        names = {one.part: self.name(one.part) for one in seen}
        how = HOW.replace("{train}", next((name for part, name in names.items() if part.phase), "…"))
        how = how.replace("{test}", next((name for part, name in names.items() if not part.phase), "…"))
        how += PAIRS.replace("{pairs}", f"{self.prefix}_preferences") if pairs else ""
        card = readme("Conversations for LLaMA-Factory", seen, pairs=pairs, run_card=run.card, how=how)
        said = notes(seen, cuts="cutoff_len cuts them, at 2,048 tokens by default")
        info = File(INFO, [self.info(seen, pairs=pairs)])
        return Export((*files, info, File("README.md", [card])), tuple(said))

    def name(self, part: Part) -> str:
        return f"{self.prefix}_{part.phase or 'test'}"

    def info(self, seen: Sequence[Seen], *, pairs: int) -> bytes:
        """ASCII: it is read there in whatever encoding the machine has."""
        entries: dict[str, object] = {
            self.name(one.part): {
                "file_name": one.part.file,
                "formatting": "sharegpt",
                "columns": {"messages": "messages"},
                "tags": TAGS,
            }
            for one in seen
        }
        if pairs:
            entries[f"{self.prefix}_preferences"] = {
                "file_name": PREFERENCES,
                "ranking": True,
                "formatting": "sharegpt",
                "columns": {"messages": "messages", "chosen": "chosen", "rejected": "rejected"},
                "tags": TAGS,
            }
        return (json.dumps(entries, indent=2) + "\n").encode("ascii")
