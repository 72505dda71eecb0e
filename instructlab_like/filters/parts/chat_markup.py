"""What chat templates put around and into turns: special tokens, blocks of reasoning, calls of tools."""

from __future__ import annotations

import re

from instructlab_like.filters.parts.code_blocks import outside_spans
from instructlab_like.filters.parts.sides import Fault, quoted

# Tokens that tokenizers take for the frame of a chat: inside a text they would end the turn, wherever they stand.
ANGLED = re.compile(
    # ChatML, Llama, Phi, Granite, Harmony; DeepSeek
    r"<(?:\|[\w./▁-]{2,40}\|>|[|｜][^\s<>|｜]{1,40}｜>|｜[^<>｜]{1,40}[|｜]>"
    r"|\|(?:turn|channel|think|tool|tool_call|tool_response|image|audio|video)>|\|\"\|>"  # Gemma 4
    r"|(?:turn|channel|tool|tool_call|tool_response|image|audio|video)\|>"
    r"|(?i:</?SYS>>|/?(?:begin|beginning|start|end)_of_[a-z_]+>|(?:eos|bos|pad|unk)>|/?(?:human|bot|assistant)>"
    r"|/s>\s*(?:<s>|\Z))"
    r"|(?:BOS|EOS|PAD|UNK|SEP)_TOKEN>|(?:eoh|eoa|eop|sop|eot|eod|eom)>|0x[0-9A-F]{2}>|seed:\w+>"
    r"|(?:reserved_|unused|SPECIAL_|extra_id_|TOKENS_UNUSED_)\d+>)"
)
OPENING = re.compile(r"\s*<s>", re.IGNORECASE)
SQUARE = re.compile(
    # Mistral
    r"\[(?:(?i:/?INST\])|/?(?:AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS|TOOL_CONTENT|SYSTEM_PROMPT|MODEL_SETTINGS"
    r"|THINK)\]"
    r"|(?:gMASK|IMG_BREAK|IMG_END|BEGIN_AUDIO|CALL_ID)\]|\|(?:user|assistant|system|endofturn|tool|Human|AI)\|\]|e~\[)"
)
# Tokens that went without their brackets when a text was decoded, and pieces of words that were never put together.
STRIPPED = re.compile(
    r"\bassistant(?:final|analysis|commentary)\b|\A(?:analysis|final)(?=[A-Z])|\A\s*(?:assistant|model)\s*\n"
    r"|\n(?:assistant|user|system)\s*\Z"
    r"|\A\|?im_(?:start|end)\|?|\|?im_end\|?>?\s*\Z|\A\W*start_header_id|\beot_id\W*\Z"
)
HEADS = ("analysis", "final", "assistant", "model", "im_", "start_header_id", "|im_")
TAILS = ("user", "assistant", "system", "eot_id", "im_end", "im_end|", "im_end|>")
PIECES = re.compile(r"(?:▁[^\W\d_]+ ?){2}|[a-z]Ġ[a-z]|ĠĠ|[.,]Ċ|(?:\w+ ##[a-z]+.{0,60}?){2}|@@ [a-z]")

SYSTEM = re.compile(r"\A\W*system\W*[:\n]\W*you are\b", re.IGNORECASE)
COPIED = re.compile(r"^(?:ChatGPT said|You said|Regenerate response|\w*Copy code)(?::|$)", re.MULTILINE)
CITED = re.compile(
    r"【\d+(?::\d+)?†[^】]*】|:?contentReference\[|oaicite|\bciteturn\d|\bturn\d+(?:search|view|news)\d+"
)

