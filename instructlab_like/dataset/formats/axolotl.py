"""Conversations for axolotl, and the part of its YAML that names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

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

CUT = 8192  # characters: about 2,048 tokens, a usual sequence_len
HEAD = "# Put this beside base_model, adapter and sequence_len in a configuration of axolotl.\n"
HOW = """\
`axolotl-PHASE.yml` is the part of a configuration that names the data: `datasets`, `test_datasets`, the chat template
of the tokenizer, and that only answers are learnt. Paths are relative to this folder, where axolotl must be started,
unless it was written with `--absolute-paths`. Rows longer than `sequence_len` tokens are dropped or cut, as
`excess_length_strategy` says.

Knowledge comes first, skills go on from its adapter (`lora_model_dir`).
"""
PAIRS = """
`axolotl-preferences.yml` is the same for preference pairs (`rl: dpo`).
"""


class Axolotl(Format):
    phases: Phases = "apart"
    """One file for each phase, or one for both, in which each sample stands once."""
    system: System = ""
    """System prompt of rows that have none."""
    absolute_paths: bool = False
    """Whether its YAML names the data by whole paths, to be used from any folder of this machine."""

    def export(self, run: Material, folder: Path) -> Export:
        chats = Chats(run, self.phases, self.system)
        seen = chats.seen(cut=CUT)
        pairs = sum(1 for _ in run.preferences())
        files = [File(one.part.file, message_lines(chats, one.part, "messages")) for one in seen]
        place = folder.resolve() if self.absolute_paths else Path()
        files += [File(name, [data]) for name, data in configurations(seen, place)]
        if pairs:
            files.append(File(PREFERENCES, preference_lines(chats, "messages", listed=False)))
            files.append(File("axolotl-preferences.yml", [preferences(place)]))
        how = HOW + (PAIRS if pairs else "")
        card = readme("Conversations for axolotl", seen, pairs=pairs, run_card=run.card, how=how)
        said = notes(seen, cuts="set sequence_len for them: axolotl drops or cuts what is longer")
        return Export((*files, File("README.md", [card])), tuple(said))


def configurations(seen: Sequence[Seen], place: Path) -> Iterator[tuple[str, bytes]]:
    test = [dataset(place, one.part) for one in seen if not one.part.phase]
    for one in seen:
        if one.part.phase:
            config: dict[str, object] = {"chat_template": "tokenizer_default", "datasets": [dataset(place, one.part)]}
            config |= {"test_datasets": test} if test else {}
            yield f"axolotl-{one.part.phase}.yml", dumped(config)


def dataset(place: Path, part: Part) -> dict[str, object]:
    return {
        "path": str(place / part.file),
        "ds_type": "json",
        "split": "train",  # what a file of JSON lines has; of test files, too
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }


def preferences(place: Path) -> bytes:
    pairs = {
        "path": str(place / PREFERENCES),
        "ds_type": "json",
        "split": "train",
        "type": "chat_template.default",
        "field_messages": "messages",
        "field_chosen": "chosen",
        "field_rejected": "rejected",
        "message_property_mappings": {"role": "role", "content": "content"},
    }
    return dumped({"rl": "dpo", "chat_template": "tokenizer_default", "datasets": [pairs]})


def dumped(config: Mapping[str, object]) -> bytes:
    return (HEAD + yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=1000)).encode("utf-8")
