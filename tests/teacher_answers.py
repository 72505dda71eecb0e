"""What the test server answers: any prompt that shows its form, out of what the prompt holds and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice

from schema_values import Json, fitting

NAMES = ["Ada", "Bruno", "Carla", "Dmitri", "Esra", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kira", "Luis", "Mona"]
TOWNS = ["Aldbury", "Brackwell", "Corvany", "Dunsted", "Elmhollow", "Fenwick", "Garrow", "Hexley", "Ilford", "Jarrow"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
REMARKS = ["It holds as it stands.", "Nothing speaks against it.", "All that is asked is there.", "Let it be so."]
LOW = 10  # in a hundred judgements
FIELD = re.compile(r"\[([A-Z]+) 1\]\s*([^\n\[]*)")
LINK = re.compile(r"\]\((?:[^()]|\([^()]*\))*\)")
COUNT = re.compile(r"Write (\d+) new")
CLASS, CLASSES = re.compile(r"^The class: (.+)$", re.MULTILINE), "The classes:\n"
LARGEST_FORM = 4_000  # characters at the end of a prompt in which its form is looked for

Texts = dict[str, str]


def answered(request: dict, *, always_good: bool = False) -> str:
    """As many groups as the prompt asks for, tagged as in the form at its end, or as its JSON Schema has them.

    One judgement in ten is low, and a few quotations are wrong, unless `always_good`: which, a digest of the request
    decides.
    """
    prompt = request["messages"][-1]["content"]
    chance = int.from_bytes(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest())
    wanted = request.get("response_format") or {}
    schema = (wanted.get("json_schema") or {}).get("schema")
    form = next((found for message in reversed(request["messages"]) if (found := form_of(message["content"]))), {})
    if schema is None and not form:
        return REMARKS[chance % len(REMARKS)]
    counts = COUNT.findall(prompt, max(0, len(prompt) - LARGEST_FORM))
    made = islice(groups(prompt, chance, good=always_good), int(counts[-1]) if counts else 1)
    if schema is not None:
        return json.dumps(shaped(schema, list(made), chance, good=always_good), ensure_ascii=False)
    shown = []
    for number, texts in enumerate(made, start=1):
        texts |= judgements(form, chance >> number, good=always_good)
        parts = [f"[{tag} {number}]\n{texts.get(tag) or remark(tag, chance)}" for tag in form]
        shown.append("\n".join([*parts, f"[END {number}]"]))
    return "\n\n".join(shown)


def form_of(prompt: str) -> Texts:
    """What stands under each tag in the form of the answer: the last block of the prompt that has tags."""
    end = prompt.rfind("[END 1]")
    if end < 0:
        return {}
    start = prompt.rfind("\n\n", max(0, end - LARGEST_FORM), end)
    return dict(FIELD.findall(prompt, start + 1, end))


def groups(prompt: str, chance: int, *, good: bool) -> Iterator[Texts]:
    """Texts by tag, group for group: about the prompt's passage, or like its examples, or about its answer."""
    if answer := inside(prompt, "answer"):
        settled = "nothing to change" in (inside(prompt, "review") or "")
        yield {
            "REVISION": answer if settled else f"{answer.rstrip('.')}, no more and no less.",
            "CRITIQUE": "nothing to change" if chance % 4 == 0 else "Say that it is no more and no less than that.",
        }
    elif CLASSES in prompt:
        yield classified(prompt, chance, good=good)
    elif passage := inside(prompt, "passage"):
        yield from about(passage, chance, good=good)
    else:
        yield from practising(prompt, chance)


def inside(prompt: str, tag: str) -> str | None:
    start, end = prompt.find(f"<{tag}>\n"), prompt.rfind(f"\n</{tag}>")
    return prompt[start + len(tag) + 3 : end] if 0 <= start < end else None


