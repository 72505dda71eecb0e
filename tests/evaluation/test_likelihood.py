"""Choices and perplexities are answered by likelihood, as one forward pass for each option would."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from tiny_models import make_adapter, make_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MixtralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from instructlab_like.errors import ModelError
from instructlab_like.evaluation import likelihood
from instructlab_like.evaluation.answering import answer
from instructlab_like.evaluation.cache import Cache
from instructlab_like.evaluation.choices import NOT_FINITE, pick
from instructlab_like.evaluation.grading import NO_JUDGE
from instructlab_like.evaluation.likelihood import Continuation, Reader, Row, batches, rows, weigh, weigh_all, windows
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Answer, Item, Metric

RECIPE = EvaluateRecipe(max_new_tokens=8, batch=5, threads=1)
SIZES = {"vocab_size": 60, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(hidden_size=32, intermediate_size=64, **SIZES),
    "gpt2": GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=1),
    "mixtral": MixtralConfig(hidden_size=32, intermediate_size=64, num_local_experts=4, **SIZES),
    "gemma3": Gemma3TextConfig(hidden_size=32, intermediate_size=64, head_dim=8, sliding_window=8, **SIZES),
}


def item(number: int, metric: Metric, question: str, right: str, *others: str, context: str | None = None) -> Item:
    options = tuple(sorted((right, *others))) if metric == "choice" else ()
    fields = {"question": question, "answer": right, "context": context, "options": options, "metric": metric}
    return Item.model_validate({"id": str(number), "leaf": "l", "source": "heldout", **fields})


ITEMS = [
    item(0, "choice", "Who built the mill?", "Ida", "a miller", "the town", "nobody at all", context="It rained."),
    item(1, "choice", "Which letter?", "B", "A", "C", "D"),
    item(2, "exact", "Why?", "Because."),
    item(3, "choice", "How many?", "two", "twelve", "a dozen"),
    item(4, "perplexity", "What of the mill?", "It stands by the river."),
    item(5, "perplexity", "", "A long tale of an eel and a mill. " * 6),
    item(6, "choice", "Why?", "Because", "Rain", "No"),
    item(7, "judge", "Say hello.", "Hello!"),
    item(8, "choice", "What is it?", "an eel, and none of the smallest", "eels", "an eel, and none of the finest"),
]


def ignore(_: int, __: int) -> None: ...


def ask(
    model: Path,
    adapters: Sequence[tuple[str, Path]] = (),
    items: Sequence[Item] = ITEMS,
    *,
    cache: Path | None = None,
    batch: int = 5,
    on_progress: Callable[[int, int], None] = ignore,
) -> list[Answer]:
    recipe = RECIPE.model_copy(update={"batch": batch})
    return answer(str(model), adapters, items, recipe, cache=cache, on_progress=on_progress)


def speaker(model: Path, adapter: Path | None = None) -> PreTrainedModel | PeftModel:
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    return PeftModel.from_pretrained(base, adapter).eval() if adapter else base


@torch.inference_mode()
def by_hand(model: torch.nn.Module, ids: Sequence[int], start: int, *, padded: int = 0) -> float:
    """One forward pass for one continuation, the whole log-softmax; perhaps padded on the left."""
    tokens = torch.tensor([[0] * padded + list(ids)])
    mask = torch.tensor([[0] * padded + [1] * len(ids)])
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    given = {"attention_mask": mask, "position_ids": places} if padded else {}
    logits = model(input_ids=tokens, use_cache=False, **given).logits[0, padded:].float().log_softmax(-1)
    return -sum(float(logits[place - 1, ids[place]]) for place in range(start, len(ids)))


def pair(tokenizer: PreTrainedTokenizerFast, context: str, option: str) -> tuple[list[int], int]:
    """As lm-evaluation-harness encodes a context and a continuation."""
    blanks = len(context) - len(context.rstrip())
    if blanks:
        context, option = context[:-blanks], context[-blanks:] + option
    whole = tokenizer(context + option, add_special_tokens=False)["input_ids"]
    return whole, len(tokenizer(context, add_special_tokens=False)["input_ids"])


def prompt(one: Item) -> str:
    asked = f"{one.context}\n\n{one.question}" if one.context else one.question
    return f"<|user|>{asked}<|end|><|assistant|>"


def continuations() -> list[Continuation]:
    """Of documents with options of one token, of several, of one that begins another, and of a text alone."""
    found = []
    for number in range(9):
        before = tuple((7 * number + 3 * place) % 60 for place in range(9 + number // 2))
        options = [(4,), (5,), (6,)] if number % 3 == 0 else [(4,), (4, 5), (9, number, 8, 7), (10, 11)]
        found += [Continuation((*before, *option), len(before)) for option in options]
    return [*found, Continuation(tuple(range(40)), 1), Continuation(tuple(range(30, 45)), 6)]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("batch", [1, 4, 64])
def test_every_architecture_and_batch_gives_what_one_pass_an_option_gives(name: str, batch: int) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[name]).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, 0.0, 0.2)
    asked = continuations()
    found = {one: nats for part in weigh_all(model, asked, batch=batch, pad=0) for one, nats in part.items()}
    assert found.keys() == set(asked)
    for one in asked:
        assert found[one] == pytest.approx(by_hand(model, one.ids, one.start), rel=1e-4, abs=1e-4)
        assert found[one] == pytest.approx(by_hand(model, one.ids, one.start, padded=3), rel=1e-4, abs=1e-4)
    shares = Reader.of(model, 0).plain
    assert shares == (name != "gemma3")  # a sliding window forgets what another option needs
    assert any(one.shared for one in batches(rows(asked), batch=batch, most=10**9, share=shares)) == (
        shares and batch > 1
    )


def test_the_likeliest_option_by_its_length_is_taken_with_and_without_an_adapter(tiny: Path, adapter: Path) -> None:
    answers = {(one.model, one.item): one for one in ask(tiny, [("tuned", adapter)])}
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    seen = set()
    for name, path in (("base", None), ("tuned", adapter)):
        model = speaker(tiny, path)
        for one in (one for one in ITEMS if one.metric == "choice"):
            losses = [by_hand(model, *pair(tokenizer, prompt(one), option)) for option in one.options]
            best = min(range(len(losses)), key=lambda place: losses[place] / len(one.options[place]))
            given = answers[name, one.id]
            assert (given.chosen, given.text) == (best, one.options[best])
            assert given.score == float(one.options[best] == one.answer)
            seen.add((one.id, best))
    assert len(seen) > sum(one.metric == "choice" for one in ITEMS)  # the adapter changes some of them


def test_answers_come_in_the_items_order_model_by_model(tiny: Path, adapter: Path) -> None:
    heard: list[tuple[int, int]] = []
    answers = ask(tiny, [("tuned", adapter)], on_progress=lambda done, total: heard.append((done, total)))
    assert [(one.model, one.item) for one in answers] == [(name, one.id) for name in ("base", "tuned") for one in ITEMS]
    assert heard == sorted(heard)
    assert heard[0] == (0, 2 * len(ITEMS))
    assert heard[-1] == (2 * len(ITEMS), 2 * len(ITEMS))


def test_several_adapters_do_not_colour_each_other(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    other = make_adapter(tiny, tmp_path / "other", seed=2)
    texts = [one for one in ITEMS if one.metric == "perplexity"]
    together = ask(tiny, [("one", adapter), ("two", other)], texts)
    alone = [*ask(tiny, [("one", adapter)], texts), *ask(tiny, [("two", other)], texts)[len(texts) :]]
    assert together == alone
    assert len({one.nats for one in together}) == len(together)


def test_the_batch_changes_no_choice_and_hardly_a_number(tiny: Path, adapter: Path) -> None:
    alone, together = (ask(tiny, [("tuned", adapter)], batch=batch) for batch in (1, 32))
    assert [one.chosen for one in alone] == [one.chosen for one in together]
    for one, other in zip(alone, together, strict=True):
        assert one.nats == (None if other.nats is None else pytest.approx(other.nats, rel=1e-5))


def test_an_answers_perplexity_counts_its_end_and_not_the_question(tiny: Path) -> None:
    given = next(one for one in ask(tiny) if one.item == "4")
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    whole, start = pair(tokenizer, prompt(ITEMS[4]), ITEMS[4].answer)
    nats = by_hand(speaker(tiny), [*whole, tokenizer.eos_token_id], start)
    assert given.tokens == len(whole) - start + 1
    assert given.nats == pytest.approx(nats, rel=1e-5)
    assert given.score == pytest.approx(math.exp(-nats / given.tokens), rel=1e-4)
    assert (given.text, given.chosen) == ("", None)


def test_a_text_alone_is_read_in_windows_that_count_each_token_once(tiny: Path) -> None:
    given = next(one for one in ask(tiny) if one.item == "5")
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    ids = tokenizer(ITEMS[5].answer, add_special_tokens=False)["input_ids"]
    model, whole, nats, done = speaker(tiny), [tokenizer.eos_token_id, *ids], 0.0, 1
    assert len(whole) > 2 * 96
    while done < len(whole):
        until = min(97 if done == 1 else done + 48, len(whole))
        first = max(0, until - 97)
        nats += by_hand(model, whole[first:until], done - first)
        done = until
    assert given.tokens == len(ids)
    assert given.nats == pytest.approx(nats, rel=1e-5)


@given(st.integers(1, 400), st.integers(1, 50) | st.none())
def test_windows_weigh_each_token_once_with_half_a_window_before_it(length: int, window: int | None) -> None:
    text = tuple(range(length + 1))
    found = windows(text, window)
    assert [token for one in found for token in one.ids[one.start :]] == list(text[1:])
    for one in found:
        assert window is None or len(one.ids) - 1 <= window
        assert one.start >= min(one.ids[one.start], (window or 0) // 2)


IDS = st.lists(st.integers(0, 2), max_size=6).map(tuple)


@given(
    st.lists(st.builds(lambda before, after: Continuation((7, *before, *after, 1), 1 + len(before)), IDS, IDS)),
    st.integers(1, 5),
    st.integers(1, 60),
    st.booleans(),
    st.booleans(),
)
def test_batches_read_every_continuation_once(
    asked: list[Continuation], batch: int, most: int, share: bool, whole: bool
) -> None:
    needed = rows(asked)
    assert sorted(one for row in needed for one in row.wanted) == sorted(set(asked))
    for row in needed:
        assert all(row.ids[: len(one.ids) - 1] == one.ids[:-1] for one in row.wanted)
        assert not any(other.ids[: len(row.ids)] == row.ids for other in needed if other is not row)
    found = list(batches(needed, batch=batch, most=most, share=share and not whole, whole=whole))
    assert sorted(row for one in found for row in one.rows) == sorted(needed)
    for one in found:
        assert len(one.rows) <= batch
        width = max(len(row.ids) for row in one.rows) - (0 if whole else min(row.first for row in one.rows))
        assert len(one.rows) == 1 or len(one.rows) * width <= most
        assert all(row.first >= one.shared for row in one.rows)
        for row, group in zip(one.rows, one.groups, strict=True):
            assert row.ids[: one.shared] == one.rows[one.groups.index(group)].ids[: one.shared]


def test_options_of_one_token_are_read_once_for_the_document() -> None:
    before = (3, 4, 5)
    letters = [Continuation((*before, letter), 3) for letter in (10, 11, 12, 13)]
    assert rows(letters) == [Row(before, tuple(letters))]


def test_a_long_prompt_is_read_once_for_all_its_options() -> None:
    asked = [Continuation((*range(50), option, 9, 9), 50) for option in (60, 61, 62, 63)]
    (only,) = batches(rows(asked), batch=32, most=10**6, share=True)
    assert (len(only.rows), only.shared, set(only.groups)) == (4, 49, {0})


def merging(*merges: tuple[str, str], fold: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer over characters with merges of its own."""
    words = [*map(chr, range(32, 127)), "\n", "é", *(first + second for first, second in merges)]
    bpe = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=list(merges)))
    if fold:
        bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Split("\n", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="~")


