"""Planted questions that repeat an earlier one nearly word for word, and others that stay just below the measure.

Whether one repeats another is settled by ROUGE-L as it is defined, table and all, not by the filter's own code.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

from rapidfuzz import process
from rapidfuzz.distance import Indel

from benchmarks.planted import Case, Floors
from instructlab_like.filters import LeafFacts, Surroundings
from instructlab_like.records import Lineage, Pair, Sample, Seed, digest

MOST = 1_200
FLOORS = Floors(recall=1.0, precision=1.0)
THRESHOLD, APART = 0.7, 0.69
LEAF = "knowledge/planted/harbours"

ENGLISH = {
    "thing": (
        "sourdough starter|mortgage contract|binary search tree|bicycle chain|vaccine trial|sonnet|solar panel|"
        "chess opening|tax return|coral reef|violin bow|compost heap|job interview|glacier|spreadsheet formula|"
        "hearing aid|medieval guild|beehive|router firmware|espresso machine|fault line|novel's narrator|rain gauge|"
        "kidney stone|union ballot|wool carpet|sailing dinghy|railway timetable|fern|poker hand|cheese cellar|"
        "telescope mirror|divorce settlement|marathon plan|password manager|pottery kiln|magnetic compass|hedgehog"
    ),
    "who": (
        "a nervous beginner|my elderly neighbour|a class of ten-year-olds|an auditor|somebody who just moved here|"
        "two colleagues who disagree|a curious tourist|the night shift|a small charity|an impatient customer|"
        "parents of twins|a retired engineer|the local newspaper|first-year students|a sceptical jury"
    ),
    "do": (
        "explain|summarise|compare|draft a letter about|list three surprising facts about|invent a riddle on|"
        "write a short dialogue around|sketch a lesson about|argue for and against|give safety advice for|"
        "translate the usual jargon of|estimate the yearly cost of|describe the smell, sound and feel of|"
        "prepare a checklist for|tell the history of|find a metaphor for|plan a weekend with"
    ),
    "how": (
        "without using any technical term|in fewer than sixty words|and end with an open question|"
        "step by step, numbered from one|as if it were a weather report|with one example from daily life|"
        "so that it fits on a postcard|and mention what usually goes wrong|in the style of an old almanac|"
        "with a table of two columns|using only questions|and quote one invented source|for reading aloud|"
        "while staying strictly neutral|and say who would object"
    ),
    "why": (
        "because the instructions were lost in the move|since the budget was halved last spring|"
        "before the committee meets on Thursday|although nobody asked for it|now that the warranty has expired|"
        "after what happened at the village fair|in case the power fails again|if the forecast turns out right"
    ),
}
FRAMES = (
    "{do} the {thing} for {who}, {how}, {why}.",
    "{why}, please {do} a {thing} to {who} {how}",
    "How would you {do} your {thing}, {how}, if {who} listened?",
    "Imagine {who} and one broken {thing}: {do} it {how}.",
    "Which {thing} suits {who}? {do} two of them {how}, {why}.",
)
RUSSIAN = {
    "thing": "ледник|скрипка|налоговая декларация|улей|маяк|шахматный дебют|солнечная батарея|роман|вулкан|поезд",
    "do": "объясните|сравните|опишите|нарисуйте словами|перескажите|придумайте загадку про|составьте список о теме",
    "who": "пожилому соседу|школьникам третьего класса|строгому судье|растерянному туристу|ночному сторожу|двум врачам",
    "how": "без единого термина|в шести коротких строках|по пунктам и с примером|так, чтобы стало смешно|вопросами",
    "why": "потому что инструкция потерялась|хотя никто об этом не просил|пока не началось собрание|если пойдёт дождь",
}
RUSSIAN_FRAMES = ("{why}, {do} {thing} {who} {how}.", "{do}, {how}, что такое {thing}, {who}, {why}?")
CHINESE = {
    "thing": "冰川|小提琴|报税表|蜂箱|灯塔|象棋开局|太阳能电池板|长篇小说|火山口|堆肥桶|夜行列车|望远镜|助听器|陶窑",
    "do": "请解释|请比较|请描写|试着总结|请设计一节关于|请列出三个有关|替我写一封谈到|估算每年花在|请用比喻说明",
    "who": "给隔壁的老人听|给三年级的孩子们看|让挑剔的评审满意|帮助迷路的游客|供值夜班的人参考|写给两位吵架的医生",
    "how": "不要出现任何术语|控制在六十个字以内|最后提出一个问题|分成几个步骤来讲|模仿天气预报的口气|只用疑问句完成",
    "why": "因为说明书弄丢了|虽然没有人要求|趁会议还没有开始|万一明天又停电|自从预算减少了一半|如果预测是对的",
}
CHINESE_FRAMES = ("{why}，{do}{thing}，{who}，{how}。", "{how}，{do}{thing}的内容，{why}，{who}。")
FILLERS = "perhaps truly somehow nearby quietly Tuesday granite velvet eleven orbit mustard lantern"
RUSSIAN_FILLERS = "вероятно тихо рядом вторник гранит бархат орбита горчица фонарь внезапно"
CHINESE_FILLERS = "悄 也 许 旁 边 星 期 花 岗 岩 绒 轨 道 芥 末 笼 突 然"
SEEDS = (
    "How deep must a harbour basin be dredged before the large ferries can turn in it at low tide?",
    "Which signals does the harbour master hoist when the swell makes the northern entrance unsafe?",
    "Why were the granite blocks of the outer mole laid dry, without any mortar, in the last century?",
    "Who pays the pilot if a coaster anchors in the roads and leaves again without entering the port?",
    "What happens to the silt that the dredger brings up, and where may it be dumped legally?",
    "When do the lock gates open for yachts, and how long before high water should they wait outside?",
)
PARTS_TEXT = (
    "the ferry to the islands leaves at dawn|wool was weighed under the arcade|the archive lost its roof|"
    "three looms were bought from a convent|eels are smoked behind the chapel|the bridge was paid for by a toll|"
    "a printer hid his type in the mill|the well turned salt within a year|a comet frightened the fair|"
    "the doctor kept bees on the tower|lamps burned fish oil until the war|the road follows an older wall|"
    "each household owed a cart of peat|the bell was cast from cannon|a flood moved the cemetery|"
    "the last wolf was shot near the quarry|salt barrels served as ballots|the school met in a barge|"
    "tea came by sledge in hard winters|nobody may fish there on Fridays|the clock has a single hand|"
    "children gathered amber after storms|the mayor slept above the prison|mulberry trees failed in the frost"
)
PARTS = PARTS_TEXT.split("|")
ASKED = (
    "Correct the spelling of this text and leave everything else as it stands.",
    "Which sentence of the passage would surprise a visitor most, and why?",
    "Turn the text into a list of facts, the shortest one first.",
    "Say in one line what the writer leaves out.",
)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    """Kinds take turns; every text is at most 0.7 from all of other cases, or another one is drawn."""
    drawn = Drawn(rng)
    kinds: Sequence[Callable[[Drawn], Case | None]] = (
        *(above_english, below_english, spelled_otherwise, shuffled, inside_longer),
        *(above_russian, below_russian, above_chinese, below_chinese),
        *(like_seed, seed_elsewhere, other_passage, same_passage),
    )
    made = 0
    for kind in cycle(kinds):
        if made == count:
            return
        if (case := kind(drawn)) is not None:
            made += 1
            yield case


class Drawn:
    """Texts drawn so far, in tokens, and how another is drawn that resembles none of them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.codes: dict[str, int] = {}
        self.before = [self.coded(seed) for seed in SEEDS]
        self.seeds = list(SEEDS)
        self.number = 0

    def fresh(self, lists: dict[str, str], frames: Sequence[str]) -> str:
        while True:
            words = {name: self.rng.choice(listed.split("|")) for name, listed in lists.items()}
            text = self.rng.choice(frames).format(**words)
            text = text[0].upper() + text[1:]
            if self.apart(text):
                return text

    def apart(self, text: str) -> bool:
        """Whether the text is not close to one of an earlier case."""
        near = process.extractOne(self.coded(text), self.before, scorer=Indel.normalized_similarity, score_cutoff=APART)
        return near is None

    def coded(self, text: str) -> str:
        """The text with one character for each token."""
        return "".join(chr(self.codes.setdefault(token, len(self.codes))) for token in tokens(text))

    def passage(self) -> str:
        while True:
            text = ". ".join(self.rng.sample(PARTS, 6)) + "."
            if self.apart(text):
                return text

    def take(self, kind: str, texts: Sequence[str], *, bad: bool, leaf: str = "", context: Sequence[str] = ()) -> Case:
        """A case of samples in the order in which the filter sees them, which is that of their ids."""
        self.before += [self.coded(text) for text in (context or texts)]
        self.number += 1
        ids = sorted(digest([self.number, at, self.rng.random()])[:32] for at in range(len(texts)))
        passages = context or [None] * len(texts)
        samples = [
            Sample(
                id=id,
                kind="grounded" if passage else "freeform",
                question=text,
                answer="It depends.",
                context=passage,
                lineage=Lineage(leaf=leaf, leaf_blob="0" * 40, method="teacher", model="planted"),
            )
            for id, text, passage in zip(ids, texts, passages, strict=True)
        ]
        return Case(kind, tuple(samples), bad)

    def edited(self, text: str, fillers: str, low: float, high: float) -> str | None:
        """The text with words replaced, added and left out until its measure is in (low, high]."""
        spaced = " " if " " in text else ""
        words = text.split(" ") if spaced else list(text)
        for _ in range(3 * len(words)):
            at = self.rng.randrange(len(words))
            words[at : at + self.rng.choice((0, 1, 1))] = self.rng.choice(
                ([self.rng.choice(fillers.split())],) * 2 + ([],)
            )
            made = spaced.join(words)
            score = measure(text, made)
            if low < score <= high:
                return made
            if score <= low:
                break
        return None


