from __future__ import annotations

import ast
import re

import yaml

from instructlab_like.records import Effect, LeafOrigin
from instructlab_like.tuning.card import CardFacts, HeldOutLine, Made, PhaseLine, Scores, brief, card

TIDES, SUMS = "knowledge/science/tides", "compositional_skills/sums"


def origin(path: str, **told: object) -> LeafOrigin:
    facts = {"path": path, "blob": "b" * 40, "commit": "c" * 40, "author": "Ann Lee", "dirty": False} | told
    return LeafOrigin.model_validate(facts)


def effect(leaf: str) -> Effect:
    ends = (0.5, 0.9)
    return Effect(
        leaf=leaf,
        n=40,
        base=0.1,
        base_interval=(0.0, 0.2),
        tuned=0.7,
        tuned_interval=ends,
        delta=(0.4, 0.6, 0.8),
        p=0.001,
        effect="better",
    )


FULL = CardFacts(
    base="some/tiny",
    revision="0" * 40,
    adapter="LoRA of rank 4, alpha 8, on q_proj",
    commit="d" * 40,
    leaves=(origin(TIDES), origin(SUMS, commit=None, author=None, dirty=True), origin("knowledge/none")),
    made=(
        Made(leaf=SUMS, by="simulation/1", samples=30),
        Made(leaf=TIDES, by="big|model", samples=12),
        Made(leaf=TIDES, by="rules/1", samples=5),
        Made(leaf="replay", by="", samples=9),
    ),
    licenses=("cc-by-4.0",),
    recipe={"lora": {"rank": 4}, "warmup": 0.03},
    phases=(
        PhaseLine(
            name="knowledge",
            samples=17,
            trained_tokens=900,
            row_tokens=128,
            epochs=2.5,
            steps=40,
            learning_rate=2e-4,
            step=30,
            why="the lowest held-out loss",
        ),
        PhaseLine(
            name="skills", samples=30, trained_tokens=90, row_tokens=128, epochs=1, steps=4, learning_rate=1e-4, step=0
        ),
    ),
    held_out=(HeldOutLine(leaf=TIDES, samples=8, before=2.5, after=1.25),),
    scores=Scores(leaves=(effect(TIDES),), own=(effect("base/recall"),)),
)


def front(text: str) -> dict[str, object]:
    told = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(told, dict)
    return told


def test_the_hub_reads_what_it_is_and_what_it_needs() -> None:
    assert front(card(FULL)) == {
        "base_model": "some/tiny",
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["instruction-tuning", "taxonomy", "lora"],
    }
    merged = front(card(FULL.model_copy(update={"relation": "finetune"})))
    assert (merged["base_model_relation"], merged["library_name"]) == ("finetune", "transformers")


def test_a_path_is_no_base_for_the_hub() -> None:
    for name in ("./models/tiny", "tiny", "/models/tiny", "a/b/c", "../x/y"):
        assert "base_model" not in front(card(FULL.model_copy(update={"base": name, "revision": None})))


def test_each_leaf_has_its_samples_its_makers_and_its_origin() -> None:
    lines = card(FULL).splitlines()
    assert f"| `{SUMS}` | 30 | simulation/1 | not committed |  | `bbbbbbbbbbbb` |" in lines
    assert f"| `{TIDES}` | 12 | big\\|model | `cccccccccccc` | Ann Lee | `bbbbbbbbbbbb` |" in lines
    assert f"| `{TIDES}` | 5 | rules/1 | `cccccccccccc` | Ann Lee | `bbbbbbbbbbbb` |" in lines
    assert "| `replay` | 9 |  |  |  |  |" in lines
    assert "Leaves of the taxonomy that gave no sample: `knowledge/none`." in lines
    assert "The leaves and their documents are under cc-by-4.0." in lines
    assert f"at commit `{'d' * 40}`" in card(FULL)


def test_phases_losses_and_scores_are_told() -> None:
    lines = card(FULL).splitlines()
    assert "| knowledge | 17 | 900 | 128 | 2.5 | 40 | 0.0002 | step 30 |" in lines
    assert "| skills | 30 | 90 | 128 | 1 | 4 | 0.0001 | none: as the phase began |" in lines
    assert "- knowledge: the lowest held-out loss." in lines
    assert f"| `{TIDES}` | 8 | 2.5000 | 1.2500 | -1.2500 |" in lines
    assert f"| `{TIDES}` | 40 | 0.10 [0.00, 0.20] | 0.70 [0.50, 0.90] | +0.60 [+0.40, +0.80] | better |" in lines
    assert any(line.startswith("| `base/recall` | 40 |") for line in lines)
    recipe = re.search(r"```yaml\n(.*?)```", card(FULL), re.DOTALL)
    assert recipe
    assert yaml.safe_load(recipe[1]) == FULL.recipe


def test_what_is_not_known_has_no_section() -> None:
    text = card(CardFacts(base="some/tiny", adapter="LoRA"))
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Loading"]
    assert "None" not in text


def test_an_origin_changed_since_its_commit_says_so() -> None:
    text = card(FULL.model_copy(update={"leaves": (origin(TIDES, dirty=True),)}))
    assert "| `cccccccccccc` and changed since | Ann Lee |" in text


def test_what_loads_it_is_python_and_fits_where_the_base_lies() -> None:
    pieces = {}
    for name, facts in {
        "hub": FULL,
        "path": FULL.model_copy(update={"base": "./models/tiny"}),
        "merged": FULL.model_copy(update={"relation": "finetune"}),
    }.items():
        pieces[name] = re.findall(r"```python\n(.*?)```", card(facts), re.DOTALL)
        for code in pieces[name]:
            ast.parse(code)
    assert ["AutoPeft" in code for code in pieces["hub"]] == [True]
    assert ["AutoPeft" in code for code in pieces["path"]] == [True, False]
    assert ["peft" in code for code in pieces["merged"]] == [False]
    assert "a path, which leads there only from the folder" in card(FULL.model_copy(update={"base": "./models/tiny"}))


def test_names_that_others_wrote_stay_names() -> None:
    nasty = "x`|\n# owned\u202e <img src=x> [a](javascript:1)"
    text = card(
        FULL.model_copy(
            update={
                "base": "./" + nasty,
                "made": (Made(leaf=nasty, by=nasty, samples=1),),
                "leaves": (origin(nasty, author=nasty),),
                "licenses": (nasty,),
            }
        )
    )
    body = text.split("---\n", 2)[2]
    assert "\u202e" not in text
    assert not re.search(r"^# owned", body, re.MULTILINE)
    assert not re.search(r"(?<!\\)<img", re.sub(r"`[^`\n]*`", "", body))
    assert not re.search(r"(?<!\\)\[a\]", re.sub(r"`[^`\n]*`", "", body))
    (line,) = [line for line in body.splitlines() if line.startswith("| `x")]
    assert len(re.findall(r"(?<!\\)\|", line)) == 7


def test_a_checkpoint_on_the_way_has_a_short_card() -> None:
    text = brief(base="some/tiny", adapter="LoRA of rank 4", lines={"phase": "knowledge", "step": "12 | 40"})
    assert front(text)["base_model"] == "some/tiny"
    assert "| phase | knowledge |" in text
    assert "| step | 12 \\| 40 |" in text
    assert "AutoPeftModelForCausalLM" in text
