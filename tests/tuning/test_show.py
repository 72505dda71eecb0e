from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tiny_chat_model import MARKED, UNMARKED, make_tokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from instructlab_like.records import Message, Row
from instructlab_like.tuning.show import shown
from instructlab_like.tuning.tokens import Chat, Encoded

BASE = Path(__file__).parents[2] / "training" / "base" / "model"
SGR = re.compile(r"\x1b\[[0-9;]*m")


@cache
def by_bytes() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@cache
def by_words(*, falls_back: bool = True) -> PreTrainedTokenizerFast:
    """A SentencePiece-like tokenizer: blanks are part of the words, and what it does not know is bytes."""
    words = ["▁", "▁the", "▁legs", "▁eight", "a", "b", "c", "e", "h", "g", "i", "l", "s", "t", "é", "(", ")"]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)] if falls_back else []
    names = ["<unk>", "<s>", "</s>", *fallback, *words]
    tokenizer = Tokenizer(
        models.Unigram([(name, -1.0 - len(name) / 10) for name in names], unk_id=0, byte_fallback=falls_back)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def word_piece() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(cleanup=True)
    trainer = trainers.WordPieceTrainer(vocab_size=60, special_tokens=["[UNK]", "[SEP]"], show_progress=False)
    tokenizer.train_from_iterator(["the spider has eight legs , and does n't fly ."], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", sep_token="[SEP]")


def encoded(tokenizer: PreTrainedTokenizerBase, *parts: tuple[str, bool], sample: str = "s1") -> Encoded:
    """Text as tokens, each part with its mark."""
    ids: list[int] = []
    learnt: list[bool] = []
    for text, mark in parts:
        found = tokenizer.encode(text, add_special_tokens=False)
        ids += found
        learnt += [mark] * len(found)
    return Encoded(sample, "knowledge/legs", np.array(ids, dtype=np.int64), np.array(learnt, dtype=np.bool_))


def asked(tokenizer: PreTrainedTokenizerBase, *texts: str, sample: str = "s1") -> Encoded:
    messages = [Message(role="assistant" if number % 2 else "user", content=text) for number, text in enumerate(texts)]
    row = Row(messages=tuple(messages), phase="knowledge", leaf="knowledge/legs", sample=sample)
    return Chat(tokenizer, "tiny").encode([row])[0]


def lines(
    *samples: Encoded, tokenizer: PreTrainedTokenizerBase, colour: bool = False, width: int = 100, room: int = 512
) -> list[str]:
    return list(shown([samples], tokenizer, colour=colour, width=width, row_tokens=room))


def texts(*samples: Encoded, tokenizer: PreTrainedTokenizerBase, colour: bool = False, width: int = 100) -> list[str]:
    """The lines of the samples' text alone."""
    found = lines(*samples, tokenizer=tokenizer, colour=colour, width=width)
    return [line[2:] for line in found[4:] if line.startswith("  ")]


def test_what_is_learnt_stands_between_marks_and_special_tokens_have_names() -> None:
    tokenizer = by_bytes()
    assert texts(asked(tokenizer, "How many legs?", "Eight."), tokenizer=tokenizer) == [
        "⟨<|user|>⟩How many legs?⟨<|end|>⟩⟨<|assistant|>⟩⟦Eight.⟨<|end|>⟩⟧"
    ]


def test_colours_say_the_same_as_marks() -> None:
    tokenizer = by_bytes()
    (line,) = texts(asked(tokenizer, "Legs?", "Eight."), tokenizer=tokenizer, colour=True)
    assert SGR.sub("", line) == "<|user|>Legs?<|end|><|assistant|>Eight.<|end|>"
    assert "\x1b[36m<|user|>\x1b[0mLegs?" in line
    assert line.endswith("\x1b[1;32mEight.\x1b[0m\x1b[1;36m<|end|>\x1b[0m")


def test_borders_name_sample_leaf_tokens_and_place() -> None:
    tokenizer = by_bytes()
    one, other = asked(tokenizer, "A?", "B.", sample="one"), asked(tokenizer, "C?", "D.", sample="other")
    found = lines(one, other, tokenizer=tokenizer, room=40)
    assert found[3] == "row 1 of 1: 2 samples, 16 tokens, 6 of them learnt"
    assert "── sample 1 of 2: one, knowledge/legs, 8 tokens, 3 learnt, cells 1 to 8 ──" in found
    assert "── sample 2 of 2: other, knowledge/legs, 8 tokens, 3 learnt, cells 9 to 16 ──" in found
    assert found[-1] == "── 24 of 40 cells empty ──"
    assert lines(one, other, tokenizer=tokenizer, room=16)[-1] == "── all 16 cells filled ──"


def test_rows_that_are_not_packed_have_no_empty_cells() -> None:
    tokenizer = by_bytes()
    found = list(shown([[asked(tokenizer, "A?", "B.")]], tokenizer, colour=False, width=80))
    assert not [line for line in found if "cells empty" in line]


def test_every_row_is_shown_in_full() -> None:
    tokenizer = by_bytes()
    rows = [[asked(tokenizer, "A?", "word " * 3000)], [asked(tokenizer, "B?", "C.")]]
    found = list(shown(rows, tokenizer, colour=False, width=80))
    assert sum(line.count("word") for line in found) == 3000
    assert "row 2 of 2: 1 sample, 8 tokens, 3 of them learnt" in found


def test_a_line_break_is_seen_and_breaks_the_line_with_the_mark_on_both() -> None:
    tokenizer = by_bytes()
    found = texts(asked(tokenizer, "One\n\ntwo?", "a\r\n\tb"), tokenizer=tokenizer)
    assert found == ["⟨<|user|>⟩One↵", "↵", "two?⟨<|end|>⟩⟨<|assistant|>⟩⟦a␍↵⟧", "⟦⇥b⟨<|end|>⟩⟧"]


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize(
    "text", ["\x1b[2J\x1b]0;owned\x07", "a\x9bb", "\u202eright\u2066", "nul\x00", "\u2028", "\x0b"]
)
def test_nothing_in_a_text_reaches_the_terminal_as_a_command(text: str, colour: bool) -> None:
    tokenizer = by_bytes()
    sample = asked(tokenizer, text, text, sample="s\x1b[2J")
    for line in lines(sample, tokenizer=tokenizer, colour=colour):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u202e\u2066]", SGR.sub("", line) if colour else line)


def test_marks_and_escapes_within_a_text_cannot_be_taken_for_ours() -> None:
    tokenizer = by_bytes()
    (line,) = texts(asked(tokenizer, r"⟦not⟧ ↵ \x1b \theta \\", "ok"), tokenizer=tokenizer)
    assert line == r"⟨<|user|>⟩\u27e6not\u27e7 \u21b5 \\x1b \theta \\⟨<|end|>⟩⟨<|assistant|>⟩⟦ok⟨<|end|>⟩⟧"


def undone(line: str) -> str:
    """The text that a plain line stands for: marks and escapes taken away."""
    line = re.sub("[⟦⟧⟨⟩]", "", line).replace("↵", "\n").replace("⇥", "\t").replace("␍", "\r")

    def one(found: re.Match[str]) -> str:
        slashes, code = found[1], found[2]
        if len(slashes) % 2:
            return slashes[: len(slashes) // 2] + chr(int(code[1:], 16))
        return slashes[: len(slashes) // 2] + code

    return re.sub(r"(\\+)(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", one, line)


TEXT = st.text(
    st.one_of(st.sampled_from("ab \n\t\r\\xu1b00⟦⟧⟨↵\x1b\u202e😀中é"), st.characters(codec="utf-8")), max_size=40
)


@given(TEXT, TEXT, st.integers(20, 90))
def test_no_sign_of_a_text_is_lost_or_added(question: str, answer: str, width: int) -> None:
    tokenizer = by_bytes()
    sample = encoded(tokenizer, ("<|user|>", False), (question, False), ("<|assistant|>", False), (answer, True))
    found = texts(sample, tokenizer=tokenizer, width=width)
    assert undone("".join(found)) == f"<|user|>{question}<|assistant|>{answer}"


@given(st.lists(st.tuples(st.text("the legs(é中😀 \n", max_size=12), st.booleans()), min_size=1, max_size=6))
def test_learnt_text_is_what_the_mask_says(parts: list[tuple[str, bool]]) -> None:
    """Against a reading token by token: byte-level pieces are bytes, whatever the characters."""
    tokenizer = by_bytes()
    sample = encoded(tokenizer, *parts)
    found = "".join(texts(sample, tokenizer=tokenizer, width=10_000)).replace("⟧⟦", "")
    told = "".join(re.findall("⟦(.*?)⟧", found, re.DOTALL))
    assert undone(told) == "".join(text for text, mark in parts if mark)


def test_a_line_is_no_wider_than_the_terminal() -> None:
    tokenizer = by_bytes()
    sample = asked(tokenizer, "中文" * 60 + "x" * 200, "many words in a row " * 20)
    for colour in (True, False):
        found = texts(sample, tokenizer=tokenizer, width=60, colour=colour)
        assert max(cell_len(SGR.sub("", line)) for line in found) <= 58
        assert len(found) > 8


def test_emoji_of_several_characters_stay_whole() -> None:
    tokenizer = by_bytes()
    family = "👩‍👩‍👧"
    sample = asked(tokenizer, "x", family * 30)
    assert sum(line.count(family) for line in texts(sample, tokenizer=tokenizer, width=30)) == 30


def test_a_character_that_the_mark_parts_is_shown_by_its_bytes() -> None:
    tokenizer = by_bytes()
    whole = encoded(tokenizer, ("Smile: ", False), ("😀", True), (" yes", True))
    learnt = whole.trained.copy()
    learnt[int(np.flatnonzero(learnt)[0])] = False  # the first of four bytes
    (line,) = texts(Encoded("s", "leaf", whole.ids, learnt), tokenizer=tokenizer)
    assert line == r"Smile: \xf0⟦\x9f\x98\x80 yes⟧"


def test_replacement_characters_of_the_text_itself_stay() -> None:
    tokenizer = by_bytes()
    (line,) = texts(encoded(tokenizer, ("bad \ufffd", False), ("\ufffd good", True)), tokenizer=tokenizer)
    assert undone(line) == "bad \ufffd\ufffd good"


def test_a_replacement_character_that_the_mark_parts_is_bytes_too() -> None:
    tokenizer = by_bytes()
    whole = encoded(tokenizer, ("\ufffd", True))
    assert len(whole.ids) == 3
    parted = Encoded("s", "leaf", whole.ids, np.array([False, False, True]))
    assert texts(parted, tokenizer=tokenizer) == [r"\xef\xbf⟦\xbd⟧"]


def test_a_full_line_does_not_end_within_an_emoji() -> None:
    tokenizer = by_bytes()
    family = "👩‍👩‍👧"
    for before in range(12, 21):
        found = texts(encoded(tokenizer, ("x" * before + family, False)), tokenizer=tokenizer, width=22)
        assert sum(family in line for line in found) == 1


@pytest.mark.parametrize("template", [MARKED, UNMARKED])
def test_the_base_model_s_tokenizer_reads_back(template: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    tokenizer.chat_template = template
    sample = asked(tokenizer, "What is 中文?", "笑 😀\nyes", "And?", "No.")
    assert texts(sample, tokenizer=tokenizer) == [
        "⟨<|user|>⟩What is 中文?⟨<|end|>⟩⟨<|assistant|>⟩⟦笑 😀↵⟧",
        "⟦yes⟨<|end|>⟩⟧⟨<|user|>⟩And?⟨<|end|>⟩⟨<|assistant|>⟩⟦No.⟨<|end|>⟩⟧",
    ]


def test_blanks_of_a_word_tokenizer_are_kept_at_each_mark() -> None:
    tokenizer = by_words()
    sample = encoded(tokenizer, ("<s>", False), ("the legs", False), ("eight legs", True), ("</s>", True))
    assert texts(sample, tokenizer=tokenizer) == ["⟨<s>⟩ the legs⟦ eight legs⟨</s>⟩⟧"]


def test_a_word_tokenizer_s_bytes_are_read_together_and_apart() -> None:
    tokenizer = by_words()
    sample = encoded(tokenizer, ("<s>", False), ("the 😀", False), ("中", True))
    assert texts(sample, tokenizer=tokenizer) == ["⟨<s>⟩ the 😀⟦ 中⟧"]
    parted = sample.trained.copy()
    parted[-1] = False
    assert texts(Encoded("s", "leaf", sample.ids, parted), tokenizer=tokenizer) == [r"⟨<s>⟩ the 😀⟦ \xe4\xb8⟧\xad"]


def test_what_a_tokenizer_cannot_write_is_shown_as_it_sees_it() -> None:
    tokenizer = by_words(falls_back=False)
    (line,) = texts(encoded(tokenizer, ("the 😀", True)), tokenizer=tokenizer)
    assert line == "⟦ the ⟨<unk>⟩⟧"


def test_a_decoder_that_joins_words_anew_loses_nothing() -> None:
    tokenizer = word_piece()
    sample = encoded(tokenizer, ("the spider does", False), ("n't fly", True), (", [SEP] legs", True))
    (line,) = texts(sample, tokenizer=tokenizer)
    assert "⟨[SEP]⟩" in line
    read, learnt = line.split("⟦")
    assert re.sub(r"\W|##", "", read) == "thespiderdoes"
    assert re.sub(r"\W|##", "", learnt) == "ntflySEPlegs"


def test_added_words_that_are_not_special_are_plain_text() -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens([AddedToken("<think>", special=False), AddedToken("éclair", special=False)])
    (line,) = texts(encoded(tokenizer, ("<think>an éclair</think>", True)), tokenizer=tokenizer)
    assert line == "⟦<think>an éclair</think>⟧"


def test_a_marker_that_the_tokenizer_does_not_know_looks_like_text() -> None:
    tokenizer = by_bytes()
    (line,) = texts(encoded(tokenizer, ("<|user|><|human|>", False)), tokenizer=tokenizer)
    assert line == "⟨<|user|>⟩<|human|>"


def test_the_legend_explains_every_mark() -> None:
    tokenizer = by_bytes()
    plain = "\n".join(lines(asked(tokenizer, "A?", "B."), tokenizer=tokenizer)[:2])
    for mark in "⟦⟧⟨⟩↵⇥":
        assert mark in plain
