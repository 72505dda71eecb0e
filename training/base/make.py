"""Make the tiny base model: a Llama of a few million parameters, trained from nothing on simulated worlds.

Run by `make base-model`; the result is kept in the repository. Writes config, tokenizer, chat template and
bfloat16 weights in the transformers layout, plus the scores on unseen worlds (scores.json).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
from tasks import ANCHOR_SEED, unseen
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from worlds import Conversation, World, draw

SPECIAL = ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'assistant' %}<|assistant|>{% generation %}{{ message.content }}<|end|>{% endgeneration %}"
    "{% else %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CONTEXT = 2048
SCORE_SEED = 4242  # worlds that nothing was chosen by
TEXT_WEIGHT = 0.15  # loss weight of passages and questions; answers weigh 1. Names in passages cannot be predicted.


def make_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE with GPT-2's pre-tokeniser; digits are kept out of training, so a number is its digits."""
    world = World(random.Random(7), held_out=False)
    texts = []
    for step in range(20_000):
        conversation = draw(world, step / 20_000)
        text = " ".join([conversation.context, *(f"{t.question} {t.answer}" for t in conversation.turns)])
        texts.append("".join(" " if c.isdigit() else c for c in text))
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    roles = {"bos_token": "<|endoftext|>", "eos_token": "<|end|>", "pad_token": "<|endoftext|>"}
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe, model_max_length=CONTEXT, clean_up_tokenization_spaces=False, **roles
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


class Encoder:
    """Turns a conversation into token ids and loss weights, as the chat template would render it."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.bpe = tokenizer.backend_tokenizer
        known = self.bpe.get_vocab()
        self.end, self.user, self.assistant, self.between = (
            known[token] for token in ("<|end|>", "<|user|>", "<|assistant|>", "<|endoftext|>")
        )

    def encode(self, conversation: Conversation) -> tuple[list[int], list[float]]:
        texts = []
        for index, turn in enumerate(conversation.turns):
            question = (
                f"{conversation.context}\n\n{turn.question}" if conversation.context and index == 0 else turn.question
            )
            texts += [question, turn.answer]
        encoded = [e.ids for e in self.bpe.encode_batch(texts, add_special_tokens=False)]
        ids: list[int] = []
        weights: list[float] = []
        for question_ids, answer_ids in zip(encoded[::2], encoded[1::2], strict=True):
            asked = [self.user, *question_ids, self.end, self.assistant]
            answered = [*answer_ids, self.end]
            ids += asked + answered
            weights += [TEXT_WEIGHT] * len(asked) + [1.0] * len(answered)
        return [*ids, self.between], [*weights, 0.0]


def rows(world: World, encoder: Encoder, length: int, count: int, progress: float) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` rows of `length` tokens, each starting with a fresh conversation and cut at its end."""
    ids_rows, weight_rows = [], []
    for _ in range(count):
        ids: list[int] = []
        weights: list[float] = []
        while len(ids) < length + 1:
            more_ids, more_weights = encoder.encode(draw(world, progress))
            ids += more_ids
            weights += more_weights
        ids_rows.append(ids[: length + 1])
        weight_rows.append(weights[1 : length + 1])
    return torch.tensor(ids_rows), torch.tensor(weight_rows)


@torch.no_grad()
def exact(model: LlamaForCausalLM, encoder: Encoder, conversations: list[Conversation]) -> dict[str, float]:
    """Share of answers that greedy decoding gives exactly: every answer token is the arg-max given those before it."""
    right: dict[str, list[bool]] = {}
    for start in range(0, len(conversations), 64):
        batch = conversations[start : start + 64]
        encoded = [encoder.encode(conversation) for conversation in batch]
        width = max(len(ids) for ids, _ in encoded)
        ids = torch.tensor([ids + [encoder.between] * (width - len(ids)) for ids, _ in encoded])
        guess = model(input_ids=ids, use_cache=False).logits[:, :-1].argmax(-1)
        for row, ((_, weights), conversation) in enumerate(zip(encoded, batch, strict=True)):
            answer = torch.tensor(weights + [0.0] * (width - len(weights)))[1:] == 1.0
            right.setdefault(conversation.kind, []).append(bool((guess[row][answer] == ids[row, 1:][answer]).all()))
    return {kind: sum(flags) / len(flags) for kind, flags in sorted(right.items())}


