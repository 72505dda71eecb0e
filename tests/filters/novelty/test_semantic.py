"""Same meaning in other words, by encoders that the tests make: what is rejected, and what an encoder folder may be."""

from __future__ import annotations

import json
import math
import random
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

from benchmarks.planted import semantic as planted
from instructlab_like.errors import RecipeError
from instructlab_like.filters import Surroundings
from instructlab_like.filters.novelty import semantic
from instructlab_like.filters.novelty.semantic import Semantic
from instructlab_like.filters.parts import encoders
from instructlab_like.filters.pool import Held

GROUPS = [
    *("tide sea water", "rise climb swell", "moon satellite", "harbour port haven", "wall dam barrier", "slow brake"),
    *("sand grit", "storm gale tempest", "winter cold", "beach shore coast", "build raise erect", "crane hoist"),
    *("rope line cable", "lamp light", "quick fast swift", "big large huge", "old ancient", "keep hold retain"),
]
PLAIN = "why does the a of in how is what when and by was it orrin tower 1874 1875"
SINGLE = PLAIN.split()
WORDS = [word for group in GROUPS for word in group.split()]
DIMENSIONS = 48


def vectors():
    """Near one another for words of one group, nearly at right angles else."""
    rng = np.random.default_rng(5)
    found = {"[UNK]": rng.normal(size=DIMENSIONS)}
    for group in GROUPS:
        centre = rng.normal(size=DIMENSIONS)
        found |= {word: centre + 0.15 * rng.normal(size=DIMENSIONS) for word in group.split()}
    found |= {word: 0.05 * rng.normal(size=DIMENSIONS) for word in SINGLE}
    return found


def save_static(folder, *, tensors=None, config=None, nested=False):
    found = vectors()
    words = Tokenizer(models.WordLevel({word: at for at, word in enumerate(found)}, unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    words.enable_padding(length=40)
    inside = folder / "0_StaticEmbedding" if nested else folder
    inside.mkdir(parents=True, exist_ok=True)
    words.save(str(inside / "tokenizer.json"))
    matrix = np.stack(list(found.values())).astype(np.float32)
    save_file(tensors(matrix) if tensors else {"embeddings": matrix}, inside / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    return save_static(tmp_path_factory.mktemp("static"))


@pytest.fixture(scope="session")
def sentence_folder(tmp_path_factory):
    """A random BERT of two layers over the words above."""
    folder = tmp_path_factory.mktemp("sentence")
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *SINGLE, "?", "."])
    )
    tokenizer = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=40, **shape))
    model.save_pretrained(folder)
    return folder


def judge(samples, **options):
    chosen = Semantic(**options)
    ordered = sorted(samples, key=lambda one: one.id)
    told = list(chosen.judge(Held(ordered, [chosen.sketch(one) for one in ordered]), Surroundings()))
    places = [place for place, _ in told]
    assert places == sorted(set(places))
    return {ordered[place].id: judgement for place, judgement in told}


def decided(samples, **options):
    return {id: (one.partner, one.score) for id, one in judge(samples, **options).items() if one.applied}


def by_pairs(samples, threshold, name, *, group=lambda one: ""):
    """The same, one pair after the other, with cosines of plain Python."""
    encoder, kept, found = encoders.read(name), [], {}
    vector = {one.id: encoder.encode(f"{one.question}\n{one.answer}").tolist() for one in samples}
    for one in sorted(samples, key=lambda one: one.id):
        above = []
        for other in kept:
            if group(other) == group(one):
                dot = math.fsum(x * y for x, y in zip(vector[one.id], vector[other.id], strict=True))
                above += [(min(1.0, round(dot, 6)), other.id)]
        best = max(above, key=lambda pair: pair[0], default=(-1, ""))
        if best[0] >= threshold:
            found[one.id] = best[1], best[0]
        else:
            kept.append(one)
    return found


def corpus(sample, count=120, seed=1):
    rng = random.Random(seed)
    samples, texts = [], []
    for _ in range(count):
        groups = rng.sample(GROUPS, 9)
        if texts and rng.random() < 0.6:
            words = [rng.choice(next(g.split() for g in GROUPS if word in g.split())) for word in rng.choice(texts)]
            for _ in range(rng.choice([0, 0, 1, 2, 4])):
                words[rng.randrange(len(words))] = rng.choice(WORDS)
        else:
            words = [rng.choice(group.split()) for group in groups]
        texts.append(words)
        leaf = rng.choice("ab")
        samples.append(sample(" ".join(words[:4]), " ".join(words[4:]), id=f"{rng.getrandbits(64):016x}", leaf=leaf))
    return samples


