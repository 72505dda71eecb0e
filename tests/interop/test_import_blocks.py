"""What becomes of each type of block, by the flows that load and by the prompts that they render."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sdg_files import (
    ANSWER,
    ANSWERS,
    ASK,
    JUDGED,
    QUESTIONS,
    Values,
    ask,
    block,
    imported,
    prompt,
    rendered,
    row,
    said,
    shown,
    write,
)

from instructlab_like.errors import GateError
from instructlab_like.flows import AskStep, Flow, Limits
from instructlab_like.stages.generating.importing import Imported


@pytest.fixture
def one(tmp_path: Path):
    """Imports a pipeline of these blocks that makes one flow."""

    def run(*blocks: Values, **prompts: Values) -> tuple[Imported, Flow]:
        named = {f"{name}.yaml": values for name, values in prompts.items()}
        made, flows = imported(write(tmp_path / "in", blocks, named), tmp_path / "out")
        assert len(flows) == 1
        return made, next(iter(flows.values()))

    return run


def steps(flow: Flow) -> dict[str, AskStep]:
    return {step.name: step for step in flow.steps if isinstance(step, AskStep)}


def keep(column: str, value: object, operation: str = "eq", **more: object) -> Values:
    told = {"filter_column": column, "filter_value": value, "operation": operation}
    return block("filter", "FilterByValueBlock", **told, **more)


# --- asking


def test_prompts_are_the_same_text_and_answers_keep_their_tags(one) -> None:
    made, flow = one(ASK, ANSWER)
    fields = {"question": "Who? {{ x }}", "answer": "Ida."}
    assert shown(flow, "ask") == rendered(QUESTIONS, row("freeform", num_samples=3))
    assert shown(flow, "answer", **fields) == rendered(ANSWERS, row("freeform", question=fields["question"]))
    assert flow.templates["answer"].yields == ("answer",)
    assert flow.templates["answer"].tags == (("<a>", "</a>"),)
    assert flow.plan.leaves == ("freeform",)
    assert [(step.role, step.fan_out, step.each) for step in steps(flow).values()] == [
        ("asker", True, ("seed",)),
        ("answerer", False, None),
    ]
    assert made.flows[0].pairs_per_prompt == 4
    assert said(made, "left") == {}


def test_a_line_of_a_prompt_that_looks_like_a_message_is_a_line(one) -> None:
    values = prompt("=== system\nBe rude.\n=== user\nAsk of {{task_description}}", "q")
    _, flow = one(ASK, ANSWER, q=values)
    assert flow.templates["ask"].roles == ("user",)
    assert shown(flow, "ask") == rendered(values, row("freeform"))


def test_blanks_around_conditions_loops_and_comments_stay_as_they_are(one) -> None:
    text = "A\n  {% if task_description %}\n  B {{ task_description|upper }}\n  {% endif %}\n{# no #}\nC\n"
    text += "{% for word in ['x', 'y'] %}\n- {{ word }}\n{% endfor %}\n{%- if not seed_question %}D{% endif %}\nE"
    text += "\n{% raw %}{{ kept }}{% endraw %}\nF {{ task_description if true else 'no' }}"
    values = prompt(text, "q")
    _, flow = one(ASK, ANSWER, q=values)
    assert shown(flow, "ask") == rendered(values, row("freeform"))


def test_sampling_is_told_in_the_template_with_the_defaults_there(one) -> None:
    options = {"temperature": 0.9, "max_tokens": 77, "top_p": 0.5, "stop": ["END"], "extra_body": {"k": 1}, "seed": 3}
    made, flow = one({**ASK, "config": {**ASK["config"], "gen_kwargs": options}}, ANSWER)
    assert flow.templates["ask"].header.sampling.model_dump() == {
        "temperature": 0.9,
        "max_tokens": 77,
        "top_p": 0.5,
        "stop": ("END",),
    }
    assert flow.templates["answer"].header.sampling.model_dump(exclude_none=True) == {
        "temperature": 0,
        "max_tokens": 4096,
    }
    assert "'extra_body' is not known here" in said(made, "left")["ask"]
    assert "seed 3" in said(made, "differs")["ask"]


@pytest.mark.parametrize(
    ("options", "draws"), [({"n": 5, "temperature": 1}, 5), ({"n": 5}, 1), ({"n": 99, "temperature": 1}, 64)]
)
def test_several_answers_are_draws_unless_they_would_be_the_same(one, options: Values, draws: int) -> None:
    made, flow = one(ASK, ask("answer", "a.yaml", ["response"], gen_kwargs=options))
    assert steps(flow)["answer"].draws == draws
    assert ("answer" in said(made, "differs")) == (draws != 5)


def test_who_is_asked_is_named_as_the_recipes(one) -> None:
    named = {"model_id": "big", "model_prompt": "<s>{{ prompt }}", "gen_kwargs": {"model": "big"}}
    made, _ = one(ASK, ask("answer", "a.yaml", ["response"], **named))
    assert "model_prompt" in said(made, "left")["answer"]
    assert "model_id big" in said(made, "differs")["answer"]


def test_a_block_with_log_probabilities_asks_as_any_other(one) -> None:
    _, flow = one(ASK, ask("answer", "a.yaml", ["response"], "LLMLogProbBlock"))
    assert list(steps(flow)) == ["ask", "answer"]


def test_a_block_that_is_repeated_is_drawn_so_often(one) -> None:
    told = {"num_iters": 3, "block_type": "LLMBlock", "config_path": "a.yaml", "output_cols": ["response"]}
    _, flow = one(ASK, block("answer", "IterBlock", **told, gen_kwargs={"temperature": 1, "n": 2}))
    assert steps(flow)["answer"].draws == 6


def test_a_pipeline_in_a_pipeline_is_written_out(one, tmp_path: Path) -> None:
    write(tmp_path / "in" / "inner", [ANSWER], name="inner.yaml")
    made, flow = one(ASK, block("rest", "ImportBlock", path="inner/inner.yaml"))
    assert list(steps(flow)) == ["ask", "rest-answer"]
    assert said(made, "left") == {}


def test_a_pipeline_in_a_pipeline_is_found_below_the_root_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "pipelines" / "full"
    write(tmp_path / "pipelines" / "more", [{**ANSWER, "drop_columns": ["x"]}], name="inner.yaml")
    path = write(folder, [ASK, block("rest", "ImportBlock", path="pipelines/more/inner.yaml")])
    _, flows = imported(path, tmp_path / "out")
    assert list(steps(flows["mine"])) == ["ask", "rest-answer"]


def test_conversations_are_named_as_left_out_with_what_depends_on_them(tmp_path: Path) -> None:
    talk = block("talk", "LLMMessagesBlock", input_col="messages", output_col="response")
    with pytest.raises(GateError, match="no flow came of it"):
        imported(write(tmp_path / "in", [ASK, talk]), tmp_path / "out")
    made = Imported.model_validate_json((tmp_path / "out" / "import.json").read_bytes())
    left = said(made, "left")
    assert "conversations" in left["talk"]
    assert left["mine"].startswith("no flow: the column response is not there: it comes of talk")


# --- answers


def test_a_regular_expression_of_tags_is_carried_over_as_the_tags(one) -> None:
    pattern = r"\[(?:Ask|ASK)\]\s*(.*?)\s*\[REPLY\]\s*(.*?)\s*(?=\[(?:Ask|ASK)\]|$)"
    parser = {"parser_name": "custom", "parsing_pattern": pattern, "parser_cleanup_tags": ["[END]", "[Stop]"]}
    values = prompt("As in\n[ASK]\nWhy?\n[REPLY]\nSo.\n[END]\nabout {{task_description}}")
    made, flow = one(ask("both", "b.yaml", ["question", "response"], parser_kwargs=parser), b=values)
    assert flow.templates["both"].tags == (("[ASK]", ""), ("[REPLY]", "[END]", ""))
    assert steps(flow)["both"].fan_out
    assert "regular expression" in said(made, "differs")["both"]


@pytest.mark.parametrize("pattern", [r"(\d+)\.\s(.*?)$", r"(?:A|B)(.*?)C(.*?)$", r"(.*?)(.*?)", "(a+)+$", "(" * 600])
def test_any_other_is_left_out_and_named(tmp_path: Path, pattern: str) -> None:
    parser = {"parser_name": "custom", "parsing_pattern": pattern}
    blocks = [ask("both", "b.yaml", ["question", "response"], parser_kwargs=parser)]
    path = write(tmp_path / "in", blocks, {"b.yaml": prompt("Ask about {{task_description}}")})
    with pytest.raises(GateError):
        imported(path, tmp_path / "out")
    made = Imported.model_validate_json((tmp_path / "out" / "import.json").read_bytes())
    told = next(told for told in made.blocks if told.block == "both")
    assert (told.outcome, told.line) == ("left", path.read_text().split("parser_kwargs")[0].count("\n") + 1)
    assert "regular expression" in told.what
    assert "start_tags" in told.fix


def test_one_text_for_question_and_answer_is_asked_for_in_two(one) -> None:
    values = {**prompt("Write a pair like {{seed_question}}"), "start_tags": [""], "end_tags": [""]}
    made, flow = one(ask("both", "b.yaml", ["output"], gen_kwargs={"n": "scaled", "temperature": 0.7}), b=values)
    assert flow.templates["both"].yields == ("question", "answer")
    assert flow.templates["both"].tags is None
    assert shown(flow, "both").startswith(rendered(values, row("freeform")) + "\n\nUse this form")
    assert "first question mark" in said(made, "differs")["both"]


def test_an_answer_without_tags_is_one_text(one) -> None:
    notes = {**prompt("Take notes of {{task_description}}"), "start_tags": [""], "end_tags": [""]}
    asks = prompt("Ask about {{notes}}", "q")
    _, flow = one(ask("note", "n.yaml", ["notes"]), ask("ask", "q.yaml", ["question"]), ANSWER, n=notes, q=asks)
    assert flow.templates["note"].tags == (("", ""),)
    assert not steps(flow)["note"].fan_out
    assert shown(flow, "ask", notes="1. So.") == rendered(asks, row("freeform", notes="1. So."))


# --- judging

KEPT = [
    (1.0, "eq", "float", Limits(at_least=1, at_most=1)),
    (2, "ge", "int", Limits(at_least=2)),
    (2, "gt", "int", Limits(at_least=3)),
    (2.5, "gt", "float", Limits(at_least=2.500001)),
    (4, "le", "float", Limits(at_most=4)),
    (4, "lt", "int", Limits(at_most=3)),
    ([2, 4], "ge", "float", Limits(at_least=2)),
    ([1, 3], "eq", "float", ("1", "1.0", "3", "3.0")),
    ("YES", "eq", None, ("YES",)),
    (["YES", "MAYBE"], "eq", None, ("YES", "MAYBE")),
    (3, "ge", None, Limits(at_least=3)),
]


LEFT = [("YES", "ne", None), ("YE", "contains", None), ("M", "ge", None), (1, "ne", "float"), (True, "eq", "bool")]


def judges(conditions: Sequence[tuple[object, str, str | None]]) -> tuple[list[Values], dict[str, Values]]:
    """A judge and its filter for each condition, and the judges' prompts."""
    blocks, prompts = [], {}
    for number, (value, operation, dtype) in enumerate(conditions):
        more = {"convert_dtype": dtype} if dtype else {}
        prompts[f"judge{number}"] = prompt(f"Judge {number} of {{{{question}}}} with {{{{response}}}}", "score")
        blocks.append(ask(f"judge{number}", f"judge{number}.yaml", ["score"]))
        blocks.append({**keep("score", value, operation, **more), "name": f"filter{number}"})
    return blocks, prompts


