"""What LoRA training of a model takes in memory, worked out from its config.json and the headers of its weights.

Nothing is loaded, and torch is not imported. `shape` reads a model's folder, `memory` counts, `fits` compares with what
a machine has. On a CPU the sum was compared with real steps (benchmarks/training_memory.py); on GPUs it is derived.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, cast

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from instructlab_like.errors import ModelError, RecipeError
from instructlab_like.records import Record

GB = 2**30  # bytes: cards are sold and reported in these
MB = 2**20
ON_CPU = 440 * MB  # of a process that has imported torch, transformers, peft and accelerate, and taken a step
ON_GPU = 800 * MB  # of the CUDA context, loaded kernels and the workspace of cuBLAS
SLACK = 0.06  # share of a GPU's tensors that is lost between the blocks of its allocator
MARGIN = 0.15  # the error that the estimate is trusted to stay within, by which a fit is called tight
ADAPTER = {"weights": 4, "gradients": 4, "moments": 8}  # bytes a parameter; adapters are float32, and so is AdamW
SCORES = 14  # bytes of each score of attention where it is written out: two tanh or softmax in float32, and halves
LOGIT = 12  # bytes for each logit: its log-softmax and two gradients in float32, at once in the backward pass
HEAP = 1.0  # of each smaller tensor: what glibc holds besides, since it does not use freed aligned blocks again
MAPPED = 32 * MB  # from this size on a tensor is no part of glibc's heap
LONGEST = 100_000_000  # bytes, the most that the safetensors format allows for a header
SHORT = 512  # tokens; rather than still shorter rows, which hold few samples, a smaller rank
ROWS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
RANKS = (4, 8, 16, 32, 64, 128, 256)
NF4 = 0.516  # bytes of a number in 4 bits, with the constants of its block of 64, which are quantised, too
CHUNK = 512 * MB  # of logits in float32 that are there at once where the loss is worked out in chunks
WIDTHS = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}

# How many tensors of its input's size an activation function keeps for the backward pass.
KEPT_BY = {"silu": 1, "swish": 1, "gelu": 1, "gelu_pytorch_tanh": 1, "relu": 1, "quick_gelu": 2, "gelu_new": 4}

Recompute: TypeAlias = Literal["none", "selective", "full"]
Source: TypeAlias = Literal["attention input", "attention output", "mlp input", "mlp product", "head input", "words"]
Config: TypeAlias = Mapping[str, object]


class Tensor(BaseModel):
    """What a safetensors header says of a tensor."""

    dtype: str
    shape: tuple[Annotated[int, Field(ge=0)], ...]
    data_offsets: tuple[int, int]


HEADER = TypeAdapter(dict[str, Tensor | dict[str, str]])


class UnknownModelError(ModelError):
    """A model that may well train, but whose layers are of a kind that is not counted here."""


@dataclass(frozen=True, slots=True)
class Family:
    """How the decoders of a model type differ from Llama's."""

    norms: int = 2  # a layer, each of which keeps its input in float32
    query_key_norm: bool = False
    gated: bool = True
    fused: bool = False  # query, key and value in one matrix, gate and up in another
    parallel: bool = False  # attention and MLP read the same normalised input
    native_norm: bool = False  # torch's own LayerNorm, which keeps its input as it is
    output: str = "o_proj"


FAMILIES = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "granite", "smollm3", "gemma", "ministral"), Family()),
    "qwen3": Family(query_key_norm=True),
    "olmo2": Family(query_key_norm=True),
    "gemma2": Family(norms=4),
    "gemma3_text": Family(norms=4, query_key_norm=True),
    "phi3": Family(fused=True),
    "phi": Family(norms=1, gated=False, parallel=True, native_norm=True, output="dense"),
}
# The most that any of the above keeps, for a type that is not listed.
CAUTIOUS = Family(norms=4, query_key_norm=True)


