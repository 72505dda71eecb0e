"""Planted personal data of six kinds, written as people write it, and numbers and addresses that are nobody's."""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable, Iterator

from benchmarks.planted import Case, Floors
from benchmarks.planted.domains import TRADES, made, name
from instructlab_like.records import Sample

FLOORS = Floors(recall=0.98, precision=0.99)
Draw = Callable[[random.Random], str]


def digits(rng: random.Random, count: int, first: str = "0123456789") -> str:
    return rng.choice(first) + "".join(rng.choice(string.digits) for _ in range(count - 1))


# --- somebody's -------------------------------------------------------------------------------------------------


HOSTS_TEXT = (
    "kessel-werk.de post.velmouth.town brightwater.io corp.ostholm.com liceo-norte.es mail.ru fastmail.fm gmail.com "
    "uni-hal.ac.at northgate.co.uk tidewatch.org nakama.co.jp proton.me banco-sul.com.br"
)
HOSTS = HOSTS_TEXT.split()


def email(rng: random.Random) -> str:
    first, last = name(rng).lower(), name(rng).lower()
    local = rng.choice(
        [
            f"{first}.{last}",
            f"{first[0]}{last}",
            f"{first}_{last}",
            f"{first}{rng.randint(2, 99)}",
            f"{first}+{last}",
            f"info-{last}",
            f"{first}-{last}",
        ]
    )
    host = rng.choice([*HOSTS, f"{name(rng).lower()}.{rng.choice(['net', 'fr', 'dev', 'info', 'pl'])}"])
    return rng.choice([str, str, str.title])(f"{local}@") + host


def american(rng: random.Random) -> str:
    area, exchange, line = digits(rng, 3, "2346789"), digits(rng, 3, "234678"), digits(rng, 4)
    form = rng.choice(
        [
            "({}) {}-{}",
            "{}-{}-{}",
            "{}.{}.{}",
            "({}){}-{}",
            "1-{}-{}-{}",
            "+1 {} {} {}",
            "+1-{}-{}-{}",
            "+1 ({}) {}-{}",
            "1 ({}) {}-{}",
        ]
    )
    return form.format(area, exchange, line)


def abroad(rng: random.Random) -> str:
    return rng.choice(
        [
            f"+44 20 7{digits(rng, 3, '012345678')} {digits(rng, 4)}",
            f"+44 7{digits(rng, 3, '345689')} {digits(rng, 6)}",
            f"+49 {digits(rng, 3, '123456789')} {digits(rng, 7, '123456789')}",
            f"+49 (0){digits(rng, 2, '3456789')} {digits(rng, 6, '123456789')}",
            f"+33 6 {' '.join(digits(rng, 2) for _ in range(4))}",
            f"+91 {digits(rng, 5, '6789')} {digits(rng, 5)}",
            f"+7 9{digits(rng, 2)} {digits(rng, 3)}-{digits(rng, 2)}-{digits(rng, 2)}",
            f"+86 1{digits(rng, 2, '35789')} {digits(rng, 4)} {digits(rng, 4)}",
            f"+34 6{digits(rng, 2)} {digits(rng, 3)} {digits(rng, 3)}",
            f"+39 06 {digits(rng, 4)} {digits(rng, 4)}",
            f"+61 4{digits(rng, 2)} {digits(rng, 3)} {digits(rng, 3)}",
            f"+48{digits(rng, 9, '5678')}",
            f"0049 {digits(rng, 2, '3456789')} {digits(rng, 7, '123456789')}",
            f"+351-9{digits(rng, 2, '1236')}-{digits(rng, 3)}-{digits(rng, 3)}",
        ]
    )


def british(rng: random.Random) -> str:
    mobile = f"07{digits(rng, 3, '345689')}"
    return rng.choice(
        [
            f"020 7{digits(rng, 3, '0123468')} {digits(rng, 4)}",
            f"{mobile} {digits(rng, 6)}",
            f"{mobile} {digits(rng, 3)} {digits(rng, 3)}",
            f"0161 {digits(rng, 3, '23578')} {digits(rng, 4)}",
        ]
    )


def german(rng: random.Random) -> str:
    area = rng.choice(["030", "040", "089", "0221", "0421", "0711", "06221", "0171", "0151", "0176"])
    form = rng.choice(["{}/{}", "{} {}", "({}) {}", "{} - {}", "{}-{}"])
    return form.format(area, digits(rng, rng.randint(6, 7), "23456789"))


def french(rng: random.Random) -> str:
    return rng.choice([" ", ".", "-"]).join([f"0{rng.choice('1234567')}", *(digits(rng, 2) for _ in range(4))])


COUNTRIES = {  # n a digit, a a letter, c either
    "DE": "n" * 18,
    "GB": "a" * 4 + "n" * 14,
    "FR": "n" * 10 + "c" * 11 + "n" * 2,
    "NL": "a" * 4 + "n" * 10,
    "ES": "n" * 20,
    "AT": "n" * 16,
    "CH": "n" * 5 + "c" * 12,
    "PL": "n" * 24,
    "BE": "n" * 12,
    "NO": "n" * 11,
    "IT": "a" + "n" * 10 + "c" * 12,
    "SE": "n" * 20,
}
SIGNS = {"n": string.digits, "a": string.ascii_uppercase, "c": string.digits + string.ascii_uppercase}


