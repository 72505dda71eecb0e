"""Models answer greedily, side by side, and nothing is generated twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tiny_models import make_adapter, make_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from instructlab_like.errors import InputError, ModelError
from instructlab_like.evaluation import answering
from instructlab_like.evaluation.answering import answer
from instructlab_like.evaluation.cache import Cache
from instructlab_like.recipe import EvaluateRecipe
from instructlab_like.records import Answer, Item

RECIPE = EvaluateRecipe(max_new_tokens=8, batch=3, threads=1)
QUESTIONS = ("Why?", "Who built the old mill?", "One", "Two and two?", "What is the name of the eel?", "Why?")
ITEMS = [
    Item(
        id=str(number),
        leaf="l",
        source="heldout",
        question=question,
        answer="x",
        context="Rain." if number % 2 else None,
    )
    for number, question in enumerate(QUESTIONS)
]


class Progress:
    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.heard.append((done, total))


def ask(model: Path, adapters: list[tuple[str, Path]], cache: Path | None = None) -> list[Answer]:
    return answer(str(model), adapters, ITEMS, RECIPE, cache=cache, on_progress=Progress())


def by_hand(model: Path, adapter: Path | None, item: Item) -> str:
    """Greedy decoding one token at a time, without padding, batch or key-value cache."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    speaker = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    if adapter:
        speaker = PeftModel.from_pretrained(speaker, adapter).eval()
    asked = f"{item.context}\n\n{item.question}" if item.context else item.question
    ids = tokenizer(f"<|user|>{asked}<|end|><|assistant|>", add_special_tokens=False)["input_ids"]
    written: list[int] = []
    while len(written) < RECIPE.max_new_tokens:
        with torch.inference_mode():
            token = int(speaker(torch.tensor([ids + written]), use_cache=False).logits[0, -1].argmax())
        if token == tokenizer.eos_token_id:
            break
        written.append(token)
    return str(tokenizer.decode(written, skip_special_tokens=True)).strip()


def test_answers_are_the_models_most_likely_words(tiny: Path, adapter: Path) -> None:
    answers = ask(tiny, [("tuned", adapter)])
    assert [(one.model, one.item) for one in answers] == [
        (name, item.id) for name in ("base", "tuned") for item in ITEMS
    ]
    for name, path in (("base", None), ("tuned", adapter)):
        texts = [one.text for one in answers if one.model == name]
        assert texts == [by_hand(tiny, path, item) for item in ITEMS]
    assert len({one.text for one in answers}) > 6  # else the comparison would show nothing


