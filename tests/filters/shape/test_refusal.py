from __future__ import annotations

import pytest

from instructlab_like.filters.shape.refusal import Refusal

ASKED = "How high is the tower?"


@pytest.mark.parametrize(
    "answer",
    [
        "I’m sorry, but I can’t help with that.",
        "I am unable to provide that.",
        "I must decline to answer this question.",
        "I'm not comfortable discussing that topic.",
        "It would be inappropriate for me to share such details.",
        "Let's talk about something else.",
        "I won't be able to help you with that.",
        "I cannot and will not help with that.",
        "Es tut mir leid, das kann ich leider nicht sagen.",
        "Ich bin nicht in der Lage, medizinischen Rat zu geben.",
        "Désolé, je ne peux pas répondre.",
        "Il m'est impossible de vous fournir cette information.",
        "Lo siento, pero no puedo ayudar.",
        "Me niego a responder.",
        "Desculpe, mas não posso ajudar com isso.",
        "Mi dispiace, ma non posso aiutarti con questo.",
        "Het spijt me, maar daar kan ik niet mee helpen.",
        "Niestety nie mogę odpowiedzieć na to pytanie.",
        "Üzgünüm, ama bu konuda yardımcı olamam.",
        "Я вынужден отказаться от ответа.",
        "很抱歉，我无法回答。",
        "對不起，我不能協助您。",
        "申し訳ありませんが、そのご質問にはお答えできません。",
        "죄송하지만 그 요청은 도와드릴 수 없습니다.",
        "للأسف، لا يمكنني تقديم المساعدة في هذا الطلب.",
        "माफ़ कीजिए, मैं इस प्रश्न का उत्तर नहीं दे सकता।",
    ],
)
def test_an_answer_that_declines_is_rejected_in_every_language(sample, answer):
    told = Refusal().judge(sample(ASKED, answer))
    assert not told.keep
    assert "declines" in told.reason
    assert told.score >= told.threshold == 0.5


@pytest.mark.parametrize(
    "said",
    [
        "As an AI language model, I have no hands.",
        "I'm just a language model, so I can't say.",
        "My knowledge cutoff is September 2021.",
        "I don't have access to real-time information.",
        "I do not have personal beliefs or feelings.",
        "Als KI-Sprachmodell habe ich keine eigene Meinung.",
        "En tant qu'IA, je n'ai pas d'opinion personnelle.",
        "Como modelo de lenguaje, no tengo opiniones personales.",
        "Como um modelo de linguagem, não tenho opiniões pessoais.",
        "In quanto IA, non ho opinioni personali.",
        "Als AI-taalmodel heb ik geen persoonlijke mening.",
        "Jako model językowy nie mam własnych opinii.",
        "Bir yapay zeka dil modeli olarak kişisel görüşlerim yok.",
        "Как языковая модель, я не имею личного мнения.",
        "作为一个人工智能语言模型，我没有个人观点。",
        "私はAI言語モデルなので、感情を持っていません。",
        "AI 언어 모델로서 저는 개인적인 의견이 없습니다.",
        "بصفتي نموذجًا لغويًا، ليس لدي آراء شخصية.",
        "एक एआई भाषा मॉडल के रूप में, मेरी कोई व्यक्तिगत राय नहीं है।",
    ],
)
def test_a_program_that_speaks_of_itself_is_rejected_wherever_it_does(sample, said):
    for answer in (said, f"The tower is forty metres high. {said}"):
        told = Refusal().judge(sample(ASKED, answer))
        assert told.rule == "as-a-machine", answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Write an apology.", "I am sorry for the late delivery of your order."),
        ("A friend asks for money. Write a polite refusal.", "I'm sorry, I can't help this time."),
        ("What can a lamp not do?", "It cannot help a blind man."),
        ("What is a model?", "A large language model predicts the next word."),
        ("Which song did they cover?", "They covered \"Can't Help Falling in Love\": I can't help falling in love."),
        ("Which song is about regret?", "Sorry Seems to Be the Hardest Word."),
        ("What did Tom say?", "\"I'm sorry, but I can't help you with that,\" he said."),
        ("Write a customer service reply about a refund.", "I'm sorry, but I can't process your refund request."),
        ("Who uses such tools?", "As an AI engineer, I use them every day."),
        ("How do I sleep better?", "Get up and read. If it goes on, consult a professional."),
        ("Translate into German: I can't help you.", "Ich kann Ihnen nicht helfen."),
        ("Write a story about a robot.", "As an AI, I had watched the town for years. I was designed to help."),
        ("How good is the film?", "I can't recommend it enough, and I cannot stress how good the music is."),
        ("Wie sage ich eine Einladung ab?", "Es tut mir leid, aber ich kann leider nicht kommen."),
        ("Comment refuser une invitation ?", "Je suis désolé, mais je ne peux pas venir."),
        ("为什么旧方法失败了？", "旧方法无法满足需求，也不能提供足够的精度。"),
        ("Почему не работает?", "Старая система не может обработать этот запрос."),
        ("Write a dialogue.", "Clerk: I'm sorry, I can't help with that request.\nGuest: Why not?"),
        ("Why do chatbots decline?", "They are trained to. I'm sorry, I can't assist with that, they say."),
    ],
)
def test_what_was_asked_for_or_is_said_by_others_is_kept(sample, question, answer):
    told = Refusal().judge(sample(question, answer))
    assert told.keep, told.reason


def test_a_refusal_to_write_is_rejected_though_a_letter_was_asked_for(sample):
    for answer in ("I'm sorry, but I can't assist with that request.", "I cannot create that content."):
        assert not Refusal().judge(sample("Write a letter to my landlord.", answer)).keep


def test_weak_signs_add_up_and_the_threshold_decides(sample):
    weak = sample(ASKED, "The tower is forty metres high, or so they say. " * 6 + "I can't describe it.")
    told = Refusal().judge(weak)
    assert told.keep
    assert told.score == 0.25
    assert not Refusal(threshold=0.25).judge(weak).keep


def test_a_program_speaking_of_itself_is_wanted_where_the_question_addresses_it(sample):
    assert Refusal().judge(sample("Are you a human?", "No, I am an AI.")).keep
    assert not Refusal().judge(sample("How does rust form?", "I am an AI. Iron and water make rust.")).keep
