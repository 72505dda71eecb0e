"""How a step is computed: what makes it faster or smaller without changing what is trained, derived or forced.

On a CPU nothing is switched by itself. On a GPU what pays is, where the model's class allows it: a narrow model of the
class is put through the switched step, packed rows included, and must give the plain gradients. What a recipe forces
and cannot be is refused before the model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

import torch
from accelerate.accelerator import Accelerator
from peft import LoraConfig, PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from instructlab_like.errors import ModelError, RecipeError
from instructlab_like.recipe import TrainRecipe
from instructlab_like.tuning.compiled import cannot_compile, compile_layers, leave_as_written
from instructlab_like.tuning.estimate import MARGIN, Memory, Recompute
from instructlab_like.tuning.float8 import cannot_float8, quantise
from instructlab_like.tuning.fused import fuse
from instructlab_like.tuning.hub import WHAT_A_MODEL_IS
from instructlab_like.tuning.linear_loss import defer_head
from instructlab_like.tuning.loss import token_losses
from instructlab_like.tuning.models import model_folder, translated
from instructlab_like.tuning.narrow import narrow
from instructlab_like.tuning.phases import Phase
from instructlab_like.tuning.recompute import LONG, recompute
from instructlab_like.tuning.separate import (
    LENGTHS,
    MODEL_FAILURES,
    WHOLE,
    PackedRow,
    Trial,
    first_line,
    forward,
    keep_apart,
    lay,
)
from instructlab_like.tuning.tokens import Encoded
from instructlab_like.tuning.trainee import Trainee, working_type

NAMES: Final = ("compile", "recompute", "loss", "fused_lora", "float8")
WORTH_COMPILING = 1e17  # operations of a training, some minutes of a large GPU: compiling takes about one
AGREEMENT = 1e-4  # of the first samples' loss in float32, as a share of it
FIRST = 2_048  # tokens of these samples, at most
AGREEMENT_IN_HALF = 5e-3  # in half precision, and in float8
ON_CPU = "on a CPU it is off unless asked for"


@dataclass(frozen=True)
class Switches:
    """What is switched; `whys` says why, by the switch's name, where there is something to say."""

    compile: bool = False
    recompute: Recompute = "none"
    chunked: bool = False
    fused: bool = False
    float8: bool = False
    repeats: bool = True  # whether `recompute` may still be derived from the memory
    whys: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def plain(self) -> bool:
        return not (self.compile or self.chunked or self.fused or self.float8) and self.recompute == "none"

    @property
    def told(self) -> dict[str, str]:
        """As a recipe would write them."""
        return {
            "compile": "on" if self.compile else "off",
            "recompute": self.recompute,
            "loss": "chunked" if self.chunked else "plain",
            "fused_lora": "on" if self.fused else "off",
            "float8": "on" if self.float8 else "off",
        }

    @property
    def decisive(self) -> dict[str, str]:
        """Those that change the bits of an adapter. Computing again gives the same bits, unless it is compiled."""
        usual = Switches().told
        found = {name: value for name, value in self.told.items() if value != usual[name]}
        if not self.compile:
            found.pop("recompute", None)
        return found

    def room(self, phase: Phase) -> int | None:
        """The length that rows are filled up to: what is compiled wants one for all."""
        return phase.row_tokens if self.compile and phase.packs else None

    def without(self, name: str, why: str) -> Switches:
        off: dict[str, object] = {"whys": {**self.whys, name: why}}
        off[{"loss": "chunked", "fused_lora": "fused"}.get(name, name)] = "none" if name == "recompute" else False
        if name == "recompute":
            off["repeats"] = False
        return replace(self, **off)  # type: ignore[arg-type]

    def lines(self, agreement: float | None) -> Iterator[str]:
        """For the plan that is printed. `agreement`: of the first samples' loss, switched, with the plain one."""
        if self.plain and not self.whys:
            yield f"step       plain: {', '.join(NAMES[:-1])} and {NAMES[-1]} are off on a CPU unless asked for"
            return
        for place, (name, value) in enumerate(self.told.items()):
            why = f" ({self.whys[name]})" if name in self.whys else ""
            yield f"{'step' if place == 0 else '':<10} {name}: {value}{why}"
        if agreement is not None:
            yield f"           the loss of the first samples is the plain one to {agreement:.0e}"