@dataclass(frozen=True, slots=True)
class Linear:
    """A matrix that an adapter may be put on: its module's name, its widths, and which tensor it reads."""

    name: str
    inputs: int
    outputs: int
    source: Source


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What of a decoder decides how much memory its training takes. `note` says where the counting is cautious."""

    kind: str
    layers: int
    hidden: int
    query: int  # width of all heads together
    key: int  # of the key heads together; the values' is the same
    heads: int
    inner: int  # width inside the MLP, of all experts that a token visits
    vocabulary: int
    parameters: int
    stored: int | None  # bytes of quantised weights, which stay as they are; None: they take the dtype asked for
    exact: bool  # whether the parameters were counted in the headers of the weights
    row_limit: int | None  # the longest row that the model knows positions for
    family: Family
    activation: int  # tensors kept by the MLP's activation function
    unfused: bool  # whether attention is written out, with its scores in memory
    linears: tuple[Linear, ...]  # of each layer
    ends: tuple[Linear, ...]  # head and embedding, which only names reach
    note: str = ""


class Memory(Record):
    """Bytes of each part at the moment when most is held, and what they were worked out for."""

    weights: int
    adapter: int
    gradients: int
    moments: int
    activations: int
    logits: int
    overhead: int
    parameters: int  # of the base
    trained: int  # of the adapter
    rank: int
    targets: str | tuple[str, ...]
    dora: bool
    effective_rank: int | float | None
    dropout: bool
    block_mask: bool
    longest: int | None
    recompute: Recompute
    chunked: bool
    fused: bool
    quantized: bool
    processes: int
    dtype_bytes: int
    row_tokens: int
    trained_tokens: int
    on_gpu: bool
    shape: ModelShape = Field(exclude=True, repr=False)

    @property
    def total(self) -> int:
        parts = (self.weights, self.adapter, self.gradients, self.moments)
        return sum(parts) + self.activations + self.logits + self.overhead


class Fit(Record):
    """Whether it fits. `words` reads like "needs 21 GB, this GPU has 24: tight", with the setting that would fit."""

    verdict: Literal["fits", "tight", "does not fit"]
    words: str
    row_tokens: int | None = None  # of the nearest setting that would fit; None: no change, or none that would do
    rank: int | None = None
    recompute: Recompute | None = None  # of that setting, where it is another than was asked for
    quantize: Literal["nf4"] | None = None  # the same


# --- the model --------------------------------------------------------------------------------------------------


def shape(folder: Path) -> ModelShape:
    """Read what decides the memory from a model's folder. Raises ModelError, or UnknownModelError for layers of a kind
    that is not counted here."""
    place = folder / "config.json"
    told = read_config(place)
    inner = told.get("text_config")
    text: Config = cast("Config", inner) if isinstance(inner, dict) else told
    kind = str(text.get("model_type") or told.get("model_type") or "")
    kind = {"gemma3": "gemma3_text"}.get(kind, kind)
    refuse_other_kinds(told, text, kind, place)
    family = FAMILIES.get(kind, CAUTIOUS)
    hidden, layers = number(text, "hidden_size", place), number(text, "num_hidden_layers", place)
    heads, vocabulary = number(text, "num_attention_heads", place), number(text, "vocab_size", place)
    width = optional(text, "head_dim") or hidden // heads
    shared = optional(text, "num_key_value_heads") or heads
    experts, visited, expert = mixture(text)
    usual = optional(text, "intermediate_size")
    if not (usual or expert):
        usual = number(text, "intermediate_size", place)
    inside = max(usual or 0, visited * (expert or usual or 0))
    linears = matrices(family, hidden, heads * width, shared * width, inside, experts=bool(experts))
    tied = bool(text.get("tie_word_embeddings", told.get("tie_word_embeddings", kind.startswith("gemma"))))
    counted = count(folder)
    each = sum(one.inputs * one.outputs for one in linears) + 4 * hidden
    if experts:
        each += experts * 3 * hidden * (expert or usual or 0)
    reckoned = layers * each + (1 if tied else 2) * vocabulary * hidden
    notes = [] if kind in FAMILIES else [f"{kind or 'its type'} is not a model type that was measured"]
    notes += ["mixture of experts"] if experts else []
    quantised = "quantization_config" in told
    return ModelShape(
        kind=kind,
        layers=layers,
        hidden=hidden,
        query=heads * width,
        key=shared * width,
        heads=heads,
        inner=inside,
        vocabulary=vocabulary,
        parameters=counted[0] if counted else reckoned,
        stored=counted[1] if counted and quantised else None,
        exact=counted is not None,
        row_limit=optional(text, "max_position_embeddings"),
        family=family,
        activation=KEPT_BY.get(str(text.get("hidden_activation") or text.get("hidden_act")), 4),
        unfused="attn_logit_softcapping" in text and text["attn_logit_softcapping"] is not None,
        linears=linears,
        ends=(Linear("lm_head", hidden, vocabulary, "head input"), Linear("embed_tokens", vocabulary, hidden, "words")),
        note=f"counted cautiously: {', '.join(notes)}" if notes else "",
    )


def read_config(place: Path) -> Config:
    """A model's config.json. Raises ModelError."""
    fix = "give a folder that transformers loads, with config.json and *.safetensors"
    try:
        told = json.loads(place.read_bytes())
    except FileNotFoundError as error:
        raise ModelError("there is no such file", where=str(place), fix=fix) from error
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(place), fix=fix) from error
    except (ValueError, RecursionError) as error:
        fix = "download or copy the model again"
        raise ModelError("is not JSON", where=str(place), fix=fix) from error
    if not isinstance(told, dict):
        raise ModelError("holds no configuration", where=str(place), fix=fix)
    return told