def optimizers(model: LlamaForCausalLM, *, muon_rate: float, adam_rate: float) -> list[torch.optim.Optimizer]:
    matrices = [
        p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name and "lm_head" not in name
    ]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name or "lm_head" in name]
    return [
        torch.optim.Muon(matrices, lr=muon_rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=adam_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def rate(progress: float, *, cooling: bool) -> float:
    """Warm up for 1 %, hold, then fall to zero over the last 45 %; `cooling` falls all the way after its warm-up."""
    return min(1.0, progress / 0.01, (1.0 - progress) / (0.99 if cooling else 0.45))


def fresh(tokenizer: PreTrainedTokenizerFast, args: argparse.Namespace) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=args.vocabulary,
            hidden_size=args.hidden,
            intermediate_size=args.intermediate,
            num_hidden_layers=args.layers,
            num_attention_heads=args.hidden // args.head,
            num_key_value_heads=args.hidden // args.head,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16)  # type: ignore[arg-type]
    copy.save_pretrained(out)
    tokenizer.save_pretrained(out)


def spent(minutes: float, started: float) -> float:
    return min(1.0, (time.monotonic() - started) / 60 / minutes)


def train(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.resume:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.resume)
        model = LlamaForCausalLM.from_pretrained(args.resume, dtype=torch.float32)
    else:
        tokenizer = make_tokenizer(args.vocabulary)
        model = fresh(tokenizer, args)
    encoder = Encoder(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    world = World(random.Random(args.seed), held_out=False)
    watched = unseen(ANCHOR_SEED, 100)

    def loss_of(ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        losses = cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        return (losses * weights.flatten()).sum() / weights.sum()

    step_loss = torch.compile(loss_of) if args.compile else loss_of
    opts = optimizers(model, muon_rate=args.muon_rate, adam_rate=args.adam_rate)
    full_rates = [[group["lr"] for group in opt.param_groups] for opt in opts]
    started, tokens, step, shown = time.monotonic(), 0, 0, 0.0
    progress = 0.0
    while progress < 1.0:
        length, count = (256, args.rows) if progress < (0.6 if args.resume else 0.9) else (1024, args.rows // 4)
        ids, weights = rows(world, encoder, length, count, 1.0 if args.resume else progress)
        loss = step_loss(ids, weights)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt, rates in zip(opts, full_rates, strict=True):
            for group, full in zip(opt.param_groups, rates, strict=True):
                group["lr"] = full * rate(progress, cooling=args.resume is not None)
            opt.step()
            opt.zero_grad()
        tokens += ids.numel()
        step += 1
        shown = 0.95 * shown + 0.05 * loss.item() if shown else loss.item()
        if step % 100 == 0:
            scores = exact(model, encoder, watched)
            seconds = time.monotonic() - started
            line = " ".join(f"{kind} {score:.2f}" for kind, score in scores.items())
            pace = f"{tokens / 1e6:.2f} M tokens {tokens / seconds:.0f}/s"
            print(f"step {step} {progress:.3f} {pace} loss {shown:.3f} {line}", flush=True)
            if step % 500 == 0:
                save(model, tokenizer, args.out)
        progress = spent(args.minutes, started) if args.minutes else min(1.0, tokens / args.tokens)
    save(model, tokenizer, args.out)
    trained = LlamaForCausalLM.from_pretrained(args.out, dtype=torch.float32)
    scores = exact(trained, encoder, unseen(SCORE_SEED, 500))
    report = {"tokens": tokens, "seconds": round(time.monotonic() - started), "unseen_worlds": scores, "n_each": 500}
    (args.out / "scores.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "model")
    parser.add_argument("--tokens", type=float, default=20e6, help="training tokens")
    parser.add_argument("--minutes", type=float, default=0, help="stop by the clock instead of by tokens")
    parser.add_argument("--resume", type=Path, help="cool down the model of this folder instead of starting anew")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=16, help="rows of 256 tokens in a step")
    parser.add_argument("--vocabulary", type=int, default=1536)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--head", type=int, default=32)
    parser.add_argument("--intermediate", type=int, default=704)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--muon-rate", type=float, default=3e-3)
    parser.add_argument("--adam-rate", type=float, default=3e-3)
    parser.add_argument("--compile", action="store_true")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