def test_tokens_that_join_prompt_and_option_are_the_options() -> None:
    tokenizer = merging((":", "y"), ("n", "o"))
    one = item(0, "choice", "", "yes", "no", "yn")
    (found,) = weigh(tokenizer, [one], ["Well? A:"], end=0, window=None)
    assert [(list(two.ids), two.start) for two in found.continuations] == [
        pair(tokenizer, "Well? A:", option) for option in one.options
    ]
    told = ["".join(tokenizer.convert_ids_to_tokens(two.ids[two.start :])) for two in found.continuations]
    assert told == ["no", "es", "n"]


def test_blanks_at_the_prompts_end_count_as_the_options() -> None:
    tokenizer = merging((" ", "y"))
    one = item(0, "choice", "", "yes", "no")
    (found,) = weigh(tokenizer, [one], ["Well? "], end=0, window=None)
    for option, two in zip(one.options, found.continuations, strict=True):
        assert (list(two.ids), two.start) == pair(tokenizer, "Well? ", option)
    assert [two.start for two in found.continuations] == [5, 5]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "there are no options to choose from"),
        (("ye", "no"), "the right answer is not among the options"),
        (("yes", ""), "option 2 is empty"),
        (("yes", "No", "no"), "options 2 and 3 are the same tokens"),
        (("y", "yes"), "option 1 has no token of its own: the tokenizer merges it with the prompt"),
        (("yes", "b" * 10), "2 tokens of question and 10 of option 2 do not fit a window of 10"),
    ],
)
def test_options_that_decide_nothing_are_told(options: tuple[str, ...], why: str) -> None:
    one = item(0, "choice", "?", "yes").model_copy(update={"options": options})
    (found,) = weigh(merging((":", "y"), fold=True), [one], ["q:"], end=0, window=10)
    assert found.unscored == why
    given = found.answer("base", [])
    assert (given.score, given.unscored, given.chosen, given.text) == (None, why, None, "")


