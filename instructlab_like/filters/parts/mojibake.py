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
    re.compile(r"[А-Я](?<=\b[а-я].)[А-Я]{2,}\s[а-я]*[А-Я]{2,}"),  # KOI8-R as Windows-1251
)
RARE = re.compile(  # without which the patterns below find nothing
    "[锟烫屯鈥芒茅猫锚脿霉玫脽眉枚盲帽铆贸谩莽茫毛茂鐨锛銆槸鍦嬪鎴鍜鏄鎵鐢鍥鍙‚ƒ├┼╨╤╫╪Γ√ÕŽŠŸ¸ˆ‰¯‹¿¡¾ΘΩΣσφⁿ▀╓]"
)
AS_OTHERS = (
    re.compile(r"锟斤拷|烫烫烫|屯屯屯|鈥|[芒茅猫锚脿霉玫脽眉枚盲帽铆贸谩莽茫毛茂](?<=[A-Za-z].)[a-z]"),  # UTF-8 as GBK
    re.compile(r"[鐨锛銆槸鍦嬪鎴鍜鏄鎵鐢鍥鍙](?:.{0,40}?[鐨锛銆槸鍦嬪鎴鍜鏄鎵鐢鍥鍙]){2}"),
    re.compile(r"[‚ƒ][^\s‚ƒ][‚ƒ][^\s‚ƒ][‚ƒ][^\s‚ƒ]"),  # kana in Shift JIS as Windows-1252
    re.compile(r"[├┼](?<=[A-Za-z].)[^\s─-╿]|[╨╤╫╪][^\s─═│║][╨╤╫╪][^\s─═│║]|ΓÇ[^\s\w]|ΓÇ[ÖÿªÜ£]"),  # UTF-8 in DOS
    re.compile(r"√(?<=[A-Za-z].)[©®°±§´¨∂ß∫∏ªº≠Ω¶†•¢£¥ƒ≈∆«»…Œœ]|‚Ä[ôúùìîòöÊ¢]"),  # UTF-8 as Mac Roman
    re.compile(
        r"Õ(?<=[a-z].)(?:s|t|ll|re|ve|d|m)\b|[ŽŠŸ¸ˆ‰¯‹¿¡¾‚](?<=[a-z].)[a-z]"
    ),  # Mac Roman, Western and DOS mixed up
    re.compile(r"[ΘΓΩΣσφⁿ▀╓](?<=[a-z][a-z].)[a-z][a-z]"),
)
HIGH = re.compile(r"[¡-ÿ]{4,}")


def mojibake(text: str) -> str | None:
    """The first trace of a wrong encoding with what stands around it."""
    found = UTF8_AS_WESTERN.search(text) if PAIR.search(text) else None
    found = found or INSIDE.search(text)
    if not found and CYRILLIC_TEXT.search(text):
        found = next(filter(None, (pattern.search(text) for pattern in AS_CYRILLIC)), None)
    if not found and RARE.search(text):
        found = next(filter(None, (pattern.search(text) for pattern in AS_OTHERS)), None)
    if not found:
        return eight_bits(text)
    start = text.rfind(" ", 0, found.start()) + 1
    end = text.find(" ", found.end())
    return text[max(start, found.start() - 20) : found.end() + 20 if end < 0 else min(end, found.end() + 20)]


def eight_bits(text: str) -> str | None:
    """Words of accented letters only: Cyrillic or Han text of eight bits, read as Latin-1. Alphabets are in order."""
    runs = [run for run in HIGH.findall(text) if len(set(run)) > 2 and list(run) != sorted(run)]
    if len(runs) < 2 or 8 * sum(map(len, runs)) < len(text):
        return None
    return " ".join(runs[:3])