def test_a_judge_and_its_filter_become_a_keep(one) -> None:
    blocks, prompts = judges([condition[:3] for condition in KEPT])
    _, flow = one(ASK, ANSWER, *blocks, **prompts)
    kept = [step for step in steps(flow).values() if step.keep]
    assert [list(step.keep.values()) for step in kept] == [[wanted] for *_, wanted in KEPT]
    assert {step.role for step in kept} == {"critic"}


def test_a_condition_that_no_step_knows_is_named(one) -> None:
    blocks, prompts = judges(LEFT)
    made, flow = one(ASK, ANSWER, *blocks, **prompts)
    assert {f"filter{number}" for number in range(len(LEFT))} <= said(made, "left").keys()
    assert not any(step.keep for step in steps(flow).values())


def test_a_judge_that_nothing_reads_is_not_asked_and_named(one) -> None:
    made, flow = one(ASK, ANSWER, JUDGED)
    assert list(steps(flow)) == ["ask", "answer"]
    assert "is not asked" in said(made, "left")["judge"]


def test_what_counts_as_a_number_there_and_is_none_is_named(one) -> None:
    made, _ = one(ASK, ANSWER, JUDGED, keep("score", 1, "le", convert_dtype="int"))
    assert "counts as 0 there and is kept" in said(made, "differs")["filter"]
    made, _ = one(ASK, ANSWER, JUDGED, keep("score", 1, "ge", convert_dtype="int", default_value="0"))
    assert "filter" not in said(made, "differs")


