"""The prompts of the shipped flows on small leaves, and of the filters on what comes of them, as messages in files:
what is sent, to be read and compared.

python tests/golden_prompts.py          # write tests/golden/prompts/FLOW/STEP.txt and filters/FILTER/… anew
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from instructlab_like.filters import AskFilter, find, members
from instructlab_like.flows import AskStep, Flow, load_flow, shipped_flows
from instructlab_like.prompts import load_template
from instructlab_like.records import Lineage, Message, Pair, Sample, Seed, plain

FOLDER = Path(__file__).parent / "golden" / "prompts"
COUNT = 2  # of groups asked for where a step fans out

PASSAGE = (
    "The Orrin lighthouse was built in 1874 by **Mara Vell**. Its lamp burned oil until 1931, when it was changed for "
    "an electric one.\n\nIn fog a bell is rung every 30 seconds, by hand if the engine fails."
)
KNOWLEDGE: dict[str, object] = {
    "leaf": "knowledge/history/lighthouses",
    "domain": "history",
    "outline": "Lighthouses of the Orrin coast, and who kept them.\n",
    "headings": ["Lighthouses", "Orrin"],
    "passage": PASSAGE,
    "example": plain(
        Seed(
            number=1,
            line=9,
            context="The light of Selm stands on a rock that is dry at low water. Two keepers shared it.\n",
            pairs=(
                Pair(question="Where does the light of Selm stand?", answer="On a rock that is dry at low water."),
                Pair(question="How many keepers shared the light of Selm?\n", answer="Two.\n"),
                Pair(question="What did two keepers share?", answer="The light of Selm."),
            ),
        )
    ),
}
FREEFORM: dict[str, object] = {
    "leaf": "compositional_skills/writing/refusal",
    "task": "Decline a request politely, with the reason and another offer.\n",
    "answers": [
        "I am sorry: dogs scare the cats here. The yard is free.",
        "I am sorry: nobody is here on Sundays. Monday at eight suits us.",
    ],
    "examples": [
        plain(Seed(number=number, line=number, pairs=(Pair(question=question, answer=answer),)))
        for number, (question, answer) in enumerate(
            (
                (
                    "Decline: May I bring my dog to the archive?",
                    "I am sorry: dogs scare the cats here. The yard is free.",
                ),
                (
                    "Decline: Can you open on Sunday?",
                    "I am sorry: nobody is here on Sundays. Monday at eight suits us.",
                ),
            ),
            start=1,
        )
    ],
}
GROUNDED: dict[str, object] = {
    "leaf": "compositional_skills/grounded/summary",
    "task": "Summarise a notice in one sentence.",
    "examples": [
        plain(
            Seed(
                number=1,
                line=5,
                context="The library is closed on Friday. Books can be left in the box at the door.\n",
                pairs=(
                    Pair(
                        question="What does the notice say, in one sentence?", answer="It shuts on Friday; use the box."
                    ),
                ),
            )
        )
    ],
}
VARIABLES: Mapping[str, Mapping[str, object]] = {"knowledge": KNOWLEDGE, "freeform": FREEFORM, "grounded": GROUNDED}
TEXTS: Mapping[str, Mapping[str, str]] = {
    "knowledge": {
        "evidence": "In fog a bell is rung every 30 seconds",
        "question": "How often is the bell of the Orrin lighthouse rung in fog?",
        "answer": "Every 30 seconds.",
        "critique": "“Every 30 seconds.” is right, but does not say by whom: add “by hand if the engine fails”.",
        "revision": "Every 30 seconds, by hand if the engine fails.",
        "subject": "the Orrin lighthouse and its signals",
        "statements": "- The Orrin lighthouse was built in 1874.\n- In fog its bell is rung every 30 seconds.",
        "entities": "- the Orrin lighthouse\n- Mara Vell\n- the lamp\n- the bell",
    },
    "freeform": {
        "question": "Decline: Could I borrow the ladder until May?",
        "answer": "I am sorry: the roofers need it until May.",
        "critique": "There is no other offer: say what can be borrowed instead.",
        "revision": "I am sorry: the roofers need it until May. The steps in the shed are free.",
        "topic": "Decline: Can you open on Sunday?",
        "label": "I am sorry: dogs scare the cats here. The yard is free.",
        "lesson": "Declining well takes three steps: say no, give the reason, offer something else. Example: …",
        "solution": "I am sorry, the ladder is lent until May; take the steps from the shed.",
    },
    "grounded": {
        "context": "The ferry does not sail in high wind. A bus goes round by the bridge at ten.",
        "question": "What does the notice say, in one sentence?",
        "answer": "The ferry stays in port when the wind is high.",
        "critique": "The bus is missing: add that one goes by the bridge at ten.",
        "revision": "In high wind a bus by the bridge at ten stands in for the ferry.",
    },
}


def prompts(flow: Flow) -> dict[str, tuple[Message, ...]]:
    """The prompt of each step that asks, with the texts that the steps before it would have made."""
    kind = flow.plan.leaves[0]
    shown: dict[str, tuple[Message, ...]] = {}
    for step in flow.steps:
        if isinstance(step, AskStep):
            cell = flow.axes(0).shown(flow.axes(0).cell(0))
            known = {**VARIABLES[kind], **TEXTS[kind], **cell, "count": COUNT if step.fan_out else 1}
            known |= {variable: known[source] for variable, source in step.given.items()}
            shown[step.name] = flow.templates[step.name].render(known)
    return shown


def subjects() -> list[Sample]:
    """A sample of each kind, as the last step of a flow would have left it."""
    found = []
    for kind, texts in TEXTS.items():
        lineage = Lineage(leaf=str(VARIABLES[kind]["leaf"]), leaf_blob="0" * 40, method="teacher", model="http:teacher")
        context = {"knowledge": PASSAGE, "grounded": texts.get("context")}.get(kind)
        told = {"id": "0" * 32, "kind": kind, "context": context, "lineage": lineage}
        found.append(Sample.model_validate({**told, "question": texts["question"], "answer": texts["answer"]}))
    return found


def asked(chosen: AskFilter) -> dict[str, tuple[Message, ...]]:
    """What a filter asks of each kind of sample."""
    shown: dict[str, tuple[Message, ...]] = {}
    for sample in subjects():
        for ask in chosen.asks(sample):
            template = ask.template.removesuffix(".j2").replace("/", "-")
            shown[f"{template}-{sample.kind}"] = load_template(ask.template).render(ask.variables)
    return shown


def page(messages: tuple[Message, ...]) -> str:
    return "\n".join(f"=== {message.role}\n{message.content}\n" for message in messages)


def pages() -> dict[str, str]:
    """Each golden file's text by its path below the folder."""
    of_flows = {
        f"{name}/{step}.txt": page(messages)
        for name in shipped_flows()
        for step, messages in prompts(load_flow(name)).items()
    }
    asking = [chosen for name in members() if isinstance(chosen := find(name)(), AskFilter)]
    return of_flows | {
        f"filters/{chosen.name}/{step}.txt": page(messages)
        for chosen in asking
        for step, messages in asked(chosen).items()
    }


def written() -> dict[str, str]:
    return {path.relative_to(FOLDER).as_posix(): path.read_text("utf-8") for path in FOLDER.rglob("*.txt")}


def main() -> None:
    wanted = pages()
    for name in written().keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