def number(told: Config, name: str, place: Path) -> int:
    """A size that a decoder must have."""
    found = optional(told, name)
    if found is None:
        what = f"says no {name}, a whole number above zero"
        raise UnknownModelError(what, where=str(place), fix="give a causal language model (Llama, Granite, Qwen, …)")
    return found


def optional(told: Config, name: str) -> int | None:
    found = told.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def refuse_other_kinds(told: Config, text: Config, kind: str, place: Path) -> None:
    """Raise UnknownModelError for what is no decoder of attention and MLP."""
    kinds = text.get("layer_types")
    others = {str(one) for one in kinds if "attention" not in str(one)} if isinstance(kinds, list) else set()
    others |= {str(one) for one in kinds if str(one).startswith("linear")} if isinstance(kinds, list) else set()
    recurrent = [name for name in ("mamba_d_state", "ssm_state_size", "state_size", "mamba_d_ssm") if name in text]
    if told.get("is_encoder_decoder") or others or recurrent:
        what = f"{kind or 'the model'} has layers that the estimate of memory does not know"
        shown = ", ".join(sorted(others)) or ("an encoder" if told.get("is_encoder_decoder") else "recurrent ones")
        raise UnknownModelError(f"{what}: {shown}", where=str(place), fix="try a short row first: row_tokens: 512")


def mixture(text: Config) -> tuple[int, int, int | None]:
    """Experts of a layer, how many a token visits, shared ones included, and how wide one is; 0, 1, None if none."""
    names = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
    experts = next((found for name in names if (found := optional(text, name))), 0)
    if experts < 2:
        return 0, 1, None
    visited = optional(text, "num_experts_per_tok") or optional(text, "moe_topk") or 2
    together = optional(text, "n_shared_experts") or (1 if optional(text, "shared_expert_intermediate_size") else 0)
    return experts, visited + together, optional(text, "moe_intermediate_size") or optional(text, "intermediate_size")