def test_several_adapters_do_not_colour_each_other(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    other = make_adapter(tiny, tmp_path / "other", seed=2)
    together = {(one.model, one.item): one.text for one in ask(tiny, [("step-1.5", adapter), ("step-2.5", other)])}
    alone = {("step-2.5", one.item): one.text for one in ask(tiny, [("x", other)]) if one.model == "x"}
    assert alone.items() <= together.items()
    assert {together["step-1.5", item.id] for item in ITEMS} != {together["step-2.5", item.id] for item in ITEMS}


def test_a_second_evaluation_generates_nothing(
    tiny: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "6-evaluation" / "answers.sqlite"
    first = ask(tiny, [("tuned", adapter)], cache)

    def refuse(*_: object) -> list[list[int]]:
        raise AssertionError("asked again")

    monkeypatch.setattr(answering, "generate", refuse)
    assert ask(tiny, [("renamed", adapter)], cache) == [
        one if one.model == "base" else one.model_copy(update={"model": "renamed"}) for one in first
    ]
    with pytest.raises(AssertionError, match="asked again"):
        ask(tiny, [("tuned", make_adapter(tiny, tmp_path / "other", seed=2))], cache)


def test_what_was_answered_before_a_stop_is_kept(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, real, asked = tmp_path / "answers.sqlite", answering.generate, []

    def stops_half_way(speaker: torch.nn.Module, prompts: list[tuple[int, ...]], limits: answering.Limits) -> object:
        if len(asked) == 1:
            raise KeyboardInterrupt
        asked.append(prompts)
        return real(speaker, prompts, limits)

    monkeypatch.setattr(answering, "generate", stops_half_way)
    with pytest.raises(KeyboardInterrupt):
        ask(tiny, [], cache)
    monkeypatch.setattr(answering, "generate", real)
    progress = Progress()
    answer(str(tiny), [], ITEMS, RECIPE, cache=cache, on_progress=progress)
    assert progress.heard == [(3, 6), (6, 6)]


def test_the_same_question_is_answered_once(tiny: Path) -> None:
    progress = Progress()
    twice = [ITEMS[0], ITEMS[0].model_copy(update={"id": "again"})]
    one, other = answer(str(tiny), [], twice, RECIPE, cache=None, on_progress=progress)
    assert one.text == other.text
    assert progress.heard == [(0, 1), (1, 1)]


def test_a_question_beyond_the_context_window_is_not_asked_and_says_so(tiny: Path) -> None:
    fits, over = (ITEMS[0].model_copy(update={"id": str(n), "question": "x" * n}) for n in (85, 86))  # 3 more: 96 - 8
    answers = answer(str(tiny), [], [fits, over], RECIPE, cache=None, on_progress=Progress())
    assert answers[0].unanswered is None
    assert answers[1].unanswered == "89 tokens of question and 8 of answer do not fit a window of 96"
    assert (answers[1].text, answers[1].score) == ("", 0.0)


def test_tokens_and_seconds_are_those_of_the_making(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    """Of what was kept from earlier no time is known."""
    loaded = answering.load(str(tiny), [("tuned", adapter)], RECIPE)
    asked = sorted(set(answering.render(loaded.tokenizer, ITEMS[:5], where="")), key=len)
    heard: list[int] = []
    with Cache(tmp_path / "answers.sqlite") as kept:
        fresh = loaded.say(1, asked, kept, batch=3, on_progress=heard.append)
        again = loaded.say(1, asked, kept, batch=3, on_progress=heard.append)
    assert heard == [0, 3, 5, 5]
    assert [fresh[ids].together for ids in asked] == [3, 3, 3, 2, 2]
    for ids in asked:
        (made,) = answering.generate(loaded.speaker, [ids], loaded.limits)
        assert fresh[ids].tokens == len(made)
        assert (fresh[ids].share or 0) > 0
        assert (again[ids].text, again[ids].share) == (fresh[ids].text, None)


def test_nothing_to_ask_is_nothing_answered(tiny: Path) -> None:
    assert answer(str(tiny), [], [], RECIPE, cache=None, on_progress=Progress()) == []


def test_a_missing_model_or_adapter_is_a_model_error(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        ask(tmp_path / "no-such-model", [])
    with pytest.raises(ModelError, match="no such adapter folder"):
        ask(tiny, [("tuned", tmp_path / "no-such-adapter")])


@pytest.mark.parametrize(("hidden", "layers"), [(48, 2), (32, 3)])
def test_an_adapter_of_another_base_is_a_model_error(tiny: Path, tmp_path: Path, hidden: int, layers: int) -> None:
    other = make_model(tmp_path / "base", hidden=hidden, layers=layers)
    with pytest.raises(ModelError):
        ask(tiny, [("tuned", make_adapter(other, tmp_path / "adapter", seed=1))])


def test_a_model_without_a_chat_template_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be asked"):
        ask(make_model(tmp_path, hidden=32, layers=1, chat=False), [])


def test_checkpoints_of_one_name_are_refused(tiny: Path, adapter: Path) -> None:
    with pytest.raises(InputError, match="different names"):
        ask(tiny, [("tuned", adapter), ("tuned", adapter)])
    with pytest.raises(InputError, match="different names"):
        ask(tiny, [("base", adapter)])


def test_a_cache_that_is_no_cache_names_the_file(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite").write_text("not a database, but long enough to be read as one" * 40)
    with pytest.raises(InputError, match="is no cache of answers") as caught:
        ask(tiny, [], tmp_path / "answers.sqlite")
    assert caught.value.where.endswith("answers.sqlite")