def changed(
    kind: str, lists: dict[str, str], frames: Sequence[str], fillers: str, *, bad: bool
) -> Callable[[Drawn], Case | None]:
    low, high = (THRESHOLD, 0.9) if bad else (0.6, THRESHOLD)

    def draw(drawn: Drawn) -> Case | None:
        original = drawn.fresh(lists, frames)
        copy = drawn.edited(original, fillers, low, high)
        return drawn.take(kind, (original, copy), bad=bad) if copy and drawn.apart(copy) else None

    return draw


above_english = changed("words changed", ENGLISH, FRAMES, FILLERS, bad=True)
below_english = changed("more words changed", ENGLISH, FRAMES, FILLERS, bad=False)
above_russian = changed("words changed, Russian", RUSSIAN, RUSSIAN_FRAMES, RUSSIAN_FILLERS, bad=True)
below_russian = changed("more words changed, Russian", RUSSIAN, RUSSIAN_FRAMES, RUSSIAN_FILLERS, bad=False)
above_chinese = changed("characters changed, Chinese", CHINESE, CHINESE_FRAMES, CHINESE_FILLERS, bad=True)
below_chinese = changed("more characters changed, Chinese", CHINESE, CHINESE_FRAMES, CHINESE_FILLERS, bad=False)


def spelled_otherwise(drawn: Drawn) -> Case:
    original = drawn.fresh(ENGLISH, FRAMES)
    other = re.sub(r"[.,:?]", lambda _: drawn.rng.choice((" –", "!", " ...", "")), original).upper()
    return drawn.take("case and punctuation", (original, other), bad=True)