def test_a_window_is_used_to_its_last_token() -> None:
    one = item(0, "choice", "?", "a" * 9, "b" * 9)
    (found,) = weigh(merging(), [one], ["q:"], end=0, window=10)
    assert found.unscored is None
    (found,) = weigh(merging(), [one.model_copy(update={"metric": "perplexity"})], ["q:"], end=0, window=10)
    assert found.unscored == "2 tokens of question and 10 of the answer do not fit a window of 10"


@pytest.mark.parametrize(("question", "text"), [("", "  "), ("", ""), ("q", "")])
def test_a_text_that_is_empty_has_no_perplexity(question: str, text: str) -> None:
    one = item(0, "perplexity", question, text)
    (found,) = weigh(merging(), [one], [f"{question}:" if question else ""], end=0, window=10)
    assert found.answer("base", []).score is None
    assert found.unscored in ("the text is empty", "the answer is empty")


def test_a_model_that_gives_no_numbers_has_no_score(tiny: Path, tmp_path: Path) -> None:
    broken = speaker(tiny)
    broken.get_output_embeddings().weight.data[7] = math.nan
    broken.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path / "broken")
    asked = [one for one in ITEMS if one.metric in likelihood.LIKELIHOOD]
    for _ in range(2):  # from the model, and from the cache
        found = ask(tmp_path / "broken", items=asked, cache=tmp_path / "answers.sqlite")
        assert {(one.score, one.unscored) for one in found} == {(None, NOT_FINITE)}


