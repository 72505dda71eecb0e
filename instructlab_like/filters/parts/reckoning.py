"""Equations that a text states, and whether they hold: arithmetic read in fractions, with bounds on all that grows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

MOST_TOKENS = 80  # of one side
MOST_DIGITS = 40
MOST_BITS = 4096  # of a power
DEEPEST = 20  # parentheses
HIGHEST = 30  # factorial

NUMBER = (
    r"(?:\d{1,3}(?:(?:,|\{,\}|[ \u00a0\u202f'’](?=\d{3}(?!\d)))\d{3})+(?:\.\d+)?|\d+(?:\.\d+)+|\d+(?:[.,]\d+)?|\.\d+)"
)
TOKEN = re.compile(
    rf"(?P<number>{NUMBER})(?P<ellipsis>(?:\.\.\.|…))?"
    r"|(?P<equals>==+|[=!<>≤≥]=|=[<>=~/!]|:=|[≈≠≅≡≃∼~<>≤≥]|=|->|=>|→|⇒)"
    r"|(?P<operator>\*\*|[-+*/^×÷·⋅∙−–%!]|(?<=[\d)\s])[xX](?=\s*[\d($.]))"
    r"|(?P<fraction>[½¼¾⅓⅔⅛])"
    r"|(?P<raised>[⁰¹²³⁴-⁹]{1,9})"
    r"|(?P<open>\()|(?P<close>\))"
    r"|(?P<currency>[$€£¥₹])"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)"
    r"|(?P<root>√)"
    r"|(?P<space>[^\S\n]+)"
    r"|(?P<other>[\s\S])"
)
OPERATORS = {"+": "+", "-": "-", "−": "-", "–": "-", "*": "*", "×": "*", "·": "*", "⋅": "*", "∙": "*", "x": "*",
             "X": "*", "/": "/", "÷": "/", "^": "^", "**": "^", "%": "%", "!": "!"}  # fmt: skip
PARTS = {"½": (1, 2), "¼": (1, 4), "¾": (3, 4), "⅓": (1, 3), "⅔": (2, 3), "⅛": (1, 8)}
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "k": 1000}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # number, equals, operator, open, close, word, other, end
    text: str
    start: int
    end: int
    glued: bool = False  # no space before it
    choices: tuple[Fraction, ...] = ()  # what a number may be read as
    places: int = 0  # decimals it is written with


class UnreadableError(Exception):
    """No arithmetic, or more of it than is worked out."""


def tokens(text: str) -> list[Token]:
    """The tokens of a line, without its spaces."""
    found: list[Token] = []
    spaced = True
    for match in TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "ellipsis":
            kind = "number"
        said = match[0]
        if kind == "space":
            spaced = True
            continue
        choices: tuple[Fraction, ...] = ()
        places = 0
        if kind == "number":
            choices, places = readings(match["number"])
            if not choices:
                kind = "other"
            if match["ellipsis"]:
                places = max(places, 1)
        elif kind == "fraction":
            kind, choices = "number", (Fraction(*PARTS[said]),)
        elif kind == "raised":
            found.append(Token("operator", "^", match.start(), match.start(), True))
            kind, choices = "number", (Fraction(int(said.translate(RAISED))),)
        elif kind == "word" and said.casefold() in ("x",):
            kind = "word"
        found.append(Token(kind, said, match.start(), match.end(), not spaced, choices, places))
        spaced = False
    return found


def readings(said: str) -> tuple[tuple[Fraction, ...], int]:
    """What a number may mean: "1,234" is 1234, or 1.234 where decimals have a comma. And its decimals."""
    plain = said.replace("{,}", ",")
    plain = re.sub(r"[ \u00a0\u202f'’]", "", plain)
    if len(plain) > MOST_DIGITS:
        return (), 0
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", plain):
        first = Fraction(plain.replace(",", ""))
        places = len(plain.partition(".")[2])
        if plain.count(",") == 1 and "." not in plain:
            return (first, Fraction(plain.replace(",", "."))), places
        return (first,), places
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+", plain):
        if plain.count(".") == 1:
            return (Fraction(plain), Fraction(plain.replace(".", ""))), 3
        return (Fraction(plain.replace(".", "")),), 0
    if re.fullmatch(r"\d*[.,]\d+", plain):
        return (Fraction("0" + plain.replace(",", ".")),), len(re.split(r"[.,]", plain)[1])
    if plain.isdigit() and plain.isascii():
        return (Fraction(int(plain)),), 0
    return (), 0


@dataclass(frozen=True, slots=True)
class Value:
    """What a side comes to; `slack` is how far off it may be because what went in was rounded."""

    number: Fraction
    slack: Fraction = Fraction(0)
    percent: bool = False
    divided: bool = False


class Reader:
    """Reads one side of an equation; `choice` says which reading of ambiguous numbers is taken."""

    def __init__(self, side: Sequence[Token], *, choice: int) -> None:
        self.side = side
        self.place = 0
        self.depth = 0
        self.choice = choice
        self.operations = 0

    def value(self) -> Value:
        if len(self.side) > MOST_TOKENS:
            raise UnreadableError
        found = self.sum()
        if self.place != len(self.side):
            raise UnreadableError
        return found

    def peek(self) -> Token | None:
        return self.side[self.place] if self.place < len(self.side) else None

    def operator(self) -> str | None:
        token = self.peek()
        return OPERATORS.get(token.text) if token is not None and token.kind == "operator" else None

    def sum(self) -> Value:
        left = self.product()
        while (sign := self.operator()) in ("+", "-"):
            self.place += 1
            self.operations += 1
            right = self.product()
            number = left.number + right.number if sign == "+" else left.number - right.number
            both = left.percent and right.percent
            left = Value(number, left.slack + right.slack, both, left.divided or right.divided)
        return left

    def product(self) -> Value:
        left = self.unary()
        while True:
            sign = self.operator()
            token = self.peek()
            if sign in ("*", "/"):
                self.place += 1
                right = self.unary()
            elif (
                token is not None
                and token.kind == "open"
                and self.place
                and self.side[self.place - 1].kind != "operator"
            ):
                sign, right = "*", self.unary()
                if left.divided:
                    raise UnreadableError  # 6 / 2(1 + 2) is read in two ways
            else:
                return left
            self.operations += 1
            left = _times(left, right) if sign == "*" else _over(left, right)

    def unary(self) -> Value:
        if (sign := self.operator()) in ("+", "-"):
            self.place += 1
            inner = self.unary()
            return Value(-inner.number, inner.slack, inner.percent, inner.divided) if sign == "-" else inner
        return self.power()

    def power(self) -> Value:
        base = self.postfix()
        if self.operator() == "^":
            self.place += 1
            self.operations += 1
            exponent = self.unary()
            return Value(_power(base.number, exponent.number), divided=True)
        return base

    def postfix(self) -> Value:
        found = self.atom()
        while (sign := self.operator()) in ("!", "%"):
            following = self.side[self.place + 1] if self.place + 1 < len(self.side) else None
            if sign == "%" and following is not None and following.kind in ("number", "open", "currency"):
                raise UnreadableError  # a remainder, as in programs
            self.place += 1
            if sign == "%":
                found = Value(found.number / 100, found.slack / 100, True, found.divided)
            else:
                self.operations += 1
                found = Value(_factorial(found.number))
        return found

    def atom(self) -> Value:
        token = self.peek()
        if token is None:
            raise UnreadableError
        self.place += 1
        if token.kind == "currency":
            return self.atom()
        if token.kind == "number":
            number = token.choices[min(self.choice, len(token.choices) - 1)]
            whole = Value(number, Fraction(1, 2 * 10**token.places) if token.places > 1 else Fraction(0))
            return self._mixed(whole, token)
        if token.kind == "root":
            inner = self.atom()
            self.operations += 1
            return Value(_root(inner.number), Fraction(1, 10**9), divided=True)
        if token.kind == "open":
            self.depth += 1
            if self.depth > DEEPEST:
                raise UnreadableError
            inner = self.sum()
            closing = self.peek()
            if closing is None or closing.kind != "close":
                raise UnreadableError
            self.place += 1
            self.depth -= 1
            return inner
        raise UnreadableError

    def _mixed(self, whole: Value, token: Token) -> Value:
        """3 1/2 and 3½ are three and a half."""
        following = self.peek()
        if following is None or following.kind != "number" or token.places:
            return whole
        if following.text in PARTS:
            self.place += 1
            return Value(whole.number + following.choices[0])
        after = self.side[self.place + 1 : self.place + 3]
        if (
            len(after) == 2
            and after[0].text == "/"
            and after[1].kind == "number"
            and following.choices[0] < after[1].choices[0]
            and after[1].choices[0] < 100
        ):
            self.place += 3
            return Value(whole.number + following.choices[0] / after[1].choices[0])
        raise UnreadableError


def _times(left: Value, right: Value) -> Value:
    slack = abs(left.number) * right.slack + abs(right.number) * left.slack
    return Value(left.number * right.number, slack, False, left.divided or right.divided)


def _over(left: Value, right: Value) -> Value:
    if not right.number:
        raise UnreadableError
    number = left.number / right.number
    slack = left.slack / abs(right.number) + abs(number) * right.slack / abs(right.number)
    return Value(number, slack, False, True)


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent == Fraction(1, 2):
        return _root(base)
    if exponent.denominator != 1 or abs(exponent) > 512 or (not base and exponent <= 0):
        raise UnreadableError
    if max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(int(exponent)) > MOST_BITS:
        raise UnreadableError
    return base ** int(exponent)


def _root(number: Fraction) -> Fraction:
    if number < 0 or number.numerator.bit_length() > 256:
        raise UnreadableError
    scale = 10**24
    return Fraction(math.isqrt(number.numerator * scale // number.denominator), 10**12)


def _factorial(number: Fraction) -> Fraction:
    if number.denominator != 1 or not 0 <= number <= HIGHEST:
        raise UnreadableError
    return Fraction(math.factorial(int(number)))


def shown(number: Fraction) -> str:
    """A value as people write it, with up to six decimals."""
    if number.denominator == 1:
        return str(number.numerator)
    return f"{float(number):.6f}".rstrip("0").rstrip(".") if abs(number) < 10**12 else f"{float(number):.6g}"


def holds(left: Value, right: Value, stated: Token, *, scale: int, bare: bool) -> bool:
    """Whether a stated result is the value: exactly, rounded, cut off, or as a percentage."""
    wanted, step = right.number * scale, Fraction(scale, 10**stated.places)
    if not stated.places and scale == 1:
        step = Fraction(0) if left.number.denominator == 1 else Fraction(1)
    if not bare:
        step = Fraction(0)
    options = [(wanted, step)]
    if right.percent:
        options = [(wanted, step / 100), (wanted * 100, step)]
    elif left.percent:
        options.append((wanted / 100, step / 100))
    zeros = len(stated.text) - len(stated.text.rstrip("0,"))
    if zeros >= 3 and abs(left.number - wanted) * 100 < abs(left.number):
        return True
    return any(_near(left, target, unit) for target, unit in options)


def _near(left: Value, wanted: Fraction, step: Fraction) -> bool:
    gap = abs(left.number - wanted)
    cut = abs(wanted) <= abs(left.number) or step >= 1  # people and buses are rounded up
    if gap <= abs(left.number) / 10**10 or gap <= step / 2 or (cut and gap < step):
        return True
    return bool(left.slack) and gap <= left.slack + step / 2 and gap * 20 <= abs(left.number)


# --- equations in a text ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Equation:
    left: Sequence[Token]
    right: Sequence[Token]
    after: str  # the word or sign behind it

    def wrong(self) -> Fraction | None:
        """What the left side comes to, when the right side is something else; None when it holds or cannot be told."""
        values = [value for choice in (0, 1) if (value := _work_out(self.left, choice)) is not None]
        if not values:
            return None
        stated = next((token for token in self.right if token.kind == "number"), None)
        if stated is None:
            return None
        scale = SCALES.get(self.after, 1)
        sides = [self.right]
        first = self.right[: self.right.index(stated) + 1]
        behind = self.right[len(first)].text if len(first) < len(self.right) else ""
        if behind and (self.after == "=" or behind in "-−–"):  # "2 + 3 = 5 + 4 = 9" goes on with what it has
            sides.append(first)
        if self.right[-1].text == "!":  # of the sentence, perhaps
            sides.append(self.right[:-1])
        for choice in (0, 1):
            for side in sides:
                right = _side(side, choice)
                if right is not None and any(
                    holds(value, right, stated, scale=scale, bare=_bare(side)) for value in values
                ):
                    return None
                if right is None and side is self.right:
                    return None
        return values[0].number

    @property
    def said(self) -> str:
        return _said(self.left) + " = " + _said(self.right)


def _bare(side: Sequence[Token]) -> bool:
    return sum(token.kind == "number" for token in side) == 1


def _said(side: Sequence[Token]) -> str:
    text = ""
    for token in side:
        text += ("" if token.glued or not text else " ") + token.text
    return text


def _work_out(side: Sequence[Token], choice: int) -> Value | None:
    """The value of a side that has something to be worked out."""
    reader = Reader(side, choice=choice)
    try:
        value = reader.value()
    except UnreadableError:
        return None
    return value if reader.operations else None


def worked_out(side: Sequence[Token]) -> bool:
    """Whether a side is arithmetic that can be worked out."""
    return _work_out(side, 0) is not None


def _side(side: Sequence[Token], choice: int) -> Value | None:
    try:
        return Reader(side, choice=choice).value()
    except UnreadableError:
        return None


def equations(line: str) -> Iterator[Equation]:
    """Each "left = right" of a line that is arithmetic on both sides."""
    found = tokens(line)
    if found and found[0].text in "-*+•–" and len(found) > 1 and not found[1].glued:
        found = found[1:]
    for place, token in enumerate(found):
        if token.kind != "equals" or token.text != "=":
            continue
        left = _left(found, place)
        right = _right(found, place)
        if left is not None and right is not None:
            after = found[found.index(right[-1]) + 1 :][:1]
            yield Equation(left, right, after[0].text.casefold() if after else "")


def _left(found: Sequence[Token], place: int) -> list[Token] | None:
    """The arithmetic that ends before the sign, or None where it is part of something else."""
    start = place
    expects = True  # an operand
    depth = 0
    while start > 0:
        token = found[start - 1]
        if token.kind == "close":
            if not expects and not depth:
                break
            depth += 1
        elif token.kind == "open":
            if not depth:
                break
            depth -= 1
            expects = False
            start -= 1
            continue
        elif token.kind == "number":
            if not expects and not _joins(found, start - 1):
                if depth:
                    return None
                break
            expects = False
        elif token.kind == "operator":
            if token.text in "%!":
                if not expects:
                    break
            else:
                expects = True
        elif token.kind in ("currency", "root"):
            if expects:
                break
        else:
            break
        start -= 1
        if token.kind == "close":
            expects = True
    if depth:
        return None
    side = list(found[start:place])
    before = found[start - 1] if start else None
    return side if side and _stands_alone(side, before) else None


def _joins(found: Sequence[Token], at: int) -> bool:
    """Whether two numbers side by side are one: 3 1/2, 3½."""
    following = found[at + 1 : at + 4]
    return bool(following) and (
        following[0].text in PARTS
        or (len(following) == 3 and following[1].text == "/" and following[2].kind == "number" and not found[at].places)
    )


def _stands_alone(side: Sequence[Token], before: Token | None) -> bool:
    """Whether nothing before the left side belongs to it: a letter of algebra, a function, a colon of a time."""
    first = side[0]
    if before is None:
        return True
    if before.kind in ("number", "close"):
        return not first.glued and first.kind != "operator"
    if before.kind == "word":
        if first.kind == "operator":
            return False
        return not first.glued and before.text.casefold() not in FUNCTIONS
    if before.kind == "equals":
        return before.text in ("=", "≈", "->", "=>", "→", "⇒")
    if before.kind in ("operator", "root"):
        return False
    if first.kind == "operator" and before.kind == "other" and not before.text.isspace():
        return False
    return not (first.glued and before.text in ":._\\@#&'’°/|")


FUNCTIONS_TEXT = """log ln exp sin cos tan sqrt mod lim max min gcd lcm abs floor ceil choose c p f g h of over sum
det version page"""
FUNCTIONS = frozenset(FUNCTIONS_TEXT.split()) - {"of", "sum", "over"}


def _right(found: Sequence[Token], place: int) -> list[Token] | None:
    """The arithmetic behind the sign, as far as it goes."""
    end = place + 1
    expects = True
    depth = 0
    while end < len(found):
        token = found[end]
        if token.kind == "number":
            if not expects and not (found[end - 1].kind == "number" and _joins(found, end - 1)):
                break
            expects = False
        elif token.kind == "open":
            if not expects and not token.glued:
                break
            depth += 1
            expects = True
        elif token.kind == "close":
            if not depth:
                break
            depth -= 1
            expects = False
        elif token.kind == "operator":
            if token.text in "%!":
                if expects or (token.text == "!" and not token.glued):
                    break
            elif expects and token.text not in "-−–+":
                return None
            elif not expects and not _goes_on(found, end):
                break
            else:
                expects = True
        elif token.kind in ("currency", "root"):
            if not expects:
                break
        else:
            break
        end += 1
    if depth or expects:
        return None
    after = found[end] if end < len(found) else None
    if after is not None and not _ends(found, end):
        return None
    return list(found[place + 1 : end])


def _goes_on(found: Sequence[Token], at: int) -> bool:
    """Whether an operator behind a result is one: not a dash in a sentence, not the mark of the next list item."""
    following = found[at + 1] if at + 1 < len(found) else None
    return following is not None and following.kind in ("number", "open", "currency", "root")


def _ends(found: Sequence[Token], end: int) -> bool:
    """Whether the right side is whole: no variable, exponent, time or remainder follows."""
    after = found[end]
    if after.kind == "word":
        folded = after.text.casefold()
        if folded in ("r", "rem", "remainder", "mod", "with", "e", "i", "pi", "or", "base"):
            return False
        return not after.glued or folded in UNITS_GLUED
    if after.kind == "other":
        if after.text in ":_^°\\|&@#²³":
            return not after.glued
        if after.text in ".,":
            following = found[end + 1] if end + 1 < len(found) else None
            return not (following is not None and following.glued and following.kind == "number")
        return True
    if after.kind == "operator":
        return after.text in "-−–" and not after.glued
    if after.kind == "equals":
        return True
    if after.kind in ("open", "currency", "number"):
        return not after.glued
    return True


UNITS_GLUED_TEXT = """cm mm km m g kg mg l ml s h k usd eur th st nd rd ms min hr hrs"""
UNITS_GLUED = frozenset(UNITS_GLUED_TEXT.split())
