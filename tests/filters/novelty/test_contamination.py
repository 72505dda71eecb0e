from __future__ import annotations

import json
import random

import pytest

from instructlab_like.errors import RecipeError
from instructlab_like.filters import build
from instructlab_like.filters.novelty import contamination
from instructlab_like.filters.novelty.contamination import Contamination
from instructlab_like.recipe import FilterChoice

ASKED = "A ferry leaves the north quay at 7:40 and needs 25 minutes to the island; when does it arrive if it waits 5?"
PASSAGE = (
    "The ferry between the quay and the island was built in Bergen for the mail, and only later were benches set on "
    "its deck for the people of the outer farms, who until then had rowed across on Sundays whatever the weather."
)
SOLUTION = "def arrival(start, needed, waited):\n    return add_minutes(parse_clock(start), needed + waited)\n"


@pytest.fixture
def benchmark(tmp_path):
    def written(content, name="bench.jsonl", **options):
        path = tmp_path / name
        if name.endswith(".jsonl") and not isinstance(content, str):
            content = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in content)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return Contamination(files=str(path), **options)

    return written


def test_without_files_it_is_not_applied(sample):
    told = Contamination().judge(sample(ASKED, "8:10"))
    assert (told.keep, told.applied) == (True, False)
    assert "files" in told.reason


@pytest.mark.parametrize("field", ["question", "prompt", "problem", "query", "Question", "ctx", "some_field"])
def test_thirteen_words_in_a_row_of_an_item_are_told_with_file_and_line(sample, benchmark, field):
    chosen = benchmark([{field: "Who rows the boat to the island?"}, {field: ASKED}])
    asked = sample(
        "Tell me: a ferry leaves the north quay at 7.40, and NEEDS 25 minutes to the island, which is far.", "8:05"
    )
    told = chosen.judge(asked)
    assert (told.rule, told.threshold, told.score) == ("shared-words", 13, 16)
    assert told.partner.endswith("bench.jsonl:2")
    assert "“a ferry leaves the north quay at 7 40 and needs 25 minutes to the" in told.reason
    assert chosen.judge(sample("A ferry leaves the south quay at 7:40 and needs 25 minutes to the isle.", "8:05")).keep


def test_every_text_of_an_item_counts_wherever_it_stands(sample, benchmark):
    item = {
        "id": 7,
        "data": {"passage": PASSAGE, "choices": ["True", "False", SOLUTION], "turns": [{"content": ASKED}]},
    }
    chosen = benchmark([item])
    for text in (PASSAGE[20:130], SOLUTION, ASKED):
        assert not chosen.judge(sample("Say it.", f"Well: {text}")).keep
        assert not chosen.judge(sample(f"Repeat: {text}", "No.")).keep
        assert not chosen.judge(sample("Repeat.", "No.", kind="grounded", context=text)).keep
        assert chosen.judge(sample("Is it?", "No.", kind="knowledge", context=text)).keep


def test_fifty_characters_find_what_words_do_not(sample, benchmark):
    chosen = benchmark([{"solution": SOLUTION}])
    told = chosen.judge(sample("Write it.", SOLUTION.replace("_", " ").replace("(", " ( ").replace(", ", ",")))
    assert not told.keep
    spaced = "defarrival(start,needed,waited):returnadd_minutes(parse_clock(start),needed+waited)"
    told = chosen.judge(sample("Write it.", spaced))
    assert (told.rule, told.threshold) == ("shared-characters", 50)
    assert told.score == len("defarrivalstartneededwaitedreturnaddminutesparseclockstartneededwaited")


def test_each_run_of_fifty_characters_is_found_and_none_of_forty_nine(sample, benchmark):
    rng = random.Random(1)
    text = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=400))
    chosen = benchmark([{"question": f"x {text}"}])
    for begin in range(0, 350, 7):
        assert chosen.judge(sample("Say it.", f"0{text[begin : begin + 50]}0")).score == 50
        assert chosen.judge(sample("Say it.", f"0{text[begin : begin + 49]}0")).keep


@pytest.mark.parametrize("asked", ["who rows the BOAT?", "Who rows the boat", "**Who rows the boat?**"])
def test_a_short_question_is_compared_as_a_whole(sample, benchmark, asked):
    chosen = benchmark([{"question": "Who rows the boat?", "answer": "Is it Ann?"}])
    told = chosen.judge(sample(asked, "Ann"))
    assert (told.rule, told.score) == ("asked", 1.0)
    assert chosen.judge(sample("Who rows the boat on Sundays?", "Ann")).keep
    assert chosen.judge(sample("Is it Ann?", "Yes")).keep


