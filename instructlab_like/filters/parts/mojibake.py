"""Text that was written in one encoding and read in another, by the traces this leaves in letters."""

from __future__ import annotations

import re


def followers(codec: str) -> str:
    """How the second and later bytes of a UTF-8 character look in an encoding of one byte a character.

    Bytes that the encoding leaves open are given as the control characters of that number.
    """
    shown = "".join(bytes([byte]).decode(codec, "ignore") for byte in range(0x80, 0xC0))
    return "".join(dict.fromkeys(shown + "".join(map(chr, range(0x80, 0xC0)))))


# What may stand after a capital in good text too: closing quotation marks, dashes, signs of degree and ordinals.
LOOSE = "“”‘’…–—»«°ºª\xa0™®©·"
WESTERN = followers("cp1252")
AFTER = f"[{re.escape(WESTERN)}]"
SURE = f"[{re.escape(''.join(mark for mark in WESTERN if mark not in LOOSE))}]"
CYRILLIC = f"[{re.escape(followers('cp1251'))}]"
SMALL, CAPITAL = "a-zß-ÿ", "À-ÖØ-Þ"

# Each alternative is a trace that good text of no language has. Letters that do occur in front of signs (Ã in JOÃO”,
# Å as a unit) count inside a word only; what single pairs cannot tell must come several times in a row.
UTF8_AS_WESTERN = re.compile(
    "|".join(
        (
            rf"Ã(?:{SURE}|[{LOOSE}](?=[{SMALL}])|(?<=[a-z].)[{LOOSE}]|(?<=\s.)\xa0)",  # é ü ñ à
            r"Â(?:[¡-¬®-¿]|(?<![A-ZÀ-Þ].)\xa0)",  # £ ° « ½
            rf"â(?:€|[‚„†‡ˆ‰Š‹ŒŽ•˜™š›œžŸ–—’“”‘¢-¿\x80-\x9f]{AFTER})",  # quotation marks, dashes, the euro, arrows
            rf"[ÄÅ](?:{SURE}|[{LOOSE}](?=[a-z])|(?<=[a-z].)[{LOOSE}])",  # ł ż ę č š ğ ı
            # Vietnamese, emoji, a mark of byte order, twice over
            rf"á[º»]{AFTER}|ðŸ|ï»¿|ï¿½|Ã¢|Ãƒ|ã[€‚ƒ]{AFTER}|ï¼{AFTER}",
            rf"[ÐÑ]{AFTER}[ÐÑ]{AFTER}|[ÎÏ]{AFTER}\s?[ÎÏ]{AFTER}|×{AFTER}×{AFTER}|[Ø-Û]{AFTER}\s?[Ø-Û]{AFTER}",
            rf"[à-ï]{AFTER}{AFTER}[à-ï]{AFTER}{AFTER}",  # Han, Hangul, Thai, Devanagari
        )
    )
)
PAIR = re.compile(f"[Â-ô]{AFTER}")  # without which the patterns above find nothing
INSIDE = re.compile(rf"[{CAPITAL}](?<=[{SMALL}][{SMALL}].)[{SMALL}]")  # an accented capital within a word: Mac Roman
CYRILLIC_TEXT = re.compile("[А-яЁёЂ]")
AS_CYRILLIC = (
    re.compile(rf"[РС]{CYRILLIC}[РС]{CYRILLIC}[РС]{CYRILLIC}"),  # Cyrillic in UTF-8 as Windows-1251
    re.compile(r"вЂ[^\sа-яё]|Г(?:(?<=[A-Za-z].)[^\sA-Za-z]|[^\sА-яЁё.,;:!?][A-Za-z])"),  # é and ’ so
    re.compile(  # Western as Windows-1251: Cyrillic within Latin words
        r"[a-zß-ÿ][а-яёА-Я]{1,2}[a-zß-ÿ]|[A-Za-z]{2}[а-яё]\b.{0,80}?[a-z][а-яё][a-z]"
        r"|\b[а-яё][a-z]{2,}.{0,80}?[a-z][а-яё]"
    ),
    # Cyrillic in UTF-8 as KOI8-R
    re.compile(r"п[\u2500-\u259f°²·÷±©]{1,2}п[\u2500-\u259f°²·÷±©]|[пя][\u2500-\u259f][пя][\u2500-\u259f]"),
)
RARE = re.compile(  # without which the patterns below find nothing
    "[锟烫屯鈥芒茅猫锚脿霉玫脽眉枚盲帽铆贸谩莽茫毛茂鐨锛銆槸鍦嬪鎴鍜鏄鎵鐢鍥鍙‚ƒ├┼╨╤╫╪Γ√ÕŽŠŸ¸ˆ‰¯‹¿¡¾ΘΩΣσφⁿ▀╓³¹¶±¼ðþÞ]"
)
AS_OTHERS = (
    re.compile(r"锟斤拷|烫烫烫|屯屯屯|鈥|[芒茅猫锚脿霉玫脽眉枚盲帽铆贸谩莽茫毛茂](?<=[A-Za-z].)[a-z]"),  # UTF-8 as GBK
    re.compile(r"[鐨锛銆槸鍦嬪鎴鍜鏄鎵鐢鍥鍙](?:.{0,40}?[鐨锛銆槸鍦嬪鎴鍜鏄鎵鐢鍥鍙]){2}"),
    re.compile(r"[‚ƒ][^\s‚ƒ][‚ƒ][^\s‚ƒ][‚ƒ][^\s‚ƒ]"),  # kana in Shift JIS as Windows-1252
    re.compile(r"[├┼](?<=[A-Za-z].)[^\s─-╿]|[╨╤╫╪][^\s─═│║][╨╤╫╪][^\s─═│║]|ΓÇ[^\s\w]|ΓÇ[ÖÿªÜ£]"),  # UTF-8 in DOS
    re.compile(r"√(?<=[A-Za-z].)[©®°±§´¨∂ß∫∏ªº≠Ω¶†•¢£¥ƒ≈∆«»…Œœ]|‚Ä[ôúùìîòöÊ¢]"),  # UTF-8 as Mac Roman
    re.compile(
        r"Õ(?<=[a-z].)(?:s|t|ll|re|ve|d|m)\b|[ŽŠŸ¸ˆ‰¯‹¿¡¾‚](?<=[a-z].)[a-zß-ÿ]|[³¹¶±¼](?<=[a-z][a-z].)[a-zß-ÿ]{2}"
    ),  # Mac Roman, Western and DOS mixed up
    re.compile(r"[ðþÞ](?<=[üçö].)|[ðýþ][a-zö]{0,6}[üç]|[üç][a-z]{0,6}[ðýþ]|ýð|ðý"),  # Turkish as Western
    re.compile(r"[ΘΓΩΣσφⁿ▀╓](?<=[a-z][a-z].)[a-z][a-z]"),
)
LETTERS = re.compile(r"[À-ÖØ-öø-ÿ]")
HIGH = re.compile(r"[¡-ÿ]{4,}")


