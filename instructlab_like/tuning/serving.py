"""The commands that serve a model elsewhere, ready to copy, and Ollama's Modelfile. Pure text."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

PAGE = "SERVE.md"
MODELFILE = "Modelfile"
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM's --max-lora-rank takes
CONTEXT = 8192  # tokens that Ollama is told to keep at most: its own default would cut more
Turns = Sequence[dict[str, str]]
# A conversation as the chat template writes it, with what begins an answer or not.
Render = Callable[[Turns, bool], str]


class Command(NamedTuple):
    """What a command is for, and the command."""

    use: str
    line: str


def vllm(model: str | Path, name: str) -> Command:
    return Command("vLLM", joined("vllm", "serve", model, "--served-model-name", name))


def vllm_adapter(base: str | Path, adapter: Path, name: str, rank: int) -> Command | None:
    """The base with the adapter on it, by two names at one URL; None where vLLM takes no adapter of that rank."""
    most = next((one for one in RANKS if one >= rank), None)
    if most is None:
        return None
    words = ("vllm", "serve", base, "--enable-lora", "--max-lora-rank", most, "--lora-modules", f"{name}={adapter}")
    return Command("vLLM, adapter on its base", joined(*words))


def llama_server(file: str | Path, *, adapter: str | Path | None = None, context: int | None = None) -> Command:
    words = [
        "llama-server",
        "-m",
        file,
        *(["--lora", adapter] if adapter else []),
        *(["-c", context] if context else []),
    ]
    return Command("llama.cpp", joined(*words, "--jinja"))


def ollama(modelfile: str | Path, name: str) -> Command:
    return Command("Ollama", f"{joined('ollama', 'create', name, '-f', modelfile)} && {joined('ollama', 'run', name)}")


def converter(model: str | Path, file: str | Path, kind: str) -> Command:
    """llama.cpp's own conversion, of a folder that transformers loads."""
    out = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}.get(kind, "auto")
    words = ("python", "convert_hf_to_gguf.py", model, "--outfile", file, "--outtype", out)
    return Command("llama.cpp's own conversion", joined(*words))


def adapter_converter(adapter: Path, base: str | Path, file: str | Path) -> Command:
    words = ("python", "convert_lora_to_gguf.py", adapter, "--base", base, "--outfile", file)
    return Command("llama.cpp's own conversion", joined(*words))


def joined(*words: object) -> str:
    """A line for a shell; a path that begins with a dash stays a path."""
    told = [f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words]
    return shlex.join(told)


def page(commands: Iterable[Command], notes: Iterable[str]) -> str:
    """SERVE.md: the commands, to be started where it lies."""
    blocks = [f"{command.use}:\n\n```console\n{command.line}\n```" for command in commands]
    told = [f"- {note[:1].upper()}{note[1:]}." for note in notes]
    head = "# Serve this model\n\nStart these in the folder in which this file lies."
    return "\n\n".join([head, *blocks, *(["\n".join(told)] if told else [])]) + "\n"


# --- Ollama -----------------------------------------------------------------------------------------------------


class Around(NamedTuple):
    """What a chat template puts around what is said."""

    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    answer: str  # what begins an answer
    begin: str = ""  # before everything


def modelfile(file: str, around: Around | None, *, stops: Sequence[str], context: int) -> str:
    """What `ollama create` reads. Without `around` Ollama looks for a template that it knows in the file itself."""
    lines = [f"FROM ./{file}"]
    if around is not None:
        lines.append(f'TEMPLATE """{go_template(around)}"""')
    lines.append("# As it was evaluated: the likeliest token each time.\nPARAMETER temperature 0")
    lines.append(f"PARAMETER num_ctx {min(context, CONTEXT)}")
    lines += [f"PARAMETER stop {quoted(stop)}" for stop in stops if '"' not in stop and "\n" not in stop]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    return f'"{text}"'


def go_template(around: Around) -> str:
    roles = {"system": around.system, "user": around.user, "assistant": around.assistant}
    cases: list[str] = []
    for role, (before, after) in roles.items():
        word = "if" if not cases else "else if"
        cases.append(f'{{{{ {word} eq .Role "{role}" }}}}{literal(before)}{{{{ .Content }}}}{literal(after)}')
    turns = f"{{{{ range .Messages }}}}{''.join(cases)}{{{{ end }}}}{{{{ end }}}}"
    return literal(around.begin) + turns + literal(around.answer)


def literal(text: str) -> str:
    """Text that is no action of Go's templates."""
    return text.replace("{{", '{{ "{{" }}')


SAID = ("ONEONE", "TWOTWO", "THREETHREE", "FOURFOUR")  # stand for what is said


def around_of(render: Render, *, bos: str) -> Around | None:
    """What the chat template puts around turns; None where it does more than that, or cannot be told.

    `bos` is what the server puts first by itself. What is found is held against the template, form after form.
    """
    found = taken_apart(render, bos)
    if found is None or any('"""' in text for text in (*sum(found[:3], ()), found.answer, found.begin)):
        return None
    holds = (rendered(found, turns, True) == without(render, turns, True, bos) for turns in forms())
    return found if all(holds) else None


def taken_apart(render: Render, bos: str) -> Around | None:
    system, first, answer, second = SAID
    pair = [turn("user", first), turn("assistant", answer), turn("user", second)]
    text = without(render, pair, True, bos)
    under = without(render, [turn("system", system), turn("user", first)], True, bos)
    if text is None or under is None or any(text.count(one) != 1 for one in (first, answer, second)):
        return None
    head, rest = text.split(first)
    middle, rest = rest.split(answer)
    between, tail = rest.split(second)
    if under.count(system) != 1 or under.count(first) != 1 or not under.endswith(first + tail):
        return None
    before, behind = under.split(system)
    behind = behind.split(first)[0]
    # What stands before a user's turn is what a second one has in common with the first.
    shared = common_end(head, between)
    begin, opening = head[: len(head) - len(shared)], shared
    if not behind.endswith(opening) or not before.startswith(begin):
        return None
    closing = common_start(middle, tail)
    return Around(
        system=(before[len(begin) :], behind[: len(behind) - len(opening)]),
        user=(opening, closing),
        assistant=(middle[len(closing) :], between[: len(between) - len(opening)]),
        answer=tail[len(closing) :],
        begin=begin,
    )


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def forms() -> list[list[dict[str, str]]]:
    """Conversations on which it must hold."""
    several = [
        turn("user", "Why?"),
        turn("assistant", "So."),
        turn("user", "Is it?"),
        turn("assistant", "Yes."),
        turn("user", "Oh"),
    ]
    return [
        [turn("user", "Why?")],
        [turn("system", "Be brief."), turn("user", "Why?")],
        several,
        [turn("system", "Be brief.\nAlways."), *several],
    ]


def rendered(around: Around, turns: Turns, answering: bool) -> str:
    """What the Modelfile's template makes of a conversation."""
    roles = {"system": around.system, "user": around.user, "assistant": around.assistant}
    said = [roles[one["role"]][0] + one["content"] + roles[one["role"]][1] for one in turns]
    return around.begin + "".join(said) + (around.answer if answering else "")


def without(render: Render, turns: Turns, answering: bool, bos: str) -> str | None:
    """The conversation as the template writes it, but for the BOS that the server adds; None if it refuses."""
    try:
        return render(turns, answering).removeprefix(bos)
    except ValueError:
        return None


def common_end(one: str, other: str) -> str:
    return common_start(one[::-1], other[::-1])[::-1]


def common_start(one: str, other: str) -> str:
    length = next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), None)
    return one[: min(len(one), len(other)) if length is None else length]