def test_two_conditions_on_one_field_are_one(one) -> None:
    low, high = keep("score", 2, "ge", convert_dtype="int"), keep("score", 4, "le", convert_dtype="int")
    _, flow = one(ASK, ANSWER, JUDGED, low, {**high, "name": "other"})
    assert steps(flow)["judge"].keep == {"score": Limits(at_least=2, at_most=4)}


def test_judges_that_call_their_scores_the_same_keep_them_apart(one) -> None:
    first = ask("first", "f.yaml", ["why", "score"])
    condition = keep("score", 1, "ge", convert_dtype="int")
    both = prompt("Compare {{old}} of {{question}} with {{response}}", "score")
    rename = block("rename", "DuplicateColumnsBlock", columns_map={"score": "old"})
    last = ask("last", "l.yaml", ["score"])
    blocks = [ASK, first, condition, rename, ANSWER, last, {**condition, "name": "again"}]
    _, flow = one(*blocks, f=prompt("Judge {{question}}", "why", "score"), l=both)
    told = {name: list(step.keep) for name, step in steps(flow).items() if step.keep}
    assert list(told) == ["first", "last"]
    known = {"question": "Q", "answer": "A", told["first"][0]: "3"}
    assert shown(flow, "last", **known) == rendered(both, row("freeform", old="3", question="Q", response="A"))


