"""Prompts put to one model over real HTTP: asked once, kept in the ledger, and every failure with its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pytest
from faults import Fault, failing
from server import Arrival, TeacherServer

from instructlab_like.errors import InputError, RecipeError, StoppedError, TeacherError
from instructlab_like.generation import engine
from instructlab_like.generation.ledger import Ledger
from instructlab_like.recipe import Budget, TeacherRecipe
from instructlab_like.records import Message, Prompt, Sampling
from instructlab_like.stages.generating.inquiry import Inquiry, Replies, prompt

GREEDY = Sampling(temperature=0.0, max_tokens=20, seed=None)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(engine, "LONGEST_PAUSE", 0.05)


def told(url: str, model: str = "small", retries: int = 2) -> TeacherRecipe:
    return TeacherRecipe(model=model, url=url, concurrency=4, retries=retries, timeout=60.0, patience=5.0)


def prompts(*texts: str, model: str = "small", draw: int = 0) -> list[Prompt]:
    return [prompt([Message(role="user", content=text)], f"http:{model}", GREEDY, draw=draw) for text in texts]


def said(request: dict) -> str:
    return f"heard {request['messages'][-1]['content']}"


def put(
    folder: Path, server: TeacherServer, asked: Sequence[Prompt], *, budget: Budget | None = None, empty: bool = False
) -> tuple[Replies, Inquiry]:
    with Ledger(folder / "ledger.sqlite") as ledger:
        inquiry = Inquiry(ledger, budget=budget, empty=empty)
        return inquiry.put(asked, told(server.url)), inquiry


def about(*texts: str, fault: Fault) -> Callable[[Arrival], Fault | None]:
    """Whoever asks one of these texts has that fault."""
    return lambda arrival: fault if orjson.loads(arrival.body)["messages"][-1]["content"] in texts else None


def test_each_prompt_is_answered_under_its_key_and_asked_once_over_two_runs(tmp_path: Path) -> None:
    asked = prompts("one", "two", "three")
    with TeacherServer(answer=said) as server:
        first, inquiry = put(tmp_path, server, [*asked, *asked])
        assert server.requests == 3
        assert (inquiry.tally.answered, inquiry.tally.reused) == (3, 0)
        again, inquiry = put(tmp_path, server, [*asked, *prompts("four")])
        assert server.requests == 4
        assert (inquiry.tally.answered, inquiry.tally.reused) == (1, 3)
    assert [first.completions[one.key].text for one in asked] == ["heard one", "heard two", "heard three"]
    assert again.completions.items() > first.completions.items()
    assert not again.failures


def test_another_draw_of_the_same_prompt_is_asked_by_itself(tmp_path: Path) -> None:
    with TeacherServer(answer=said) as server:
        replies, _ = put(tmp_path, server, [*prompts("one"), *prompts("one", draw=1)])
        assert server.requests == 2
    assert len(replies.completions) == 2


def test_what_is_refused_comes_back_with_its_kind_and_is_asked_again_by_the_next_run(tmp_path: Path) -> None:
    one, odd = asked = prompts("one", "odd")
    with TeacherServer(answer=said, choose=about("odd", fault=failing(400, "I will not"))) as server:
        replies, inquiry = put(tmp_path, server, asked)
    assert [*replies.completions] == [one.key]
    failure = replies.failures[odd.key]
    assert (failure.kind, failure.sent) == ("refused", True)
    assert "I will not" in failure.error
    assert inquiry.tally.failed == {"refused": 1}
    with TeacherServer(answer=said) as server:
        replies, _ = put(tmp_path, server, asked)
        assert server.requests == 1
    assert replies.completions[odd.key].text == "heard odd"


def test_what_passes_is_tried_again(tmp_path: Path) -> None:
    asked = prompts(*map(str, range(12)))
    with TeacherServer({0: failing(500), 3: failing(429), 5: Fault("reset")}, answer=said) as server:
        replies, inquiry = put(tmp_path, server, asked)
    assert len(replies.completions) == 12
    assert inquiry.tally.retried.total() == 3


def test_a_model_that_says_nothing_has_answered_where_that_counts_as_an_answer(tmp_path: Path) -> None:
    asked = prompts("one", "two")
    with TeacherServer(answer=lambda request: "" if "one" in str(request) else "two") as server:
        silent, _ = put(tmp_path, server, asked, empty=True)
        assert server.requests == 2
        assert [silent.completions[one.key].text for one in asked] == ["", "two"]
        put(tmp_path, server, asked, empty=True)
        assert server.requests == 2
    with TeacherServer(answer=lambda request: "" if "one" in str(request) else "two") as server:
        strict, _ = put(tmp_path / "strict", server, asked)
        assert strict.failures[asked[0].key].kind == "empty"
        assert server.requests == 1 + 3  # the first attempt and two retries of the empty one


def test_a_server_that_goes_for_good_stops_the_run_and_nothing_is_lost(tmp_path: Path) -> None:
    asked = prompts(*map(str, range(30)))
    with TeacherServer(answer=said) as server, Ledger(tmp_path / "ledger.sqlite") as ledger:
        server.on_served = lambda count: server.deafen() if count == 10 else None
        with pytest.raises(TeacherError, match="answers are in the ledger"):
            Inquiry(ledger).put(asked, told(server.url).model_copy(update={"patience": 0.2}))
        kept = ledger.counts.answered
    assert 0 < kept < 30
    with TeacherServer(answer=said) as server:
        replies, _ = put(tmp_path, server, asked)
        assert server.requests == 30 - kept
    assert len(replies.completions) == 30


def test_a_budget_stops_the_asking_and_counts_what_others_asked(tmp_path: Path) -> None:
    with TeacherServer(answer=said) as server:
        put(tmp_path, server, prompts("one", "two"))
        with pytest.raises(StoppedError, match="budget of 5 calls is used up"):
            put(tmp_path, server, prompts(*map(str, range(9))), budget=Budget(calls=5))
        assert server.requests == 5
        with pytest.raises(RecipeError, match="has no price"):
            put(tmp_path, server, prompts("one"), budget=Budget(money=1.0))


def test_without_asking_the_ledger_alone_answers(tmp_path: Path) -> None:
    with TeacherServer(answer=said) as server:
        put(tmp_path, server, prompts("one"))
    asked = prompts("one", "two")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        replies = Inquiry(ledger, asking=False).put(asked, TeacherRecipe(model="small"))
    assert [*replies.completions] == [asked[0].key]
    assert replies.failures[asked[1].key].kind == "not asked"


def test_too_many_long_prompts_do_not_hide_that_the_model_answers_short_ones(tmp_path: Path) -> None:
    long = [f"{number} " + "word " * 100 for number in range(20)]
    with TeacherServer(answer=said, context=60) as server:
        replies, _ = put(tmp_path, server, prompts(*long, "short"))
    assert len(replies.completions) == 1
    assert {failure.kind for failure in replies.failures.values()} == {"refused"}


def test_a_wrong_name_of_a_model_or_a_missing_key_is_told_before_anything_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ABSENT_KEY", raising=False)
    with TeacherServer(lambda _: failing(404)) as server, Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(InputError, match="knows no model 'small'"):
            Inquiry(ledger).put(prompts("one"), told(server.url))
        with pytest.raises(InputError, match="ABSENT_KEY"):
            Inquiry(ledger).put(prompts("one"), told(server.url).model_copy(update={"key_env": "ABSENT_KEY"}))
        assert server.requests == 1
        assert not ledger.counts.answered


def test_prompts_that_are_for_another_model_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger, pytest.raises(ValueError, match="http:other"):
        Inquiry(ledger).put(prompts("one", model="other"), told("http://127.0.0.1:9/v1"))