def test_a_question_is_found_as_a_line_or_a_sentence_of_a_longer_one(sample, benchmark):
    chosen = benchmark([{"question": "Who rows the boat on Sundays?"}])
    assert not chosen.judge(sample("Answer briefly.\nQ: Who rows the boat on Sundays?\nA:", "Ann")).keep
    assert not chosen.judge(sample("Hello! Who rows the boat on Sundays? Thanks.", "Ann")).keep
    assert chosen.judge(sample("I wonder who rows the boat on Sundays in winter.", "Ann")).keep


def test_an_instruction_may_be_given_about_another_text(sample, benchmark):
    told = "Rewrite the following sentence in the passive voice."
    chosen = benchmark([{"instruction": told, "input": "The storm broke the wall.", "output": "The wall was broken."}])
    assert chosen.judge(sample(f"{told}\nAnn rows the boat.", "The boat is rowed.")).keep
    alone = benchmark([{"instruction": told}])
    assert not alone.judge(sample(told, "By whom?")).keep
    assert alone.judge(sample(told, "The boat is rowed.", kind="grounded", context="Ann rows the boat.")).keep


@pytest.mark.parametrize("answer", ["True", "B", "yes", "42", "the moon", "none of the above"])
def test_common_short_answers_never_match(sample, benchmark, answer):
    chosen = benchmark([{"question": "Is it?", "choices": ["True", "B", "yes", "42", "the moon", "none of the above"]}])
    assert chosen.judge(sample(f"{answer}?", answer)).keep
    assert chosen.judge(sample("Is it?", answer)).keep


def test_the_phrasing_of_a_benchmark_itself_does_not_count(sample, benchmark):
    frame = (
        "Answer the following multiple choice question by giving the letter of the one right option, and nothing else:"
    )
    rng = random.Random(1)
    items = [{"question": f"{frame} {' '.join(rng.choices(PASSAGE.split(), k=12))}"} for _ in range(60)]
    chosen = benchmark([*items, *({"system": frame, "question": f"Is it {number}?"} for number in range(60))])
    assert chosen.judge(sample(f"{frame} Which of these is a mammal?", "A")).keep
    assert not chosen.judge(sample(items[7]["question"], "A")).keep
    few = benchmark(items[:5])
    assert not few.judge(sample(f"{frame} Which of these is a mammal?", "A")).keep


def test_a_passage_that_several_items_share_counts(sample, benchmark):
    chosen = benchmark([{"context": PASSAGE, "question": f"What is meant by word {number}?"} for number in range(20)])
    assert chosen.judge(sample("Go on.", PASSAGE)).partner.endswith("bench.jsonl:1")


@pytest.mark.parametrize(
    "listed",
    [
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38",
        "January, February, March, April, May, June, July, August, September, October, November, December",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    ],
)
def test_lists_that_everybody_knows_do_not_count(sample, benchmark, listed):
    chosen = benchmark([{"question": f"Go on with this list for me: {listed}"}])
    assert chosen.judge(sample("Write the list.", f"Here it is: {listed}.")).keep


def test_addresses_identifiers_and_categories_are_no_texts(sample, benchmark):
    link = "https://example.org/archive/ferries/of/the/north/quay/and/the/island/in/winter/and/summer/index.html"
    item = {
        "url": link,
        "subject": "history of ferries",
        "doc_id": "the whole of the ferry line in a row",
        "question": "Is it?",
    }
    chosen = benchmark([item])
    assert chosen.judge(sample("history of ferries", f"See {link}")).keep
    assert chosen.judge(sample("the whole of the ferry line in a row", "x")).keep


def test_scripts_without_spaces_are_compared_by_characters(sample, benchmark):
    text = "渡船早上七点四十分从北码头出发，到岛上需要二十五分钟，如果中途等待五分钟，渡船几点到达？"
    chosen = benchmark([{"question": text}, {"question": "谁划船去岛上？"}])
    told = chosen.judge(sample(f"请回答：{text[:32]}？", "八点十分"))
    assert (told.rule, told.partner[-2:]) == ("shared-words", ":1")
    assert chosen.judge(sample("谁划船去岛上", "安")).rule == "asked"
    assert chosen.judge(sample("渡船早上七点四十分从北码头出发，它是哪一年建造的？", "一九一二年")).keep


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("b.json", [{"question": "Who?"}, {"question": ASKED}], ":1"),
        ("b.json", '[\n {"question": "Who?"},\n\n {"question": ' + json.dumps(ASKED) + "}\n]\n", ":4"),
        ("b.json", {"data": [{"qas": [{"question": ASKED}]}]}, ": data[0].qas[0].question"),
        ("b.csv", f'id,question,answer\n1,"Who\nrows?",Ann\n2,"{ASKED}",8:10\n', ":4"),
        ("b.csv", f'"{ASKED}",8:05,8:10,8:15,8:20,B\n', ":1"),
        ("b.tsv", f"question\tanswer\n{ASKED}\t8:10\n", ":2"),
        ("b.txt", f"Who?\n{ASKED}\n", ":2"),
        ("b.txt", f"Who rows?\n\nOn what day?\n{ASKED[:60]}\n{ASKED[60:]}\n", ":3"),
        ("b.jsonl", f'\ufeff{{"question": "Who?"}}\n\n{{"question": "{ASKED}"}}\r\n', ":3"),
        ("b.jsonl", json.dumps(ASKED), ":1"),
    ],
)
def test_files_of_each_kind_are_read_with_their_lines(sample, benchmark, name, content, line):
    told = benchmark(content, name).judge(sample(ASKED, "8:10"))
    assert told.rule in ("asked", "shared-words")
    assert told.partner.endswith(f"{name}{line}")