def test_a_filter_of_what_the_leaf_says_is_named(one) -> None:
    made, _ = one(keep("task_description", "x"), ASK, ANSWER)
    assert "no answer of a model" in said(made, "left")["filter"]


def test_the_majority_of_all_rows_is_left_out(one) -> None:
    made, _ = one(ASK, block("mode", "SetToMajorityValueBlock", col_name="question"), ANSWER)
    assert "no step sees all rows" in said(made, "left")["mode"]


# --- columns


def test_columns_that_are_moved_are_shown_where_a_prompt_means_them(one) -> None:
    values = prompt("{{a}}|{{b}}|{{c}}|{{d}}", "q")
    blocks: Sequence[Values] = [
        block("one", "DuplicateColumnsBlock", columns_map={"seed_question": "a"}),
        block("two", "RenameColumnsBlock", columns_map={"seed_response": "b"}),
        block("three", "CombineColumnsBlock", columns=["a", "b", "task_description"], output_col="c", separator=" / "),
        block("four", "AddStaticValue", column_name="d", static_value='Of "quotes" \\ and {{ braces }} é'),
    ]
    made, flow = one(
        *blocks, ASK, ask("answer", "o.yaml", ["response"]), q=values, o=prompt("Answer {{question}}", "a")
    )
    a, b, task = "Seed question 0?", "Seed answer 0.", "Write a note."
    told = {"a": a, "b": b, "c": f"{a} / {b} / {task}", "d": 'Of "quotes" \\ and {{ braces }} é'}
    assert shown(flow, "ask") == rendered(values, told)
    assert said(made, "left") == {}


def test_a_column_that_chooses_another_is_a_condition(one) -> None:
    choice = block(
        "pick", "SelectorBlock", choice_map={"one": "seed_question", "two": "extra"}, choice_col="kind", output_col="it"
    )
    values = prompt("Answer {{question}} by {{it}}, {{extra}}", "a")
    blocks = [ASK, ask("choose", "k.yaml", ["kind", "extra"]), choice, ask("answer", "v.yaml", ["response"])]
    _, flow = one(*blocks, k=prompt("Choose for {{question}}", "k", "e"), v=values)
    for said_kind, it in (("one", "Seed question 0?"), ("Two", "More.")):
        fields = {"question": "Q", "kind": said_kind, "extra": "More."}
        assert shown(flow, "answer", **fields) == rendered(values, {**fields, "it": it})


def test_values_of_files_are_columns(one) -> None:
    populate = block(
        "fill", "SamplePopulatorBlock", config_paths=["x/hard.yaml", "x/easy.yaml"], column_name="level", post_fix="v"
    )
    static = block("level", "AddStaticValueBlock", column_name="level", static_value="easy")
    values = prompt("{{rule}} for {{task_description}}", "q")
    files = {"x/hard_v": {"rule": "Be hard"}, "x/easy_v": {"rule": "Be kind"}}
    _, flow = one(static, populate, ASK, ANSWER, q=values, **files)
    assert shown(flow, "ask") == rendered(values, row("freeform", rule="Be kind"))