# --- before the model is loaded -------------------------------------------------------------------------------------


def derive(recipe: TrainRecipe, accelerator: Accelerator, lora: LoraConfig) -> Switches:
    """What the recipe forces, and on a GPU what usually pays, as far as the class of the model allows it.

    Nothing but the model's configuration is read. Raises RecipeError or ModelError for what is forced and cannot be.
    """
    device = accelerator.device
    gpu = device.type != "cpu"
    if not gpu and not forced(recipe):
        return Switches(repeats=False)
    told = {name: getattr(recipe, name) for name in NAMES}
    wanted = Switches(
        compile=told["compile"] == "on" or (gpu and told["compile"] == "auto"),
        recompute="none" if told["recompute"] == "auto" else told["recompute"],
        chunked=told["loss"] == "chunked" or (gpu and told["loss"] == "auto"),
        fused=told["fused_lora"] == "on" or (gpu and told["fused_lora"] == "auto"),
        float8=told["float8"] == "on",
        repeats=gpu and told["recompute"] == "auto",
        whys={name: "as the recipe says" if told[name] != "auto" else "" if gpu else ON_CPU for name in NAMES},
    )
    for name, why in refusals(recipe, wanted, accelerator):
        wanted = left(wanted, name, why, recipe)
    return tried(wanted, recipe, lora)


def forced(recipe: TrainRecipe) -> list[str]:
    """Switches that the recipe does not leave as they are on a CPU."""
    told = {name: getattr(recipe, name) for name in NAMES}
    return [name for name, value in told.items() if value not in ("auto", "off", "plain", "none")]


def refusals(recipe: TrainRecipe, wanted: Switches, accelerator: Accelerator) -> Iterator[tuple[str, str]]:
    """Switches that neither this machine nor the rest of the recipe allows, and why."""
    lora, device = recipe.lora, accelerator.device
    if wanted.fused and recipe.osf:
        yield "fused_lora", "the adapter is no LoRA while it is trained: osf"
    if wanted.float8 and recipe.osf:
        yield "float8", "osf takes the base's matrices apart by singular values"
    if wanted.compile and recipe.osf:
        yield "compile", "osf projects gradients as they are made"
    elif wanted.compile and (why := cannot_compile(device.type)):
        yield "compile", why
    elif wanted.compile and recipe.shard:
        yield "compile", "the base is cut up over processes"
    elif wanted.compile and device.type == "cpu" and wanted.recompute != "none":
        yield "compile", "on a CPU a layer is either compiled or computed again: recompute: none"
    if wanted.fused and (lora.dora or lora.dropout):
        yield "fused_lora", "the adapter is DoRA" if lora.dora else "the adapter has dropout"
    elif wanted.fused and recipe.quantize != "none":
        yield "fused_lora", f"the base is quantised: {recipe.quantize}"
    if wanted.chunked and recipe.shard:
        yield "loss", "the head is cut up over processes"
    if not wanted.float8:
        return
    if why := cannot_float8(device):
        yield "float8", why
    elif lora.dora:
        yield "float8", "DoRA takes the norm of the base's matrices"
    elif recipe.quantize != "none" or recipe.shard:
        yield "float8", "the base is quantised or cut up already"
    elif accelerator.mixed_precision != "bf16":
        yield "float8", "beside it all is computed in bfloat16: precision: bfloat16"


def left(wanted: Switches, name: str, why: str, recipe: TrainRecipe) -> Switches:
    """Without a switch that cannot be. Raises RecipeError where it was forced."""
    if getattr(recipe, name) != "auto":
        fix = "float8: off" if name == "float8" else f"{name}: auto, or leave it out"
        raise RecipeError(f"cannot be {getattr(recipe, name)}: {why}", where=f"train.{name}", fix=fix)
    return wanted.without(name, why)