def test_what_is_impossible_is_never_taken() -> None:
    assert pick(("aaaa", "b"), (math.inf, 40.0)) == 1
    assert pick(("aaaa", "b"), (math.nan, 40.0)) == NOT_FINITE
    assert pick(("aaaa", "b"), (math.inf, math.inf)) == NOT_FINITE


def test_of_equals_the_first_is_taken_and_length_counts() -> None:
    assert pick(("a", "b"), (1.5, 1.5)) == 0
    assert pick(("aa", "b"), (3.0, 1.5)) == 0
    assert pick(("b", "aa"), (1.5, 2.5)) == 1


def test_a_second_evaluation_computes_nothing_and_gives_the_same_bits(
    tiny: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "answers.sqlite"
    first = ask(tiny, [("tuned", adapter)], cache=cache)

    def refuse(*_: object) -> dict[Continuation, float]:
        raise AssertionError("computed again")

    monkeypatch.setattr(Reader, "read", refuse)
    again = ask(tiny, [("renamed", adapter)], cache=cache)
    assert again == [one if one.model == "base" else one.model_copy(update={"model": "renamed"}) for one in first]
    with pytest.raises(AssertionError, match="computed again"):
        ask(tiny, [("tuned", make_adapter(tiny, tmp_path / "other", seed=2))], cache=cache)
    with pytest.raises(AssertionError, match="computed again"):
        ask(make_model(tmp_path / "base", hidden=32, layers=1), cache=cache)


def test_what_was_weighed_before_a_stop_is_kept(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, real, read = tmp_path / "answers.sqlite", Reader.read, []

    def stops(self: Reader, batch: likelihood.Batch) -> dict[Continuation, float]:
        if len(read) == 2:
            raise KeyboardInterrupt
        read.append(batch)
        return real(self, batch)

    monkeypatch.setattr(Reader, "read", stops)
    with pytest.raises(KeyboardInterrupt):
        ask(tiny, cache=cache)
    weighed = sum(len(row.wanted) for one in read for row in one.rows)
    assert len(sqlite3.connect(cache).execute("SELECT key FROM nats").fetchall()) == weighed


def test_a_cache_of_texts_alone_goes_on_working(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with sqlite3.connect(path) as old:
        old.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID")
        old.execute("INSERT INTO answers VALUES ('k', 'kept')")
    ask(tiny, cache=path)
    with Cache(path) as kept:
        assert kept.get(["k"]) == {"k": "kept"}


def test_floats_come_back_as_they_were_put(tmp_path: Path) -> None:
    told = {"a": 0.1 + 0.2, "b": math.inf, "c": 5e-324, "d": math.nan, "e": 0.0}
    with Cache(tmp_path / "answers.sqlite") as kept:
        kept.put_nats(told)
    with Cache(tmp_path / "answers.sqlite") as kept:
        found = kept.get_nats([*told, "missing"])
    assert found.keys() == told.keys()
    assert all(repr(found[key]) == repr(told[key]) for key in told)


def test_a_judged_answer_waits_for_its_judge(tiny: Path) -> None:
    given = next(one for one in ask(tiny) if one.item == "7")
    assert given.text
    assert (given.score, given.unscored, given.unanswered) == (None, NO_JUDGE, None)


def test_logits_of_bfloat16_are_weighed_in_float32(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16).eval()
    one = Continuation(tuple(range(5, 25)), 12)
    ((nats,),) = (part.values() for part in weigh_all(model, [one], batch=1, pad=0))
    assert nats == pytest.approx(by_hand(model, one.ids, one.start), rel=1e-6)  # whose log-softmax is in float32
    assert nats != float(torch.tensor(nats).bfloat16())


def test_the_virtual_tokens_of_an_adapter_are_no_part_of_the_text(tiny: Path) -> None:
    torch.manual_seed(0)
    model = get_peft_model(speaker(tiny), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)).eval()
    asked = [Continuation((*range(5, 25), last, 9), 20) for last in (30, 31, 32)]
    found = {one: nats for part in weigh_all(model, asked, batch=8, pad=0) for one, nats in part.items()}
    with torch.inference_mode():
        for one in asked:
            scores = model(torch.tensor([one.ids])).logits[0, 5:].log_softmax(-1)
            nats = -sum(float(scores[place - 1, one.ids[place]]) for place in (20, 21))
            assert found[one] == pytest.approx(nats, rel=1e-5)


def test_a_text_alone_needs_no_chat_template_but_a_question_does(tmp_path: Path) -> None:
    model = make_model(tmp_path, hidden=32, layers=1, chat=False)
    (given,) = ask(model, items=[ITEMS[5]])
    assert given.score is not None
    with pytest.raises(ModelError, match="cannot be asked"):
        ask(model, items=[ITEMS[0]])


def test_an_adapter_that_waits_for_certain_tokens_sees_them_before_every_option(tiny: Path) -> None:
    torch.manual_seed(0)
    waits = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    waits.alora_invocation_tokens = [6, 7]
    model = get_peft_model(speaker(tiny), waits).eval()
    asked = [Continuation((*range(5, 45), last, 9, 11), 40) for last in (30, 31, 32)]
    found = {one: nats for part in weigh_all(model, asked, batch=8, pad=0) for one, nats in part.items()}
    with model.disable_adapter():
        without = by_hand(model, asked[0].ids, 40)
    for one in asked:
        assert found[one] == pytest.approx(by_hand(model, one.ids, 40), rel=1e-5)
    assert found[asked[0]] != pytest.approx(without, rel=1e-3)
