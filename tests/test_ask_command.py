"""`ilk ask` on a run with a tiny model: as evaluate asks, beside an endpoint, and what is told of mistakes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import torch
from faults import ECHO, Fault, failing
from gguf_file import write_gguf
from ilk_process import file_digests
from peft import LoraConfig, get_peft_model
from real_server import real_server
from server import TeacherServer
from tiny_chat_model import save_base
from transformers import AutoModelForCausalLM

from instructlab_like.errors import InputError, ModelError, StoppedError
from instructlab_like.evaluation import answering
from instructlab_like.evaluation.answering import answer
from instructlab_like.evaluation.questions import from_file
from instructlab_like.evaluation.summary import BASE
from instructlab_like.recipe import EvaluateRecipe, TrainRecipe
from instructlab_like.stages import manifest
from instructlab_like.stages.evaluating import ask as stage
from instructlab_like.stages.evaluating.answers import Answers
from instructlab_like.stages.evaluating.ask import Wish, ask
from instructlab_like.stages.manifest import Manifest
from instructlab_like.workspace import Run, find

KEY = "sk-Pl4nted+7Xq9/ZtWv3bN8rLm2cKdY5hJ6gFsA1eUoQ=="
TOKENS = 6
QUESTIONS = ["Which colour does the flag of Norway have?", "How much is twelve plus thirty?", "Why?"]


def adapter(base: Path, folder: Path, *, seed: int) -> Path:
    torch.manual_seed(seed)
    told = LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), told).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a base, a run whose adapter is trained on it, and two other adapters."""
    folder = tmp_path_factory.mktemp("made")
    save_base(folder / "base")
    run = Run(folder / "runs" / "default")
    recipe = EvaluateRecipe(max_new_tokens=TOKENS, threads=1)
    manifest.write(run, Manifest(train=TrainRecipe(model="base", threads=1), evaluate=recipe))
    adapter(folder / "base", run.adapter, seed=1)
    adapter(folder / "base", folder / "step-2.5", seed=2)
    save_base(folder / "other-base", layers=3)
    adapter(folder / "other-base", folder / "other", seed=3)
    (folder / "q.txt").write_text("\n".join(QUESTIONS))
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that a test may change, and is in."""
    folder = shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(here: Path) -> Run:
    return Run(Path("runs/default"))


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    with TeacherServer(answer=lambda _: "Red, white and blue.") as started:
        yield started


Asking = Callable[[Run, Wish], Answers]


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Asking:
    """What is answered, as records read back from what is printed."""

    def asked(run: Run, wish: Wish) -> Answers:
        ask(run, wish, form="json")
        return Answers.model_validate_json(capsys.readouterr().out)

    return asked


def ilk(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instructlab_like", "ask", *words]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(data)))


def not_loaded(*_: object) -> None:
    raise AssertionError("a model was loaded")


def test_the_command_shows_base_and_the_run_s_adapter(made: Path) -> None:
    before = file_digests(made)
    done = ilk(QUESTIONS[0], cwd=made)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = done.stdout.split("\n")
    assert rows[:2] == ["base   base", "tuned  runs/default/5-training/adapter"]
    assert f"asked  {QUESTIONS[0]}" in rows
    assert "base" in rows
    assert {"tuned  ≠ base", "tuned  = base"} & set(rows)
    assert file_digests(made) == before


def test_answers_are_those_that_an_evaluation_scores(run: Run, asked: Asking) -> None:
    found = asked(run, Wish(file="q.txt", adapters=(str(run.adapter), "step-2.5")))
    assert [model.name for model in found.models] == ["base", "adapter", "step-2.5"]
    items = [question.item for question in from_file(Path("q.txt"))]
    recipe = EvaluateRecipe(max_new_tokens=TOKENS, threads=1)
    adapters = [("adapter", run.adapter), ("step-2.5", Path("step-2.5"))]
    scored = {
        (one.model, one.item): one.text for one in answer("base", adapters, items, recipe, on_progress=lambda *_: None)
    }
    shown = {
        (reply.model, item.id): reply.text
        for item, told in zip(items, found.exchanges, strict=True)
        for reply in told.replies
    }
    assert shown == scored
    assert len(set(scored.values())) > 3  # else the comparison would show nothing
    for told in found.exchanges:
        base, *others = told.replies
        assert [reply.same for reply in told.replies] == [None, *(one.text == base.text for one in others)]
        assert all(0 < (reply.tokens or 0) <= TOKENS and reply.seconds is not None for reply in told.replies)
        assert all(reply.cut == (reply.tokens == TOKENS) for reply in told.replies)


def test_what_an_evaluation_has_answered_is_not_generated_again(
    run: Run, asked: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [question.item for question in from_file(Path("q.txt"))]
    cache = run.evaluation / "answers.sqlite"
    recipe = EvaluateRecipe(max_new_tokens=TOKENS, threads=1)
    answer("base", [("tuned", run.adapter)], items, recipe, cache=cache, on_progress=lambda *_: None)
    fresh = asked(run, Wish(file="q.txt", adapters=("step-2.5",)))
    assert {reply.seconds is None for told in fresh.exchanges for reply in told.replies if reply.model == BASE} == {
        True
    }
    monkeypatch.setattr(answering, "generate", not_loaded)
    again = asked(run, Wish(file="q.txt", adapters=("step-2.5", str(run.adapter))))
    assert {reply.seconds for told in again.exchanges for reply in told.replies} == {None}


def test_held_out_questions_have_their_right_answer_and_scores(run: Run, asked: Asking) -> None:
    Path("heldout.yaml").write_text("questions:\n  - {question: Why, answer: soft, context: So., metric: f1}\n")
    (told,) = asked(run, Wish(file="heldout.yaml")).exchanges
    assert (told.answer, told.context, told.where) == ("soft", "So.", "heldout.yaml:2")
    assert all(reply.score is not None for reply in told.replies)


def test_a_base_can_be_asked_alone_and_an_adapter_without_a_run(here: Path, asked: Asking) -> None:
    nothing = Run(Path("runs/default"))
    shutil.rmtree("runs")
    assert [model.name for model in asked(nothing, Wish(question="Why?", model="base")).models] == ["base"]
    named = json.loads(Path("step-2.5/adapter_config.json").read_text()) | {"base_model_name_or_path": "./base"}
    Path("step-2.5/adapter_config.json").write_text(json.dumps(named))
    found = asked(nothing, Wish(question="Why?", adapters=("step-2.5",)))
    assert [model.place for model in found.models] == ["./base", "step-2.5"]


def test_standard_input_is_one_question_or_one_a_line(run: Run, asked: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"Why?\nAnd why\n\xc3\xa4?\n")
    assert [told.question for told in asked(run, Wish(question="-")).exchanges] == ["Why?\nAnd why\nä?"]
    stdin(monkeypatch, b"Why?\n\nAnd why?\n")
    assert [told.question for told in asked(run, Wish(file="-")).exchanges] == ["Why?", "And why?"]


def test_a_context_is_put_before_the_question(run: Run, asked: Asking) -> None:
    Path("c.txt").write_text("The flag is blue.\n")
    given = asked(run, Wish(question="Why?", context="The flag is blue.")).exchanges[0]
    of_file = asked(run, Wish(question="Why?", context_file=Path("c.txt"))).exchanges[0]
    bare = asked(run, Wish(question="Why?")).exchanges[0]
    texts = [[reply.text for reply in told.replies] for told in (given, of_file, bare)]
    assert texts[0] == texts[1] != texts[2]


def test_a_question_beyond_the_window_is_said_and_the_others_are_answered(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("long.txt").write_text(f"Why?\n{'why ' * 600}\nWhy not?\n")
    with pytest.raises(InputError, match=r"tokens of question and 6 of answer do not fit a window of 512") as caught:
        ask(run, Wish(file="long.txt"), form="json")
    assert caught.value.where == "long.txt:2"
    assert "1 of 3 questions" in caught.value.what
    found = Answers.model_validate_json(capsys.readouterr().out)
    assert [[reply.unanswered is None for reply in told.replies] for told in found.exchanges] == [
        [True, True],
        [False, False],
        [True, True],
    ]


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (Wish(), "no question is given"),
        (Wish(question=""), "the question is empty"),
        (Wish(question=" \n"), "the question is empty"),
        (Wish(question="q", file="q.txt"), "a question and a file"),
        (Wish(file="none.txt"), "no such file"),
        (Wish(question="q", context="a", context_file=Path("q.txt")), "both are given"),
        (Wish(question="q", context_file=Path("none.txt")), "no such file"),
        (Wish(question="q", adapters=("none",)), "no such checkpoint folder"),
        (Wish(question="q", adapters=("base",)), "adapter_config.json is missing"),
        (Wish(question="q", adapters=("step-2.5", "step-2.5")), "different names"),
        (Wish(question="q", model="./none/at/all"), "no such model folder"),
        (Wish(question="q", url="http://127.0.0.1:9/v1"), "model is not named"),
        (Wish(question="q", url="127.0.0.1", url_model="m"), "is no http or https URL"),
        (Wish(question="q", url="http://127.0.0.1:9/v1", url_model="m", key_env="NO_SUCH_KEY"), "NO_SUCH_KEY"),
        (Wish(question="q", url_model="m"), "belongs to an endpoint"),
        (Wish(question="q", key_env="HOME"), "belongs to an endpoint"),
    ],
)
def test_a_mistake_is_told_before_a_model_is_loaded(
    run: Run, wish: Wish, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "load_base", not_loaded)
    with pytest.raises(InputError) as caught:
        ask(run, wish)
    assert told in str(caught.value)
    assert "teacher." not in str(caught.value)
    assert caught.value.fix


def test_a_run_or_an_adapter_that_is_missing_says_what_comes_first(here: Path, run: Run) -> None:
    with pytest.raises(InputError, match="there is no such run"):
        ask(Run(Path("runs/none")), Wish(question="q", adapters=("step-2.5",)))
    shutil.rmtree(run.adapter)
    with pytest.raises(InputError, match="this run has no adapter") as caught:
        ask(run, Wish(question="q"))
    assert "ilk train" in caught.value.fix


def test_an_adapter_of_another_base_is_refused(run: Run) -> None:
    with pytest.raises(ModelError, match="does not fit this model"):
        ask(run, Wish(question="q", adapters=("other",)))


def test_an_endpoint_is_one_more_column(run: Run, asked: Asking, server: TeacherServer) -> None:
    found = asked(run, Wish(question="Why?", context="So.", url=f"{server.url}?token=hidden", url_model="tuned"))
    assert [model.name for model in found.models] == ["base", "tuned", "tuned (endpoint)"]
    assert found.models[-1].place == server.url
    reply = found.exchanges[0].replies[-1]
    assert (reply.text, reply.same) == ("Red, white and blue.", False)
    sent = json.loads(server.bodies[0])
    assert sent["messages"] == [{"role": "user", "content": "So.\n\nWhy?"}]
    assert (sent["temperature"], sent["max_tokens"], sent["model"]) == (0.0, TOKENS, "tuned")


def test_a_real_server_with_the_base_s_weights_answers_as_the_base_does(
    tmp_path: Path, asked: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = find("training/base/model").resolve()
    tasks = find("training/base/anchors.jsonl").read_text().splitlines()[:6]
    (tmp_path / "q.jsonl").write_text("\n".join(tasks))
    monkeypatch.chdir(tmp_path)
    with real_server(write_gguf(base, tmp_path / "base.gguf")) as url:
        wish = Wish(file="q.jsonl", model=str(base), max_tokens=16, url=url, url_model="m")
        found = asked(Run(Path("runs/default")), wish)
    assert [[reply.same for reply in told.replies] for told in found.exchanges] == [[None, True]] * len(tasks)
    assert len({told.replies[0].text for told in found.exchanges}) > 2


def test_an_endpoint_alone_needs_no_run_and_no_torch(server: TeacherServer, tmp_path: Path) -> None:
    blocked = "import sys\nsys.modules['torch'] = None\nfrom instructlab_like.cli import main\nmain()"
    words = ["ask", "Why?", "--url", server.url, "--url-model", "m", "--format", "markdown"]
    done = subprocess.run(
        [sys.executable, "-c", blocked, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| `m` | `Red, white and blue.` |" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_endpoint_that_is_down_is_one_message_before_a_model_is_loaded(made: Path, tmp_path: Path) -> None:
    done = ilk("Why?", "--url", "http://127.0.0.1:9/v1", "--url-model", "m", cwd=made)
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout == ""
    assert "http://127.0.0.1:9/v1/chat/completions: cannot be reached" in done.stderr
    assert "start the server, or correct --url" in done.stderr
    assert done.stderr.count("ilk:") == 1


def test_what_may_pass_is_tried_again_and_what_stays_ends_it(
    run: Run, asked: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PAUSE", 0.0)
    with TeacherServer({0: failing(500), 1: Fault("reset")}, answer=lambda _: "x") as server:
        found = asked(run, Wish(question="Why?", url=server.url, url_model="m"))
    assert found.exchanges[0].replies[-1].text == "x"
    with TeacherServer(lambda _: failing(500, "broken for good")) as server:
        with pytest.raises(StoppedError, match="broken for good"):
            ask(run, Wish(question="Why?", url=server.url, url_model="m"))
        assert server.requests == stage.ATTEMPTS


def test_a_question_that_an_endpoint_refuses_lacks_its_answer_alone(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("two.txt").write_text(f"Why?\n{'why ' * 50}\n")
    with TeacherServer(context=40, answer=lambda _: "x") as server, pytest.raises(InputError, match="was not asked"):
        ask(run, Wish(file="two.txt", url=server.url, url_model="m"), form="json")
    one, other = Answers.model_validate_json(capsys.readouterr().out).exchanges
    assert [reply.unanswered is None for reply in one.replies] == [True, True, True]
    assert [reply.unanswered is None for reply in other.replies] == [True, True, False]


def test_the_key_is_sent_and_never_shown(here: Path, tmp_path: Path) -> None:
    for faults in ({}, {0: failing(401, f"wrong key {ECHO}")}):
        with TeacherServer(faults, answer=lambda _: f"Your key is {KEY}.") as server:
            words = ("Why?", "--url", server.url, "--url-model", "m", "--key-env", "PLANTED_KEY", "--format", "json")
            done = ilk(*words, cwd=here / "step-2.5", PLANTED_KEY=KEY)
        assert server.log[0].authorization == f"Bearer {KEY}"
        assert done.returncode == (2 if faults else 0), done.stderr
        assert KEY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_an_empty_answer_of_an_endpoint_is_an_answer(run: Run, asked: Asking) -> None:
    with TeacherServer(answer=lambda _: "") as server:
        reply = asked(run, Wish(question="Why?", url=server.url, url_model="m")).exchanges[0].replies[-1]
    assert (reply.text, reply.unanswered) == ("", None)


def test_markdown_goes_to_standard_output_alone(made: Path) -> None:
    done = ilk("Why?", "--adapter", "step-2.5", "--format", "markdown", "--max-tokens", "3", cwd=made)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("### Answers side by side\n\n| name | model |\n|---|---|\n| `base` | `base` |")
    assert "`tuned`" not in done.stdout