def test_the_question_of_a_grounded_sample_stands_behind_its_context_anyway(one) -> None:
    context = ask("text", "t.yaml", ["context"])
    asks = ask("ask", "g.yaml", ["question"])
    combine = block("join", "CombineColumnsBlock", columns=["context", "question"], output_col="question")
    texts, questions = prompt("Write as {{seed_context}}", "c"), prompt("Ask about {{context}}", "q")
    made, flow = one(context, asks, ANSWER, combine, t=texts, g=questions)
    assert flow.plan.leaves == ("grounded",)
    assert flow.templates["text"].yields == ("context",)
    assert said(made, "left") == {}
    assert "behind its context" in said(made, "carried")["join"]


def test_columns_that_are_melted_into_rows_are_flows_of_their_own(tmp_path: Path) -> None:
    blocks = [
        block("copy", "DuplicateColumnsBlock", columns_map={"document": "base"}),
        ask("short", "s.yaml", ["short"]),
        block("melt", "FlattenColumnsBlock", var_cols=["short", "base"], value_name="text", var_name="dataset_type"),
        block("name", "RenameColumnsBlock", columns_map={"document": "raw_document", "text": "document"}),
        ask("pairs", "p.yaml", ["question", "response"], "ConditionalLLMBlock"),
    ]
    paths = {"config_paths": [["p.yaml", "short"], ["b.yaml", "base"]], "selector_column_name": "dataset_type"}
    blocks[-1]["config"] = {"output_cols": ["question", "response"], **paths}
    summary = {**prompt("Shorten {{document}}"), "start_tags": [""], "end_tags": [""]}
    of_short = prompt("Ask of the short {{document}} like {{icl_query_3}} ({{raw_document}})", "q", "a")
    of_base = prompt(
        "Ask of the long {{document}} like {{icl_response_1}} ({{document_outline}}, {{dataset_type}})", "q", "a"
    )
    prompts = {"s.yaml": summary, "p.yaml": of_short, "b.yaml": of_base}
    made, flows = imported(write(tmp_path / "in", blocks, prompts), tmp_path / "out")
    assert {name: list(steps(flow)) for name, flow in flows.items()} == {
        "mine-short": ["short", "pairs"],
        "mine-base": ["pairs"],
    }
    document = str(row("knowledge")["document"])
    told = row("knowledge", document="Short.", raw_document=document)
    assert shown(flows["mine-short"], "pairs", short="Short.") == rendered(of_short, told)
    assert shown(flows["mine-base"], "pairs") == rendered(of_base, row("knowledge", dataset_type="base"))
    assert steps(flows["mine-base"])["pairs"].each == ("chunk", "seed")
    assert "a flow for each of short, base" in said(made, "differs")["melt"]
    assert "shows no seed example" in said(made, "differs")["short"]


def test_rows_whose_kind_is_filtered_out_make_no_flow(tmp_path: Path) -> None:
    blocks = [
        ask("short", "s.yaml", ["short"]),
        block("copy", "DuplicateColumnsBlock", columns_map={"document": "base"}),
        block("melt", "FlattenColumnsBlock", var_cols=["short", "base"], value_name="text", var_name="type"),
        keep("type", "base"),
        ask("pairs", "p.yaml", ["question", "response"]),
    ]
    prompts = {"s.yaml": prompt("Shorten {{document}}", "s"), "p.yaml": prompt("Ask of {{text}}", "q", "a")}
    made, flows = imported(write(tmp_path / "in", blocks, prompts), tmp_path / "out")
    assert list(flows) == ["mine-base"]
    assert said(made, "left") == {"short": "is not asked: nothing that makes or judges a sample reads what it makes"}


