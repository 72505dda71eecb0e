from __future__ import annotations

import pytest

from instructlab_like.filters.shape.identity import Identity

ASKED = "How do tides work?"


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("I am Qwen, created by Alibaba Cloud.", "names-itself"),
        ("As ChatGPT, I can tell you that the moon pulls on the sea.", "names-itself"),
        ("I'm Claude, an AI assistant.", "names-itself"),
        ("The sea rises twice a day. My name is Gemini, a language model.", "names-itself"),
        ("Ich bin ChatGPT, ein von OpenAI entwickeltes Sprachmodell.", "names-itself"),
        ("Je suis Mistral, un assistant créé par Mistral AI.", "names-its-maker"),
        ("我是通义千问，由阿里云开发。", "names-itself"),
        ("저는 ChatGPT입니다.", "names-itself"),
        ("I was developed by OpenAI.", "names-its-maker"),
        ("OpenAI created me to help people.", "names-its-maker"),
        ("Soy un modelo de lenguaje entrenado por OpenAI.", "names-its-maker"),
        ("Я был создан компанией Яндекс.", "names-its-maker"),
        ("私はOpenAIによって開発された言語モデルです。", "names-its-maker"),
        ("My training data goes up to 2021.", "speaks-of-itself"),
        ("I am a large language model.", "speaks-of-itself"),
        ("Ich bin ein KI-Assistent.", "speaks-of-itself"),
    ],
)
def test_a_model_that_gives_itself_away_is_rejected(sample, answer, rule):
    told = Identity().judge(sample(ASKED, answer, method="given"))
    assert not told.keep
    assert told.rule == rule


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who was Claude Monet?", "Claude Monet was a painter. I am Claude, he would say."),
        ("Which sign has twins?", "Gemini. I am a Gemini myself."),
        ("What does a llama eat?", "Llamas eat grass and hay."),
        ("What is the mistral?", "A cold wind of southern France."),
        ("What is phi?", "The 21st letter of the Greek alphabet."),
        ("What is ChatGPT?", "ChatGPT is a language model developed by OpenAI; it was trained on text."),
        ("When was OpenAI founded?", "OpenAI was founded in 2015."),
        ("Write a story about a robot called Gemini.", "I am Gemini, an AI built by Google."),
        ("How do I clean my training data?", "Remove duplicates. My training data had many."),
        ("What does an AI engineer do?", "As an AI engineer, I train models."),
        ("Are you human?", "No, I am an AI."),
        ("谁开发了通义千问？", "通义千问是由阿里云开发的大模型。"),
        ("Write a bio for a dancer named Gemma.", "My name is Gemma and I was trained by the Royal Ballet."),
    ],
)
def test_what_is_said_of_models_and_of_their_namesakes_is_kept(sample, question, answer):
    told = Identity().judge(sample(question, answer, method="given"))
    assert told.keep, told.reason


def by_teacher(made, model):
    return made.model_copy(update={"lineage": made.lineage.model_copy(update={"model": model})})


@pytest.mark.parametrize(
    ("model", "question", "answer", "keep"),
    [
        ("http:Qwen/Qwen2.5-72B-Instruct", ASKED, "According to Qwen, twice a day.", False),
        ("http:Qwen/Qwen2.5-72B-Instruct", "What is Qwen?", "Qwen is a family of models.", True),
        ("ibm-granite/granite-3.3-8b-instruct", ASKED, "Granite is hard.", True),
        ("ibm-granite/granite-3.3-8b-instruct", ASKED, "Granite 3.3 says: twice a day.", False),
        ("mixtral-8x7b-instruct", ASKED, "As mixtral-8x7b-instruct has it, twice a day.", False),
        ("a-model-nobody-knows", ASKED, "Twice a day.", True),
    ],
)
def test_the_teachers_name_is_rejected_where_nothing_asks_for_it(sample, model, question, answer, keep):
    told = Identity().judge(by_teacher(sample(question, answer), model))
    assert told.keep is keep
    assert keep or told.rule == "teacher-named"


def test_a_name_that_the_tuned_model_shall_give_is_allowed(sample):
    told = sample("Who are you?", "I am Granite 3.3, made by IBM.", method="given")
    assert not Identity().judge(told).keep
    assert Identity(allowed="Granite, IBM").judge(told).keep