def tried(wanted: Switches, recipe: TrainRecipe, lora: LoraConfig) -> Switches:
    """What is left once a narrow model of the class has been put through it; first all at once, then one by one."""
    if wanted.plain and not wanted.repeats:
        return wanted
    model = outline(recipe.model)
    usual = model.config._attn_implementation
    own = usual if usual in WHOLE else WHOLE[0] if getattr(model, "_supports_sdpa", False) else WHOLE[1]
    separation = keep_apart(model, torch.device("cpu"), lora=lora)
    implementation = model.config.get_text_config()._attn_implementation

    def trouble(switches: Switches) -> str:
        try:
            small = narrow(model, None)
            if switches.compile:  # compiled code draws other random numbers
                still(small)
            Trial(small, own, lora).prove_switched(
                implementation,
                lambda adapted: apply(replace(switches, float8=False), adapted, trial=True),
                packs=separation.packs,
                room=sum(LENGTHS) + LENGTHS[-1] if switches.compile else None,
            )
        except MODEL_FAILURES as failure:
            return first_line(failure)
        return ""

    if wanted.compile and not separation.packs:
        wanted = left(wanted, "compile", "samples of this model share no rows, so rows have no constant length", recipe)
    if wanted.compile and recipe.compile == "auto" and any("Experts" in type(one).__name__ for one in model.modules()):
        wanted = wanted.without("compile", "its experts would be compiled again and again")
    repeating = replace(wanted, recompute="selective") if wanted.repeats else wanted
    if not trouble(repeating):
        return wanted
    for name in NAMES[:-1]:
        alone = {key: value for key, value in repeating.told.items() if key == name}
        one = switched(alone)
        if not one.plain and (why := trouble(one)):
            wanted = left(wanted, name, f"{type(model).__name__}: {why}", recipe)
            repeating = repeating.without(name, why)
    if not repeating.plain and (why := trouble(repeating)):
        raise ModelError(
            f"{type(model).__name__} cannot be computed so: {why}",
            where="train",
            fix=f"leave out one of {', '.join(name for name in NAMES if getattr(recipe, name) != 'auto')}, or give "
            "compile: off",
        )
    return wanted


def still(model: torch.nn.Module) -> None:
    """Take all dropout out of `model`."""
    for module, name in dropouts(model):
        setattr(module, name, 0.0)


def dropouts(model: torch.nn.Module) -> list[tuple[torch.nn.Module, str]]:
    """Modules that drop something in training, and the attribute that says how much."""
    return [
        (module, name)
        for module in model.modules()
        for name, value in vars(module).items()
        if ("dropout" in name or (name == "p" and "Dropout" in type(module).__name__))
        and isinstance(value, float)
        and value > 0
    ]


def switched(told: Mapping[str, str]) -> Switches:
    """Of a recipe's words, without reasons."""
    return Switches(
        compile=told.get("compile") == "on",
        recompute=cast("Recompute", told.get("recompute", "none")),
        chunked=told.get("loss") == "chunked",
        fused=told.get("fused_lora") == "on",
        float8=told.get("float8") == "on",
    )


def outline(name: str) -> PreTrainedModel:
    """The model without its weights, as its configuration describes it. Raises ModelError."""
    source = str(model_folder(name) or name)
    with translated(name, fix=WHAT_A_MODEL_IS), torch.device("meta"):
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    return model


# --- once the rows are known ----------------------------------------------------------------------------------------


def settle(
    switches: Switches,
    needed: Callable[[int, Recompute], Memory] | None,
    *,
    available: int | None,
    rows: Sequence[int],
) -> tuple[Switches, int]:
    """The row's tokens and what is computed again: the longest of `rows` that fits with the least repeated.

    `needed` estimates the memory of a row; None, or no memory that is known: the last row, and nothing is repeated.
    """
    if needed is None or available is None:
        return switches, rows[-1]
    kinds: tuple[Recompute, ...] = ("none", "selective", "full") if switches.repeats else (switches.recompute,)
    for kind in kinds:
        for row in rows:
            if needed(row, kind).total * (1 + MARGIN) <= available:
                why = {"none": "a row's activations fit", "full": "nothing less fits"}.get(kind, "not all of them fit")
                return _repeating(switches, kind, why), row
    return _repeating(switches, kinds[-1], "not even that is sure to fit"), rows[-1]


def _repeating(switches: Switches, kind: Recompute, why: str) -> Switches:
    if not switches.repeats:
        return switches
    return replace(switches, recompute=kind, repeats=False, whys={**switches.whys, "recompute": why})


