from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_chat_model import MARKED, UNMARKED, make_tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from instructlab_like.errors import ModelError
from instructlab_like.records import Message, Row
from instructlab_like.tuning.tokens import Chat, Encoded, to_the_end

MARKS = make_tokenizer(MARKED)
PREFIXES = make_tokenizer(UNMARKED)


def row(*texts: str) -> Row:
    messages = [Message(role="assistant" if number % 2 else "user", content=text) for number, text in enumerate(texts)]
    return Row(messages=tuple(messages), phase="knowledge", leaf="knowledge/legs", sample="s1")


def learnt(tokenizer: PreTrainedTokenizerFast, encoded: Encoded) -> str:
    return tokenizer.decode(encoded.ids[encoded.trained])


def test_only_the_answer_and_its_end_are_learnt() -> None:
    (encoded,) = Chat(MARKS, "tiny").encode([row("How many legs?", "Eight.")])
    assert MARKS.decode(encoded.ids) == "<|user|>How many legs?<|end|><|assistant|>Eight.<|end|>"
    assert learnt(MARKS, encoded) == "Eight.<|end|>"


def test_every_answer_of_a_longer_conversation_is_learnt() -> None:
    (encoded,) = Chat(MARKS, "tiny").encode([row("Legs?", "Eight.", "Wings?", "None.")])
    assert learnt(MARKS, encoded) == "Eight.<|end|>None.<|end|>"


def test_the_way_answers_are_told_apart_is_named() -> None:
    assert Chat(MARKS, "tiny").marks == "generation marks"
    assert Chat(PREFIXES, "tiny").marks == "rendered prefixes"


@given(st.lists(st.text(max_size=30), min_size=2, max_size=6).filter(lambda texts: len(texts) % 2 == 0))
def test_marks_and_prefixes_learn_the_same_tokens(texts: list[str]) -> None:
    (marked,) = Chat(MARKS, "tiny").encode([row(*texts)])
    (prefixed,) = Chat(PREFIXES, "tiny").encode([row(*texts)])
    assert marked.ids.tolist() == prefixed.ids.tolist()
    assert marked.trained.tolist() == prefixed.trained.tolist()
    assert learnt(MARKS, marked) == "".join(f"{answer}<|end|>" for answer in texts[1::2])


def test_an_end_token_that_the_marks_leave_out_is_learnt_all_the_same() -> None:
    tokenizer = make_tokenizer(MARKED.replace("<|end|>{% endgeneration %}", "{% endgeneration %}<|end|>"))
    (encoded,) = Chat(tokenizer, "tiny").encode([row("Legs?", "Eight.", "Wings?", "None.")])
    assert learnt(tokenizer, encoded) == "Eight.<|end|>None.<|end|>"


@pytest.mark.parametrize("last", ["😀", "中", "café", "“so”", "👩‍👩‍👧"])
def test_all_bytes_of_an_answer_s_last_character_are_learnt_and_its_end(last: str) -> None:
    tokenizer = make_tokenizer(MARKED.replace("<|end|>{% endgeneration %}", "{% endgeneration %}<|end|>"))
    (encoded,) = Chat(tokenizer, "tiny").encode([row("Legs?", f"Eight {last}", "Wings?", last)])
    assert learnt(tokenizer, encoded) == f"Eight {last}<|end|>{last}<|end|>"


def test_a_line_break_after_the_end_token_is_not_learnt() -> None:
    tokenizer = make_tokenizer(UNMARKED.replace("<|end|>", "<|end|>\n"))
    (encoded,) = Chat(tokenizer, "tiny").encode([row("Legs?", "Eight.", "Wings?", "None.")])
    assert learnt(tokenizer, encoded) == "Eight.<|end|>None.<|end|>"


def test_a_template_without_end_tokens_is_noticed() -> None:
    endless = (
        "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    assert not Chat(make_tokenizer(endless), "tiny").closes
    assert Chat(MARKS, "tiny").closes


def test_the_first_token_is_not_added_twice() -> None:
    tokenizer = make_tokenizer("{{ bos_token }}" + MARKED)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    assert tokenizer("x")["input_ids"][0] == 0
    for template in ("{{ bos_token }}" + MARKED, "{{ bos_token }}" + UNMARKED):
        tokenizer.chat_template = template
        (encoded,) = Chat(tokenizer, "tiny").encode([row("Legs?", "Eight.")])
        assert encoded.ids.tolist().count(0) == 1


def test_many_rows_keep_their_order_across_batches() -> None:
    rows = [row(f"Question {number}?", str(number)) for number in range(600)]
    encoded = Chat(MARKS, "tiny").encode(rows)
    assert [learnt(MARKS, one) for one in encoded] == [f"{number}<|end|>" for number in range(600)]


def test_a_tokenizer_without_a_chat_template_is_refused() -> None:
    with pytest.raises(ModelError, match="no chat template") as caught:
        Chat(make_tokenizer(None), "some/model")
    assert caught.value.where == "some/model"


def test_a_template_that_rewrites_the_prompt_is_refused_by_name() -> None:
    rewriting = UNMARKED.replace("<|assistant|>{% endif %}", "<|assistant|>Let me think.{% endif %}")
    with pytest.raises(ModelError, match="cannot be told apart") as caught:
        Chat(make_tokenizer(rewriting), "some/model")
    assert caught.value.where == "some/model"


def test_a_template_that_drops_earlier_answers_names_the_sample() -> None:
    dropping = UNMARKED.replace("{{ message.content }}", "{{ message.content if loop.last or loop.first else '' }}", 1)
    chat = Chat(make_tokenizer(dropping), "some/model")
    with pytest.raises(ModelError, match="sample s1"):
        chat.encode([row("Legs?", "Eight.", "Wings?", "None.")])


def test_a_template_that_refuses_a_conversation_is_one_clear_error() -> None:
    refusing = make_tokenizer("{{ raise_exception('roles must start with a system message') }}")
    with pytest.raises(ModelError, match="roles must start with a system message"):
        Chat(refusing, "some/model")


def test_a_template_that_writes_the_date_is_noticed() -> None:
    assert Chat(make_tokenizer("{{ strftime_now('%Y') }}" + MARKED), "tiny").dated
    assert not Chat(MARKS, "tiny").dated


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30))
def test_an_answer_is_learnt_to_its_last_end_token_and_no_further(tokens: list[tuple[int, bool]]) -> None:
    ids, trained = [token for token, _ in tokens], [flag for _, flag in tokens]
    mask = to_the_end(ids, trained, 0)
    for position, learnt_now in enumerate(mask):
        if learnt_now and not trained[position]:
            assert ids[position] == 0
            assert trained[position - 1]
        if trained[position] and not learnt_now:
            before = ids[: position + 1][max((p for p in range(position) if not trained[p]), default=-1) + 1 :]
            assert 0 in before
