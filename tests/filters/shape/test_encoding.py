from __future__ import annotations

import pytest

from instructlab_like.filters.shape.encoding import Encoding
from tests.filters.conftest import make

TEXTS = {
    "fr": "Le château, situé à l’entrée du village, a été restauré ; on y goûte « le calme ».",
    "de": "Die Brücke über die Straße heißt „Schöne Aussicht“ – größer als früher.",
    "es": "El niño comió piñas; ¿y mañana? ¡Sí, también!",
    "pt": "A maré não é só água: são forças de atração. JOÃO disse “MAÇÔ.",
    "pl": "Żółta łódź płynie po rzece, a ludzie patrzą ze wzgórza.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "tr": "İstanbul'da ılık bir gün; güneş doğuyor, çocuklar koşuyor.",
    "ru": "Приливы вызваны притяжением Луны, и это известно давно.",
    "el": "Η παλίρροια προκαλείται από τη Σελήνη.",
    "zh": "潮汐是由月球的引力引起的，每天两次。",
    "ja": "潮の満ち引きは月の引力によって起こります。",
    "ko": "조석은 달의 인력 때문에 일어난다.",
    "ar": "المد والجزر سببهما جاذبية القمر.",
    "hi": "ज्वार-भाटा चंद्रमा के कारण होता है।",
    "th": "น้ำขึ้นน้ำลงเกิดจากดวงจันทร์",
    "vi": "Thủy triều là do lực hấp dẫn của Mặt Trăng gây ra.",
    "sv": "Ångström skrivs 1 Å… och Ö, Ä; från Åsa.",
    "en": "It’s a “good” day — café, naïve … £5 • 20 °C, ½ 😀 → ✓",
}


def western(text: str) -> str:
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())


@pytest.mark.parametrize("language", TEXTS)
def test_a_text_is_kept_in_its_own_encoding_and_rejected_in_a_wrong_one(sample, language):
    text = TEXTS[language]
    assert Encoding().judge(sample("What is it?", text)).keep
    once, twice = western(text), western(western(text))
    for damaged in (once, twice, text.encode().decode("latin-1")):
        assert Encoding().judge(sample("What is it?", damaged)).rule in ("mojibake", "control-character"), damaged
    assert Encoding().judge(sample(once, "An answer.")).rule in ("mojibake", "control-character")


@pytest.mark.parametrize(
    ("text", "written", "read"),
    [
        (TEXTS["ru"], "utf-8", "cp1251"),
        (TEXTS["ru"], "cp1251", "latin-1"),
        (TEXTS["ru"], "koi8-r", "cp1251"),
        (TEXTS["fr"], "utf-8", "mac_roman"),
        ("Größe und Stärke, Füße und Köpfe", "cp1252", "mac_roman"),
        (TEXTS["fr"], "utf-8", "cp437"),
        (TEXTS["zh"], "gbk", "latin-1"),
        (TEXTS["ja"], "shift_jis", "cp1252"),
    ],
)
def test_other_encodings_leave_their_traces_too(sample, text, written, read):
    damaged = text.encode(written, "ignore").decode(read, "ignore")
    assert Encoding().judge(sample("What is it?", damaged)).rule == "mojibake", damaged


@pytest.mark.parametrize(
    ("answer", "rule", "culprit"),
    [
        ("St\ufffdne", "replacement-character", "U+FFFD in the answer"),
        ("Stone\x07", "control-character", "U+0007"),
        ("don\x92t", "control-character", "U+0092"),
        ("Sto\u200bne", "invisible-character", "zero width space"),
        ("Sto\u00adne", "invisible-character", "soft hyphen"),
        ("Sto\u200dne", "invisible-character", "zero width joiner"),
        ("Sto\u3164ne", "invisible-character", "U+3164"),
        ("Stone\U000e0041", "invisible-character", "U+E0041"),
        ("Sto\ufe00\ufe01ne", "invisible-character", "variation selector"),
        ("\ufeffStone", "byte-order-mark", "U+FEFF"),
        ("Sto\u202ene", "bidi-control", "U+202E"),
        ("Stone\u200f", "bidi-control", "U+200F"),
        ("Sto\ue000ne", "private-use", "U+E000"),
        ("Sto\uffffne", "noncharacter", "U+FFFF"),
        ("S̴̡̛̖to\u0301\u0301\u0301\u0301ne", "stacked-marks", "accents on one letter"),
        ("锟斤拷是什么", "mojibake", "锟斤拷"),
        ("It isn?t stone.", "question-marks", '"isn?t"'),
        ("Die Stra?e f?hrt ?ber den Fluss.", "question-marks", "Stra?e"),
        ("??? ?? ????? ??", "question-marks", "question marks in place of letters"),
        ("Caf=C3=A9 and stone", "quoted-printable", "=C3=A9"),
        ("[31mStone[0m", "control-character", "colour of a terminal"),
    ],
)
def test_the_reason_names_the_damage(sample, answer, rule, culprit):
    told = Encoding().judge(sample("What is it?", answer))
    assert told.rule == rule
    assert culprit in told.reason


def test_half_a_character_is_found_and_named_in_plain_letters():
    told = Encoding().judge(make("What is it?", "Sto\ud83dne", id="0" * 32))
    assert told.rule == "lone-surrogate"
    assert told.reason.isascii()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which emoji is a family?", "👨‍👩‍👧‍👦, ❤️‍🔥, 1️⃣ and 🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        ("How is it said in Persian?", "می‌گویند «فردا»."),
        ("Khmer?", "ភាសា\u200bខ្មែរ\u200bមាន"),
        ("Hebrew?", "יש לי 3 ספרים\u200f (ושני עטים)."),
        ("What does Ã© mean on a page in UTF-8?", "It is é, read as Latin-1: Ã©."),
        ("What is the replacement character?", "U+FFFD, �."),
        ("Which Danish letters are there?", "æøåÆØÅ"),
        ("Wie groß?", "1 Å… 5 °C – “Ä” und „Ö“; GRÖẞE, 1\u00a0000\u202f€"),
        ("Qui est né là-bas ?", "Évariste, né à Bourg-la-Reine, dit « À voir »."),
        ("An Irish name?", "Muintir na hÉireann, Mac Giolla Íosa"),
        ("Why? How?what for?", "Is it?no. Who knows?I think so."),
        ("What matches colou?r and behaviou?r as a pattern?", "Both spellings."),
        ("Where is it?", "See https://example.org/a?b=c&d?e=f and watch?v=abc?t=1"),
        ("5 + ? = 12", "? = 7"),
        ("A tree?", "src\n├── a\n│   └── b\n╔══╗"),
        ("√2·√3?", "√6, since √a√b = √(ab)"),
        ("Tabs?", "a\tb\r\nc"),
    ],
)
def test_unusual_characters_in_their_place_are_kept(sample, question, answer):
    told = Encoding().judge(sample(question, answer))
    assert told.keep, told.reason


def test_only_a_trained_passage_is_looked_at(sample):
    passage = "A stone\x00 in a text."
    assert not Encoding().judge(sample("Sum it up.", "Stone.", kind="grounded", context=passage)).keep
    assert Encoding().judge(sample("What is it?", "Stone.", kind="knowledge", context=passage)).keep
