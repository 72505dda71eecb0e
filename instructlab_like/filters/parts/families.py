"""Model families by name, as far as a name tells: whose blind spots a judge would share."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

UNTOLD = frozenset({"", "given", "unknown", "none", "null"})
BEFORE, AFTER = r"(?<![a-z])", r"(?![a-z])"
# What a name says outright. A fine-tune or a distillate may name two, and shares something with both.
FAMILIES = {
    "llama": rf"{BEFORE}(?:code|tiny|open|meta|sauerkraut|wizard|swallow)?[-_ ]?llama(?!file|[-_. ]?cpp|[-_. ]?index)",
    "qwen": rf"{BEFORE}(?:code)?qwen|{BEFORE}q[wv]q{AFTER}|{BEFORE}tongyi",
    "mistral": rf"{BEFORE}(?:mi|mini|code|dev|math|magi)stral|{BEFORE}(?:mi|pi|vo)xtral",
    "gemma": rf"{BEFORE}(?:code|med|pali|shield|recurrent|data|t5)?gemma|{BEFORE}gemini|{BEFORE}palm-?2",
    "gpt": rf"{BEFORE}(?:chat)?gpt-?(?:[1-9]|oss|4o|image|realtime)|{BEFORE}chatgpt|{BEFORE}(?:text-|code-)?davinci"
    rf"|(?:^|[/:])o[1-9](?:-(?:mini|pro|preview|high|medium|low|deep-research))*(?:-20\d\d.*)?$",
    "claude": rf"{BEFORE}claude",
    "phi": rf"{BEFORE}phi(?=[-_. ]?\d|[-_]mini|[-_]small|[-_]medium|[-_]moe|[-_]silica|$)",
    "granite": rf"{BEFORE}granite",
    "deepseek": rf"{BEFORE}deep-?seek|{BEFORE}r1-1776",
    "yi": rf"{BEFORE}yi(?=[-_. ]?\d|[-_](?:large|medium|spark|lightning|vision|coder|vl))|{BEFORE}lingyiwanwu",
    "command": rf"{BEFORE}command(?=-?[ra]|-light|-nightly|$)|{BEFORE}c4ai|{BEFORE}aya(?=[-_]|$)|{BEFORE}cohere",
    "falcon": rf"{BEFORE}falcon",
    "olmo": rf"{BEFORE}(?:m)?olmo",
    "smollm": rf"{BEFORE}smol(?:lm|vlm)",
    "glm": rf"{BEFORE}(?:chat)?glm(?=[-_. ]?\d|{AFTER})|{BEFORE}codegeex",
    "nemotron": rf"{BEFORE}nemotron",
    "internlm": rf"{BEFORE}internlm",
    "baichuan": rf"{BEFORE}baichuan",
    "exaone": rf"{BEFORE}exaone",
    "stablelm": rf"{BEFORE}stablelm",
    "pythia": rf"{BEFORE}pythia|{BEFORE}gpt-?(?:j|neox?){AFTER}|{BEFORE}dolly",
    "mpt": rf"{BEFORE}mpt{AFTER}",
    "bloom": rf"{BEFORE}bloomz?{AFTER}",
    "opt": rf"{BEFORE}opt-(?:\d|iml)",
    "t5": rf"{BEFORE}(?:flan-|m|by|u)?t5(?![a-z]*gemma)",
    "starcoder": rf"{BEFORE}(?:star|santa)coder",
    "jamba": rf"{BEFORE}jamba",
    "dbrx": rf"{BEFORE}dbrx",
    "grok": rf"{BEFORE}grok",
    "kimi": rf"{BEFORE}kimi|{BEFORE}moonshot",
    "minimax": rf"{BEFORE}minimax",
    "minicpm": rf"{BEFORE}minicpm",
    "ernie": rf"{BEFORE}ernie",
    "hunyuan": rf"{BEFORE}hunyuan",
    "nova": rf"{BEFORE}nova-(?:micro|lite|pro|premier)",
    "doubao": rf"{BEFORE}doubao|{BEFORE}seed-oss",
    "reka": rf"{BEFORE}reka",
    "lfm": rf"{BEFORE}lfm-?\d",
    "arctic": rf"{BEFORE}(?:snowflake-)?arctic",
}
# Lines of fine-tunes that often do not name what they were tuned from; not asked where a name above is there.
TUNED = {
    "vicuna": ("llama",),
    "alpaca": ("llama",),
    "tulu": ("llama",),
    "koala": ("llama",),
    "guanaco": ("llama",),
    "labradorite": ("llama",),
    "beluga": ("llama",),
    "orca": ("llama", "mistral"),
    "wizardlm": ("llama", "mistral"),
    "sonar": ("llama",),
    "hermes": ("llama", "mistral", "qwen"),
    "dolphin": ("llama", "mistral", "qwen"),
    "merlinite": ("mistral",),
    "zephyr": ("mistral",),
    "openchat": ("mistral",),
    "starling": ("mistral",),
    "solar": ("llama", "mistral"),
    "marco-o1": ("qwen",),
    "sky-t1": ("qwen",),
    "openthinker": ("qwen",),
    "nemotron": ("llama",),
}
VERSION = re.compile(r"/\d+$")
KINDS = re.compile(r"^(?:http|local|scripted|ollama(?:_chat)?|hosted_vllm|litellm|openrouter):")
WRAPPERS = re.compile(r"(?<![a-z])(?:ollama(?:_chat)?|llamafile|llama[-_. ]?cpp)(?=[/:._-]|$)|\.llamafile$")
FORM = re.compile(  # of the file or the service, not of the model
    r"(?:[-_.:@](?:awq|gptq|gguf|ggml|exl2|mlx|bnb|nf4|fp8|fp16|bf16|f16|f32|w\d+a\d+|(?:int)?[2-8]-?bits?|int[48]|dynamic"
    r"|i?q\d(?:_\w+)?|latest|free|safetensors|hf|quantized|turbo-?fp8))+$"
)
PATTERNS = {family: re.compile(pattern) for family, pattern in FAMILIES.items()}
LINES = {line: re.compile(rf"{BEFORE}(?:[a-z]+[-_])?(?:open|nous|stable)?{line}") for line in TUNED}


@lru_cache(maxsize=4096)
def families(model: str) -> frozenset[str]:
    """The families that a model's name, repository, path or identity tells of; none where it tells of none.

    What stands last says most: a folder may be named after a program or an owner.
    """
    parts = [
        part for part in WRAPPERS.sub("", KINDS.sub("", model.strip().lower())).replace("\\", "/").split("/") if part
    ]
    for part in reversed(parts):
        found = {family for family, pattern in PATTERNS.items() if pattern.search(part)}
        if not found - {"nemotron"}:
            found |= {family for line, pattern in LINES.items() if pattern.search(part) for family in TUNED[line]}
        if found:
            return frozenset(found)
    return frozenset()


@lru_cache(maxsize=4096)
def bare(model: str) -> str:
    """What tells models apart whose names are known to nobody: the last part, without its form or service."""
    last = KINDS.sub("", model.strip().lower()).replace("\\", "/").rstrip("/").rpartition("/")[2]
    return FORM.sub("", last.removesuffix(".gguf"))


def is_named(model: str) -> bool:
    """Whether it is known who this is at all; a file from elsewhere need not say who made its samples."""
    return VERSION.sub("", model.strip().lower()) not in UNTOLD


Kinship = Literal["itself", "family", "unnamed", "unknown", "none"]


def kinship(judge: str, maker: str) -> Kinship:
    """How near a judge is to a maker: the same model, of the same family, or as far as the names tell of another.

    `unnamed`: nobody knows who the maker is; `unknown`: of one of them the family is not known.
    """
    if not is_named(maker):
        return "unnamed"
    if bare(judge) == bare(maker):
        return "itself"
    one, other = families(judge), families(maker)
    if one & other:
        return "family"
    return "none" if one and other else "unknown"
