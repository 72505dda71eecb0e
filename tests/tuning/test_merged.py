from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from ilk_process import file_digests
from merged_run import adapted, write_adapter
from peft import IA3Config, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_chat_model import make_tokenizer, save_base
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from instructlab_like.errors import InputError, ModelError, StoppedError
from instructlab_like.records import Message
from instructlab_like.tuning import merged
from instructlab_like.tuning.merged import Proof, merge

IDS = torch.tensor([[5, 60, 7, 8, 200, 31, 4, 90, 12, 300]])
ASKED = [
    (Message(role="user", content=f"How much is {n} plus 3?"), Message(role="assistant", content=f"It is {n + 3}."))
    for n in range(6)
]
KINDS = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "bias": {"bias": "all"},
    "ranks": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"up_proj": 3}},
    "head": {"target_modules": ["q_proj", "lm_head"]},
    "words": {"target_modules": ["q_proj", "embed_tokens"]},
    "both": {"target_modules": ["embed_tokens", "lm_head"]},
    "whole head": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "whole words": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
}


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose input and output embeddings are one."""
    folder = tmp_path_factory.mktemp("tied")
    torch.manual_seed(0)
    options = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.1}
    LlamaForCausalLM(LlamaConfig(**options, **heads, tie_word_embeddings=True)).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def text(proof: Proof) -> str:
    return "\n".join(proof.lines())


def merge_into(folder: Path, base: Path, adapter: Path, **told: object) -> Proof:
    options = {"kind": None, "conversations": ASKED, "card": text} | told
    return merge(str(base), adapter, folder, **options)  # type: ignore[arg-type]


def apart(wanted: torch.Tensor, found: torch.Tensor) -> float:
    return float((wanted - found).abs().max() / (wanted.max() - wanted.min()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("embeddings", ["tied", "apart"])
def test_the_merged_model_says_what_base_and_adapter_say(
    request: pytest.FixtureRequest, base: Path, tmp_path: Path, kind: str, embeddings: str
) -> None:
    place = request.getfixturevalue("tied") if embeddings == "tied" else base
    model = write_adapter(tmp_path / "adapter", place, **KINDS[kind])
    proof = merge_into(tmp_path / "out", place, tmp_path / "adapter")
    with torch.inference_mode():
        wanted = model(input_ids=IDS).logits
        found = AutoModelForCausalLM.from_pretrained(tmp_path / "out")(input_ids=IDS).logits
        plain = AutoModelForCausalLM.from_pretrained(place)(input_ids=IDS).logits
    assert apart(wanted, found) <= 1e-4
    assert apart(wanted, plain) > 1e-2
    assert proof.files.largest <= 1e-4
    assert proof.files.same == 1.0
    assert proof.kind == "float32"


def test_tied_embeddings_stay_one_where_the_adapter_leaves_them(tied: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapter", tied)
    merge_into(tmp_path / "out", tied, tmp_path / "adapter")
    assert "lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"]


def test_an_adapter_that_peft_saved_with_its_embeddings_is_merged(tied: Path, tmp_path: Path) -> None:
    model = adapted(tied, target_modules=["q_proj", "lm_head"])
    model.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    merge_into(tmp_path / "out", tied, tmp_path / "adapter")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "out")(input_ids=IDS).logits
    assert apart(model(input_ids=IDS).logits, found) <= 1e-4


def test_in_bfloat16_no_more_is_lost_than_bfloat16_loses(base: Path, tmp_path: Path) -> None:
    model = write_adapter(tmp_path / "adapter", base, scale=0.05)
    proof = merge_into(tmp_path / "out", base, tmp_path / "adapter", kind="bfloat16")
    assert {tensor.dtype for tensor in load_file(tmp_path / "out" / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    assert proof.exact.largest <= 1e-4
    assert proof.unmerged
    assert 0 < proof.files.mean <= 3 * proof.unmerged.mean
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)(input_ids=IDS).logits
    assert apart(model(input_ids=IDS).logits, found) < 0.02


def test_the_base_s_own_type_is_kept(base: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(half)
    make_tokenizer().save_pretrained(half)
    write_adapter(tmp_path / "adapter", half)
    assert merge_into(tmp_path / "out", half, tmp_path / "adapter").kind == "bfloat16"


def test_a_whole_model_folder_is_written(base: Path, tmp_path: Path) -> None:
    place = shutil.copytree(base, tmp_path / "base")
    told = '{\n "temperature": 0.4,\n "do_sample": false, "eos_token_id": 4\n}'  # transformers refuses to save this
    (place / "generation_config.json").write_text(told)
    write_adapter(tmp_path / "adapter", place)
    proof = merge_into(tmp_path / "a" / "out", place, tmp_path / "adapter")
    out = tmp_path / "a" / "out"
    assert (out / "README.md").read_text() == text(proof)
    assert (out / "generation_config.json").read_text() == told
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert tokenizer.chat_template == make_tokenizer().chat_template
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["out"]
    assert out.stat().st_mode & 0o777 == 0o755
    assert str(tmp_path) not in "".join(path.read_text() for path in out.iterdir() if path.suffix in {".json", ".md"})


def test_the_same_adapter_gives_the_same_bytes(base: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapter", base)
    for name in ("one", "other"):
        merge_into(tmp_path / name, base, tmp_path / "adapter")
    assert file_digests(tmp_path / "one") == file_digests(tmp_path / "other")


def test_without_conversations_a_probe_is_asked(base: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapter", base)
    proof = merge_into(tmp_path / "out", base, tmp_path / "adapter", conversations=())
    assert proof.prompts == 5
    assert proof.positions > 4 * 64


def test_long_conversations_are_cut(base: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapter", base)
    long = [(Message(role="user", content="eight legs " * 2000),)] * 9
    assert merge_into(tmp_path / "out", base, tmp_path / "adapter", conversations=long).positions == 2048


# --- what does not hold is not written --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("spoiled", ["a module left out", "not a number"])
def test_a_merge_that_answers_otherwise_is_not_written(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, spoiled: str
) -> None:
    write_adapter(tmp_path / "adapter", base, scale=0.05)
    real = merged.united
    original = AutoModelForCausalLM.from_pretrained(base)

    def wrong(model: PeftModel) -> object:
        found = real(model)
        weight = found.model.layers[1].self_attn.o_proj.weight
        own = original.model.layers[1].self_attn.o_proj.weight
        weight.data.copy_(own if spoiled == "a module left out" else torch.full_like(own, torch.nan))
        return found

    monkeypatch.setattr(merged, "united", wrong)
    with pytest.raises(StoppedError, match=r"other logits than before.*1\.0e-04 and 1\.0e-04 are allowed"):
        merge_into(tmp_path / "out", base, tmp_path / "adapter", kind=kind)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_files_that_read_otherwise_than_they_were_written_are_not_put_in_place(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write_adapter(tmp_path / "adapter", base)
    real = merged.save

    def spoil(model: object, tokenizer: object, source: Path, folder: Path) -> None:
        real(model, tokenizer, source, folder)  # type: ignore[arg-type]
        weights = load_file(folder / "model.safetensors")
        weights["model.layers.0.mlp.up_proj.weight"][0, 0] += 0.125
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    monkeypatch.setattr(merged, "save", spoil)
    with pytest.raises(StoppedError, match=r"model\.layers\.0\.mlp\.up_proj\.weight came back from the disk otherwise"):
        merge_into(tmp_path / "out", base, tmp_path / "adapter", kind=kind)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_rounding_that_loses_too_much_is_refused(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_adapter(tmp_path / "adapter", base)
    real = merged.save

    def coarser(model: torch.nn.Module, tokenizer: object, source: Path, folder: Path) -> None:
        for parameter in model.parameters():
            parameter.data = parameter.data.to(torch.float8_e4m3fn).to(torch.bfloat16)
        real(model, tokenizer, source, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(merged, "save", coarser)
    with pytest.raises(StoppedError, match="as files in bfloat16, base and adapter give other logits"):
        merge_into(tmp_path / "out", base, tmp_path / "adapter", kind="bfloat16")
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


# --- where to ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stands", ["file", "full", "link"])
def test_a_target_that_exists_is_left_alone(base: Path, tmp_path: Path, stands: str) -> None:
    write_adapter(tmp_path / "adapter", base)
    out = tmp_path / "out"
    if stands == "file":
        out.write_text("mine")
    elif stands == "full":
        out.mkdir()
        (out / "mine").write_text("mine")
    else:
        out.symlink_to(tmp_path / "adapter")
    before = file_digests(tmp_path)
    with pytest.raises(InputError, match="is there already"):
        merge_into(out, base, tmp_path / "adapter")
    assert file_digests(tmp_path) == before


def test_the_folder_that_one_is_in_is_no_target(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_adapter(tmp_path / "adapter", base)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(InputError, match="is there already"):
        merge_into(Path(), base, tmp_path / "adapter")


def test_an_empty_folder_is_filled(base: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapter", base)
    (tmp_path / "out").mkdir()
    merge_into(tmp_path / "out", base, tmp_path / "adapter")
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_too_little_room_is_told_before_anything_is_loaded(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_adapter(tmp_path / "adapter", base)
    usage = shutil.disk_usage(tmp_path)._replace(free=60_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    with pytest.raises(StoppedError, match=r"needs about 0\.07 GB, the disk has 0\.06 GB free"):
        merge_into(tmp_path / "x" / "out", base, tmp_path / "adapter")
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


LIMITED = """
import resource, signal, sys
from pathlib import Path
import torch
from instructlab_like.errors import StoppedError
from instructlab_like.tuning.merged import merge
torch.set_num_threads(1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
try:
    merge(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), kind=None, conversations=(), card=lambda proof: "")
