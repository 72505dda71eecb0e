"""Toy models of Llama's form, every kind of tokenizer that Llamas have, and what llama.cpp's server makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import Request, urlopen

import torch
from tiny_chat_model import MARKED, SENTENCES, SPECIAL, make_tokenizer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)

from instructlab_like.tuning.gguf.words import LLAMA3

STORY = [
    *SENTENCES,
    "In 1901 the Gull was built; she is 27.5 m long and weighs 143 tonnes!",
    "We'll see: they're here, I've 12345 apples and it's DON'T O'Clock.",
    "  two   spaces\n\nnew lines\r\n\tand tabs   ",
    "Grüße aus Köln, naïve café, Ελληνικά, русский, 東京の天気, 한국어, العربية 🚢🌊",
    "def f(x):\n    return {'a': [1, 2], \"b\": x**2}  # ok",
    "e.g. www.example.org/a?b=c&d=%20 – “quoted” … ½ ² Ⅳ ٣",
]
LONG = " ".join(f"{number} boats and {number + 1} nets;" for number in range(40))
BASE = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": 4,
    "pad_token_id": 0,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
SHAPES = {
    "grouped heads, tied": (LlamaForCausalLM, LlamaConfig, {"tie_word_embeddings": True}),
    "heads wider than the model": (LlamaForCausalLM, LlamaConfig, {"head_dim": 24}),
    "one head of keys, biases": (
        LlamaForCausalLM,
        LlamaConfig,
        {"num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True},
    ),
    "rope of Llama 3": (LlamaForCausalLM, LlamaConfig, {"rope_parameters": LLAMA3_ROPE, "tie_word_embeddings": True}),
    "linear rope": (
        LlamaForCausalLM,
        LlamaConfig,
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}},
    ),
    "Mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": None, "head_dim": 32}),
    "Granite": (
        GraniteForCausalLM,
        GraniteConfig,
        {
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.4,
            "attention_multiplier": 0.2,
            "logits_scaling": 2.0,
            "tie_word_embeddings": True,
        },
    ),
}


def save_shape(name: str, folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    kind, config, told = SHAPES[name]
    torch.manual_seed(3)
    model = kind(config(**(BASE | told)))
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith("bias"):
            torch.nn.init.normal_(parameter, 0, 0.3)  # transformers begins with zeros
        elif "norm" in parameter_name:
            torch.nn.init.normal_(parameter, 1, 0.2)
    model.to(dtype).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


# --- tokenizers -------------------------------------------------------------------------------------------------


def byte_level(pre: list, *, ignore_merges: bool = False, added: tuple[str, ...] = ()) -> Tokenizer:
    bpe = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(pre) if len(pre) > 1 else pre[0]
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(
        STORY * 3,
        trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    bpe.add_tokens([AddedToken(text, normalized=False) for text in added])
    return bpe


def pieces(pre: object | None, normalizer: object | None = None) -> Tokenizer:
    """SentencePiece's kind, as transformers makes it of a tokenizer.model: every way to join a token is a merge."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(STORY * 3, trainers.BpeTrainer(vocab_size=420, show_progress=False))
    special = ["<unk>", "<s>", "</s>"]
    own = [text for text, _ in sorted(trained.get_vocab().items(), key=lambda item: item[1])]
    vocab = {text: number for number, text in enumerate([*special, *(f"<0x{byte:02X}>" for byte in range(256)), *own])}
    merges = [
        (text[:at], text[at:])
        for text in own
        for at in sorted(range(1, len(text)), key=lambda at: (vocab.get(text[:at], 0), vocab.get(text[at:], 0)))
        if text[:at] in vocab and text[at:] in vocab
    ]
    bpe = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if pre is not None:
        bpe.pre_tokenizer = pre
    if normalizer is not None:
        bpe.normalizer = normalizer
    bpe.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    bpe.add_special_tokens(special)
    return bpe


def with_bos(bpe: Tokenizer, bos: str) -> Tokenizer:
    bpe.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, bpe.token_to_id(bos))])
    return bpe


def llama3_split() -> list:
    return [
        pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


def digits() -> list:
    return [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]


def metaspace(scheme: str) -> object:
    return pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)


INST = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}[INST] {{ message.content }} [/INST]"
    "{% else %} {{ message.content }}</s>{% endif %}{% endfor %}"
)
PREPENDED = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]