def iban(rng: random.Random) -> str:
    country = rng.choice(list(COUNTRIES))
    body = "".join(rng.choice(SIGNS[sign]) for sign in COUNTRIES[country])
    number = int("".join(str(int(sign, 36)) for sign in f"{body}{country}00"))
    whole = f"{country}{98 - number % 97:02}{body}"
    return whole if rng.random() < 0.4 else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))


def checked(body: str) -> str:
    """A number with Luhn's check digit."""
    doubled = [2 * int(digit) for digit in body[::-2]]
    total = sum(sum(divmod(digit, 10)) for digit in doubled) + sum(map(int, body[-2::-2]))
    return f"{body}{-total % 10}"


def card(rng: random.Random) -> str:
    if rng.random() < 0.2:
        number = checked(rng.choice(["34", "37"]) + digits(rng, 12))
        return rng.choice([number, f"{number[:4]} {number[4:10]} {number[10:]}"])
    number = checked((rng.choice(["4", "51", "54", "2345", "6011", "3530"]) + digits(rng, 15))[:15])
    return rng.choice(["", " ", "-"]).join(number[i : i + 4] for i in range(0, 16, 4))


def social_security(rng: random.Random) -> str:
    area = rng.choice([place for place in range(1, 900) if place != 666])
    return f"{area:03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"


def address(rng: random.Random) -> str:
    if rng.random() < 0.25:
        return f"2a0{rng.randint(0, 9)}:{rng.randint(16, 65535):x}:{rng.randint(1, 65535):x}::{rng.randint(1, 65535):x}"
    first = rng.choice([5, 23, 31, 46, 62, 78, 81, 88, 93, 104, 151, 178, 185, 194, 212, 217])
    return f"{first}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


VALUES: dict[str, tuple[Draw, ...]] = {
    "e-mail": (email,),
    "phone, North America": (american,),
    "phone, with country code": (abroad,),
    "phone, Britain": (british,),
    "phone, Germany": (german,),
    "phone, France": (french,),
    "IBAN": (iban,),
    "payment card": (card,),
    "social security number": (social_security,),
    "IP address": (address,),
}


# --- nobody's ---------------------------------------------------------------------------------------------------


def unchecked(rng: random.Random) -> str:
    """Sixteen digits whose last one is not Luhn's."""
    right = checked(digits(rng, 15, "45"))
    number = right[:-1] + str((int(right[-1]) + rng.randint(1, 9)) % 10)
    return rng.choice(["", " ", "-"]).join(number[i : i + 4] for i in range(0, 16, 4))


def filled(rng: random.Random, *forms: str) -> str:
    """One of the forms, with a digit for each #, a hexadecimal one for each §, and a name for each ~."""
    text = rng.choice(forms)
    draws = {"#": string.digits, "§": "0123456789abcdef"}
    text = "".join(rng.choice(draws[sign]) if sign in draws else sign for sign in text)
    return "".join(name(rng).lower() if sign == "~" else sign for sign in text)


def day(rng: random.Random) -> str:
    form = rng.choice(["{y}-{m:02}-{d:02}", "{d:02}.{m:02}.{y}", "{m}/{d}/{y}", "{y}-{m:02}-{d:02}T{h:02}:{s:02}:00Z"])
    when = {"y": rng.randint(1901, 2029), "m": rng.randint(1, 12), "d": rng.randint(1, 28)}
    return form.format(**when, h=rng.randint(0, 23), s=rng.randint(0, 59))


def private(rng: random.Random) -> str:
    last = rng.randint(1, 254)
    nets = (
        "10.4.77",
        "10.233.9",
        "192.168.7",
        "172.20.4",
        "192.0.2",
        "203.0.113",
        "198.51.100",
        "127.0.0",
        "169.254.3",
    )
    return rng.choice(
        [*(f"{net}.{last}" for net in nets), f"2001:db8::{last:x}", f"fe80::{last:x}", f"fd12:9::{last:x}"]
    )