def about(passage: str, chance: int, *, good: bool) -> Iterator[Texts]:
    """Pairs that ask how a statement of the passage goes on; which statements depends on the request."""
    found = statements(passage)
    start = chance % len(found)
    for step, (quoted, words) in enumerate([*found[start:], *found[:start]]):
        middle = max(1, len(words) * 3 // 5)
        known, rest = " ".join(words[:middle]), " ".join(words[middle:])
        invented = not good and (chance >> 11 * step) % 100 < LOW // 2
        yield {
            "EVIDENCE": f"It is said that {quoted}" if invented else quoted,
            "QUESTION": f"How does the statement “{known} …” go on?",
            "ANSWER": rest or known,
        }


def statements(passage: str) -> list[tuple[str, list[str]]]:
    """Each sentence of a Markdown text on one line, and its words; the whole text when it holds no sentence."""
    blocks = re.split(r"(?m)^[#|`<>=].*\n?", passage)
    sentences = [one for block in blocks for one in re.split(r"(?<=[.!?])\s+|\n\s*\n|\n(?=[-*\d])", block)]
    found = []
    for sentence in sentences:
        quoted = " ".join(sentence.split())
        words = re.sub(r"[*_`\[\]]|^[-\d.]+\s", "", LINK.sub("]", quoted)).split()
        if 6 <= len(words) <= 50:
            found.append((quoted, words))
    start = passage.split()[:40] or ["nothing"]
    return found or [(" ".join(start), start)]


def practising(prompt: str, chance: int) -> Iterator[Texts]:
    """The prompt's seed examples without end, each set in another situation, or asked about the prompt's text."""
    shown = list(examples(prompt)) or [("", "What is meant?", "What is said.")]
    given = "<context>\n" in prompt
    if label := CLASS.search(prompt):
        of_class = [one for one in shown if one[2] == label[1]]
        shown = of_class or [("", f"What is it that everybody here calls {label[1]}?", label[1])]
    step = 0
    while True:
        lot = (chance >> (7 * step)) % (len(NAMES) * len(TOWNS) * len(DAYS))
        text, question, reply = shown[(chance + step) % len(shown)]
        name, town = NAMES[lot % len(NAMES)], TOWNS[lot // len(NAMES) % len(TOWNS)]
        day = DAYS[lot // len(NAMES) // len(TOWNS)]
        situation = f"On {day}, {name} of {town} writes:"
        yield {
            "CONTEXT": f"{situation} {text}",
            "QUESTION": f"{situation} {question}" if given or not text else question,
            "ANSWER": reply,
        }
        step += 1


def classified(prompt: str, chance: int, *, good: bool) -> Texts:
    """The class of the prompt's question: of the example that it is made of, or the one that it names."""
    asked = inside(prompt, "question") or ""
    classes = re.findall(r"^- (.+)$", prompt.partition(CLASSES)[2].partition("\n\n")[0], re.MULTILINE)
    alike = [reply for _, question, reply in examples(prompt) if question in asked]
    found = (alike or [one for one in classes if f"calls {one}?" in asked] or classes)[0]
    if not good and chance % 100 < LOW:
        found = next(one for one in [*classes, "unclear"] if one != found)
    return {"REASON": "That is what it is about.", "ANSWER": found}


def examples(prompt: str) -> Iterator[tuple[str, str, str]]:
    """Text, question and answer of each seed example shown, empty where a prompt shows none."""
    for block in re.findall(r"<example>\n(.*?)\n</example>", prompt, re.DOTALL):
        text, *pairs = re.split(r"^Question: ", block, flags=re.MULTILINE)
        for pair in pairs:
            question, _, reply = pair.partition("\nAnswer: ")
            yield text.removeprefix("Text: ").strip(), question.strip(), reply.strip()


# --- judgements


def judgements(form: Mapping[str, str], chance: int, *, good: bool) -> Texts:
    """A judgement for each tag whose form names what it may be; at most one of an answer is low."""
    scales = {tag: scale for tag, told in form.items() if (scale := scale_of(told))}
    if not scales:
        return {}
    low = list(scales)[chance // 100 % len(scales)] if not good and chance % 100 < LOW else None
    return {tag: scale[0] if tag == low else best(scale, chance // 10_000, good) for tag, scale in scales.items()}


def scale_of(told: str) -> list[str]:
    """What a form lets one choose from, the worst first: "NO or YES", "0, 1 or 2", "a whole number from 1 to 5"."""
    told = told.strip()
    if span := re.search(r"from (\d+) to (\d+)", told):
        return [str(number) for number in range(int(span[1]), int(span[2]) + 1)]
    if re.fullmatch(r"(?i)(yes|no)(, | or )(yes|no)", told):
        return sorted(re.findall(r"\w+", told.replace(" or ", " ")))
    numbers = re.fullmatch(r"\d+(, \d+)* or \d+", told)
    return sorted(re.findall(r"\d+", told), key=int) if numbers else []


def best(scale: list[str], chance: int, good: bool) -> str:
    """The top; on a long scale one of the upper three, so that a second answer may do better than a first."""
    return scale[-1 - chance % 3] if len(scale) > 3 and not good else scale[-1]


def remark(tag: str, chance: int) -> str:
    return REMARKS[(chance + len(tag)) % len(REMARKS)]


# --- JSON Schema


def shaped(schema: dict, made: list[Texts], chance: int, *, good: bool) -> Json:
    """A value that fits the schema, with the groups' texts and judgements where its fields are called like tags."""
    value = fitting(schema, chance)
    if not isinstance(value, dict):
        return value
    fields: dict[str, dict] = schema.get("properties", {})
    value |= filled(fields, made[0] if made else {}, chance, good=good)
    for name, field in fields.items():
        item = field.get("items", {})
        if field.get("type") == "array" and "properties" in item:
            most = min(len(made), field.get("maxItems", len(made)))
            if most >= max(1, field.get("minItems", 1)):
                value[name] = [element(item, schema, made[n], chance >> n, good=good) for n in range(most)]
    return value


def element(item: dict, schema: dict, texts: Texts, chance: int, *, good: bool) -> Json:
    value = fitting(item, chance, schema)
    return value | filled(item["properties"], texts, chance, good=good) if isinstance(value, dict) else value


def filled(fields: Mapping[str, dict], texts: Texts, chance: int, *, good: bool) -> dict[str, Json]:
    """The fields that texts or judgements are known for; texts of which the schema says more are left to it."""
    form = {name: told for name, field in fields.items() if (told := choice_of(field))}
    judged = judgements(form, chance, good=good)
    found: dict[str, Json] = {}
    for name, field in fields.items():
        if name in judged:
            found[name] = judged[name] if field.get("type") == "string" else json.loads(judged[name])
        elif field.get("type") == "string" and field.keys() <= {"type", "title", "description"}:
            found[name] = texts.get(name.upper()) or remark(name, chance)
    return found


def choice_of(field: Mapping[str, Json]) -> str:
    """A field's enumeration or range, in the words of a form."""
    low, high = field.get("minimum"), field.get("maximum")
    if field.get("type") == "integer" and isinstance(low, int) and isinstance(high, int) and high - low < 100:
        return f"from {low} to {high}"
    options = field.get("enum")
    return " or ".join(str(one) for one in options) if isinstance(options, list) else ""