@pytest.fixture(params=["as it is", "in small pieces"])
def pieces(request, monkeypatch):
    if request.param == "in small pieces":
        monkeypatch.setattr(semantic, "BLOCK", 7)
        monkeypatch.setattr(semantic, "CHUNK", 5)
        monkeypatch.setattr(semantic, "REMEMBERED", 2)


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("seed", [1, 2])
def test_decisions_partners_and_cosines_are_those_of_every_pair(sample, encoder, pieces, threshold, seed):
    samples = corpus(sample, seed=seed)
    found = decided(samples, encoder=encoder, threshold=threshold)
    assert found == by_pairs(samples, threshold, encoder)
    assert 5 < len(found) < 115


def test_order_of_arrival_changes_nothing(sample, encoder, pieces):
    samples = corpus(sample)
    expected = decided(samples, encoder=encoder)
    random.Random(1).shuffle(samples)
    assert decided(samples, encoder=encoder) == expected


def test_leaves_can_be_compared_each_by_itself(sample, encoder, pieces):
    samples = corpus(sample)
    found = decided(samples, encoder=encoder, within="leaf")
    assert found == by_pairs(samples, 0.9, encoder, group=lambda one: one.lineage.leaf)
    assert found != decided(samples, encoder=encoder)


def test_the_same_in_other_words_is_rejected_with_its_partner(sample, encoder):
    samples = [
        sample("Why does the tide climb in the harbour?", "The big moon slows the water.", id="a"),
        sample("How is it the sea swells in a port?", "A huge satellite brakes water.", id="b"),
        sample("Why does the lamp of the crane slow?", "The old rope is in the sand.", id="c"),
    ]
    told = judge(samples, encoder=encoder)
    assert set(told) == {"b"}
    assert (told["b"].rule, told["b"].partner, told["b"].threshold) == ("same-meaning", "a", 0.9)
    assert 0.9 <= told["b"].score < 1
    assert "Why does the tide climb" in told["b"].reason


@pytest.mark.parametrize(("facts", "rejected"), [(True, set()), (False, {"b", "d"})])
def test_other_numbers_and_names_are_not_the_same(sample, encoder, facts, rejected):
    samples = [
        sample("When was the harbour wall built?", "The harbour wall was built in 1874.", id="a"),
        sample("When was the port wall built?", "The port wall was built in 1875.", id="b"),
        sample("How old is the lamp by the crane?", "The lamp of Orrin is ancient.", id="c"),
        sample("How old is the light by the crane?", "The lamp of Tolby is ancient.", id="d"),
    ]
    assert set(decided(samples, encoder=encoder, facts=facts)) == rejected


def test_what_only_adds_a_fact_is_the_same(sample, encoder):
    samples = [
        sample("When was the harbour wall built?", "The harbour wall was built in 1874.", id="a"),
        sample("When was the port wall erected?", "The port dam was raised in 1874 by Orrin.", id="b"),
    ]
    assert set(decided(samples, encoder=encoder)) == {"b"}


def test_the_closest_sample_with_the_same_facts_is_named(sample, encoder):
    samples = [
        sample("When was the harbour wall built?", "The harbour wall was built in 1874.", id="a"),
        sample("When was the harbour wall built?", "The harbour wall was built in 1875.", id="b"),
        sample("When was the port wall built?", "The harbour wall was built in 1875.", id="c"),
    ]
    assert decided(samples, encoder=encoder)["c"][0] == "b"


def test_a_question_about_another_passage_is_another(sample, encoder):
    asked, first, second = "What is it?", "The old lamp slows the crane.", "A storm in winter holds the beach."
    samples = [
        sample(asked, "Old.", id="a", kind="grounded", context=first),
        sample(asked, "Old.", id="b", kind="grounded", context=second),
        sample(asked, "Old.", id="c", kind="grounded", context="The ancient light brakes the hoist."),
        sample("How is the beach?", "Old.", id="d", kind="grounded", context=second),
        sample(asked, "Old.", id="e"),
    ]
    told = decided(samples, encoder=encoder)
    assert set(told) == {"c"}
    assert told["c"][0] == "a"
    assert told["c"][1] < 1  # the passage's, not the question's


@pytest.mark.parametrize(("of", "rejected"), [("question", {"b"}), ("answer", {"c"}), ("both", set())])
def test_what_is_compared_can_be_chosen(sample, encoder, of, rejected):
    samples = [
        sample("Why does the tide rise?", "The moon slows the sand.", id="a"),
        sample("Why does the sea climb?", "An ancient crane keeps ropes big.", id="b"),
        sample("How big is the lamp of the crane?", "A satellite brakes the grit.", id="c"),
    ]
    assert set(decided(samples, encoder=encoder, of=of)) == rejected