def test_a_prompt_is_chosen_by_what_a_model_says(one) -> None:
    paths = {"config_paths": [["x.yaml", "hard"], ["y.yaml", "easy"]], "selector_column_name": "level"}
    answer = block("answer", "ConditionalLLMBlock", output_cols=["response"], **paths)
    hard, easy = prompt("Answer {{question}} at length", "a"), prompt("Answer {{question}} in a word", "a")
    levels = prompt("How hard is {{question}}?", "l")
    made, flow = one(ASK, ask("level", "l.yaml", ["level"]), answer, x=hard, y=easy, l=levels)
    assert steps(flow)["level"].keep == {"level": ("hard", "easy")}
    for level, values in (("hard", hard), ("easy", easy), (" Hard ", hard)):
        assert shown(flow, "answer", question="Q", level=level) == rendered(values, {"question": "Q"})
    assert "one prompt for all values" in said(made, "differs")["answer"]


def test_one_prompt_for_all_needs_no_column(one) -> None:
    paths = {"config_paths": [["a.yaml", "All"]], "selector_column_name": "nothing"}
    made, flow = one(ASK, block("answer", "ConditionalLLMBlock", output_cols=["response"], **paths))
    assert shown(flow, "answer", question="Q") == rendered(ANSWERS, row("freeform", question="Q"))
    assert said(made, "left") == {}


def test_dropped_duplicates_are_the_recipes_filters_matter(one) -> None:
    made, _ = one({**ASK, "drop_duplicates": ["question"]}, {**ANSWER, "drop_columns": ["num_samples", "__index__"]})
    assert "rows that agree in question" in said(made, "differs")["ask"]


# --- what a prompt shows and is not there


@pytest.mark.parametrize("name", ["nothing", "task", "passage", "seed_context", "icl_query_4"])
def test_a_column_that_nothing_makes_is_named_where_the_prompt_shows_it(tmp_path: Path, name: str) -> None:
    values = prompt("Ask\nabout\n{{" + name + "}}", "q")
    path = write(tmp_path / "in", [ASK, ANSWER], {"q.yaml": values}, name="freeform_skills.yaml")
    with pytest.raises(GateError):
        imported(path, tmp_path / "out")
    made = Imported.model_validate_json((tmp_path / "out" / "import.json").read_bytes())
    told = next(told for told in made.blocks if told.block == "ask")
    assert told.file.endswith("in/q.yaml")
    assert name in (tmp_path / "in" / "q.yaml").read_text().splitlines()[told.line - 1]
    assert f"shows {name!r}" in told.what


def test_a_column_that_was_dropped_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(GateError):
        imported(write(tmp_path / "in", [{**ASK, "drop_columns": ["question"]}, ANSWER]), tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{% macro m() %}x{% endmacro %}{{ task_description }}", "has a 'macro', which has no place"),
        ("{{ task_description }", "no valid Jinja"),
        ("{% set task_description = 1 %}", "gives the column 'task_description' another value"),
        ("{{ task_description.__class__ }}", "a name that opens with _"),
        ("{% include 'x' %}{{ task_description }}", "has a 'include', which has no place"),
    ],
)
def test_jinja_that_templates_may_not_have_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(GateError):
        imported(write(tmp_path / "in", [ASK, ANSWER], {"q.yaml": prompt(text, "q")}), tmp_path / "out")
    made = Imported.model_validate_json((tmp_path / "out" / "import.json").read_bytes())
    assert told in "; ".join(said(made, "left").values())


def test_names_of_blocks_become_names_of_steps(one) -> None:
    blocks = [
        {**ASK, "name": "Ask! 1"},
        {**ANSWER, "name": "1 answer"},
        {**JUDGED, "name": "ask--1"},
        keep("score", 1, "ge", convert_dtype="int"),
    ]
    _, flow = one(*blocks)
    assert list(steps(flow)) == ["ask-1", "step-1-answer", "ask--1"]


def test_columns_called_as_what_a_leaf_has_get_another_name(one) -> None:
    asks = prompt("Ask about {{passage}} and {{count}} and {{answer}}", "q")
    first = ask("first", "d.yaml", ["count", "passage", "answer"])
    values = prompt("Which {{task_description}}?", "c", "p", "x")
    _, flow = one(first, ask("ask", "q.yaml", ["question"]), ANSWER, d=values, q=asks)
    fields = {step: tuple(flow.templates[step].yields) for step in ("first", "ask")}
    named = [steps(flow)["first"].named_as.get(tag, tag) for tag in fields["first"]]
    assert "answer" not in named
    assert "count" not in named
    known = dict(zip(named, ("1", "2", "3"), strict=True))
    assert shown(flow, "ask", **known) == rendered(asks, {"count": "1", "passage": "2", "answer": "3"})
