"""A teacher that is a transformers model in this very process, one answer at a time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, StoppingCriteria, StoppingCriteriaList

from instructlab_like.errors import ModelError, RefusedError, TeacherError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.records import Completion, Prompt, Sampling
from instructlab_like.teachers.probe import Capabilities, Finding, Recorder
from instructlab_like.workspace import find

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # of an adapter, in PEFT's layout
OWN_CODE = ("auto_map", "auto_mapping", "trust_remote_code", "megatron_config")  # by which one asks for code of its own
COPY = ".base_layer.weight"  # PEFT's copy of an embedding that has an adapter
DECISIVE = ("*.safetensors", "config.json", "generation_config.json", "tokenizer*", "*.jinja")  # decide an answer


UNABLE = Finding(able="no", said="a model in this process is asked for text only")


class Interrupted(StoppingCriteria):
    """Ends a generation at its next token once `flag` is set: a thread cannot be cancelled."""

    def __init__(self, flag: threading.Event) -> None:
        self.flag = flag

    def __call__(self, input_ids: torch.LongTensor, *_: object, **__: object) -> torch.BoolTensor:
        ended = torch.full((len(input_ids),), self.flag.is_set(), dtype=torch.bool, device=input_ids.device)
        return cast(torch.BoolTensor, ended)


class LocalTeacher:
    """The tokenizer is read at once, the weights with the first question; an adapter is put on them.

    The identity is a digest of the weights, the tokenizer and their configuration, and of the adapter's: the same files
    under another name are the same teacher, and a retrained model under the same name is another one.
    """

    capacity = 1

    def __init__(self, recipe: TeacherRecipe) -> None:
        self.notices: list[str] = []
        self.name = recipe.model
        self.folder = model_folder(recipe.model)
        self.adapter = adapter_folder(recipe.adapter) if recipe.adapter else None
        self.identity = f"local:{content_digest(self.folder)[:16]}"
        if self.adapter:
            self.identity += f"+{digest_of([self.adapter / CONFIG, self.adapter / WEIGHTS])[:16]}"
        self.tokenizer = read_tokenizer(self.folder)
        self.model: PreTrainedModel | None = None
        self.turn = asyncio.Lock()
        self.leaving = threading.Event()

    async def answer(self, prompt: Prompt) -> Completion:
        async with self.turn:
            try:
                completion = await asyncio.to_thread(self.generate, prompt)
            except asyncio.CancelledError:
                self.leaving.set()
                raise
        if self.leaving.is_set():
            raise TeacherError("was interrupted", where=self.name, fix="run the same command again")
        return completion

    async def probe(self, _: Recorder) -> Capabilities:
        """Known without asking: answers are drawn with the prompt's seed, and no schema binds them."""
        return Capabilities(
            seed=Finding(able="yes"),
            logprobs=UNABLE,
            n=UNABLE,
            json_schema=UNABLE,
            over_long="refused",
        )

    async def close(self) -> None:
        self.leaving.set()
        self.model = None

    def generate(self, prompt: Prompt) -> Completion:
        """Greedy at temperature 0, else drawn with the prompt's own seed; what torch drew elsewhere is untouched."""
        if self.model is None:
            self.model = read_model(self.folder, self.tokenizer, self.adapter)
        model = self.model
        shown = self.encoded(prompt).to(str(model.device))
        asked = shown["input_ids"].shape[1]
        limit = min(prompt.sampling.max_tokens, self.room(asked, model))
        settings = configured(
            **drawing(prompt.sampling), max_new_tokens=limit, stop_strings=list(prompt.sampling.stop) or None
        )
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(prompt.sampling.seed or 0)
            made = generated(model, shown, settings, self.tokenizer, Interrupted(self.leaving))
        text = str(self.tokenizer.decode(made, skip_special_tokens=True))
        return Completion(
            key=prompt.key,
            text=cut_at(text, prompt.sampling.stop),
            finish_reason="stop" if len(made) < limit or made[-1] in ends(model, self.tokenizer) else "length",
            prompt_tokens=asked,
            completion_tokens=len(made),
        )

    def encoded(self, prompt: Prompt) -> BatchEncoding:
        """The prompt in the model's chat format; control tokens that a document spells out stay plain text."""
        encoded = self.tokenizer.apply_chat_template(
            [message.model_dump() for message in prompt.messages],
            add_generation_prompt=True,
            sanitize_control_tokens=True,
            return_tensors="pt",
            return_dict=True,
        )
        return cast("BatchEncoding", encoded)

    def room(self, asked: int, model: PreTrainedModel) -> int:
        """Tokens left for an answer in the model's context."""
        context = int(getattr(model.config.get_text_config(), "max_position_embeddings", sys.maxsize))
        if asked >= context:
            raise RefusedError(
                f"a prompt has {asked} tokens, and the context holds {context}",
                sent=False,
                where=self.name,
                fix="lower chunk_words, or use a model with a longer context",
            )
        return context - asked


configured = cast(Callable[..., GenerationConfig], GenerationConfig)