def matrices(family: Family, hidden: int, query: int, key: int, inner: int, *, experts: bool) -> tuple[Linear, ...]:
    """The linear modules of a layer; experts are no modules of their own, and an adapter passes them over."""
    mlp: Source = "attention input" if family.parallel else "mlp input"
    if family.fused:
        attention = [Linear("self_attn.qkv_proj", hidden, query + 2 * key, "attention input")]
    else:
        widths = {"q_proj": query, "k_proj": key, "v_proj": key}
        attention = [Linear(f"self_attn.{name}", hidden, wide, "attention input") for name, wide in widths.items()]
    attention.append(Linear(f"self_attn.{family.output}", query, hidden, "attention output"))
    if experts:
        return tuple(attention)
    if not family.gated:
        rest = [Linear("mlp.fc1", hidden, inner, mlp), Linear("mlp.fc2", inner, hidden, "mlp product")]
    elif family.fused:
        rest = [
            Linear("mlp.gate_up_proj", hidden, 2 * inner, mlp),
            Linear("mlp.down_proj", inner, hidden, "mlp product"),
        ]
    else:
        rest = [Linear(f"mlp.{name}", hidden, inner, mlp) for name in ("gate_proj", "up_proj")]
        rest.append(Linear("mlp.down_proj", inner, hidden, "mlp product"))
    return (*attention, *rest)


