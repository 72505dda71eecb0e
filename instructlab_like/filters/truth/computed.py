"""Rejects answers with arithmetic that does not come out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import ClassVar

from instructlab_like.filters import SampleFilter
from instructlab_like.filters.judgement import Judgement, kept, not_applied, rejected
from instructlab_like.filters.parts.figures import SPOKEN, phrase_values
from instructlab_like.filters.parts.reckoning import Equation, equations, shown, tokens, worked_out
from instructlab_like.records import Sample

NOTHING = not_applied("states no arithmetic")
RIGHT = kept("its arithmetic comes out")
LONGEST = 20_000  # characters of an answer that are looked at
MOST_EQUATIONS = 200

CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`", re.DOTALL)
SPOKEN_SIGNS = (
    *(" plus ", " minus ", " times ", " divided by ", " multiplied by ", "% of ", "percent of ", "per cent of "),
    *("half of ", "quarter of ", "sum of ", "product of ", "square root of ", " squared ", " cubed "),
    *(" to the power of ", "average of ", "mean of ", "difference between ", "difference of "),
    *("ividing ", "ultiplying ", "dding ", "ubtracting "),
)
LISTED = r"(?P<listed>\d[\d.]*(?:, \d[\d.]*){1,20},? (?:and|und|y|et) \d+(?:\.\d+)?|\d[\d.]* and \d+(?:\.\d+)?)"


def says_a_sum(text: str) -> bool:
    """Whether an operation is named. A plain loop: it runs on every answer."""
    for sign in SPOKEN_SIGNS:  # noqa: SIM110
        if sign in text:
            return True
    return False


def _listed(sign: str, *, mean: bool = False) -> Callable[[re.Match[str]], str]:
    """What a list of numbers comes to, in signs."""

    def written(match: re.Match[str]) -> str:
        numbers = re.findall(r"\d+(?:\.\d+)?", match["listed"])
        return f"(({sign.join(numbers)}) / {len(numbers)})" if mean else f"({sign.join(numbers)})"

    return written


REWRITES: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(pattern, re.IGNORECASE), by)
    for pattern, by in (
        (r"\bthe (?=(?:sum|product|square root|difference|quotient|average|mean)\b)", ""),
        (rf"\bsum of {LISTED}(?![\d.]*\d|%)", _listed(" + ")),
        (rf"\bproduct of {LISTED}(?![\d.]*\d|%)", _listed(" * ")),
        (rf"\b(?:average|mean) of {LISTED}(?![\d.]*\d|%)", _listed(" + ", mean=True)),
        (r"\bdividing (\S*\d) by (\S*\d)(?=[\s,])", r"(\1 / \2)"),
        (r"\bmultiplying (\S*\d) (?:by|with|and) (\S*\d)(?=[\s,])", r"(\1 * \2)"),
        (r"\badding (\S*\d) (?:to|and) (\S*\d)(?=[\s,])", r"(\1 + \2)"),
        (r"\bsubtracting (\S*\d) from (\S*\d)(?=[\s,])", r"(\2 - \1)"),
        (r"\bsum of (\S+) and (\S+?)(?=[\s,.?!]|$)", r"(\1 + \2)"),
        (r"\bproduct of (\S+) and (\S+?)(?=[\s,.?!]|$)", r"(\1 * \2)"),
        (r"\bsquare root of (\d[\d,.]*\d|\d)", r"√\1"),
        (r"(?<=\d)\s*(?:percent|per cent)\b", "%"),
        (r"(?<=%)\s+of\s+(?=[$€£]?\d)", " * "),
        (r"\b(?:one |a )?half of\s+(?=[$€£]?\d)", " 0.5 * "),
        (r"\b(?:one |a )quarter of\s+(?=[$€£]?\d)", " 0.25 * "),
        (r"(?<=[\d)])\s+plus\s+(?=[\d($√-])", " + "),
        (r"(?<=[\d)])\s+minus\s+(?=[\d($√-])", " - "),
        (r"(?<=[\d)])\s+(?:times|multiplied by)\s+(?=[\d($√-])", " * "),
        (r"(?<=[\d)])\s+divided by\s+(?=[\d($√-])", " / "),
        (r"(?<=[\d)])\s+squared\b", "^2"),
        (r"(?<=[\d)])\s+cubed\b", "^3"),
        (r"(?<=[\d)])\s+to the power of\s+(?=\d)", "^"),
        (r"(?<=[\d)%])\s*,?\s+(?:is equal to|equals?|makes|gives|yields|comes to|is)\s+(?=[$€£]?-?\d)", " = "),
    )
]
LATEX = [
    (re.compile(pattern), by)
    for pattern, by in (
        (r"\\[td]?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))"),
        (r"\\(?:times|cdot|ast)(?![a-z])", "*"),
        (r"\\div(?![a-z])", "/"),
        (r"\\sqrt\{([^{}]*)\}", r"√(\1)"),
        (r"\\(?:left|right|,|;|!|:|quad|qquad|displaystyle)(?![a-z])", " "),
        (r"\\approx|\\neq?|\\sim", "≈"),
        (r"\\%", "%"),
        (r"\\\$", "$"),
        (r"\^\{([^{}]*)\}", r"^(\1)"),
        (r"\\[()\[\]]", " "),
    )
]
BOLD = re.compile(
    r"(?<![\d)])(?<!\d )\*\*|\*\*(?! ?[\d(-])|(?<= )\*\*(?=\S)|(?<=\S)\*\*(?= )"
)  # no power: 2**10, 2 ** 10
DOLLAR = re.compile(r"\$(?!\s?\d|\s?\.\d)")
# Where what is stated is not meant as true, or not meant in plain numbers.
UNMEANT = re.compile(
    r"(?<![^\W_])(?:wrong\w*|incorrect\w*|false\w*|mistak\w*|errors?|erroneous\w*|fallacy|not|never|instead of"
    r"|pretend\w*|joke|puzzle|pattern|claims?|claimed|thinks?|thought|believes?|binar\w+|mod|modulo|modular|base|hex\w*|octal|boolean"
    r"|concatenat\w*|string|matri\w+|vectors?|clock|odds|approx\w*|estimat\w*|round\w*|paradox|orwell|remainder|xor"
    r"|ternary|isn['’]t|doesn['’]t|don['’]t|aren['’]t|can['’]t|cannot|nonsense|absurd\w*|contradict\w*|impossible|untrue"
    r"|falsch\w*|nicht|faux|fausse|pas|falso|incorrecto)(?![^\W_])",
    re.IGNORECASE,
)
SUPPOSED = re.compile(
    r"(?<![^\W_])(?:if|suppose|supposing|assum\w+|imagine|let|say|whether|when|unless|would be|were|about|around"
    r"|roughly|nearly|almost|circa|etwa|rund|ungefähr|environ|wenn|si)\s*(?:that\s*)?[:,(]?\s*$",
    re.IGNORECASE,
)
ELSEWHERE = re.compile(
    r"\b(?:binary|hex\w*|octal|boolean|mod(?:ulo|ular)?|base[- ]?\w+|puzzle|riddle|pattern|code|program|python"
    r"|javascript|java|c\+\+|sql|function|wrong|incorrect|mistake|error|fake|false|joke|absurd|matrix|matrices|vector|clock|roman|lie"
    r"|untrue)\b",
    re.IGNORECASE,
)
CODELIKE = re.compile(r";\s*$|==|\b(?:print|return|def|var|let|const|int|float|console)\b|[{}\\]|\w\[\d|//")
ASKED = re.compile(
    r"(?:^|[.:?!]\s+|\n)\s*(?:please\s+)?(?:what(?:['’]s| is| does)?|calculate|compute|evaluate|solve|work out|find"
    r"|how much is|simplify|add|was ist|wie viel ist|berechne|cuánto es|combien font)\s*"
    r"(?:the (?:value|result|answer|sum|product) (?:of|to)\s+|the following(?: \w+)?)?:?\s*"
    r"(?P<sum>[-$€£(√]*\d[^?\n=]*?)\s*(?:equal(?: to)?|make|=)?\s*[?.]?\s*$",
    re.IGNORECASE,
)
BARE = re.compile(
    r"\s*(?:the (?:answer|result|value|sum|product)(?: is|:)?|answer:|result:|it(?:['’]s| is)|that(?:['’]s| is)|="
    r"|####)?\s*[*_$\\(]*(?P<number>[-−]?[$€£]?\s*[-−]?\d[\d,.'’/ ]*%?)[*_$\\)]*\s*[.!]?\s*",
    re.IGNORECASE,
)
RANGE_UNITS = re.compile(r"[^\W\d_]+")


OPENS = re.compile(r"(?:^|(?<=[.!?:] ))[A-Z](?=[a-z])")  # a sentence; numbers in words are known by small letters


class Computed(SampleFilter):
    """Works out the arithmetic that an answer states, and rejects it when something else comes out.

    Judged are equations of numbers alone: "3 + 4 = 8", "12 x 12 is 148", "20% of 50 is 12", "√81 = 8", with powers,
    factorials, fractions, percentages and currency, chains of them, and what LaTeX writes in their place; and an answer
    that is a bare number to a question that is a bare sum ("What is 17 * 23?"). A result may be rounded, cut off at any
    digit, or a percentage; where a number is spelled openly ("1,234"), either reading will do.

    Left alone is whatever may mean something else: letters of algebra, units on the left, code, dates, times, versions,
    remainders, other bases, what is said to be wrong, supposed, rounded or a puzzle, and what the question itself
    states. So it cannot know whether the sum was the right one to do, nor check what is told in words only.
    """

    version: ClassVar[int] = 2

    question: bool = True
    """Work out the question too where it is a bare sum."""

    def judge(self, sample: Sample) -> Judgement:
        answer = sample.answer
        if len(answer) > LONGEST:
            answer = answer[:LONGEST]
        stated = "=" in answer or says_a_sum(answer)
        asked = self.question and len(answer) < 80 and bool(sample.question) and sample.question[-40:].strip() != ""
        if not stated and not asked:
            return NOTHING
        if asked and (told := asked_for(sample.question, answer)) is not None:
            if told:
                return rejected("wrong-result", told)
            if not stated:
                return RIGHT
        if not stated or ELSEWHERE.search(sample.question):
            return NOTHING
        seen = False
        for equation in stated_in(answer):
            seen = True
            value = equation.wrong()
            if value is not None and plainly_meant(equation, sample.question):
                said = equation.said
                return rejected("wrong-equation", f"{said} is stated, but {said.partition(' = ')[0]} is {shown(value)}")
        return RIGHT if seen else NOTHING


def stated_in(answer: str) -> Iterator[Equation]:
    """The equations of an answer in numbers alone, from where they are meant as true."""
    if "`" in answer or "~~~" in answer:
        answer = CODE.sub(" ; ", answer)
    count = 0
    for line in answer.splitlines():
        spoken = says_a_sum(line)
        if not spoken and "=" not in line:
            continue
        for sentence in re.split(
            r"(?<=[^\d\s][.!?;])\s+|(?<=\d[.;!?])\s+(?=[A-Z])", plain(line) if not spoken else said(plain(line))
        ):
            if UNMEANT.search(sentence) or CODELIKE.search(sentence) or sentence.rstrip().endswith("?"):
                continue
            for equation in equations(sentence):
                count += 1
                if count > MOST_EQUATIONS:
                    return
                if not SUPPOSED.search(sentence[: equation.left[0].start]):
                    yield equation


def plain(line: str) -> str:
    """A line without the marks of LaTeX, of Markdown and of calculator notes."""
    if "\\" in line:
        for pattern, by in LATEX:
            line = pattern.sub(by, line)
    if "<<" in line:
        line = line.replace("<<", " | ").replace(">>", " | ")
    if "**" in line:
        line = BOLD.sub("", line)
    return DOLLAR.sub(" ", line)


def said(line: str) -> str:
    """A line with the words of arithmetic as signs."""
    line = SPOKEN.sub(_digits, OPENS.sub(lambda first: first[0].lower(), line))
    for pattern, by in REWRITES:
        line = pattern.sub(by, line)
    return line


def _digits(match: re.Match[str]) -> str:
    values = phrase_values(match[0])
    return str(values[0][0]) if len(values) == 1 and not match[0].startswith(("a ", "half", "several")) else match[0]


def plainly_meant(equation: Equation, question: str) -> bool:
    """Whether nothing around a wrong equation says that it means something else."""
    signs = [token for token in equation.left if token.kind == "operator"]
    if (
        [token.text for token in signs] in (["-"], ["–"], ["−"])
        and signs[0].glued
        and RANGE_UNITS.match(equation.after)
    ):
        return False  # pages 10-20, Monday 9-5
    if equation.after in ("am", "pm", "o", "mod", "base", "a", "p"):
        return False
    numbers = [token.text for token in (*equation.left, *equation.right) if token.kind == "number"]
    if all(set(number) <= {"0", "1"} for number in numbers) and any(len(number) > 1 for number in numbers):
        return False
    currencies = {token.text for token in (*equation.left, *equation.right) if token.kind == "currency"}
    if len(currencies) > 1:
        return False
    percents = sum(token.text == "%" for token in equation.left)
    if percents and any(token.text in "+-−–" for token in signs) and percents < len(numbers) - 1:
        return False  # 100 + 10%
    spaceless = re.sub(r"\s", "", equation.said)
    return spaceless not in re.sub(r"\s", "", question)


def asked_for(question: str, answer: str) -> str | None:
    """What is wrong with a bare number as the answer to a bare sum; "" if it is right; None if it is no such pair."""
    match = ASKED.search(question)
    bare = BARE.fullmatch(answer) if match else None
    if match is None or bare is None or ELSEWHERE.search(question) or UNMEANT.search(question):
        return None
    asked, result = said(plain(match["sum"])).strip(), bare["number"].strip(" .,")
    line = f"{asked} = {result}"
    found = list(equations(line))
    if len(found) != 1 or sum(token.kind != "equals" for token in tokens(line)) != len(found[0].left) + len(
        found[0].right
    ):
        return None
    if not worked_out(found[0].left):
        return None
    value = found[0].wrong()
    if value is None:
        return ""
    if not plainly_meant(found[0], question):
        return None
    return f"the answer is {result}, but {asked} is {shown(value)}"
