"""Samples that share a row must not see each other. Here a packed row is laid out, put through the model, and proven.

transformers separates packed samples only when it is given no attention mask, positions that restart at each sample
and `use_cache=False`; with any of these otherwise it leaks without a word, and the LoRA gradient is off by its own
size. So this module alone calls the model in training, and `keep_apart` compares gradients before a step is made.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from instructlab_like.errors import ModelError
from instructlab_like.tuning.attention import PACKED
from instructlab_like.tuning.compiled import as_written
from instructlab_like.tuning.linear_loss import Unprojected, deferred_head
from instructlab_like.tuning.loss import token_losses
from instructlab_like.tuning.narrow import narrow
from instructlab_like.tuning.tokens import Encoded

Backend: TypeAlias = Literal["per-sample attention", "variable-length attention", "block mask", "one sample a row"]
Logits: TypeAlias = torch.Tensor | Unprojected
Forward: TypeAlias = Callable[[torch.nn.Module, "PackedRow"], Logits]

TOLERANCE = 1e-5  # relative error of the LoRA gradient, packed against alone, in float32
ROUNDINGS = 8.0  # times that a switched step's gradient may move as far as rounding the adapter's values moves it
COARSER = 2.0  # times that an attention's own rounding in half precision may exceed that of the plain one
WHOLE = ("sdpa", "eager")  # transformers' own ways to attend over a whole row, with a mask of blocks
LENGTHS = (14, 9, 5, 7)  # of a trial's samples; the longest first, since some rotary embeddings remember it
RECURRENT = ("mamba", "linear", "conv", "recurrent", "hybrid", "rwkv", "delta")  # in names of layers that carry a state

# What a model class may raise when it is built narrow or given an attention function that it was not written for.
MODEL_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class PackedRow:
    """A row on its device. The logits at `predict` are those of `targets`, the trained tokens."""

    ids: torch.Tensor  # (1, tokens)
    positions: torch.Tensor  # (1, tokens), from 0 in each sample
    borders: torch.Tensor  # (samples + 1,), int32: sample i is tokens borders[i]:borders[i+1]
    longest: int
    predict: torch.Tensor  # (trained,)
    targets: torch.Tensor  # (trained,)
    owners: npt.NDArray[np.int64]  # (trained,): the number of the sample in the row


@dataclass(frozen=True, slots=True)
class Separation:
    """How samples are kept apart, whether they share rows at all, and why no faster way was taken (or "")."""

    backend: Backend
    error: float  # of the packed LoRA gradient against the solo one, as measured now; nan where it could not be
    note: str = ""

    @property
    def packs(self) -> bool:
        return self.backend != "one sample a row"


def lay(samples: Sequence[Encoded], device: torch.device, *, room: int | None = None) -> PackedRow:
    """Lay samples side by side. Each must hold a trained token, and its first token must not be one.

    `room`: the length of the row; what is left of it becomes a sample of its own from which nothing is learnt.
    """
    if room and (left := room - sum(len(sample.ids) for sample in samples)) > 0:
        samples = [*samples, Encoded("", "", np.zeros(left, np.int64), np.zeros(left, np.bool_))]
    lengths = np.array([len(sample.ids) for sample in samples])
    borders = np.concatenate([[0], np.cumsum(lengths)])
    trained = np.flatnonzero(np.concatenate([sample.trained for sample in samples]))
    ids = torch.from_numpy(np.concatenate([sample.ids for sample in samples]))
    positions = np.arange(borders[-1]) - np.repeat(borders[:-1], lengths)
    return PackedRow(
        ids=ids[None].to(device),
        positions=torch.from_numpy(positions)[None].to(device),
        borders=torch.from_numpy(borders.astype(np.int32)).to(device),
        longest=int(lengths.max()),
        predict=torch.from_numpy(trained - 1).to(device),
        targets=ids[torch.from_numpy(trained)].to(device),
        owners=np.searchsorted(borders, trained, side="right") - 1,
    )


def forward(model: torch.nn.Module, row: PackedRow) -> Logits:
    """The logits of the trained tokens, (trained, vocabulary): no other position is projected to the vocabulary.

    Where the head is deferred, hidden states that become losses without their logits ever being all there.
    """
    shared = len(row.borders) > 2  # else there are no borders, which some layers cannot take
    with as_written():
        logits: torch.Tensor = model(
            input_ids=row.ids,
            position_ids=row.positions,
            use_cache=False,
            logits_to_keep=row.predict,
            max_length_q=row.longest,
            max_length_k=row.longest,
            **({"cu_seq_lens_q": row.borders, "cu_seq_lens_k": row.borders} if shared else {}),
        ).logits
    head = deferred_head(model)
    return logits[0] if head is None else Unprojected(logits[0], head)


# --- which way ---------------------------------------------------------------------------------------------------


def keep_apart(
    model: PreTrainedModel, device: torch.device, *, lora: LoraConfig | None = None, longest: int | None = None
) -> Separation:
    """Choose the fastest attention that provably keeps packed samples apart in this model, and set it.

    The proof: a narrow model of the same class with sharp attention, in float32 on the CPU; its LoRA gradient over a
    packed row against the sum over its samples alone. `lora` is the adapter that will be trained, `longest` the
    longest sample in tokens. In half precision more is asked for, on `device` itself: see `Trial.expect_sound_half`.
    Where no attention passes, samples do not share rows. Raises ModelError for a class that cannot be trained here,
    and where the proof fails for an ordinary Llama: then the fault lies with the program or the installed versions.
    """
    if "logits_to_keep" not in inspect.signature(type(model).forward).parameters:
        raise ModelError(
            f"{type(model).__name__} cannot project chosen positions to the vocabulary",
            where=str(model.config.name_or_path),
            fix="train a causal language model of the usual kind (Llama, Granite, Mistral, Qwen, Gemma, …)",
        )
    _expect_an_ordinary_model_to_pass()
    usual = model.config._attn_implementation
    own = usual if usual in WHOLE else WHOLE[0] if getattr(model, "_supports_sdpa", False) else WHOLE[1]
    half = model.dtype if model.dtype != torch.float32 else None
    carried = _state_carried(model)
    try:
        trial = Trial(narrow(model, longest), own, lora)
    except MODEL_FAILURES as failure:
        model.set_attn_implementation(own)
        return Separation("one sample a row", math.nan, carried or f"no trial was possible: {first_line(failure)}")
    notes = [carried] if carried else []
    for implementation in () if carried else (PACKED, own):
        backend = _backend(implementation, device, half)
        try:
            error = trial.prove(implementation)
            if half:
                trial.expect_sound_half(implementation, device, half)
        except MODEL_FAILURES as failure:
            notes.append(f"no {backend}: {first_line(failure)}")
            continue
        model.set_attn_implementation(implementation)
        return Separation(backend, error, "; ".join(notes))
    model.set_attn_implementation(own)
    return Separation("one sample a row", trial.prove_alone(), "; ".join(notes))


def _backend(implementation: str, device: torch.device, half: torch.dtype | None) -> Backend:
    if implementation != PACKED:
        return "block mask"
    return "variable-length attention" if half and device.type == "cuda" else "per-sample attention"


def _state_carried(model: PreTrainedModel) -> str:
    """In words, that it has layers which no border of a sample stops; empty where it has none."""
    kinds = getattr(model.config.get_text_config(), "layer_types", None) or (
        ["recurrent"] if getattr(model, "_is_stateful", False) else []
    )
    found = sorted({kind for kind in kinds if any(word in kind for word in RECURRENT)})
    named = ", ".join(found).replace("_", " ")
    return f"its {named} layers carry a state from one sample of a row into the next" if found else ""


def first_line(failure: BaseException) -> str:
    return str(failure).strip().partition("\n")[0] or type(failure).__name__


def _expect_an_ordinary_model_to_pass() -> None:
    """Whether a class can pack is its own affair. That Llama cannot is a fault here, and then nothing is trusted."""
    with torch.random.fork_rng(devices=[]):
        llama = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=64,
                intermediate_size=64,
                num_hidden_layers=2,
                vocab_size=64,
                num_attention_heads=4,
                num_key_value_heads=2,
            )
        )
    try:
        trial = Trial(narrow(llama, None), WHOLE[0])
        for implementation in (PACKED, WHOLE[0]):
            trial.prove(implementation)
    except MODEL_FAILURES as failure:
        raise ModelError(
            f"packed samples cannot be kept apart, not even in a plain Llama: {first_line(failure)}",
            where="the installed torch, transformers and peft",
            fix="install the versions that this project was tested with, constraints.txt; ilk doctor compares them",
        ) from failure


# --- the proof ---------------------------------------------------------------------------------------------------


class Trial:
    """A narrow model with an adapter, four short samples, and the gradient that they have alone.

    `own` is the attention that the class has by itself: what the others are measured by.
    """

    def __init__(self, small: PreTrainedModel, own: str, lora: LoraConfig | None = None) -> None:
        """Raises ModelError where the narrow model runs, but not with such an adapter; any of MODEL_FAILURES where no
        trial is possible."""
        generator = np.random.default_rng(0)
        vocabulary = cast("torch.nn.Embedding", small.get_input_embeddings()).num_embeddings
        self.samples = [_random_sample(generator, length, vocabulary) for length in LENGTHS]
        self.device = torch.device("cpu")
        self.room: int | None = None  # both as `prove_switched` sets them
        self.switched = False
        self.small, self.own = small, own
        self._take(own)
        with torch.no_grad():
            _forward_alone(small, lay(self.samples[:1], self.device))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.adapted = cast("PeftModel", get_peft_model(small, _trial_lora(lora)))
        try:
            self.solo = self._gradient([[sample] for sample in self.samples], _forward_alone)
        except MODEL_FAILURES as failure:
            raise self._untrainable(first_line(failure)) from failure

    def prove(self, implementation: str, run: Forward | None = None) -> float:
        """The relative error of `run`'s LoRA gradient over a packed row, against its samples one by one.

        Raises NotImplementedError where it exceeds TOLERANCE, or where in training mode, dropout included, a
        sample's loss has a gradient in another sample.
        """
        run = run or forward
        self._take(implementation)
        error = float((self._gradient([self.samples], run) - self.solo).norm() / self.solo.norm())
        if not error <= TOLERANCE:
            raise NotImplementedError(f"packed and solo gradients differ by {error:.1e}")
        self._expect_no_influence(run)
        return error

    def prove_switched(
        self, implementation: str, switch: Callable[[PeftModel], object], *, packs: bool = True, room: int | None = None
    ) -> float:
        """The relative error of the LoRA gradient in training mode once `switch` has changed how it is computed, and,
        where rows are shared, all that `prove` asks for; `room` as in `lay`. Afterwards the trial is switched.

        Raises NotImplementedError where an error exceeds TOLERANCE, and is more than rounding explains.
        """
        self._take(implementation)
        rows = [self.samples] if packs else [[sample] for sample in self.samples]
        before = self._gradient(rows, forward, training=True)
        rounding = ROUNDINGS * self._rounding(rows, before)
        switch(self.adapted)
        self.room, self.switched = room, True
        error = float((self._gradient(rows, forward, training=True) - before).norm() / before.norm())
        if not error <= max(TOLERANCE, rounding):
            raise NotImplementedError(f"gradients differ by {error:.1e} from those of the plain computation")
        if not packs:
            return error
        self.solo = self._gradient([[sample] for sample in self.samples], forward)
        return max(error, self.prove(implementation))

    def _rounding(self, rows: Sequence[Sequence[Encoded]], before: torch.Tensor) -> float:
        """How far the gradient moves where the adapter's values are changed by as much as float32 rounds them: sharp
        attention makes much of little."""
        trained = [parameter for parameter in self.adapted.parameters() if parameter.requires_grad]
        values = [parameter.detach().clone() for parameter in trained]
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in trained:
                signs = torch.randint(0, 2, parameter.shape, generator=generator) * 2 - 1
                parameter.mul_(1 + torch.finfo(torch.float32).eps * signs)
        moved = self._gradient(rows, forward, training=True)
        with torch.no_grad():
            for parameter, value in zip(trained, values, strict=True):
                parameter.copy_(value)
        return float((moved - before).norm() / before.norm())

    def prove_alone(self) -> float:
        """The same of rows that hold one sample each. Raises ModelError: there is no slower way."""
        try:
            self._take(self.own)
            error = float((self._gradient([[one] for one in self.samples], forward) - self.solo).norm())
            self.adapted.train()
            forward(self.adapted, lay(self.samples[:1], self.device))
        except MODEL_FAILURES as failure:
            raise self._untrainable(first_line(failure)) from failure
        finally:
            self.adapted.eval()
        error /= float(self.solo.norm())
        if not error <= TOLERANCE:
            raise self._untrainable(f"gradients of a sample differ from the plainest computation by {error:.1e}")
        return error

    def expect_sound_half(self, implementation: str, device: torch.device, half: torch.dtype) -> None:
        """In half precision a small leak would hide in rounding, so three things are asked for on the device itself:
        packed and solo gradients differ no more than rounding moves the solo one, the attention rounds about as the
        plain one does, and no logit of a sample changes by a bit when another sample does.

        Raises NotImplementedError.
        """
        trial = self._in_half(device, half)
        alone = [[sample] for sample in trial.samples]
        trial._take(self.own)
        plain = trial._gradient(alone, _forward_alone)
        trial._take(implementation)
        solo, packed = trial._gradient(alone, forward), trial._gradient([trial.samples], forward)
        rounding = float((solo - self.solo).norm())
        if not float((packed - solo).norm()) <= rounding:
            raise NotImplementedError("packed and solo gradients differ by more than half precision explains")
        if not rounding <= COARSER * float((plain - self.solo).norm()):
            raise NotImplementedError("gradients in half precision are further off than those of plain attention")
        trial._expect_no_influence(forward)
        trial._expect_the_same_bits()

    def _in_half(self, device: torch.device, half: torch.dtype) -> Trial:
        """As training holds it: the base in half precision, the adapter in float32, computed under autocast."""
        trial = copy.copy(self)
        trial.adapted = copy.deepcopy(self.adapted)
        trial.small = cast("PreTrainedModel", trial.adapted.get_base_model())
        trial.device = device
        trial.adapted.to(device)
        for parameter in trial.adapted.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(half)
        return trial

    @property
    def _precision(self) -> AbstractContextManager[object]:
        return (
            nullcontext() if self.small.dtype == torch.float32 else torch.autocast(self.device.type, self.small.dtype)
        )

    def _take(self, implementation: str) -> None:
        self.small.set_attn_implementation(implementation)
        if self.small.config.get_text_config()._attn_implementation != implementation:
            raise NotImplementedError(f"{type(self.small).__name__} has an attention of its own")

    def _gradient(self, rows: Sequence[Sequence[Encoded]], run: Forward, *, training: bool = False) -> torch.Tensor:
        """`training`: with every dropout on, the same ones each time."""
        self.adapted.train(training)
        trained = [parameter for parameter in self.adapted.parameters() if parameter.requires_grad]
        total = torch.zeros((), device=self.device)
        try:
            with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                torch.manual_seed(0)
                for samples in rows:
                    row = lay(samples, self.device, room=self.room)
                    with self._precision:
                        logits = run(self.adapted, row)
                    total = total + token_losses(logits, row.targets).sum()
                parts = torch.autograd.grad(total, trained, allow_unused=True, materialize_grads=True)
        finally:
            self.adapted.eval()
        return torch.cat([part.flatten() for part in parts]).double().cpu()

    def _expect_no_influence(self, run: Forward) -> None:
        """In training mode, with every dropout on: the gradient of a sample's loss in the word vectors of the others
        is zero, which no rounding touches."""
        vectors: list[torch.Tensor] = []
        embedding = self.small.get_input_embeddings()
        hook = embedding.register_forward_hook(lambda *called: vectors.append(called[2].requires_grad_()))
        row = lay(self.samples, self.device, room=self.room)
        self.adapted.train()
        try:
            for number, (start, end) in enumerate(pairwise(row.borders.tolist()[: len(LENGTHS) + 1])):
                if number == 0 or self.switched:  # layers that are computed again can be gone through backwards once
                    vectors.clear()
                    losses = self._training_losses(run, row)
                own = torch.from_numpy(np.flatnonzero(row.owners == number)).to(self.device)
                (gradient,) = torch.autograd.grad(losses[own].sum(), vectors[:1], retain_graph=not self.switched)
                strangers = gradient[:, :start].abs().sum() + gradient[:, end:].abs().sum()
                if float(strangers) != 0:
                    raise NotImplementedError("in training mode samples of a row see each other")
        finally:
            hook.remove()
            self.adapted.eval()

    def _training_losses(self, run: Forward, row: PackedRow) -> torch.Tensor:
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []), self._precision:
            return token_losses(run(self.adapted, row), row.targets)

    def _expect_the_same_bits(self) -> None:
        """Another first sample of the same length must not change a bit of the others' logits."""
        other = _random_sample(np.random.default_rng(1), LENGTHS[0], int(self.samples[0].ids.max()) + 1)
        found = []
        for first in (self.samples[0], other):
            row = lay([first, *self.samples[1:]], self.device)
            with torch.no_grad(), self._precision:
                logits = forward(self.adapted, row)
            assert isinstance(logits, torch.Tensor)  # half precision is tried before anything is switched
            found.append(logits[torch.from_numpy(row.owners > 0).to(self.device)])
        if not torch.equal(*found):
            raise NotImplementedError("a sample's logits change when another sample of the row does")

    def _untrainable(self, why: str) -> ModelError:
        return ModelError(
            f"{type(self.small).__name__} cannot be trained here: {why}",
            where=str(self.small.config.name_or_path),
            fix="name other lora.targets, or train a causal language model of the usual kind (Llama, Granite, …)",
        )


def _trial_lora(lora: LoraConfig | None) -> LoraConfig:
    """The adapter that will be trained, at a small rank and with an update that is not zero as it is at first."""
    told = copy.deepcopy(lora) or LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")
    told.r, told.lora_alpha, told.init_lora_weights = 4, 8, False
    return told


def _forward_alone(model: torch.nn.Module, row: PackedRow) -> torch.Tensor:
    """The plainest call there is: one sample, all logits; it shares nothing with `forward` that could be wrong."""
    logits: torch.Tensor = model(input_ids=row.ids, use_cache=False).logits
    return logits[0, row.predict]


def _random_sample(generator: np.random.Generator, length: int, vocabulary: int) -> Encoded:
    trained = np.arange(length) >= length // 2
    return Encoded("", "", generator.integers(0, vocabulary, length), trained)
