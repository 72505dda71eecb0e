"""Models as GGUF files: llama.cpp's server answers and cuts texts as transformers does, or the model is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from exact_server import exact_server
from hypothesis import given
from hypothesis import strategies as st
from ilk_process import file_digests
from tiny_chat_model import make_tokenizer, save_base
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from toy_llamas import (
    LONG,
    SHAPES,
    STORY,
    TOKENIZERS,
    asked,
    byte_level,
    llama3_split,
    loaded,
    save_shape,
    save_tokenizer,
    server_ids,
    server_odds,
    toy_tokenizer,
    transformers_ids,
    transformers_odds,
)
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, Qwen2Config

from instructlab_like.errors import InputError, ModelError, StoppedError
from instructlab_like.tuning.gguf import file as gguf_file
from instructlab_like.tuning.gguf import tensors
from instructlab_like.tuning.gguf.file import write
from instructlab_like.tuning.gguf.plan import plan
from instructlab_like.tuning.gguf.shape import ForeignModelError
from instructlab_like.tuning.gguf.tensors import halved, paired
from instructlab_like.tuning.gguf.words import words_of

LIMIT = 16


def written(model: Path, file: Path, kind: str | None = None) -> Path:
    write(plan(model, name="toy", kind=kind), model, file)  # type: ignore[arg-type]
    return file


# --- what is computed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_greedy_text_of_each_shape_is_that_of_transformers(name: str, tmp_path: Path) -> None:
    model = save_shape(name, tmp_path / "model")
    questions = [*STORY[:3], LONG[:400], LONG]
    with exact_server(written(model, tmp_path / "toy.gguf")) as url:
        found = [server_ids(url, question, LIMIT) for question in questions]
        odds = {text: server_odds(url, text) for text in STORY}
    ours = loaded(model)
    apart = [
        abs(one - wanted[token])
        for text, told in odds.items()
        for wanted in [transformers_odds(*ours, text)]
        for token, one in told.items()
    ]
    assert len(apart) >= 40
    assert max(apart) < 1e-3
    assert found == [transformers_ids(*ours, question, LIMIT) for question in questions]
    assert len({tuple(ids) for ids in found}) > 2
    assert max(map(len, found)) == LIMIT


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_rounded_file_answers_as_the_rounded_model(kind: str, tmp_path: Path) -> None:
    model = save_shape("grouped heads, tied", tmp_path / "model", getattr(torch, kind))
    file = written(model, tmp_path / "toy.gguf")
    kinds = {tensor.tensor_type.name for tensor in gguf.GGUFReader(file).tensors if len(tensor.shape) > 1}
    assert kinds == {"F16" if kind == "float16" else "BF16"}
    ours = loaded(model)  # the same rounded weights, computed in float32; llama.cpp rounds what they are multiplied by
    with exact_server(file) as url:
        odds = {text: server_odds(url, text) for text in STORY}
    found = {text: told for text, told in odds.items() if told}
    assert found
    for text, told in found.items():
        wanted = transformers_odds(*ours, text)
        assert max(abs(one - wanted[token]) for token, one in told.items()) < 0.3
        assert max(told, key=told.get) in sorted(range(len(wanted)), key=wanted.__getitem__)[-3:]


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
def test_every_tensor_is_the_model_s_own_rounded_once(kind: str, tmp_path: Path) -> None:
    model = save_shape("one head of keys, biases", tmp_path / "model")
    file = written(model, tmp_path / "toy.gguf", kind)
    ours, _ = loaded(model)
    weights = ours.state_dict()
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    assert len(found) == len(weights)
    stored = gguf.quants.dequantize(found["token_embd.weight"].data, found["token_embd.weight"].tensor_type)
    wanted = weights["model.embed_tokens.weight"].to(getattr(torch, kind)).float().numpy()
    assert np.array_equal(stored, wanted)
    assert found["blk.1.attn_norm.weight"].tensor_type.name == "F32"
    assert found["blk.1.attn_q.bias"].tensor_type.name == "F32"


@given(heads=st.integers(1, 5), half=st.integers(1, 9), columns=st.integers(0, 3))
def test_rows_put_in_pairs_come_back(heads: int, half: int, columns: int) -> None:
    shape = (heads * half * 2, columns) if columns else (heads * half * 2,)
    rows = torch.arange(int(np.prod(shape))).reshape(shape)
    assert torch.equal(halved(paired(rows, heads), heads), rows)
    first = paired(rows, heads)[: 2 * half]
    assert torch.equal(first[0::2], rows[:half])
    assert torch.equal(first[1::2], rows[half : 2 * half])


# --- what is read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOKENIZERS)
def test_texts_are_cut_as_the_tokenizer_cuts_them(name: str, tmp_path: Path) -> None:
    model = save_tokenizer(name, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(model)
    told = plan(model, name="toy", kind=None)
    write(told, model, tmp_path / "toy.gguf")
    with exact_server(tmp_path / "toy.gguf") as url:
        root = url.removesuffix("/v1")
        for text in [*STORY, LONG, "x", "<tool> and <tool>"]:
            conversation = [{"role": "user", "content": text.strip()}]
            prompt = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
            wanted = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            shown = asked(root, "/apply-template", {"messages": conversation})["prompt"]
            found = asked(root, "/tokenize", {"content": shown, "add_special": True, "parse_special": True})["tokens"]
            assert found == wanted, (name, text)
            if not told.words.notes:  # which say where plain texts differ
                wanted = tokenizer(text)["input_ids"]
                found = asked(root, "/tokenize", {"content": text, "add_special": True, "parse_special": True})[
                    "tokens"
                ]
                assert found == wanted, (name, text)


def test_what_differs_for_plain_texts_is_said() -> None:
    notes = {name: words_of(toy_tokenizer(name), size=2000, stops=[], where="x").notes for name in TOKENIZERS}
    assert {name for name, told in notes.items() if told} == {
        "bos that no chat has",
        "metaspace always",
        "metaspace first",
    }


def test_an_answer_ends_at_each_token_that_ends_it_here(tmp_path: Path) -> None:
    model = save_shape("grouped heads, tied", tmp_path / "model")
    ours, tokenizer = loaded(model)
    free = transformers_ids(ours, tokenizer, STORY[0], LIMIT)
    stop = next(number for number in free[3:] if number not in free[:3])
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": [4, stop]}))
    told = plan(model, name="toy", kind=None)
    assert told.words.stops == (4, stop)
    write(told, model, tmp_path / "toy.gguf")
    with exact_server(tmp_path / "toy.gguf") as url:
        found = server_ids(url, STORY[0], LIMIT)
    assert [*found, stop][: len(found) + 1] == free[: len(found) + 1] or found == free[: len(found)]
    assert len(found) in (free.index(stop), free.index(stop) + 1)


def test_what_the_tokenizer_lacks_is_filled_in(tmp_path: Path) -> None:
    told = plan(save_tokenizer("gpt-2", tmp_path / "model"), name="toy", kind=None)
    assert told.words.tokens[-5:] == tuple(
        f"[PAD{number}]" for number in range(len(told.words.tokens) - 5, len(told.words.tokens))
    )
    assert told.words.kinds[-5:] == (5,) * 5
    assert told.words.kinds[told.words.tokens.index("<tool>")] == 4


# --- what is refused --------------------------------------------------------------------------------------------


def changed(folder: Path, **told: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | told))
    return folder


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"hidden_act": "gelu"}, "its activation is gelu, not silu"),
        ({"quantization_config": {"quant_method": "awq"}}, "its weights are quantised"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, "scaled by 'dynamic'"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "only a part of each head"),
        ({"architectures": None}, "its architecture, unknown"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification, is none of"),
        ({"vocab_size": 100}, "its tokenizer has 320 words, its weights 100"),
    ],
)
def test_a_form_that_would_be_computed_otherwise_is_refused(
    told: dict[str, object], reason: str, tmp_path: Path
) -> None:
    model = changed(save_base(tmp_path / "model"), **told)
    with pytest.raises(ForeignModelError, match="cannot be written as GGUF here") as refused:
        plan(model, name="toy", kind=None)
    assert reason in str(refused.value)


def test_a_window_is_refused_for_mistral(tmp_path: Path) -> None:
    model = changed(save_shape("Mistral", tmp_path / "model"), sliding_window=128)
    with pytest.raises(ForeignModelError, match="attends within a window"):
        plan(model, name="toy", kind=None)


def test_another_architecture_is_refused_by_its_name(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=320, n_embd=32, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "model")
    make_tokenizer().save_pretrained(tmp_path / "model")
    with pytest.raises(ForeignModelError, match="its architecture, GPT2LMHeadModel, is none of"):
        plan(tmp_path / "model", name="toy", kind=None)
    assert Qwen2Config().model_type == "qwen2"


def test_tensors_that_are_missing_or_unknown_are_named(tmp_path: Path) -> None:
    model = save_base(tmp_path / "model")
    with pytest.raises(ModelError, match=r"lack 9 tensors, model\.layers\.2"):
        plan(changed(model, num_hidden_layers=3), name="toy", kind=None)
    with pytest.raises(ForeignModelError, match=r"no place for its tensor model\.layers\.1"):
        plan(changed(model, num_hidden_layers=1), name="toy", kind=None)


def bpe(change) -> PreTrainedTokenizerFast:
    made = byte_level(llama3_split())
    change(made)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>")


def set_pre(pre):
    def change(made: Tokenizer) -> None:
        made.pre_tokenizer = pre

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_pre(pre_tokenizers.Whitespace()), "cuts texts in a way of its own (Whitespace)"),
        (set_pre(pre_tokenizers.ByteLevel(add_prefix_space=True)), "in a way of its own (ByteLevel)"),
        (
            set_pre(pre_tokenizers.Sequence([pre_tokenizers.Split("x", "isolated"), pre_tokenizers.ByteLevel()])),
            "in a way of its own (Split, ByteLevel)",
        ),
        (
            lambda made: made.add_tokens([AddedToken("<mask>", lstrip=True)]),
            "'<mask>' takes in what is beside it (lstrip)",
        ),
    ],
)
def test_a_tokenizer_that_would_be_followed_otherwise_is_refused(change, reason: str) -> None:
    with pytest.raises(ForeignModelError) as refused:
        words_of(bpe(change), size=2000, stops=[4], where="x")
    assert reason in str(refused.value)


def test_pieces_without_all_their_merges_are_refused() -> None:
    trained = json.loads(toy_tokenizer("llama 2").backend_tokenizer.to_str())
    trained["model"]["merges"] = trained["model"]["merges"][:-1]
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(trained)), eos_token="</s>")
    with pytest.raises(ForeignModelError, match="not all ways to join"):
        words_of(made, size=2000, stops=[2], where="x")
    wordpiece = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(ForeignModelError, match="its tokenizer is a WordLevel"):
        words_of(wordpiece, size=10, stops=[0], where="x")


def test_a_space_before_the_first_text_alone_is_refused_where_a_chat_begins_with_text() -> None:
    tokenizer = toy_tokenizer("metaspace first")
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}</s>{% endfor %}"
    with pytest.raises(ForeignModelError, match="a space before the first text alone"):
        words_of(tokenizer, size=2000, stops=[2], where="x")


def test_a_chat_template_that_writes_nothing_is_refused() -> None:
    tokenizer = toy_tokenizer("gpt-2")
    tokenizer.chat_template = "{{ raise_exception('tools alone') }}"
    with pytest.raises(ForeignModelError, match="its chat template cannot write a user's turn"):
        words_of(tokenizer, size=2000, stops=[4], where="x")


def test_values_that_float16_cannot_hold_are_refused(tmp_path: Path) -> None:
    model = save_base(tmp_path / "model")
    ours, _ = loaded(model)
    ours.model.layers[0].mlp.up_proj.weight.data[0, 0] = 1e6
    ours.save_pretrained(model)
    with pytest.raises(ModelError, match="values that float16 cannot hold"):
        written(model, tmp_path / "toy.gguf", "float16")


# --- the file ---------------------------------------------------------------------------------------------------


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = save_shape("rope of Llama 3", tmp_path / "model")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written(model, tmp_path / name / "toy.gguf")
    assert file_digests(tmp_path / "a") == file_digests(tmp_path / "b")
    moved = shutil.copytree(model, tmp_path / "moved")
    assert str(tmp_path).encode() not in written(moved, tmp_path / "toy.gguf").read_bytes()


@pytest.mark.parametrize("what", ["a tensor", "a value"])
def test_a_file_that_comes_back_otherwise_is_refused(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_base(tmp_path / "model")
    told = plan(model, name="toy", kind=None)
    if what == "a tensor":
        right = tensors.written

        def torn(one: tensors.Source) -> np.ndarray:
            data = right(one).copy()
            if one.name == "blk.1.ffn_up.weight":
                data.reshape(-1)[7] += 1
            return data

        monkeypatch.setattr(gguf_file, "written", torn)
        wanted = "blk.1.ffn_up.weight came back from the disk otherwise"
    else:
        write(told, model, tmp_path / "whole.gguf")
        told = told._replace(name="toz")
        monkeypatch.setattr(gguf_file, "put", lambda file, *_: shutil.copy(tmp_path / "whole.gguf", file))
        wanted = "general.name came back from the disk otherwise"
    with pytest.raises(StoppedError, match=wanted):
        write(told, model, tmp_path / "toy.gguf")


def test_without_the_package_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    model = save_base(tmp_path / "model")
    told = plan(model, name="toy", kind=None)
    monkeypatch.setattr(gguf_file, "import_module", missing)
    with pytest.raises(InputError, match="needs gguf, which is not installed") as refused:
        write(told, model, tmp_path / "toy.gguf")
    assert "instructlab-like[gguf]" in refused.value.fix
