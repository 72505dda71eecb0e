"""LoRA training of an 8B Llama shape on one GPU, arm by arm: speed, memory, and parity with the plain computation.

On a bare machine with a CUDA GPU of 80 GB or more, in a copy of this repository, nothing is downloaded but packages:

    pip install -e '.[train]' && python -m benchmarks.gpu_lora --out gpu_lora.json

The weights are random, from a configuration, on the device; the packed rows are the same for all arms. Beside the arms
stands what a product of matrices reaches in the same process. `--toy` runs everything at toy size on a CPU.
Not yet measured on a GPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from instructlab_like.tuning.attention import PACKED
from instructlab_like.tuning.compiled import cannot_compile
from instructlab_like.tuning.float8 import cannot_float8
from instructlab_like.tuning.loss import token_losses
from instructlab_like.tuning.pack import pack
from instructlab_like.tuning.separate import MODEL_FAILURES, first_line, forward, lay
from instructlab_like.tuning.switches import Switches, apply
from instructlab_like.tuning.tokens import Encoded

ANCHOR = "NeMo AutoModel on one H100: 12,473 tokens/s at 4,096, 402 TFLOP/s (its own performance summary)"
GOAL = 16_000  # tokens/s of an H200, rows of full 4,096
LEARNT = 0.6  # of a sample's tokens
WARM_UP, TIMED = 3, 10  # steps of an arm; fewer where its time is up
RANK = 16
FASTER_CLOCK = 1e12
LOSS_OFF = {torch.float32: 1e-4, torch.bfloat16: 5e-3}  # most that an arm's mean loss may be away, as a share
SLOPE_OFF = {torch.float32: 1e-4, torch.bfloat16: 0.1}  # the same of the LoRA gradient's norm
FLOAT8_SLOPE_OFF = 0.35


@dataclass(frozen=True)
class Size:
    """What is run: the model's shape and the rows."""

    config: LlamaConfig
    row: int  # tokens
    full: int  # of a sample in the rows that are full
    parity_layers: int
    parity_row: int
    products: int  # side of the probe's matrices
    seconds: float  # of an arm, its compilation included


LARGE = Size(
    config=LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=131_072,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        tie_word_embeddings=False,
    ),
    row=16_384,
    full=4_096,
    parity_layers=2,
    parity_row=2_048,
    products=8_192,
    seconds=55.0,
)
TOY = Size(
    config=LlamaConfig(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
    ),
    row=256,
    full=64,
    parity_layers=2,
    parity_row=128,
    products=128,
    seconds=4.0,
)


@dataclass(frozen=True)
class Arm:
    """One way to compute the same step. `cuda`: it needs a GPU, toy size or not."""

    name: str
    attention: str
    switches: Switches
    cuda: bool = False


ARMS = (
    Arm("plain: sdpa, full recomputation", "sdpa", Switches(recompute="full")),
    Arm("sdpa, nothing recomputed", "sdpa", Switches()),
    Arm("attention sample by sample (varlen)", PACKED, Switches()),
    Arm("varlen, selective recomputation", PACKED, Switches(recompute="selective")),
    Arm("varlen, chunked loss, fused LoRA", PACKED, Switches(chunked=True, fused=True)),
    Arm("varlen, compiled", PACKED, Switches(compile=True), cuda=True),
    Arm(
        "varlen, compiled, chunked loss, fused LoRA",
        PACKED,
        Switches(compile=True, chunked=True, fused=True),
        cuda=True,
    ),
    Arm(
        "the same, float8 base",
        PACKED,
        Switches(compile=True, chunked=True, fused=True, float8=True),
        cuda=True,
    ),
)


@dataclass(frozen=True)
class Parity:
    """Against the plain arm, on a model of few layers. `dtype`: in which both were computed."""

    dtype: str
    loss: float  # relative difference of the mean loss
    gradient: float  # of the LoRA gradient, by norm
    passed: bool


@dataclass(frozen=True)
class Speed:
    """Of full steps with an optimizer. `tflops` by `operations`."""

    rows: str
    row_tokens: int
    steps: int
    seconds_a_step: float  # median
    slowest: float
    tokens_per_second: float
    tflops: float
    peak_gib: float | None  # None: not on a GPU
    first_step: float  # seconds, with what was compiled in it