def test_what_is_not_compared_says_why(sample, encoder):
    samples = [
        sample("Why does the tide rise?", "moon", id="a"),
        sample("Why does the tide rise?", "moon", id="b", method="rules"),
        sample("塔は何年に？", "知らない", id="c"),
        sample("", "", id="d"),
        sample("tide", "moon", id="e", kind="grounded", context="塔"),
    ]
    told = judge(samples, encoder=encoder)
    assert {id: one.reason for id, one in told.items()} == {
        "b": "varied on purpose by rules",
        **dict.fromkeys("cde", "the encoder knows none of its words"),
    }
    assert all(one.keep and not one.applied for one in told.values())
    assert set(decided(samples, encoder=encoder, model_free=True)) == {"b"}


def test_no_samples_are_judged_as_none(encoder):
    assert judge([], encoder=encoder) == {}


def test_nothing_stays_in_the_folder_for_temporary_files(sample, encoder, tmp_path):
    chosen = Semantic(encoder=encoder)
    samples = sorted(corpus(sample), key=lambda one: one.id)
    pool = Held(samples, [chosen.sketch(one) for one in samples])
    pool.scratch = tmp_path
    assert list(chosen.judge(pool, Surroundings()))
    assert list(tmp_path.iterdir()) == []


# --- encoders ---------------------------------------------------------------------------------------------------


def mean_of(words, *, factors=None):
    found = vectors()
    rows = [found[word] * (factors[word] if factors else 1) for word in words.split()]
    mean = np.mean(rows, axis=0)
    return mean / np.linalg.norm(mean)


def test_a_static_vector_is_the_mean_of_the_known_tokens_at_length_one(encoder):
    made = encoders.read(encoder).encode("The MOON unheard slows, rise!")
    assert np.allclose(made, mean_of("the moon rise"), atol=1e-6)
    assert made.dtype == np.float32


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_number_types_and_the_other_layout_are_read(tmp_path, kind):
    name = save_static(tmp_path, tensors=lambda matrix: {"embedding.weight": matrix.astype(kind)}, nested=True)
    assert np.allclose(encoders.read(name).encode("tide moon"), mean_of("tide moon"), atol=1e-2)


def test_weights_and_mapping_of_a_static_encoder_are_applied(tmp_path):
    words = list(vectors())
    factors = {word: 0.5 + at % 7 for at, word in enumerate(words)}

    def tensors(matrix):
        weights = np.array([factors[word] for word in words])
        return {"embeddings": matrix[::-1].copy(), "weights": weights, "mapping": np.arange(len(matrix))[::-1].copy()}

    made = encoders.read(save_static(tmp_path, tensors=tensors)).encode("tide moon storm")
    assert np.allclose(made, mean_of("tide moon storm", factors=factors), atol=1e-6)


def test_a_text_is_read_up_to_the_encoders_length(tmp_path):
    made = encoders.read(save_static(tmp_path, config={"max_length": 2})).encode("tide moon storm")
    assert np.allclose(made, mean_of("tide moon"), atol=1e-6)


@pytest.mark.parametrize(
    "pooling", [None, {"pooling_mode_cls_token": True}, {"pooling_mode": "cls"}, {"pooling_mode_mean_tokens": True}]
)
def test_a_sentence_encoder_pools_as_its_files_say(sentence_folder, tmp_path, pooling):
    folder = tmp_path / "encoder"
    folder.mkdir()
    for path in sentence_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    if pooling:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | pooling))
        kinds = [{"type": f"sentence_transformers.models.{kind}"} for kind in ("Transformer", "Pooling", "Normalize")]
        (folder / "modules.json").write_text(json.dumps(kinds))
    text = "why does the tide rise in the old harbour"
    with torch.inference_mode():
        shown = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
        states = AutoModel.from_pretrained(folder)(**shown).last_hidden_state[0]
    first = pooling is not None and "pooling_mode_mean_tokens" not in pooling
    expected = (states[0] if first else states.mean(dim=0)).numpy()
    assert np.allclose(encoders.read(str(folder)).encode(text), expected / np.linalg.norm(expected), atol=1e-5)


def test_a_sentence_encoder_decides_about_samples(sample, sentence_folder):
    samples = [
        sample("Why does the tide rise?", "The moon.", id="a"),
        sample("Why does the tide rise", "the moon", id="b"),
        sample("How quick is the old crane of the port?", "storm " * 60, id="c"),
    ]
    found = decided(samples, encoder=str(sentence_folder), threshold=0.95)
    assert found == by_pairs(samples, 0.95, str(sentence_folder))
    assert "b" in found