def toy_tokenizer(name: str) -> PreTrainedTokenizerFast:
    ends = {"bos_token": "<|endoftext|>", "eos_token": "<|end|>", "pad_token": "<|endoftext|>"}
    marks = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    bos_first = "{{ bos_token }}" + MARKED
    made = {
        "gpt-2": (byte_level([pre_tokenizers.ByteLevel(add_prefix_space=False)], added=("<tool>",)), ends, MARKED),
        "digits": (byte_level(digits()), ends, MARKED),
        "llama 3": (with_bos(byte_level(llama3_split(), ignore_merges=True), "<|endoftext|>"), ends, bos_first),
        "llama 3 with merges": (byte_level(llama3_split()), ends, MARKED),
        "bos that no chat has": (with_bos(byte_level(llama3_split()), "<|endoftext|>"), ends, MARKED),
        "llama 2": (with_bos(pieces(None, normalizers.Sequence(PREPENDED)), "<s>"), marks, INST),
        "pieces, no space": (with_bos(pieces(None, PREPENDED[1]), "<s>"), marks, INST),
        "metaspace always": (with_bos(pieces(metaspace("always")), "<s>"), marks, INST),
        "metaspace never": (with_bos(pieces(metaspace("never")), "<s>"), marks, INST),
        "metaspace first": (with_bos(pieces(metaspace("first")), "<s>"), marks, INST),
    }[name]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made[0], **made[1])
    tokenizer.chat_template = made[2]
    return tokenizer


TOKENIZERS = [
    "gpt-2",
    "digits",
    "llama 3",
    "llama 3 with merges",
    "bos that no chat has",
    "llama 2",
    "pieces, no space",
    "metaspace always",
    "metaspace never",
    "metaspace first",
]


def save_tokenizer(name: str, folder: Path) -> Path:
    tokenizer = toy_tokenizer(name)
    torch.manual_seed(0)
    told = {"vocab_size": len(tokenizer) + 5, "num_hidden_layers": 1, "eos_token_id": tokenizer.eos_token_id}
    told |= {"bos_token_id": tokenizer.bos_token_id, "pad_token_id": None}
    LlamaForCausalLM(LlamaConfig(**(BASE | told))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


# --- both sides -------------------------------------------------------------------------------------------------


def asked(url: str, path: str, told: dict[str, object]) -> dict:
    request = Request(f"{url}{path}", data=json.dumps(told).encode(), headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=120) as reply:
        return json.load(reply)


def server_chat(url: str, question: str, limit: int) -> str:
    told = {"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": limit}
    return asked(url, "/chat/completions", told)["choices"][0]["message"]["content"]


def server_ids(url: str, question: str, limit: int) -> list[int]:
    """The tokens of an answer: random weights write halves of characters, which no text shows."""
    root = url.removesuffix("/v1")
    prompt = asked(root, "/apply-template", {"messages": [{"role": "user", "content": question}]})["prompt"]
    told = {"prompt": prompt, "n_predict": limit, "temperature": 0, "return_tokens": True, "cache_prompt": False}
    return asked(root, "/completion", told)["tokens"]


def transformers_ids(model: object, tokenizer: object, question: str, limit: int) -> list[int]:
    told = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        made = model.generate(**told, do_sample=False, max_new_tokens=limit)
    return made[0, told["input_ids"].shape[1] :].tolist()


def server_odds(url: str, question: str) -> dict[int, float]:
    """The natural logs of the likeliest first tokens' chances; none where the first is a part of a character."""
    root = url.removesuffix("/v1")
    prompt = asked(root, "/apply-template", {"messages": [{"role": "user", "content": question}]})["prompt"]
    made = asked(root, "/completion", {"prompt": prompt, "n_predict": 1, "temperature": 0, "n_probs": 40})
    first = made.get("completion_probabilities", [{"top_logprobs": []}])[0]
    return {one["id"]: one["logprob"] for one in first["top_logprobs"]}


def transformers_odds(model: object, tokenizer: object, question: str) -> list[float]:
    """The same of all tokens."""
    told = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        return torch.log_softmax(model(**told).logits[0, -1], -1).tolist()


def transformers_chat(model: object, tokenizer: object, question: str, limit: int) -> str:
    told = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        made = model.generate(**told, do_sample=False, max_new_tokens=limit)
    return tokenizer.decode(made[0, told["input_ids"].shape[1] :], skip_special_tokens=True)


def loaded(folder: Path) -> tuple[object, object]:
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder)
