"""What the test server answers: every shipped template, out of what the prompt holds and nothing else."""

from __future__ import annotations

import hashlib
import json
import re

NAMES = ["Ada", "Bruno", "Carla", "Dmitri", "Esra", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kira", "Luis", "Mona"]
TOWNS = ["Aldbury", "Brackwell", "Corvany", "Dunsted", "Elmhollow", "Fenwick", "Garrow", "Hexley", "Ilford", "Jarrow"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def answered(request: dict) -> str:
    """As many groups of tags as the prompt asks for, in the form it shows, out of its passage or its examples."""
    prompt = request["messages"][-1]["content"]
    head, count, form = re.split(r"Write (\d+) new", prompt)[-3:]
    tags = list(dict.fromkeys(re.findall(r"^\[([A-Z]+) 1\]", form, re.MULTILINE)))
    chance = int(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest(), 16)
    passage = re.search(r"<passage>\n(.*)\n</passage>", head, re.DOTALL)
    made = about(passage[1], int(count), chance) if passage else practising(head, int(count), chance)
    groups = []
    for number, texts in enumerate(made, start=1):
        parts = [f"[{tag} {number}]\n{texts[tag]}" for tag in tags if tag != "END"]
        groups.append("\n".join([*parts, f"[END {number}]"]))
    return "\n\n".join(groups)


def about(passage: str, count: int, chance: int) -> list[dict[str, str]]:
    """Pairs that ask how a statement of the passage goes on; which statements depends on the request."""
    found = statements(passage)
    start = chance % len(found)
    chosen = [found[(start + step) % len(found)] for step in range(min(count, len(found)))]
    pairs = []
    for words in chosen:
        middle = max(1, len(words) * 3 // 5)
        known, rest = " ".join(words[:middle]), " ".join(words[middle:])
        pairs.append({"QUESTION": f"How does the statement “{known} …” go on?", "ANSWER": rest or known})
    return pairs


def statements(passage: str) -> list[list[str]]:
    """The words of each sentence of a Markdown text; of the whole text when it holds no sentence."""
    prose = "\n".join(line for line in passage.splitlines() if line and line[0] not in "#|`<>=")
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    sentences = re.split(r"(?<=[.!?])\s+|\n\s*\n|\n(?=[-*\d])", prose)
    words = [re.sub(r"[*_`\[\]]|^[-\d.]+\s", "", sentence).split() for sentence in sentences]
    return [each for each in words if 6 <= len(each) <= 50] or [passage.split()[:40] or ["nothing"]]


def practising(prompt: str, count: int, chance: int) -> list[dict[str, str]]:
    """The prompt's seed examples, each set in another situation."""
    shown = []
    for block in re.findall(r"<example>\n(.*?)\n</example>", prompt, re.DOTALL):
        text, *pairs = re.split(r"^Question: ", block, flags=re.MULTILINE)
        shown += [(text.removeprefix("Text: "), *pair.split("\nAnswer: ", 1)) for pair in pairs]
    made = []
    for step in range(count):
        lot = (chance >> (7 * step)) % (len(NAMES) * len(TOWNS) * len(DAYS))
        text, question, reply = shown[(chance + step) % len(shown)]
        name, town = NAMES[lot % len(NAMES)], TOWNS[lot // len(NAMES) % len(TOWNS)]
        day = DAYS[lot // len(NAMES) // len(TOWNS)]
        situation = f"On {day}, {name} of {town} writes:"
        made.append(
            {
                "CONTEXT": f"{situation} {text.strip()}",
                "QUESTION": question if text.strip() else f"{situation} {question}",
                "ANSWER": reply.strip(),
            }
        )
    return made
