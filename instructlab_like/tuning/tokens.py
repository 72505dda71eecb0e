"""A dataset row becomes token ids, and a mask of the tokens that are learnt: the assistant's answers with their end.

The mask follows the chat template's own `{% generation %}` marks. A template without them is rendered up to each
answer and past it; what lies between is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

import jinja2
import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerBase

from instructlab_like.errors import ModelError
from instructlab_like.records import Message, Row

Ids: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Turn: TypeAlias = dict[str, str]
Tokens: TypeAlias = tuple[list[int], list[bool]]

PROBE = [
    [{"role": "user", "content": "How many legs has a spider?"}, {"role": "assistant", "content": "It has eight legs."}]
]
BATCH = 256  # rows rendered and tokenised together


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sample as the model reads it; where `trained` is true the token is learnt from those before it."""

    sample: str
    leaf: str
    ids: Ids
    trained: Mask


class Chat:
    """How one tokenizer writes a conversation down; `marks` names how it is known which tokens are the answer's."""

    marks: Literal["generation marks", "rendered prefixes"]

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
        """Probe the template once. Raises ModelError, naming `name`, when answers cannot be told from questions."""
        self._tokenizer = tokenizer
        self._name = name
        if not tokenizer.chat_template:
            raise ModelError(
                "the tokenizer has no chat template",
                where=name,
                fix="train an instruct model, or put a chat_template.jinja into the model's folder",
            )
        if not tokenizer.is_fast:
            raise ModelError(
                "the tokenizer has no fast version, which positions in the text are read from",
                where=name,
                fix="convert it once: AutoTokenizer.from_pretrained(..., use_fast=True).save_pretrained(...)",
            )
        self.marks = "generation marks"
        if not any(trained for _, mask in self._by_marks(PROBE) for trained in mask):
            self.marks = "rendered prefixes"
        ids, trained = self._tokens(PROBE, ["the probe"])[0]
        last = ids[len(trained) - 1 - trained[::-1].index(True)]
        self.closes = last in tokenizer.all_special_ids  # else no answer teaches the model to stop
        self.dated = "strftime_now" in self._template_text()  # the rendered prompt changes from day to day

    def encode(self, rows: Sequence[Row]) -> list[Encoded]:
        """Encode rows in their order. The first token of a row is never learnt: nothing stands before it."""
        encoded = []
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            tokens = self._tokens([turns(row.messages) for row in batch], [row.sample for row in batch])
            for row, (ids, trained) in zip(batch, tokens, strict=True):
                mask = np.array(trained, dtype=np.bool_)
                mask[:1] = False
                encoded.append(Encoded(row.sample, row.leaf, np.array(ids, dtype=np.int64), mask))
        return encoded

    def _template_text(self) -> str:
        template = self._tokenizer.chat_template
        return template if isinstance(template, str) else "".join(template.values())

    def _tokens(self, conversations: list[list[Turn]], names: list[str]) -> list[Tokens]:
        by_marks = self.marks == "generation marks"
        found = self._by_marks(conversations) if by_marks else self._by_prefixes(conversations, names)
        end = self._tokenizer.eos_token_id
        return [(ids, trained if end is None else to_the_end(ids, trained, end)) for ids, trained in found]

    def _by_marks(self, conversations: list[list[Turn]]) -> list[Tokens]:
        try:
            rendered = self._tokenizer.apply_chat_template(
                conversations,
                return_assistant_tokens_mask=True,
                return_dict=True,
                tokenizer_kwargs={"return_offsets_mapping": True},
            )
        except (jinja2.TemplateError, TypeError) as error:
            raise self._unrenderable(error) from error
        encoded = cast("dict[str, list[list[int]]]", rendered)
        spans = cast("dict[str, list[list[tuple[int, int]]]]", rendered)["offset_mapping"]
        found = zip(encoded["input_ids"], encoded["assistant_masks"], spans, strict=True)
        return [(ids, whole_characters([bool(flag) for flag in mask], offsets)) for ids, mask, offsets in found]

    def _by_prefixes(self, conversations: list[list[Turn]], names: list[str]) -> list[Tokens]:
        texts = [self._render(conversation) for conversation in conversations]
        # The template writes the first token itself where the model wants one, so none is added here.
        encoded = self._tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        found: list[Tokens] = []
        for index, (conversation, text) in enumerate(zip(conversations, texts, strict=True)):
            spans = self._answers(conversation, text, names[index])
            offsets = encoded["offset_mapping"][index]
            trained = [any(low < end and start < high for low, high in spans) for start, end in offsets]
            found.append((encoded["input_ids"][index], trained))
        return found

    def _answers(self, conversation: list[Turn], text: str, name: str) -> list[tuple[int, int]]:
        """The character spans of the answers in `text`, the whole conversation rendered."""
        spans = []
        for index, turn in enumerate(conversation):
            if turn["role"] != "assistant":
                continue
            asked = self._render(conversation[:index], answering=True)
            answered = self._render(conversation[: index + 1])
            if not (answered.startswith(asked) and text.startswith(answered) and len(asked) < len(answered)):
                raise ModelError(
                    f"the chat template has no {{% generation %}} marks, and rewrites what stands before an answer "
                    f"once the answer is there (sample {name}): its tokens cannot be told apart",
                    where=self._name,
                    fix="put {% generation %} … {% endgeneration %} around the answer in the model's chat template",
                )
            spans.append((len(asked), len(answered)))
        return spans

    def _render(self, conversation: list[Turn], *, answering: bool = False) -> str:
        try:
            text = self._tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=answering)
        except (jinja2.TemplateError, TypeError) as error:
            raise self._unrenderable(error) from error
        return str(text)

    def _unrenderable(self, error: Exception) -> ModelError:
        return ModelError(
            f"the chat template cannot write a conversation: {error}",
            where=self._name,
            fix="the template must accept a user message and an assistant message, without a system message",
        )


def turns(messages: Sequence[Message]) -> list[Turn]:
    """Messages as chat templates take them. No system message is added: what was asked is what is trained."""
    return [{"role": message.role, "content": message.content} for message in messages]


def whole_characters(trained: Sequence[bool], offsets: Sequence[tuple[int, int]]) -> list[bool]:
    """The mask with every byte of a character learnt whose first byte is: transformers ends a span at the first."""
    mask = list(trained)
    for place in range(1, len(mask)):
        if mask[place - 1] and offsets[place] == offsets[place - 1]:
            mask[place] = True
    return mask


def to_the_end(ids: Sequence[int], trained: Sequence[bool], end: int) -> list[bool]:
    """Let every answer be learnt up to its end token: one that the marks leave out is taken in, and what follows
    it inside the marks (a line break, mostly) is left out, since generation has stopped by then."""
    mask = list(trained)
    start = 0
    while start < len(mask):
        if not mask[start]:
            start += 1
            continue
        stop = start
        while stop < len(mask) and mask[stop]:
            stop += 1
        ends = [position for position in range(start, stop) if ids[position] == end]
        if ends:
            mask[ends[-1] + 1 : stop] = [False] * (stop - ends[-1] - 1)
        elif stop < len(mask) and ids[stop] == end:
            mask[stop] = True
            stop += 1
        start = stop
    return mask