@dataclass(frozen=True)
class Outcome:
    """What became of an arm; `why` where it did not run to its end."""

    arm: str
    switches: dict[str, str]
    status: str  # "measured", "not run", "failed"
    why: str = ""
    parity: tuple[Parity, ...] = ()
    speed: tuple[Speed, ...] = field(default=())


def main() -> int:
    args = arguments()
    size = TOY if args.toy else LARGE
    if not args.toy and not torch.cuda.is_available():
        print("benchmarks: there is no CUDA GPU here; --toy runs everything at toy size on a CPU", file=sys.stderr)
        return 2
    device = torch.device("cpu" if args.toy else "cuda")
    if device.type == "cpu":
        torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    began = time.monotonic()
    probe = product_rate(device, size)
    print(f"{machine(device)}; products of matrices reach {probe:,.1f} TFLOP/s here", flush=True)
    outcomes = []
    for arm in ARMS:
        left = args.minutes * 60 - (time.monotonic() - began)
        outcomes.append(measured(arm, size, device, left))
        print("\n".join(shown(outcomes[-1], probe)), flush=True)
    report = {
        "machine": machine(device),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "toy": args.toy,
        "probe_tflops": probe,
        "formula": FORMULA,
        "anchor": ANCHOR,
        "goal_tokens_per_second": GOAL,
        "seconds": round(time.monotonic() - began, 1),
        "arms": [asdict(outcome) for outcome in outcomes],
    }
    args.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(verdict(outcomes, args.toy), f"→ {args.out}", sep="\n")
    return 0 if any(outcome.status == "measured" for outcome in outcomes) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_lora", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--toy", action="store_true", help="a tiny model on a CPU, in a minute or two")
    parser.add_argument("--minutes", type=float, default=9.5, help="for all arms together")
    parser.add_argument("--out", type=Path, default=Path("gpu_lora.json"), help="where the figures go")
    return parser.parse_args([word for word in sys.argv[1:] if word != "gpu_lora"])  # its name, by python -m benchmarks


# --- the work -------------------------------------------------------------------------------------------------------


def full_rows(size: Size) -> list[list[Encoded]]:
    """Rows of samples that are all as long as the public figures' are."""
    count = size.row // size.full
    return [[sample(size.full, 100 * row + place, size) for place in range(count)] for row in range(4)]


def mixed_rows(size: Size) -> list[list[Encoded]]:
    """Rows packed from samples whose lengths are log-normal, as those of chats are."""
    generator = np.random.default_rng(0)
    most = size.row // 4
    lengths = generator.lognormal(np.log(most / 8), 0.85, 6 * size.row // (most // 8)).clip(8, most).astype(int)
    packed = pack(lengths.tolist(), size.row)
    full = sorted(packed, key=lambda row: -sum(int(lengths[place]) for place in row))[:4]
    return [[sample(int(lengths[place]), 1000 + place, size) for place in row] for row in full]


def sample(length: int, seed: int, size: Size) -> Encoded:
    ids = np.random.default_rng(seed).integers(0, size.config.vocab_size, length)
    return Encoded(str(seed), "leaf", ids, np.arange(length) >= length - int(length * LEARNT))


def build(config: LlamaConfig, device: torch.device, dtype: torch.dtype, attention: str) -> PeftModel:
    """A model with random weights made on the device, and an adapter that does something."""
    config = LlamaConfig.from_dict({**config.to_dict(), "use_cache": False})
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(dtype)  # type: ignore[arg-type]
    model.to_empty(device=device)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.02)
            else:
                parameter.fill_(1.0)
    rotary = model.model.rotary_emb
    fresh = type(rotary)(config).to(device)  # its frequencies were on meta, too
    model.model.rotary_emb = fresh
    model.set_attn_implementation(attention)
    lora = LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")
    adapted = cast("PeftModel", get_peft_model(cast("PreTrainedModel", model), lora))
    generator = torch.Generator(device).manual_seed(1)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.01, generator=generator)
    return adapted.train()


