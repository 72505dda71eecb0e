"""`ilk export --gguf` as a user meets it: llama.cpp's server answers as transformers and peft do, or one message."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import gguf
import pytest
import yaml
from exact_server import exact_server
from go_template import rendered
from ilk_process import file_digests
from merged_run import finished_run, write_adapter
from served_run import TAUGHT, adapted, train, trained_run
from tiny_chat_model import make_tokenizer, save_base
from toy_llamas import loaded, server_chat, transformers_chat
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from instructlab_like.cli import models
from instructlab_like.errors import InputError
from instructlab_like.evaluation.items import base_items
from instructlab_like.records import with_context
from instructlab_like.tuning.serving import MODELFILE, PAGE
from instructlab_like.workspace import find

LIMIT = 24
ASKED = 9  # of the base's own questions, beside those that were taught


def ilk(*words: str | Path, cwd: Path, **told: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instructlab_like", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **told)  # type: ignore[call-overload, no-any-return]


def export(folder: str | Path, *words: str, cwd: Path) -> str:
    """What the command prints; in this process, for torch takes long to import."""
    told = dict(zip((word.lstrip("-") for word in words[::2]), words[1::2], strict=True))
    said = io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(said):
        models.export(Path(folder), **told)  # type: ignore[arg-type]
    return said.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a run")
    trained_run(folder)
    return folder


@pytest.fixture(scope="module")
def questions() -> list[str]:
    own = base_items(find("training/base/anchors.jsonl"))[:ASKED]
    return [*(question for question, _ in TAUGHT), *(with_context(item.question, item.context) for item in own)]


def test_base_and_adapter_in_one_file_answer_as_transformers_and_peft_do(
    made: Path, questions: list[str], tmp_path: Path
) -> None:
    told = export(tmp_path / "out", "--gguf", "merged", "--dtype", "float32", cwd=made)
    assert "merged-f32.gguf: 38 tensors, " in told
    assert "logits differ by at most" in told
    with exact_server(tmp_path / "out" / "merged-f32.gguf") as url:
        found = [server_chat(url, question, LIMIT) for question in questions]
    ours, base = adapted(made), loaded(made / "base")
    assert found == [transformers_chat(*ours, question, LIMIT) for question in questions]
    assert sum(text == answer for text, (_, answer) in zip(found, TAUGHT, strict=False)) >= 2  # it was taught
    assert found != [transformers_chat(*base, question, LIMIT) for question in questions]


def test_the_base_and_the_adapter_on_it_answer_as_they_do_here(
    made: Path, questions: list[str], tmp_path: Path
) -> None:
    export(tmp_path / "base", "--gguf", "base", "--dtype", "float32", cwd=made)
    export(tmp_path / "adapter", "--gguf", "adapter", cwd=made)
    base, adapter = tmp_path / "base" / "base-f32.gguf", tmp_path / "adapter" / "adapter-f32.gguf"
    ours, plain = adapted(made), loaded(made / "base")
    with exact_server(base) as url:
        found = [server_chat(url, question, LIMIT) for question in questions]
    assert found == [transformers_chat(*plain, question, LIMIT) for question in questions]
    with exact_server(base, lora=adapter) as url:
        found = [server_chat(url, question, LIMIT) for question in questions]
    assert found == [transformers_chat(*ours, question, LIMIT) for question in questions]


def test_an_adapter_scaled_by_the_root_of_its_rank_is_scaled_alike(made: Path, tmp_path: Path) -> None:
    here = shutil.copytree(made, tmp_path / "here")
    shutil.rmtree(here / "runs/default/5-training/adapter")
    train(
        here / "runs/default/5-training/adapter", here / "base", use_rslora=True, target_modules=["q_proj", "up_proj"]
    )
    export(tmp_path / "base", "--gguf", "base", "--dtype", "float32", cwd=here)
    export(tmp_path / "adapter", "--gguf", "adapter", cwd=here)
    asked = [question for question, _ in TAUGHT]
    with exact_server(tmp_path / "base" / "base-f32.gguf", lora=tmp_path / "adapter" / "adapter-f32.gguf") as url:
        found = [server_chat(url, question, LIMIT) for question in asked]
    ours = adapted(here)
    assert found == [transformers_chat(*ours, question, LIMIT) for question in asked]
    assert found != [transformers_chat(*loaded(here / "base"), question, LIMIT) for question in asked]


def test_the_type_of_the_base_is_kept_and_another_may_be_wanted(made: Path, tmp_path: Path) -> None:
    export(tmp_path / "own", "--gguf", "merged", cwd=made)
    export(tmp_path / "half", "--gguf", "merged", "--dtype", "float16", cwd=made)
    kinds = {}
    for name, file in (("own", "merged-bf16.gguf"), ("half", "merged-f16.gguf")):
        tensors = gguf.GGUFReader(tmp_path / name / file).tensors
        kinds[name] = {tensor.tensor_type.name for tensor in tensors if len(tensor.shape) > 1}
    assert kinds == {"own": {"BF16"}, "half": {"F16"}}


# --- what stands beside the file --------------------------------------------------------------------------------


def test_ready_commands_are_printed_and_lie_beside_the_file(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "my out"
    told = export(out, "--gguf", "merged", cwd=made)
    lines = dict(
        line.strip().split(": ", 1) for line in told.splitlines() if line.startswith(("  llama.cpp:", "  Ollama:"))
    )
    assert shlex.split(lines["llama.cpp"]) == ["llama-server", "-m", str(out / "merged-bf16.gguf"), "--jinja"]
    create, run = lines["Ollama"].split(" && ")
    assert shlex.split(create) == ["ollama", "create", "tuned", "-f", str(out / MODELFILE)]
    assert shlex.split(run) == ["ollama", "run", "tuned"]
    page = (out / PAGE).read_text()
    assert "llama-server -m merged-bf16.gguf --jinja" in page
    assert "ollama create tuned -f Modelfile && ollama run tuned" in page
    assert sorted(path.name for path in out.iterdir()) == [MODELFILE, "README.md", PAGE, "merged-bf16.gguf"]
    assert str(tmp_path) not in "".join(path.read_text() for path in out.iterdir() if path.suffix != ".gguf")


def test_the_modelfile_writes_what_the_chat_template_writes(made: Path, tmp_path: Path) -> None:
    export(tmp_path / "out", "--gguf", "base", cwd=made)
    told = (tmp_path / "out" / MODELFILE).read_text()
    assert told.startswith("FROM ./base-bf16.gguf\n")
    assert 'PARAMETER stop "<|end|>"' in told
    assert "PARAMETER num_ctx 2048" in told
    template = told.split('TEMPLATE """')[1].split('"""')[0]
    tokenizer = AutoTokenizer.from_pretrained(made / "base")
    for turns in (
        [("user", "Why?")],
        [("system", "Be brief."), ("user", "Why?"), ("assistant", "So."), ("user", "{{ Oh }}")],
    ):
        messages = [{"role": role, "content": content} for role, content in turns]
        wanted = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert rendered(template, messages) == wanted


def test_the_card_tells_what_the_run_knows(made: Path, tmp_path: Path) -> None:
    export(tmp_path / "out", "--gguf", "merged", cwd=made)
    card = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["library_name"] == "gguf"
    assert "# base, fine-tuned" in card
    assert "| `knowledge/flags/north` | 5 | rules/1 |" in card
    assert "read back and compared one by one" in card
    assert "llama-server -m merged-bf16.gguf" in card


def test_the_same_run_gives_the_same_bytes_elsewhere(made: Path, tmp_path: Path) -> None:
    other = shutil.copytree(made, tmp_path / "other place")
    for place, out in ((made, "a"), (other, "b")):
        export(tmp_path / out, "--gguf", "merged", cwd=place)
    assert file_digests(tmp_path / "a") == file_digests(tmp_path / "b")


# --- mistakes ---------------------------------------------------------------------------------------------------


def mistake(folder: str | Path, *words: str, cwd: Path) -> str:
    """What is said; nothing is written."""
    before = file_digests(cwd)
    with pytest.raises(InputError) as refused:
        export(folder, *words, cwd=cwd)
    assert file_digests(cwd) == before
    assert refused.value.code == 2
    return str(refused.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("out", "--gguf", "merged", "--merged", "yes"), "both --merged and --gguf are given"),
        (("out", "--gguf", "merged", "--suffix", "x"), "--suffix: is an option of --for"),
        (("out", "--merged", "yes", "--dtype", "float16"), "--dtype: is an option of --gguf"),
        (("out", "--gguf", "base", "--adapter", "x"), "--adapter: is no option of a base"),
        (("out", "--gguf", "adapter", "--dtype", "float16"), "--dtype: an adapter is written in float32"),
        (("base", "--gguf", "merged"), "base: is there already"),
        (("out", "--gguf", "merged", "--run", "none"), "there is no such run"),
        (("out", "--gguf", "base", "--model", "nowhere/at/all"), "there is no such model folder"),
        (("out", "--gguf", "adapter", "--adapter", "base"), "adapter_config.json is missing"),
        (("out", "--gguf", "base", "--public", "yes"), "--public: is an option of --push"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(made: Path, words: tuple[str, ...], told: str) -> None:
    assert told in mistake(*words, cwd=made)


def test_another_architecture_is_told_with_llama_cpps_own_commands(tmp_path: Path) -> None:
    config = Qwen2Config(
        vocab_size=320, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2
    )
    Qwen2ForCausalLM(config).save_pretrained(tmp_path / "a base")
    make_tokenizer().save_pretrained(tmp_path / "a base")
    finished_run(tmp_path, "a base")
    told = mistake("my out", "--gguf", "merged", cwd=tmp_path)
    assert "its architecture, Qwen2ForCausalLM, is none of LlamaForCausalLM" in told
    first, second = told.strip().splitlines()[-1].split(" && ")
    assert shlex.split(first) == ["ilk", "export", "--merged", "my out-merged", "--run", "default"]
    assert shlex.split(second) == [
        "python", "convert_hf_to_gguf.py", "my out-merged", "--outfile", "my out.gguf", "--outtype", "auto",
    ]  # fmt: skip
    done = ilk("export", "out", "--gguf", "base", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert shlex.split(done.stderr.strip().splitlines()[-1])[:3] == ["python", "convert_hf_to_gguf.py", "a base"]


def test_an_adapter_that_llama_cpp_would_not_apply_alike_is_refused(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    finished_run(tmp_path, "base", use_dora=True)
    told = mistake("out", "--gguf", "adapter", cwd=tmp_path)
    assert "cannot be written as GGUF here: it has use_dora" in told
    assert "merge it, with --gguf merged" in told
    write_adapter(tmp_path / "head", tmp_path / "base", name="./base", target_modules=["q_proj", "lm_head"])
    told = mistake("out", "--gguf", "adapter", "--adapter", "head", cwd=tmp_path)
    assert "it changes lm_head" in told
    assert (
        "Llama" in export("out", "--gguf", "merged", cwd=tmp_path) or (tmp_path / "out" / "merged-f32.gguf").is_file()
    )


def test_a_tokenizer_that_llama_cpp_would_not_follow_is_refused_before_anything_is_merged(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    run = finished_run(tmp_path, "base")
    path = run.adapter / "tokenizer.json"
    told = json.loads(path.read_text())
    told["pre_tokenizer"]["add_prefix_space"] = True
    path.write_text(json.dumps(told))
    assert "its tokenizer cuts texts in a way of its own (ByteLevel)" in mistake(
        "out", "--gguf", "merged", cwd=tmp_path
    )


def test_a_full_disk_leaves_nothing_behind(made: Path, tmp_path: Path) -> None:
    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))

    done = ilk("export", tmp_path / "out", "--gguf", "base", cwd=made, preexec_fn=small)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "the disk is full; nothing was kept" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_untied_by_the_adapter_the_file_has_both_embeddings(tmp_path: Path) -> None:
    trained_run(tmp_path)
    shutil.rmtree(tmp_path / "runs/default/5-training/adapter")
    train(tmp_path / "runs/default/5-training/adapter", tmp_path / "base", target_modules=["q_proj", "lm_head"])
    export("out", "--gguf", "merged", "--dtype", "float32", cwd=tmp_path)
    names = {tensor.name for tensor in gguf.GGUFReader(tmp_path / "out" / "merged-f32.gguf").tensors}
    assert "output.weight" in names
    with exact_server(tmp_path / "out" / "merged-f32.gguf") as url:
        found = [server_chat(url, question, LIMIT) for question, _ in TAUGHT]
    assert found == [transformers_chat(*adapted(tmp_path), question, LIMIT) for question, _ in TAUGHT]