def test_several_files_and_patterns_are_named_together(sample, tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.txt").write_text("Who rows the boat?\n")
    (tmp_path / "one" / "b.txt").write_text(f"{ASKED}\n")
    (tmp_path / "c.txt").write_text(f"{PASSAGE}\n")
    monkeypatch.chdir(tmp_path)
    chosen = Contamination(files="one/*.txt, c.txt")
    assert chosen.judge(sample("Who rows the boat?", "Ann")).partner == "one/a.txt:1"
    assert chosen.judge(sample(ASKED, "x")).partner == "one/b.txt:1"
    assert chosen.judge(sample("Go on.", PASSAGE)).partner == "c.txt:1"


def test_the_identity_changes_with_the_files_contents(benchmark):
    one = benchmark([{"question": ASKED}]).identity()
    assert benchmark([{"question": ASKED}]).identity() == one
    assert benchmark([{"question": PASSAGE}]).identity() != one
    assert Contamination().identity() != one


def test_a_changed_file_is_read_again(sample, benchmark):
    assert benchmark([{"question": ASKED}]).judge(sample(PASSAGE, "x")).keep
    assert not benchmark([{"question": PASSAGE}]).judge(sample(PASSAGE, "x")).keep


@pytest.mark.parametrize(
    ("name", "content", "what", "where"),
    [
        ("b.jsonl", '{"question": "a b c"}\n{"question": \n', "is not JSON", "b.jsonl:2"),
        ("b.json", '[{"question": "a b c"},\n {"question": ]', "is not JSON", "b.json:2:15"),
        ("b.json", '[{"question": "a b c"}', "is not JSON", "b.json:1"),
        ("b.json", "[" * 3000, "too deep", "b.json"),
        ("b.json", '{"a":' * 100 + '"b c"' + "}" * 100, "too deep", "a.a"),
        ("b.jsonl", '{"id": "a b c", "n": 3}\n', "no text", "b.jsonl"),
        ("b.txt", "", "no text", "b.txt"),
        ("b.parquet", "PAR1", ".parquet files are not read", "b.parquet"),
    ],
)
def test_a_broken_file_is_told_with_place_and_remedy(sample, benchmark, name, content, what, where):
    chosen = benchmark(content, name)
    with pytest.raises(RecipeError) as told:
        chosen.judge(sample("Who?", "Ann"))
    assert what in told.value.what
    assert where in told.value.where
    assert told.value.fix


def test_a_missing_file_is_told_before_anything_is_judged(tmp_path):
    for files, what in (
        ("gone.jsonl", "no such"),
        ("gone/*.jsonl", "no file matches"),
        (str(tmp_path), "cannot be read"),
    ):
        chosen = build(FilterChoice(name="contamination", options={"files": files}))
        with pytest.raises(RecipeError, match=what) as told:
            chosen.identity()
        assert told.value.fix


def test_bytes_that_are_no_utf8_are_told_with_their_line(sample, tmp_path):
    path = tmp_path / "b.txt"
    path.write_bytes(b"Who rows?\nKl\xf6ster\n")
    with pytest.raises(RecipeError) as told:
        Contamination(files=str(path)).judge(sample("Who?", "Ann"))
    assert told.value.where.endswith("b.txt:2")


def test_files_are_read_once_in_a_process(sample, benchmark, monkeypatch):
    chosen = benchmark([{"question": ASKED}])
    chosen.judge(sample(ASKED, "x"))
    monkeypatch.setattr(contamination, "entries", None)
    assert not chosen.judge(sample(ASKED, "y")).keep
    assert not Contamination(files=chosen.files).judge(sample(ASKED, "y")).keep