def trained(model: PeftModel) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def working_in(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def step(
    model: PeftModel, samples: Sequence[Encoded], device: torch.device, dtype: torch.dtype, room: int | None
) -> float:
    """A forward and a backward pass over one row; gives its mean loss."""
    row = lay(samples, device, room=room)
    with working_in(device, dtype):
        losses = token_losses(forward(model, row), row.targets)
    loss = losses.mean()
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


# --- one arm --------------------------------------------------------------------------------------------------------


def measured(arm: Arm, size: Size, device: torch.device, left: float) -> Outcome:
    """Parity, then speed. A reason why it cannot run, or what it failed of, never stops the other arms."""
    told = arm.switches.told
    why = refusal(arm, device, left)
    if why:
        return Outcome(arm.name, told, "not run", why)
    parity: tuple[Parity, ...] = ()
    until = time.monotonic() + min(size.seconds, left)
    try:
        parity = tuple(compared(arm, size, device))
        speed = in_memory(arm, size, device, until)
    except (*MODEL_FAILURES, torch.OutOfMemoryError) as failure:
        return Outcome(arm.name, told, "failed", first_line(failure)[:300], parity)
    finally:
        clear(device)
    return Outcome(arm.name, told, "measured", "", parity, speed)


def in_memory(arm: Arm, size: Size, device: torch.device, until: float) -> tuple[Speed, ...]:
    """Its speed with the longest rows, of those halved twice, that the device's memory holds."""
    for row in (size.row, size.row // 2):
        try:
            return tuple(timed(arm, replace(size, row=row), device, until))
        except torch.OutOfMemoryError:
            pass  # what the attempt held must be let go of before the next
        clear(device)
    return tuple(timed(arm, replace(size, row=size.row // 4), device, until))


def clear(device: torch.device) -> None:
    torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def refusal(arm: Arm, device: torch.device, left: float) -> str:
    if arm.cuda and device.type != "cuda":
        return "it needs a CUDA GPU"
    if arm.switches.compile and (why := cannot_compile(device.type)):
        return why
    if arm.switches.float8 and (why := cannot_float8(device)):
        return why
    return "the time for all arms is up" if left < 5 else ""


def compared(arm: Arm, size: Size, device: torch.device) -> Iterator[Parity]:
    """The arm's loss and LoRA gradient against the plain ones, on a packed row, in float32 where all can, and in
    bfloat16 as training computes. In float32 no GPU kernel attends sample by sample, so there it is by SDPA."""
    config = LlamaConfig.from_dict({**size.config.to_dict(), "num_hidden_layers": size.parity_layers})
    samples = [sample(size.parity_row // 8 * length, length, size) for length in (1, 2, 4)]
    for dtype in (torch.float32, torch.bfloat16):
        if arm.switches.float8 and dtype == torch.float32:
            continue
        found = []
        for other in (replace(ARMS[0], switches=Switches()), arm):
            switches = replace(other.switches, compile=other.switches.compile and dtype != torch.float32)
            model = build(config, device, dtype, other.attention)
            apply(switches, model)
            loss = step(model, samples, device, dtype, size.parity_row if switches.compile else None)
            parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in trained(model)]
            found.append((loss, torch.cat([part.flatten() for part in parts]).double()))
            del model
            torch._dynamo.reset()
        (plain, slope), (loss, gradient) = found
        off, turned = abs(loss - plain) / plain, float((gradient - slope).norm() / slope.norm())
        most = FLOAT8_SLOPE_OFF if arm.switches.float8 else SLOPE_OFF[dtype]
        yield Parity(str(dtype).removeprefix("torch."), off, turned, off <= LOSS_OFF[dtype] and turned <= most)


def timed(arm: Arm, size: Size, device: torch.device, until: float) -> Iterator[Speed]:
    """Full steps in bfloat16 (float32 on a CPU): forward, backward, clipping, AdamW."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = build(size.config, device, dtype, arm.attention)
    apply(arm.switches, model)
    parameters = trained(model)
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    room = size.row if arm.switches.compile else None

    def full_step(samples: Sequence[Encoded]) -> float:
        began = now(device)
        step(model, samples, device, dtype, room)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return now(device) - began

    rows = {"full": full_rows(size), "log-normal": mixed_rows(size)}
    for place, (name, laid) in enumerate(rows.items()):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        first = full_step(laid[0])
        share = until - (until - time.monotonic()) / 2 if place == 0 else until
        for number in range(1, WARM_UP):
            full_step(laid[number % len(laid)])
        seconds, tokens, work = [], [], []
        for number in range(TIMED):
            samples = laid[number % len(laid)]
            seconds.append(full_step(samples))
            tokens.append(sum(len(one.ids) for one in samples))
            work.append(operations(size.config, samples))
            if time.monotonic() > share and len(seconds) > 1:
                break
        yield Speed(
            rows=name,
            row_tokens=size.row,
            steps=len(seconds),
            seconds_a_step=statistics.median(seconds),
            slowest=max(seconds),
            tokens_per_second=sum(tokens) / sum(seconds),
            tflops=sum(work) / sum(seconds) / FASTER_CLOCK,
            peak_gib=torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None,
            first_step=first,
        )


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


FORMULA = (
    "a token: 4 N of the blocks (forward, and the gradient of the input: the base is frozen) + 4 N of the head for "
    "learnt tokens + 6 of the adapter + 12 · layers · width of all heads for each earlier token that it sees. What is "
    "computed a second time does not count"
)


def operations(config: LlamaConfig, samples: Sequence[Encoded]) -> float:
    """Floating-point operations of a step over a row, by FORMULA: what is computed twice counts once."""
    width = config.hidden_size // config.num_attention_heads
    keys = (config.num_key_value_heads or config.num_attention_heads) * width
    shapes = [(config.hidden_size, config.hidden_size), (config.hidden_size, keys), (config.hidden_size, keys)]
    shapes += [(config.hidden_size, config.hidden_size), (config.intermediate_size, config.hidden_size)]
    shapes += [(config.hidden_size, config.intermediate_size)] * 2
    blocks = config.num_hidden_layers * sum(one * other for one, other in shapes)
    lora = config.num_hidden_layers * sum(RANK * (one + other) for one, other in shapes)
    tokens = sum(len(one.ids) for one in samples)
    learnt = sum(int(one.trained.sum()) for one in samples)
    pairs = sum(len(one.ids) ** 2 / 2 for one in samples)
    attention = 12.0 * config.num_hidden_layers * config.hidden_size * pairs
    return tokens * (4.0 * blocks + 6.0 * lora) + 4.0 * learnt * config.vocab_size * config.hidden_size + attention


def product_rate(device: torch.device, size: Size) -> float:
    """TFLOP/s of a product of square matrices in bfloat16: what no arm can exceed."""
    side = size.products
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    rates = []
    for _ in range(WARM_UP + TIMED):
        began = now(device)
        for _ in range(4):
            torch.mm(one, other)
        rates.append(4 * 2 * side**3 / (now(device) - began) / FASTER_CLOCK)
    return statistics.median(rates[WARM_UP:])


# --- what is said ---------------------------------------------------------------------------------------------------


def machine(device: torch.device) -> str:
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 2**30
        return f"{torch.cuda.get_device_name(device)}, {memory:.0f} GiB, torch {torch.__version__}"
    return f"CPU ({platform.machine()}), one thread, torch {torch.__version__}"


def shown(outcome: Outcome, probe: float) -> Iterator[str]:
    yield f"{outcome.arm}: {outcome.status}" + (f" ({outcome.why})" if outcome.why else "")
    for parity in outcome.parity:
        said = "agrees" if parity.passed else "DOES NOT AGREE"
        yield f"    {parity.dtype}: {said}: loss to {parity.loss:.1e}, LoRA gradient to {parity.gradient:.1e}"
    for speed in outcome.speed:
        peak = "" if speed.peak_gib is None else f", {speed.peak_gib:.1f} GiB at most"
        yield (
            f"    {speed.rows} rows of {speed.row_tokens:,}: {speed.tokens_per_second:,.0f} tokens/s, "
            f"{speed.tflops:,.3f} TFLOP/s ({speed.tflops / probe:.0%} of the probe), "
            f"{speed.seconds_a_step:.3f} s a step (slowest {speed.slowest:.3f}, first {speed.first_step:.1f}; "
            f"{speed.steps} steps){peak}"
        )


def verdict(outcomes: Sequence[Outcome], toy: bool) -> str:
    """The fastest arm whose results are the plain ones, beside the goal; toy figures say nothing about a GPU."""
    sound = [one for one in outcomes if one.speed and all(parity.passed for parity in one.parity)]
    if not sound:
        return "no arm was measured with results that agree with the plain ones"
    best = max(sound, key=lambda one: one.speed[0].tokens_per_second)
    said = f"fastest with results that agree: {best.arm}, {best.speed[0].tokens_per_second:,.0f} tokens/s on full rows"
    return said + ("; toy size, no figure of any GPU" if toy else f"; the goal on an H200 is {GOAL:,}; {ANCHOR}")


if __name__ == "__main__":
    sys.exit(main())