def shuffled(drawn: Drawn) -> Case | None:
    """All words of the original, in an order that shares no long subsequence with it."""
    original = drawn.fresh(ENGLISH, FRAMES)
    words = original.split()
    drawn.rng.shuffle(words)
    other = " ".join(words)
    if measure(original, other) > THRESHOLD or not drawn.apart(other):
        return None
    return drawn.take("the same words in another order", (original, other), bad=False)


def inside_longer(drawn: Drawn) -> Case | None:
    original, rest = drawn.fresh(ENGLISH, FRAMES), drawn.fresh(ENGLISH, FRAMES)
    other = f"{original} {rest}"
    if measure(original, other) > THRESHOLD or not drawn.apart(other):
        return None
    return drawn.take("repeated inside a longer question", (original, other), bad=False)


def like_seed(drawn: Drawn) -> Case | None:
    copy = drawn.edited(drawn.rng.choice(SEEDS), FILLERS, THRESHOLD, 0.95)
    return drawn.take("words of a seed example changed", (copy,), bad=True, leaf=LEAF) if copy else None


def seed_elsewhere(drawn: Drawn) -> Case | None:
    """A seed example of another leaf is no reason to reject."""
    if not drawn.seeds:
        return None
    return drawn.take(
        "a seed example of another leaf", (drawn.seeds.pop(),), bad=False, leaf="knowledge/planted/canals"
    )


def other_passage(drawn: Drawn) -> Case:
    asked, passages = drawn.rng.choice(ASKED), (drawn.passage(), drawn.passage())
    if measure(*passages) > THRESHOLD:
        return other_passage(drawn)
    return drawn.take("one question about two passages", (asked, asked), bad=False, context=passages)


def same_passage(drawn: Drawn) -> Case | None:
    """The same question again, or another one, about a passage that is hardly changed."""
    passage, asked = drawn.passage(), drawn.rng.sample(ASKED, 2)
    bad = drawn.rng.random() < 0.5
    again = drawn.edited(asked[0], FILLERS, THRESHOLD, 1.0) if bad else asked[1]
    changed_passage = drawn.edited(passage, FILLERS, 0.85, 1.0)
    if again is None or changed_passage is None:
        return None
    kind = "one question about one passage" if bad else "two questions about one passage"
    return drawn.take(kind, (asked[0], again), bad=bad, context=(passage, changed_passage))


def around() -> Surroundings:
    seeds = tuple(
        Seed(number=number, line=4 * number, pairs=(Pair(question=seed, answer="It depends."),))
        for number, seed in enumerate(SEEDS, 1)
    )
    return Surroundings(leaves={LEAF: LeafFacts(path=LEAF, seeds=seeds)})


def tokens(text: str) -> list[str]:
    """Runs of a-z and 0-9; of a text in Cyrillic its words, of one in Han its characters."""
    if re.search("[一-鿿]", text):
        return re.findall(r"\w", text)
    return re.findall("[а-яё]+" if re.search("[а-яё]", text.lower()) else "[a-z0-9]+", text.lower())


def measure(one: str, other: str) -> float:
    """The F-measure of ROUGE-L."""
    mine, theirs = tokens(one), tokens(other)
    row = [0] * (len(theirs) + 1)
    for word in mine:
        before = 0
        for at, its in enumerate(theirs, 1):
            before, row[at] = row[at], before + 1 if word == its else max(row[at], row[at - 1])
    if not row[-1]:
        return 0.0
    precision, recall = row[-1] / len(theirs), row[-1] / len(mine)
    return 2 * precision * recall / (precision + recall)
