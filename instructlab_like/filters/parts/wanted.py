"""Which form of an answer a question wants: code, data, a letter, a dialogue, a song; or what it speaks of."""

from __future__ import annotations

import re
from functools import lru_cache

CODE = re.compile(
    r"\b(?:python|java|javascript|typescript|node\.?js|golang|rust|kotlin|ruby|php|perl|haskell|scala|matlab"
    r"|x?html\d?|css|sql"
    r"|mysql|xml|svg|json|ya?ml|toml|csv|latex|markdown|regexp?|regular expressions?|bash|powershell|unix|linux"
    r"|docker\w*"
    r"|kubernetes|jinja\d?|ansible|apis?|algorithms?|programming|programmers?|pseudo-?code|source code|snippets?"
    r"|scripts?"
    r"|compilers?|compile|debug|syntax|escap(?:e|ed|es|ing)|newlines?|backslash\w*|printf|stdout|terminal|command line"
    r"|shell|react|vue|angular|django|flask|numpy|pandas|excel|git|arduino)\b|\bin (?:c|r)\b"
    r"|\bcode\b(?! \d)|c\+\+|c#|\.net\b|\w\(\)|代码|代碼|编程|函数|コード|プログラム|関数|코드"
    r"|\bкод\b|программ|código|codice"
    r"|programm(?:ier|e)?\b|quelltext|skript",
    re.IGNORECASE,
)
WEB = re.compile(
    r"html|xml|svg|css|\bweb|\btags?\b|markup|\belements?\b|attribut|\bbutton|\bforms?\b|hyperlink|template|component"
    r"|react"
    r"|angular|jsx|newsletter|wiki|entit|escap|markdown|\bbr\b|\bdiv\b|网页|标签|タグ",
    re.IGNORECASE,
)
DATA = re.compile(
    r"json|ya?ml|xml|dictionar|\bdict\b|objects?\b|schema|structured|key[- ]value|\bapi\b|\bfields?\b|payload|format"
    r"|config"
    r"|mongo|graphql|elasticsearch|\brecords?\b|\bdata\b|extract|\bparse|function|\btools?\b|serializ|\{|\[",
    re.IGNORECASE,
)
DIALOGUE = re.compile(
    r"dialog|conversation|\bchat|transcript|interview|role-?play|\bscript\b|\bscene\b|messages?\b|prompt|few-shot"
    r"|\bturns?\b"
    r"|\bsketch\b|\bskit\b|\bplay\b|\bexchange between\b"
    r"|gespräch|unterhaltung|conversaci|conversa[çz]|intervist|entretien|entrevista|对话|對話|会話|대화|диалог|разговор",
    re.IGNORECASE,
)
QUIZ = re.compile(
    r"quiz|\bq ?& ?a\b|\bfaqs?\b|interview|flash ?cards?|trivia|riddle|jokes?\b|worksheet|questionnaire|catechism"
    r"|socratic"
    r"|\b(?:writ|creat|generat|mak|giv|com|compos|design|prepar|suggest|list|think|draft|provid|formulat|produc|ask"
    r"|propos"
    r"|construct|rephras|paraphras|rewrit)(?:e|es|ed|ing|t|s)?\b.{0,60}"
    r"\b(?:questions?|exams?|tests?|exercises?|problems?|surveys?|prompts?)\b"
    r"|fragen|preguntas|domande|perguntas|вопросы|出题|问题集|クイズ|퀴즈",
    re.IGNORECASE,
)
DOCUMENT = re.compile(
    r"letter|e-?mail|template|invitation|resume|résumé|\bcv\b|cover|memo\b|announcement|press release|contract"
    r"|agreement|speech"
    r"|\bform\b|message|\bnote\b|notice|proposal|report|complaint|application|outline|script|draft|certificate"
    r"|invoice|receipt"
    r"|advert|\bad\b|slogan|tagline|\bpost\b|tweet|description|statement|review|fill[- ]in|blanks?\b|placeholder"
    r"|mad libs"
    r"|bio\b|brief|schreiben|einladung|vorlage|formular|carta|correo|plantilla|lettre|courriel|modèle|lettera|modello"
    r"|invito"
    r"|modelo|convite|письмо|шаблон|приглашение|邮件|信|模板|邀请|メール|手紙|テンプレート|편지|이메일",
    re.IGNORECASE,
)
VERSE = re.compile(
    r"\bsongs?\b|lyric|poem|poetry|\bpoet|chorus|hymn|anthem|chant|shanty|mantra|refrain|\bverses?\b|ballad|haiku"
    r"|limerick"
    r"|villanelle|\brap\b|jingle|rhym|recite|prayer|litany|lullaby|psalm|\bode\b|sonnet|carol\b|canon\b|stanza"
    r"|gedicht|\blied|reim|strophe|poema|canci[oó]n|\bletra\b|poème|chanson|paroles|couplet|poesia|canzone|filastrocca"
    r"|canção|стих|песн|诗|歌|詩|시를",
    re.IGNORECASE,
)
REPEATED = re.compile(
    r"\brepeat|repetit|over and over|again and again"
    r"|\b(?:\d+|two|three|four|five|six|seven|eight|nine|ten|twenty|fifty|a hundred|hundred) times\b(?! table)"
    r"|duplicat|\bpattern|\bloop|wiederhol|\b\d+[- ]?mal\b|répét|répèt|\bfois\b|repit|repet|\bveces\b|ripet|\bvolte\b"
    r"|\bvezes\b"
    r"|повтор|重复|重複|繰り返|반복",
    re.IGNORECASE,
)
ENCODING = re.compile(
    r"mojibake|utf-?8|utf-?16|latin-?1|iso-?8859|windows-?125\d|cp-?125\d|charset|character (?:set|encod)|text encoding"
    r"|encoding (?:error|issue|problem|fault)|wrong encoding|unicode|code ?points?|replacement character|zero[- ]width"
    r"|byte order mark|\bbom\b|zeichensatz|zeichenkod|codificación de caracteres|encodage|кодировк|编码|編碼|乱码|亂碼"
    r"|文字化け|文字コード",
    re.IGNORECASE,
)


@lru_cache(maxsize=64)
def about(subject: re.Pattern[str], text: str) -> bool:
    """Whether the text speaks of the subject, one of the patterns of this module."""
    return subject.search(text) is not None