def generated(
    model: PreTrainedModel,
    shown: BatchEncoding,
    settings: GenerationConfig,
    tokenizer: PreTrainedTokenizerBase,
    interrupted: Interrupted,
) -> list[int]:
    """The tokens that the model writes after the prompt."""
    generate = cast(Callable[..., torch.Tensor], model.generate)
    made = generate(
        **shown,
        generation_config=settings,
        tokenizer=tokenizer,
        stopping_criteria=StoppingCriteriaList([interrupted]),
    )
    return [int(token) for token in made[0, shown["input_ids"].shape[1] :]]


def model_folder(name: str) -> Path:
    """The folder of a model named by path or by hub name; a hub model is downloaded once, without its code."""
    folder = find(name)
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(name, allow_patterns=[*DECISIVE, "*.model", "*.json"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise ModelError(
            "there is no such model folder, and no model of that name can be had from the hub",
            where=name,
            fix="give a folder with config.json and *.safetensors, or a hub name such as owner/model",
        ) from error


def content_digest(folder: Path) -> str:
    """SHA-256 over the files that decide an answer, by name and content."""
    files = sorted({path for pattern in DECISIVE for path in folder.glob(pattern)})
    if not any(path.suffix == ".safetensors" for path in files):
        raise ModelError("holds no *.safetensors", where=str(folder), fix="convert the weights to safetensors")
    return digest_of(files)


def digest_of(files: Sequence[Path]) -> str:
    """SHA-256 over files by name and content."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise unreadable(folder, "tokenizer", error) from error
    if not tokenizer.chat_template:
        raise ModelError("has no chat template", where=str(folder), fix="a teacher must be an instruction-tuned model")
    return tokenizer


def read_model(folder: Path, tokenizer: PreTrainedTokenizerBase, adapter: Path | None = None) -> PreTrainedModel:
    """Weights in float32 on a CPU, as stored on a GPU, with an adapter on them if one is named; of the model's own
    generation settings only its ends are kept, since transformers would add them to what a prompt asks for."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype="auto" if device == "cuda" else torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise unreadable(folder, "model", error) from error
    if adapter:
        put_on(model, adapter)
    stop = ends(model, tokenizer)
    model.generation_config = configured(eos_token_id=stop, pad_token_id=stop[0] if stop else None)
    return cast("PreTrainedModel", cast(torch.nn.Module, model).to(device).eval())


def adapter_folder(name: str) -> Path:
    """The folder of a LoRA adapter in safetensors; ModelError for what is none, and for one that asks for code."""
    folder = find(name)
    fix = "name a folder with adapter_config.json and adapter_model.safetensors: ilk train writes one"
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise ModelError(f"is no adapter: {file} is missing", where=str(folder), fix=fix)
    try:
        told = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError("is not JSON", where=str(folder / CONFIG), fix="copy the adapter again") from error
    if not isinstance(told, dict) or told.get("peft_type") != "LORA":
        raise ModelError("is no LoRA adapter", where=str(folder / CONFIG), fix=fix)
    if asking := [field for field in OWN_CODE if told.get(field)]:
        what = f"asks for code of its own ({asking[0]})"
        raise ModelError(what, where=str(folder / CONFIG), fix="use an adapter without it")
    return folder


def put_on(model: PreTrainedModel, adapter: Path) -> None:
    """Put an adapter's layers into the model in place; ModelError where they do not fit it."""
    try:
        with safe_open(adapter / WEIGHTS, framework="pt") as weights, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT warns of keys that do not match; below they are an error
            own = {key: tuple(weights.get_slice(key).get_shape()) for key in weights.keys()}  # noqa: SIM118
            worn = PeftModel.from_pretrained(model, str(adapter))
        known = get_peft_model_state_dict(worn, save_embedding_layers=False)
        shapes = {key: tuple(tensor.shape) for key, tensor in known.items()}
        fits = shapes == {key: shape for key, shape in own.items() if not key.endswith(COPY)}
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError):  # other sizes, targets that are missing
        fits = False
    if not fits:
        what, fix = f"the adapter does not fit {model.name_or_path}", "use it with the base that it was trained on"
        raise ModelError(what, where=str(adapter), fix=fix)


def ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer, by the model and by its tokenizer."""
    told = model.generation_config.eos_token_id if model.generation_config else None
    named = told if isinstance(told, list) else [told]
    return sorted({int(token) for token in (*named, tokenizer.eos_token_id) if token is not None})


def unreadable(folder: Path, part: str, error: Exception) -> ModelError:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ModelError(f"its {part} cannot be read: {said}", where=str(folder), fix="use a complete transformers folder")


def drawing(sampling: Sampling) -> dict[str, float | bool | None]:
    """Exactly the distribution that the prompt asks for: a model's own defaults, top_k among them, are switched off."""
    if sampling.temperature == 0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}


def cut_at(text: str, stops: tuple[str, ...]) -> str:
    """The text before the first stop string, as servers give it."""
    return text[: min((text.find(stop) for stop in stops if stop in text), default=len(text))]