except StoppedError as error:
    print(error)
"""


@pytest.mark.parametrize("largest", [2_000, 60_000])  # in the tokenizer, in the weights
def test_a_disk_that_fills_leaves_nothing_behind(base: Path, tmp_path: Path, largest: int) -> None:
    write_adapter(tmp_path / "adapter", base)
    words = [sys.executable, "-W", "ignore", "-c", LIMITED, base, tmp_path / "adapter", tmp_path / "out", largest]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=300)
    assert "the disk is full; nothing was kept" in done.stdout, done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_what_a_killed_merge_left_goes_and_nothing_else(base: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapter", base)
    for name in (".out[1].abcd1234", ".out[1].settings"):
        (tmp_path / name).mkdir()
    (tmp_path / ".out[1].abcd1234" / merged.LOCK).touch()
    (tmp_path / ".out[1].settings" / "mine").write_text("mine")
    with under_way(tmp_path / ".out[1].efgh5678"):
        merge_into(tmp_path / "out[1]", base, tmp_path / "adapter")
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {"adapter", "out[1]", ".out[1].settings", ".out[1].efgh5678"}


@contextmanager
def under_way(folder: Path) -> Iterator[None]:
    """Another merge's scratch folder, which a process of its own holds."""
    folder.mkdir()
    hold = (
        "import fcntl, sys; file = open(sys.argv[1], 'wb'); fcntl.flock(file, fcntl.LOCK_EX); print('', flush=True); "
    )
    hold += "input()"
    words = [sys.executable, "-c", hold, str(folder / merged.LOCK)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        other.stdout.readline()
        yield
        other.communicate("\n")


# --- what cannot be merged --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"alora_invocation_tokens": [5, 6]}, "works only after its invocation tokens"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "repeats layers"),
    ],
)
def test_what_no_weights_can_stand_for_is_refused(
    base: Path, tmp_path: Path, told: dict[str, object], what: str
) -> None:
    write_adapter(tmp_path / "adapter", base)
    (tmp_path / "adapter" / "manifest.json").unlink()
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | told))
    with pytest.raises(ModelError, match=what):
        merge_into(tmp_path / "out", base, tmp_path / "adapter")