def mojibake(text: str) -> str | None:
    """The first trace of a wrong encoding with what stands around it."""
    found = UTF8_AS_WESTERN.search(text) if PAIR.search(text) else None
    found = found or INSIDE.search(text)
    if not found and CYRILLIC_TEXT.search(text):
        found = next(filter(None, (pattern.search(text) for pattern in AS_CYRILLIC)), None) or shifted(text)
    if not found and RARE.search(text):
        found = next(filter(None, (pattern.search(text) for pattern in AS_OTHERS)), None)
    if not found:
        return eight_bits(text)
    start = text.rfind(" ", 0, found.start()) + 1
    end = text.find(" ", found.end())
    return text[max(start, found.start() - 20) : found.end() + 20 if end < 0 else min(end, found.end() + 20)]


RUSSIAN_WORD = re.compile(r"[а-яё]+")
COMMON_TEXT = """и в не на что с по как это для из к у от за но я он она они мы вы так же бы то его был была были есть
или только когда уже если при до"""
COMMON = frozenset(COMMON_TEXT.split())
SWAPPED = re.compile(r"\b[а-яё]?[А-ЯЁ]{2,}\b[^А-яЁё]{1,3}[а-яё]?[А-ЯЁ]{2,}\b")  # two words, as all would look


def shifted(text: str) -> re.Match[str] | None:
    """Where Russian of KOI8-R was read as Windows-1251, or the other way round: only read anew has it its commonest
    words, and in small letters."""
    found = SWAPPED.search(text)
    if found is None or 2 * sum(map(str.isupper, text)) < sum(map(str.isalpha, text)):
        return None
    if not COMMON.isdisjoint(RUSSIAN_WORD.findall(text.lower())):
        return None
    for wrong, right in (("cp1251", "koi8_r"), ("koi8_r", "cp1251")):
        again = text.encode(wrong, "ignore").decode(right, "ignore")
        if len(COMMON & set(RUSSIAN_WORD.findall(again))) > 1:
            return found
    return None


def eight_bits(text: str) -> str | None:
    """Words of accented letters only: Cyrillic or Han text of eight bits, read as Latin-1. Alphabets are in order."""
    runs = [run for run in HIGH.findall(text) if len(set(run)) > 2 and list(run) != sorted(run)]
    long = any(len(run) > 12 and len(run) > 1.5 * len(LETTERS.findall(run)) for run in runs)  # Japanese has no spaces
    if (len(runs) < 2 and not long) or 8 * sum(map(len, runs)) < len(text):
        return None
    return " ".join(runs[:3])