THINKING = re.compile(
    r"[<◁]/?(?:(?:think|thinking|thought|thoughts|reasoning|scratchpad|reflection|inner_monologue|antthinking"
    r"|antml:thinking|cot"
    r"|chain_of_thought)>|think▷)",
    re.IGNORECASE,
)
TOOL = re.compile(
    r"<(?:/?(?:tool_calls?|tool_use|tool_results?|tool_response|tool_output|function_calls?|function_results?"
    r"|functioncall|invoke"
    r"|antml:\w+|tool_code|tool_outputs)(?:\s[^<>]*)?>|function=[\w.]+>|parameter(?:=| name=))",
    re.IGNORECASE,
)
CALL = re.compile(
    r"\bto=functions\.\w+|multi_tool_use\.\w+|^```tool_\w+|^Action:.*\n+Action Input:"
    r"|^Observation:.*\n(?:.*\n){0,4}?Thought:"
    r"|\A\s*\{\s*\"(?:name|function|tool)\"\s*:\s*\"[\w.-]+\"\s*,\s*\"(?:arguments|parameters|args|input)\"\s*:",
    re.MULTILINE,
)
TOOLS_GIVEN = re.compile(r"\b(?:functions?|tools?|apis?)\b|json|action|react", re.IGNORECASE)
NAMED = re.compile(
    r"\b(?:tags?|tokens?|elements?|blocks?|sections?|format|xml|markup|symbols?|use|using|inside|within|between"
    r"|mean)\b",
    re.IGNORECASE,
)


# One character is looked for in a fraction of the time that a word takes: the rarest one of a word comes first.


def token(part: str, text: str) -> Fault | None:
    """A token of a chat template, in code or not."""
    found = None
    if "<" in text:
        found = ANGLED.search(text) or OPENING.match(text)
        if not found and text.count("</s>") > text.count("<s>"):  # one that closes nothing is no struck-out text
            return "chat-token", f"chat markup {quoted('</s>')} in the {part}"
    if not found and "[" in text:
        found = SQUARE.search(text)
    return ("chat-token", f"chat markup {quoted(found)} in the {part}") if found else None


def remains(part: str, text: str) -> Fault | None:
    """What is left of a chat when its tokens are stripped, or of the page it was copied from."""
    framed = text.lstrip().startswith(HEADS) or text.rstrip().endswith(TAILS) or "assistant" in text
    framed = framed or ("_" in text and "im_" in text)
    if framed and (found := STRIPPED.search(text)):
        return "chat-token", f"chat markup {quoted(found)}, without its brackets, in the {part}"
    if "ystem" in text[:20] and (found := SYSTEM.match(text)):
        return "chat-token", f"a system message, {quoted(found)}, in the {part}"
    pieces = "▁" in text or "Ġ" in text or "Ċ" in text or ("#" in text and " ##" in text)
    if (pieces or ("@" in text and "@@ " in text)) and (found := PIECES.search(text)):
        return "word-pieces", f"pieces of words, {quoted(found)}, in the {part}"
    page = (":" in text and " said:" in text) or ("R" in text and "Regenerate" in text)
    page = page or ("C" in text and "Copy code" in text) or "†" in text or "oaicite" in text
    page = page or ("0" in text and "turn0" in text)
    if page and (found := COPIED.search(text) or CITED.search(text)):
        return "copied-page", f"{quoted(found)}, a leftover of a chat's page, in the {part}"
    return None


def blocks(part: str, text: str, question: str) -> Fault | None:
    """A block of reasoning or a call of a tool outside code, unless the question shows the tag."""
    if "<" in text or "◁" in text:
        prose = text if part == "question" else outside_spans(text)
        for rule, pattern in (("thinking-block", THINKING), ("tool-call", TOOL)):
            found = pattern.search(prose)
            if found and not (spoken_of(prose, pattern) if part == "question" else shown(found, prose, question)):
                return rule, f"{quoted(found)} in the {part}"
    call = ("{" in text and '{"' in text) or ("_" in text and "tool_" in text) or "functions." in text
    if call or ("I" in text and "Action Input" in text) or (":" in text and "Observation:" in text):
        found = CALL.search(text)
        if found and not TOOLS_GIVEN.search(question):
            return "tool-call", f"{quoted(found)} in the {part}"
    return None


def spoken_of(text: str, pattern: re.Pattern[str]) -> bool:
    """Whether a question names a tag rather than uses it: never closed, or spoken of as one, and text after it."""
    last = [*pattern.finditer(text)][-1]
    if not text[last.end() :].strip(" \t\n.?!"):
        return bool(NAMED.search(text))
    return not last[0].startswith("</") or bool(NAMED.search(text))


def shown(found: re.Match[str], answer: str, question: str) -> bool:
    """Whether an answer has a tag that its question shows, and does not begin with it for no reason given there."""
    tag = found[0].strip("</>").split()[0].casefold()
    if tag not in question.casefold() or not NAMED.search(question):
        return False
    return True if f"<{tag}" in question.casefold() else bool(answer[: found.start()].strip())