def worth_it(switches: Switches, recipe: TrainRecipe, *, parameters: int, tokens: float) -> Switches:
    """Without compiling, where a training of so many tokens is over before compiling has paid."""
    if not switches.compile or recipe.compile == "on" or 4.0 * parameters * tokens >= WORTH_COMPILING:
        return switches
    return switches.without("compile", "so short a training would not win it back")


# --- switching ------------------------------------------------------------------------------------------------------


def apply(switches: Switches, adapted: PeftModel, *, trial: bool = False) -> None:
    """Compute the steps of `adapted` so from now on. `trial`: on a small model, compiled without code for a device.

    Raises NotImplementedError, naming what of the model does not allow it.
    """
    base = cast("PreTrainedModel", adapted.get_base_model())
    if switches.float8:
        quantise(adapted)
    if switches.fused:
        fuse(adapted, together=not (switches.compile and switches.recompute != "none"))
    if switches.chunked:
        defer_head(base)
    if switches.recompute != "none":
        recompute(base, switches.recompute, long=8 if trial else LONG)
    if switches.compile:
        compile_layers(base, **({"backend": "aot_eager"} if trial else {}))


def switch_on(
    switches: Switches,
    recipe: TrainRecipe,
    trainee: Trainee,
    encoded: Mapping[str, Sequence[Encoded]],
    row_tokens: int,
    *,
    packs: bool,
) -> tuple[Switches, float | None]:
    """Switch the model that will be trained, on its device, and compare the loss of a few samples with the plain one.

    Gives what is switched, since a layer that cannot be compiled after all stays as written unless that was forced,
    and the difference as a share of the loss. Raises ModelError where it is more than rounding explains.
    """
    samples = first_samples(encoded, row_tokens)[: None if packs else 1]
    if switches.plain or not samples:
        return switches, None
    adapted, prepared, device = trainee.adapted, trainee.prepared, trainee.accelerator.device
    prepared.train(not dropouts(adapted))
    row = lay(samples, device)
    with torch.no_grad():
        plain = first_loss(prepared, row)
    try:
        apply(switches, adapted)
    except MODEL_FAILURES as failure:
        raise unsound(f"the step cannot be switched: {first_line(failure)}", recipe) from failure
    try:
        with trainee.accelerator.no_sync(prepared):
            found = first_loss(prepared, lay(samples, device, room=row_tokens) if switches.compile else row)
    except MODEL_FAILURES as failure:
        if not switches.compile or recipe.compile == "on":
            raise unsound(f"the switched step fails: {first_line(failure)}", recipe) from failure
        switches = switches.without("compile", f"it fails: {first_line(failure)}")
        leave_as_written(cast("PreTrainedModel", adapted.get_base_model()))
        with trainee.accelerator.no_sync(prepared):
            found = first_loss(prepared, row)
    off = abs(found - plain) / plain
    rough = switches.float8 or working_type(trainee.accelerator) != torch.float32
    if not off <= (AGREEMENT_IN_HALF if rough else AGREEMENT):
        raise unsound(f"the loss of the first samples is {found:.5f}, and {plain:.5f} in the plain computation", recipe)
    return switches, off


def first_samples(encoded: Mapping[str, Sequence[Encoded]], row_tokens: int) -> list[Encoded]:
    """Some that can be trained and fit into one row."""
    found: list[Encoded] = []
    left = min(FIRST, row_tokens)
    for sample in (one for samples in encoded.values() for one in samples):
        if sample.trained.any() and len(sample.ids) <= (left if found else row_tokens):
            found.append(sample)
            left -= len(sample.ids)
    return found


def first_loss(model: torch.nn.Module, row: PackedRow) -> float:
    """The mean loss of a row; where gradients are on, the backward pass is made, too."""
    with torch.random.fork_rng(devices=[row.ids.device] if row.ids.device.type == "cuda" else []):
        torch.manual_seed(0)
        loss = token_losses(forward(model, row), row.targets).mean()
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
            model.zero_grad()
        return float(loss)


def unsound(what: str, recipe: TrainRecipe) -> ModelError:
    named = forced(recipe) or ["compile", "fused_lora"]
    return ModelError(what, where="train", fix=f"switch off what is not sound here: {', '.join(named)}")