# What it is called, and how it is written.
NOBODYS: dict[str, tuple[str, Draw]] = {
    "order number": (
        "the order number",
        lambda rng: filled(
            rng, "##########", "################", "###-#######-#######", "ORD-########", "4###-####-####"
        ),
    ),
    "sixteen digits": ("the number of the meter", unchecked),
    "digest": ("the digest", lambda rng: filled(rng, "§" * 32, "§" * 40, "§" * 64)),
    "uuid": ("the key of the record", lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4))),
    "ISBN": ("ISBN", lambda rng: filled(rng, "978-#-####-####-#", "978##########", "#-###-#####-X", "#-####-####-#")),
    "version": ("version", lambda rng: ".".join(str(rng.randint(0, 99)) for _ in range(4))),
    "date": ("the day", day),
    "coordinates": ("the place", lambda rng: f"{rng.uniform(-80, 80):.6f}, {rng.uniform(-170, 170):.6f}"),
    "DOI": (
        "doi",
        lambda rng: filled(rng, "10.1###/j.#######.####.######", "10.2###/s#####-###-####-#", "10.3###/#######"),
    ),
    "example address": (
        "the address",
        lambda rng: filled(rng, "~@example.org", "~@example.com", "~.~@mail.example.net", "~@shop.test", "~@~.invalid"),
    ),
    "fictional phone": (
        "the phone number",
        lambda rng: filled(
            rng, "(2##) 555-01##", "3##-555-01##", "+1 4## 555 01##", "020 7946 0###", "+44 7700 900###"
        ),
    ),
    "private network": ("the host", private),
    "price": (
        "the sum",
        lambda rng: filled(rng, "$1,###,###.##", "2# ### ### kr", "EUR 3.###.###,##", "£45,###,###", "¥1########"),
    ),
    "invoice": ("invoice no.", lambda rng: filled(rng, "2019-######", "###-##-####", "03##-#######", "#########/##")),
    "colour": ("the colour", lambda rng: rng.choice(["#", "0x"]) + filled(rng, "§§§§§§")),
    "arithmetic": (
        "the product",
        lambda rng: filled(rng, "1##### × 2#### = 3##########", "7########## / 4####", "5#######-3#######"),
    ),
    "digits of pi": (
        "the fraction",
        lambda rng: filled(rng, "3.###############", "0.################", "1.#######e-12"),
    ),
    "handle": (
        "the account",
        lambda rng: filled(rng, "@~", "@~@social.~.net", "git@github.com:~/~.git", "~@4.1#.##", "~@2x.png"),
    ),
    "years": ("the years", lambda rng: filled(rng, "17##–18## and 15##-16##", "19##/20##", "1#th to 19th")),
    "zip code": ("the district", lambda rng: filled(rng, "MA 02###-####", "NJ 08###-####", "D-2####", "SW1A 1AA")),
}


# --- where it stands --------------------------------------------------------------------------------------------


SAID = {
    "e-mail": (
        "Write to {v} before noon.",
        "{who} <{v}> answers letters.",
        "Seine Adresse ist {v}.",
        "Contact : {v}",
        "mailto:{v}",
        "({v})",
        "{v}",
    ),
    "phone": (
        "Call {v} after six.",
        "Her number is {v}.",
        "{who} can be reached at {v}, or not at all.",
        "Tel.: {v}",
        "Phone {v}",
        "mobile: {v};",
        "Ruf {v} an.",
        "Appelez le {v}.",
        "My phone number is {v}",
    ),
    "IBAN": ("Pay to {v} by Friday.", "IBAN: {v}", "Das Konto {v} gehört {who}.", "the account {v} is closed", "{v}"),
    "payment card": ("The card {v} expires soon.", "Charge {v}, please.", "{who} paid with {v}.", "Visa {v} 11/29"),
    "social security number": (
        "SSN {v}",
        "{who} was given {v} at birth.",
        "Social security number: {v}.",
        "on the form stands {v},",
    ),
    "IP address": (
        "The request came from {v}.",
        "{who} logged in from {v} at night.",
        "ping {v}",
        "Blocked host: {v}",
        "client {v} was refused",
        "from {v}: connection reset",
    ),
}


def said(rng: random.Random, kind: str) -> str:
    sort = "phone" if kind.startswith("phone") else kind
    value = rng.choice(VALUES[kind])(rng)
    bare = kind.endswith(("North America", "country code")) and rng.random() < 0.3
    return f"{name(rng)}, {value}" if bare else rng.choice(SAID[sort]).format(v=value, who=name(rng))


def nobodys(rng: random.Random, kind: str) -> str:
    what, draw = NOBODYS[kind]
    value = draw(rng)
    return rng.choice(
        [
            f"It is {what} {value}.",
            f"{what}: {value}",
            f"{name(rng)} noted {what} {value}, and left.",
            f"We found {what} {value} there",
        ]
    )


def placed(rng: random.Random, text: str) -> Sample:
    """A sample with the text in its question, its answer or its passage."""
    trade = rng.choice(TRADES)
    before, after = trade.statement(rng), trade.statement(rng)
    whole = rng.choice([f"{before} {text} {after}", f"{text}\n\n{after}", f"{before}\n- {text}\n- {after}", text])
    place = rng.randrange(4)
    if place == 0:
        return made(f"{before} {text} {trade.short(rng)}", trade.statement(rng))
    if place == 1:
        return made(trade.short(rng), trade.statement(rng), kind="knowledge", context=f"{before} {text} {after}")
    return made(trade.question(rng), whole)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    for number in range(count):
        if number % 2:
            kind = list(VALUES)[number // 2 % len(VALUES)]
            yield Case(kind, (placed(rng, said(rng, kind)),), bad=True)
        else:
            kind = list(NOBODYS)[number // 2 % len(NOBODYS)]
            yield Case(kind, (placed(rng, nobodys(rng, kind)),), bad=False)