def test_threads_and_other_texts_change_no_vector(sentence_folder):
    encoder = encoders.read(str(sentence_folder))
    texts = ["tide moon", "storm", "why does the old harbour wall slow the sand " * 3]
    alone = [encoder.encode(text).tobytes() for text in texts]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert [encoder.encode(text).tobytes() for text in reversed(texts)] == alone[::-1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_identity_is_that_of_the_encoders_files_not_of_their_place(tmp_path):
    one, same, other = (
        save_static(tmp_path / name, tensors=lambda matrix, by=by: {"embeddings": matrix * by})
        for name, by in (("one", 1), ("same", 1), ("other", 2))
    )
    identities = [Semantic(encoder=name).identity() for name in (one, same, other)]
    assert identities[0] == identities[1] != identities[2]
    assert Semantic(encoder=one, threshold=0.8).identity() != identities[0]
    (tmp_path / "one" / "config.json").write_text('{"max_length": 3}')
    assert Semantic(encoder=one).identity() != identities[0]


def broken(folder, file, data):
    save_static(folder)
    (folder / file).write_bytes(data)
    return str(folder)


MISTAKES = {
    "no name": (lambda _: "", "no encoder is named"),
    "no folder": (lambda path: str(path / "none"), "there is no folder"),
    "an empty folder": (lambda path: str(path), "holds no encoder"),
    "no weights": (lambda path: broken(path, "model.safetensors", b"what"), "cannot be read"),
    "cut weights": (
        lambda path: broken(path, "model.safetensors", b'\x18\0\0\0\0\0\0\0{"embeddings":{"shape":[]}}'),
        "cannot be read",
    ),
    "no tokenizer": (lambda path: broken(path, "tokenizer.json", b"{}"), "cannot be read"),
    "a broken config": (lambda path: broken(path, "config.json", b"{"), "cannot be read"),
    "too few vectors": (
        lambda path: save_static(path, tensors=lambda matrix: {"embeddings": matrix[:9]}),
        "do not belong",
    ),
    "infinite vectors": (
        lambda path: save_static(path, tensors=lambda matrix: {"embeddings": matrix / 0}),
        "not finite",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_mistake_in_the_encoder_is_told(sample, tmp_path, mistake):
    make, said = MISTAKES[mistake]
    chosen = Semantic(encoder=make(tmp_path))
    with pytest.raises(RecipeError, match=said) as told:
        chosen.sketch(sample("Why does the tide rise?", "The moon.", id="a"))
    assert told.value.where
    assert told.value.fix


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools by pooling_mode_max_tokens"),
        ("1_Pooling/config.json", {"pooling_mode": "lasttoken"}, "pools by lasttoken"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "has a module Dense"),
        ("modules.json", {"what": 1}, "cannot be read"),
        ("config.json", {"model_type": "none such"}, "cannot be read"),
    ],
)
def test_a_sentence_encoder_that_would_be_read_wrongly_is_refused(sentence_folder, tmp_path, file, content, said):
    for path in sentence_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(RecipeError, match=said):
        encoders.read(str(tmp_path))


def test_code_that_lies_with_an_encoder_is_not_run(sentence_folder, tmp_path):
    for path in sentence_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(RecipeError):
        encoders.read(str(tmp_path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("absent", "fix"), [("tokenizers", "instructlab-like[semantic]"), ("torch", "instructlab-like[train]")]
)
def test_a_missing_package_is_named_with_what_to_install(monkeypatch, encoder, sentence_folder, absent, fix):
    monkeypatch.setitem(sys.modules, absent, None)
    encoders.read.cache_clear()
    with pytest.raises(RecipeError, match=f"{absent} not installed") as told:
        encoders.read(encoder if absent == "tokenizers" else str(sentence_folder))
    assert fix in told.value.fix


def test_nouns_with_capitals_are_no_names():
    one = semantic.Facts.of("Der Turm steht an der Mauer des Hafens, und im Winter wird der Strand dort größer. 1874")
    other = semantic.Facts.of("Das Bauwerk ragt am Damm vom Port auf, im Herbst wächst dort der Sand. 1874")
    assert one.stated == other.stated == {"1874"}
    assert semantic.Facts.of("The wall at Orrin slows the current, and the beach by Vell grows.").stated == {
        "orrin",
        "vell",
    }


def test_the_encoder_that_is_measured_is_the_one_that_is_made(tmp_path, monkeypatch):
    shipped = planted.FOLDER
    monkeypatch.setattr(planted, "FOLDER", tmp_path)
    planted.main()
    for name in ("tokenizer.json", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (shipped / name).read_bytes()