def test_another_kind_of_adapter_is_refused_by_its_name(base: Path, tmp_path: Path) -> None:
    names = {"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"], "task_type": "CAUSAL_LM"}
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), IA3Config(**names)).save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"IA3; only LoRA and DoRA are merged"):
        merge_into(tmp_path / "out", base, tmp_path / "adapter")


@pytest.mark.parametrize("kind", [None, "float32", "bfloat16"])
def test_a_quantised_base_is_refused(base: Path, tmp_path: Path, kind: str | None) -> None:
    write_adapter(tmp_path / "adapter", base)
    place = shutil.copytree(base, tmp_path / "base")
    config = json.loads((place / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"the base is quantised \(bitsandbytes\)"):
        merge_into(tmp_path / "out", place, tmp_path / "adapter", kind=kind)


def test_an_adapter_of_another_base_is_refused(base: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapter", base)
    other = save_base(tmp_path / "other", seed=5)
    with pytest.raises(ModelError, match="trained on other weights"):
        merge_into(tmp_path / "out", other, tmp_path / "adapter")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_with_more_words_than_the_base_is_refused(base: Path, tmp_path: Path) -> None:
    model = adapted(base)
    model.save_pretrained(tmp_path / "adapter")
    tokenizer = make_tokenizer()
    tokenizer.add_tokens([f"<new{number}>" for number in range(50)])
    tokenizer.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"tokenizer has 3\d\d words, the base 320"):
        merge_into(tmp_path / "out", base, tmp_path / "adapter")