def count(folder: Path) -> tuple[int, int] | None:
    """Parameters and bytes of the weights that transformers would load, from their headers; None where there are none.
    Raises ModelError for a file that is missing or torn."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        found = read_config(index).get("weight_map")
        names = sorted({str(name) for name in found.values()}) if isinstance(found, dict) else []
    else:
        names = sorted(path.name for path in folder.glob("model*.safetensors"))
    if not names:
        return None
    tensors = [tensor for name in names for tensor in header(folder / name)]
    parameters = sum(values for values, _ in tensors)
    return parameters, sum(values * WIDTHS.get(dtype, 1) for values, dtype in tensors)


def header(path: Path) -> list[tuple[int, str]]:
    """Values and dtype of each tensor in a safetensors file. Raises ModelError if it is not there in full."""
    fix = "download or copy the model again, all of its *.safetensors files"
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            told = HEADER.validate_json(file.read(length)) if 8 + length <= size and length <= LONGEST else {}
    except FileNotFoundError as error:
        what = "there is no such file, though the model's index names it"
        raise ModelError(what, where=str(path), fix=fix) from error
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path), fix=fix) from error
    except ValidationError:
        told = {}
    tensors = [tensor for tensor in told.values() if isinstance(tensor, Tensor)]
    if not tensors or 8 + length + max(tensor.data_offsets[1] for tensor in tensors) != size:
        raise ModelError("is no whole safetensors file: its size is not what its header says", where=str(path), fix=fix)
    return [(math.prod(tensor.shape), tensor.dtype) for tensor in tensors]


# --- the memory -------------------------------------------------------------------------------------------------


def memory(
    shape: ModelShape,
    *,
    rank: int,
    targets: str | Sequence[str],
    dora: bool,
    dtype_bytes: int,
    row_tokens: int,
    trained_tokens: int,
    on_gpu: bool,
    effective_rank: float | None = None,
    dropout: bool = False,
    block_mask: bool = False,
    longest: int | None = None,
    recompute: Recompute = "none",
    chunked: bool = False,
    fused: bool = False,
    quantized: bool = False,
    processes: int = 1,
) -> Memory:
    """Count the bytes of a training step on one device at the moment when most is held.

    With `effective_rank` (OSF) all directions of a matrix but so many are trained, or but that share, and `rank` says
    nothing; else it is LoRA's, or DoRA's.
    `dtype_bytes`: 4 for float32; 2 for a base in bfloat16 under autocast. `trained_tokens`: of a row; only these have
    logits. `block_mask`: samples are kept apart by a mask over the row (`Separation.backend`). `longest`: tokens of the
    longest sample, of which models with soft caps hold the square; None: a quarter of the row. `recompute`, `chunked`,
    `fused`: how a step is computed (`switches.Switches`). `quantized`: the base in 4 bits; `processes`: over which it
    is cut up. The moment is the beginning of a backward pass after the first row: activations and logits of this row,
    gradients of the rows before.
    Raises RecipeError for targets that the model does not have, and where OSF would hold all or nothing of one.
    """
    chosen = targeted(shape, targets, "osf" if effective_rank else "lora")
    loose = [(one, n, free(one, effective_rank)) for one, n in chosen] if effective_rank else []
    trained = sum((rank * (one.inputs + one.outputs) + (one.outputs if dora else 0)) * n for one, n in chosen)
    if effective_rank:
        trained = sum(left * (one.inputs + one.outputs + 1) * n for one, n, left in loose)
        rank = 2 * max(left for _, _, left in loose)  # of a layer's sum of what is trained and what it was at first
    inside = [one for one, _ in chosen if one not in shape.ends]
    copies = trained * 2 if dtype_bytes == 2 else 0  # autocast keeps the adapter in half precision, too
    apart = (dropout or dtype_bytes == 2) and not fused
    layer = list(kept(shape, inside, rank, dtype_bytes, dora=dora, masked=block_mask, apart=apart))
    if block_mask:
        layer.append((row_tokens * dtype_bytes, 1))
    if shape.unfused:
        layer.append((int(shape.heads * (longest or row_tokens / 4) * SCORES), 1))
    whole = shape.layers if recompute == "none" else 1  # else one layer at a time is there in full
    sizes = [(size, n * whole) for size, n in layer]
    sizes += [(size * dtype_bytes, n * shape.layers) for size, n in kept_to_repeat(shape, recompute)]
    heap = HEAP if not on_gpu and held_twice() else 0
    activations = sum(
        int(size * n * row_tokens * (1 + (heap if size * row_tokens < MAPPED else 0))) for size, n in sizes
    )
    # OSF writes both factors of that sum out, for each layer that is there in full.
    factors = [2 * left * (one.inputs + one.outputs) * 4 * (n if recompute == "none" else 1) for one, n, left in loose]
    activations += sum(factors)
    if dropout:  # its masks, which a CPU keeps as factors in float32; they were not measured to be held twice
        activations += sum(one.inputs * (1 if on_gpu else 4) * n for one, n in chosen) * row_tokens
    passing = transient(shape, inside, rank, row_tokens, dora=dora)
    logits = LOGIT * trained_tokens * shape.vocabulary
    if chunked:
        slopes = 2 * trained_tokens * shape.hidden * 4
        logits = slopes + LOGIT * min(trained_tokens, max(1, CHUNK // (4 * shape.vocabulary))) * shape.vocabulary
    weights = frozen(shape, 4 if effective_rank else dtype_bytes, quantized=quantized, processes=processes)
    weights += sum(apart_again(one, left) * 4 * n for one, n, left in loose)
    all_of_it = weights + trained * sum(ADAPTER.values()) + copies + activations + max(logits, passing)
    return Memory(
        weights=weights,
        adapter=trained * ADAPTER["weights"] + copies,
        gradients=trained * ADAPTER["gradients"],
        moments=trained * ADAPTER["moments"],
        activations=activations + max(0, passing - logits),
        logits=logits,
        overhead=ON_GPU + int(SLACK * all_of_it) if on_gpu else ON_CPU,
        parameters=shape.parameters,
        trained=trained,
        rank=rank,
        targets=targets if isinstance(targets, str) else tuple(targets),
        dora=dora,
        effective_rank=effective_rank,
        dropout=dropout,
        block_mask=block_mask,
        longest=longest,
        recompute=recompute,
        chunked=chunked,
        fused=fused,
        quantized=quantized,
        processes=processes,
        dtype_bytes=dtype_bytes,
        row_tokens=row_tokens,
        trained_tokens=trained_tokens,
        on_gpu=on_gpu,
        shape=shape,
    )


def held(every: int, effective_rank: float) -> int:
    """Directions that OSF holds of all those of a matrix; PEFT's rule."""
    return min(every, int(every * effective_rank) if effective_rank < 1 else int(effective_rank))


def expect_between(kept: int, every: int, name: str) -> None:
    """Raise RecipeError where of a matrix's directions all are held, or none."""
    if kept in (0, every):
        what = f"holds {'none' if kept == 0 else 'all'} of the {every:,} directions of {name}"
        left = "OSF would hold nothing back" if kept == 0 else "nothing is left to train"
        fix = "a share such as 0.5, or other osf.targets"
        raise RecipeError(f"{what}: {left}", where="train.osf.effective_rank", fix=fix)


def free(one: Linear, effective_rank: float) -> int:
    """Directions of a matrix that OSF trains. Raises RecipeError where there are none, or nothing else."""
    every = min(one.inputs, one.outputs)
    expect_between(held(every, effective_rank), every, one.name)
    return every - held(every, effective_rank)


def apart_again(one: Linear, left: int) -> int:
    """Numbers, in float32, that OSF keeps beside a matrix: what it trains as it was, what it holds of the long side."""
    every = min(one.inputs, one.outputs)
    beside = (every - left) * max(one.inputs, one.outputs) if one.inputs != one.outputs else 0
    return left * (one.inputs + one.outputs + 1) + beside


def frozen(shape: ModelShape, dtype_bytes: int, *, quantized: bool, processes: int) -> int:
    """Bytes of the base on one device: its layers' matrices in 4 bits, and the widest of them unpacked; or its part of
    what is cut up, with two layers and both ends gathered."""
    whole = shape.stored or shape.parameters * dtype_bytes
    if quantized and shape.stored is None:
        sizes = [one.inputs * one.outputs for one in shape.linears]
        packed = shape.layers * sum(sizes)
        return int(packed * NF4) + (shape.parameters - packed + max(sizes)) * dtype_bytes
    if processes == 1:
        return whole
    ends = min(shape.parameters, 2 * shape.vocabulary * shape.hidden)
    gathered = ends + 2 * (shape.parameters - ends) // shape.layers
    return min(whole, whole // processes + gathered * dtype_bytes)


def targeted(shape: ModelShape, targets: str | Sequence[str], section: str = "lora") -> list[tuple[Linear, int]]:
    """The matrices that get an adapter, and how often each is there; PEFT's rules."""
    every = [(one, shape.layers) for one in shape.linears]
    if targets == "all-linear":
        return every
    every += [(one, 1) for one in shape.ends]

    def meant(name: str) -> bool:
        if isinstance(targets, str):
            places = (f"model.layers.0.{name}", f"model.{name}", name)
            return any(re.fullmatch(targets, place) for place in places)
        return any(name == one or name.endswith(f".{one}") for one in targets)

    try:
        chosen = [(one, n) for one, n in every if meant(one.name)]
    except re.error as error:
        what = f"is no regular expression: {error}"
        raise RecipeError(what, where=f"{section}.targets", fix="'all-linear', or a list of names") from error
    if not chosen:
        known = ", ".join(one.name.rpartition(".")[2] for one, _ in every)
        what = f"no module of the model is called {targets if isinstance(targets, str) else ', '.join(targets)}"
        raise RecipeError(what, where=f"{section}.targets", fix=f"'all-linear', or names of: {known}")
    return chosen


def kept(
    shape: ModelShape, chosen: Sequence[Linear], rank: int, dtype_bytes: int, *, dora: bool, masked: bool, apart: bool
) -> Iterator[tuple[int, int]]:
    """What one layer keeps of a token for the backward pass: bytes of a tensor, and how many such tensors.

    A frozen matrix keeps nothing; its adapter keeps its input. Adapters that read the same tensor share it, unless
    `apart`: under autocast each has a copy in half precision of its own, and with dropout other values are dropped.
    """
    family = shape.family
    inputs = {one.source: one.inputs for one in chosen}
    read = [one.inputs for one in chosen] if apart else [*inputs.values()]
    for width in read:
        yield width * dtype_bytes, 1
    yield rank * dtype_bytes, len(chosen)
    shared = masked and dtype_bytes == 4 and "attention output" in inputs  # what the adapter reads is the output itself
    yield shape.query * dtype_bytes, 1 if shared else 2  # query and output
    yield (shape.query if masked else shape.key) * dtype_bytes, 2  # a mask has them repeated for all heads
    if family.fused and not masked:
        yield (shape.query + shape.key) * dtype_bytes, 1  # values are a view of all three
    yield shape.inner * dtype_bytes, shape.activation + (2 if family.gated else 0)
    if dora:
        yield from ((one.outputs * dtype_bytes, 2) for one in chosen)
    yield shape.hidden * (dtype_bytes if family.native_norm else 4), family.norms
    if family.query_key_norm:
        yield from ((shape.query * 4, 1), (shape.key * 4, 1))
    yield 4 * shape.heads, 1  # the sums of attention's shares


def kept_to_repeat(shape: ModelShape, recompute: Recompute) -> Iterator[tuple[int, int]]:
    """What each layer keeps of a token where it is computed a second time: values of a tensor, and how many such."""
    if recompute == "none":
        return
    yield shape.hidden, 1  # what the layer read
    if recompute == "selective":  # the results of its large products and of attention
        yield from ((shape.query, 2), (shape.key, 2), (shape.hidden, 2))
        yield shape.inner, 2 if shape.family.gated else 1


def held_twice() -> bool:
    """Whether the C library keeps freed blocks that it does not use again: glibc's, unless its threshold was set."""
    return platform.libc_ver()[0] == "glibc" and "MALLOC_MMAP_THRESHOLD_" not in os.environ


def transient(shape: ModelShape, inside: Sequence[Linear], rank: int, row_tokens: int, *, dora: bool) -> int:
    """The most that one layer holds besides while its backward pass runs, or DoRA's forward pass."""
    widest = max([shape.inner, shape.query, shape.hidden, *(one.outputs for one in inside)])
    passing = 3 * widest * 4 * row_tokens
    if dora:  # it multiplies the adapter by the identity, and takes the norm of the sum with the weight
        sums = [4 * one.inputs * (one.inputs + rank) + 3 * 4 * one.inputs * one.outputs for one in inside]
        passing = max(passing, *sums)
    return passing


# --- what it means ----------------------------------------------------------------------------------------------


def fits(memory: Memory, available: int, *, place: str) -> Fit:
    """Compare with the bytes that `place` ("this GPU", "this machine") has available.

    Tight: it fits only if the estimate is not too low by its own error.
    """
    has = f"{place} has {gigabytes(available)}"
    if memory.total > available:
        other = smaller(memory, available) or packed(memory, available)
        what = f"needs {gigabytes(memory.total)} GB, {has}: does not fit"
        if other is None:
            return Fit(verdict="does not fit", words=f"{what}, {least(memory, available)}")
        rows, rank = (other.row_tokens, other.rank)
        changed = [f"row_tokens: {rows}"] if rows != memory.row_tokens else []
        changed += [f"lora.rank: {rank}"] if rank != memory.rank else []
        again = other.recompute if other.recompute != memory.recompute else None
        changed += [f"recompute: {again}"] if again else []
        bits: Literal["nf4"] | None = "nf4" if other.quantized and not memory.quantized else None
        changed += [f"quantize: {bits}"] if bits else []
        words = f"{what}; {' and '.join(changed)} would, with {gigabytes(other.total)} GB"
        return Fit(verdict="does not fit", words=words, row_tokens=rows, rank=rank, recompute=again, quantize=bits)
    tight = memory.total * (1 + MARGIN) > available
    verdict: Literal["tight", "fits"] = "tight" if tight else "fits"
    return Fit(verdict=verdict, words=f"needs {gigabytes(memory.total)} GB, {has}: {verdict}")


def smaller(told: Memory, available: int) -> Memory | None:
    """The nearest setting that fits: on a GPU activations computed a second time; else a shorter row, else a smaller
    rank, else both; None if none does."""
    if told.on_gpu and told.recompute != "full":
        kinds: tuple[Recompute, ...] = ("selective", "full") if told.recompute == "none" else ("full",)
        repeated = [again(told, told.row_tokens, told.rank, kind) for kind in kinds]
        fitting = next((found for found in repeated if found.total <= available), None)
        return fitting or smaller(repeated[-1], available)
    rows = [rows for rows in reversed(ROWS) if rows < told.row_tokens]
    ranks = [rank for rank in reversed(RANKS) if rank < told.rank and not told.effective_rank]
    tries = [(row, told.rank) for row in rows if row >= SHORT]
    tries += [(told.row_tokens, rank) for rank in ranks] + [(row, told.rank) for row in rows if row < SHORT]
    tries += [(row, rank) for rank in ranks for row in rows]
    return next((found for row, rank in tries if (found := again(told, row, rank)).total <= available), None)


def packed(told: Memory, available: int) -> Memory | None:
    """The nearest setting that fits on a GPU with the base in 4 bits; None if none does."""
    if not told.on_gpu or told.quantized or told.effective_rank or told.processes > 1 or told.shape.stored is not None:
        return None
    other = again(told, told.row_tokens, told.rank, quantized=True)
    return other if other.total <= available else smaller(other, available)


def again(
    told: Memory, row_tokens: int, rank: int, recompute: Recompute | None = None, *, quantized: bool = False
) -> Memory:
    """The same training with other rows, another rank, other activations kept, or a base in 4 bits."""
    return memory(
        told.shape,
        rank=rank,
        targets=told.targets,
        dora=told.dora,
        dtype_bytes=told.dtype_bytes,
        row_tokens=row_tokens,
        trained_tokens=math.ceil(told.trained_tokens * row_tokens / told.row_tokens),
        on_gpu=told.on_gpu,
        effective_rank=told.effective_rank,
        dropout=told.dropout,
        block_mask=told.block_mask,
        longest=told.longest and min(told.longest, row_tokens),
        recompute=recompute or told.recompute,
        chunked=told.chunked,
        fused=told.fused,
        quantized=quantized or told.quantized,
        processes=told.processes,
    )


def least(told: Memory, available: int) -> str:
    """Why no setting would do."""
    if told.weights > available:
        return f"and its weights alone take {gigabytes(told.weights)} GB: choose a smaller model"
    if told.effective_rank:
        return "whatever the rows: hold more directions with osf.effective_rank, or train a LoRA adapter"
    return "whatever the rows and the rank: choose a smaller model"


def gigabytes(size: int) -> str:
    """In GB of 2³⁰ bytes: whole ones from 10 on, one digit below, two below 1."""
    value = size / GB
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"


def duration(steps: int, seconds_a_step: float) -> str:
    """How long so many steps take, in words with a range; a step's time varies by a quarter between rows and hours."""
    total = steps * seconds_a_step
    low, high = total * 0.8, total * 1.3
    if high < 60:
        return "less than a minute"
    for unit, size in (("minutes", 60.0), ("hours", 3600.0), ("days", 86400.0)):
        if high < {"minutes": 120.0, "hours": 48.0}.get(unit, math.inf) * size:
            first, last = rounded(low / size), rounded(high / size)
            return (
                f"about {last} {unit.removesuffix('s') if last == '1' else unit}"
                if first == last
                else (f"{first} to {last} {unit}")
            )
    raise AssertionError("no unit is without an end but the last")


def rounded(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")
