"""A hundred strings that would act if a page held them as anything but text, and facts that hold them everywhere.

Whichever is run leaves a mark on the document, so that a browser can be asked whether any was.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from instructlab_like.evaluation.gate import GateResult
from instructlab_like.evaluation.summary import summarise
from instructlab_like.records import (
    Answer,
    Item,
    LeafCounts,
    LeafOrigin,
    Lineage,
    PhaseCount,
    RuleCount,
    Sample,
    Seed,
    Skill,
    Verdict,
    Waterfall,
)
from instructlab_like.report.facts import ReportFacts, TeacherCost
from instructlab_like.report.learning import learning
from instructlab_like.tuning.measures import BASELINE, LeafLoss, SampleLoss, held_out_loss

MARK = "document.documentElement.dataset.ran=1"
PACKED = b64encode(f"<script>parent.{MARK}</script>".encode()).decode()
CODES = "".join(f"&#{ord(letter)};" for letter in f"javascript:{MARK}")
HANDLERS = ("onload", "onerror", "onclick", "onfocus", "onmouseover", "ontoggle", "onanimationstart", "onpageshow")

STRINGS = (
    # elements that run something
    f"<script>{MARK}</script>",
    f"<ScRiPt>{MARK}</sCrIpT>",
    f"<script\n>{MARK}</script\n>",
    f"<script/x>{MARK}</script>",
    f"<<script>script>{MARK}</script>",
    f"<script>{MARK}//",
    f"<scr<script>ipt>{MARK}</scr</script>ipt>",
    f"<script src=data:text/javascript,{MARK}></script>",
    f"<script type=module>{MARK}</script>",
    f"\x00<script>{MARK}</script>",
    f"<scr\x00ipt>{MARK}</scr\x00ipt>",
    f"<img src=x onerror={MARK}>",
    f"<img src=x onerror='{MARK}'>",
    f'<img src=x onerror="{MARK}"/>',
    f"<img/src=x/onerror={MARK}>",
    f"<img src=x\tonerror={MARK}>",
    f"<img src=x\x0conerror={MARK}>",
    f"<IMG SRC=x ONERROR={MARK}>",
    f"<img src onerror={MARK} ",
    f"<img srcset=x onerror={MARK}>",
    f"<image src=x onerror={MARK}>",
    f"<input autofocus onfocus={MARK}>",
    f"<select autofocus onfocus={MARK}></select>",
    f"<textarea autofocus onfocus={MARK}>",
    f"<a autofocus tabindex=0 onfocus={MARK}>x</a>",
    f"<details open ontoggle={MARK}>",
    f"<video src=x onerror={MARK}></video>",
    f"<video><source onerror={MARK}></video>",
    f"<audio src=x onerror={MARK}></audio>",
    f"<body onload={MARK}>",
    f"<body onpageshow={MARK}>",
    f"<iframe srcdoc='<script>parent.{MARK}</script>'></iframe>",
    f"<iframe onload={MARK}></iframe>",
    f'<iframe src="javascript:parent.{MARK}"></iframe>',
    f"<iframe src=data:text/html;base64,{PACKED}></iframe>",
    f"<object data='javascript:{MARK}'></object>",
    f"<embed src=data:text/html;base64,{PACKED}>",
    f"<link rel=stylesheet href=x onerror={MARK}>",
    f"<style onload={MARK}></style>",
    f"<marquee onstart={MARK}>x</marquee>",
    f'<meta http-equiv=refresh content="0;url=javascript:{MARK}">',
    '<base href="https://example.invalid/">',
    f'<form action="javascript:{MARK}"><button autofocus>x</button></form>',
    f"<form><button formaction='javascript:{MARK}'>x</button></form>",
    f"<x onclick={MARK} tabindex=0 autofocus onfocus={MARK}>x</x>",
    f"<template><script>{MARK}</script></template>",
    f"<dialog open onfocusin={MARK}><input autofocus></dialog>",
    # out of the element or the attribute that the text stands in
    f"</title><script>{MARK}</script>",
    f"</style><script>{MARK}</script>",
    f"</textarea><script>{MARK}</script>",
    f"</td></tr></table><img src=x onerror={MARK}>",
    f"</code></details></main><svg onload={MARK}>",
    f"</noscript><img src=x onerror={MARK}>",
    f"--><script>{MARK}</script><!--",
    f"<!--><img src=x onerror={MARK}>-->",
    f"]]><script>{MARK}</script><![CDATA[",
    f"<![CDATA[><script>{MARK}</script>]]>",
    f"<?xml version='1.0'?><script>{MARK}</script>",
    *(f'" {handler}={MARK} x="' for handler in HANDLERS[:4]),
    *(f"' {handler}={MARK} x='" for handler in HANDLERS[4:]),
    f'"><script>{MARK}</script>',
    f"'><img src=x onerror={MARK}>",
    f"` onmouseover={MARK} `",
    f'" style="animation-name:x" onanimationstart="{MARK}',
    f'" autofocus tabindex=0 onfocus="{MARK}',
    f"&quot;><script>{MARK}</script>",
    # drawings
    f"<svg onload={MARK}>",
    f"<svg/onload={MARK}>",
    f"<svg><script>{MARK}</script></svg>",
    f"<svg><script href=data:text/javascript,{MARK} /></svg>",
    f"<svg><animate onbegin={MARK} attributeName=x dur=1s></svg>",
    f"<svg><set onbegin={MARK} attributeName=x to=1></svg>",
    f"<svg><a xlink:href='javascript:{MARK}'><text y=9>x</text></a></svg>",
    f"<svg><foreignObject><iframe onload={MARK}></iframe></foreignObject></svg>",
    f"<svg><style><img src=x onerror={MARK}></style></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={MARK}></style></mglyph></table></mtext></math>",
    # style
    f"<style>*{{background:url(javascript:{MARK})}}</style>",
    f"<div style='background:url(javascript:{MARK})'>x</div>",
    f"<div style=animation-name:x onanimationstart={MARK}></div>",
    "</style><style>body{display:none}</style>",
    # entities, encodings and characters that are read in several ways
    f"&lt;script&gt;{MARK}&lt;/script&gt;",
    f"&#60;script&#62;{MARK}&#60;/script&#62;",
    f"&#x3c;img src=x onerror={MARK}&#x3e;",
    f"&lt<script>{MARK}</script>",
    f"<a href='{CODES}'>x</a>",
    f"<a href='java\tscript:{MARK}'>x</a>",
    f"javascript:{MARK}",
    f"\uff1cscript\uff1e{MARK}\uff1c/script\uff1e",
    f"\u202e<script>{MARK}</script>\u2066",
    f"\ufeff<img src=x onerror={MARK}>\u2028",
    f"+ADw-script+AD4-{MARK}+ADw-/script+AD4-",
    f"\x1b[31m<script>{MARK}</script>",
    # templates
    "{{ 7 * 7 }}{% raw %}{{ ''.__class__.__mro__ }}",
    "{% include '/etc/passwd' %}${7*7}#{7*7}<%= 7*7 %>{# x #}",
)
assert len(STRINGS) == len(set(STRINGS)) == 100


SEEDS = (Seed(number=1, line=1, pairs=()),)


def hostile(strings: Sequence[str]) -> ReportFacts:
    """A run in which everything that others name or write is one of these strings, a leaf for each."""
    leaves, samples, verdicts, items, answers = [], [], [], [], []
    paths = []
    for number, text in enumerate(strings):
        path = f"{text.replace('/', '∕')}/{number:03} {text.replace('/', '∕')}"
        paths.append(path)
        leaves.append(Skill(path=path, blob=text, version=3, created_by=text, task=text, seeds=SEEDS))
        lineage = Lineage(
            leaf=path,
            leaf_blob=text,
            method="teacher",
            model=text,
            chunk=text,
            template=text,
            params={text: text},
        )
        for place in range(2):
            samples.append(
                Sample(
                    id=f"{number:03}{place}{text}",
                    kind="grounded",
                    question=text,
                    answer=text,
                    context=text,
                    evidence=(0, len(text)),
                    lineage=lineage,
                )
            )
        verdicts += [
            Verdict(
                subject=subject, leaf=path, filter=text, version=1, keep=False, rule=text, reason=text, partner=text
            )
            for subject in (samples[-1].id, f"{number:03}call{text}")
        ]
        for place in range(2):
            item = Item(
                id=f"{number:03}{place}",
                leaf=path,
                source="heldout",
                question=text,
                answer=text,
                accept=(text,),
                context=text,
            )
            items.append(item)
            answers += [
                Answer(item=item.id, model="base", text=text, score=0.0),
                Answer(item=item.id, model=strings[0], text=text, score=0.5, unanswered=text if place else None),
            ]
    counts = tuple(LeafCounts(leaf=path, made=2, kept=1) for path in paths)
    summary = summarise(items, answers, enough=20, leaves=counts, base=strings[0], seen=items[:1])
    gate = GateResult(
        passed=False, passed_strictly=False, reasons=tuple(strings), undecided=tuple(strings), unchecked=tuple(strings)
    )
    losses = [
        LeafLoss(phase=strings[0], step=step, leaf=path, teacher=strings[0], tokens=5, loss=3.0 / step)
        for path in paths
        for step in (1, 2, 3)
    ]
    held = [
        held_out_loss(phase=phase, step=step, group=path, teacher=strings[0], tokens=(5, 6), nats=(loss, loss))
        for path in paths
        for phase, step, loss in ((BASELINE, 0, 1.0), (strings[0], 3, 9.0))
    ]
    origins = tuple(LeafOrigin(path=path, blob=path, commit=path, author=path, dirty=True) for path in paths)
    last_seen = [
        SampleLoss(phase=strings[0], step=1, leaf=paths[0], teacher=strings[0], sample=f"{one}", tokens=5, loss=loss)
        for one, loss in [*((number, 0.1) for number in range(10)), (samples[0].id, 9.0)]
    ]
    learnt = learning(
        losses=losses,
        held_out=held,
        last_seen=last_seen,
        choices=(),
        origins=origins,
        samples=samples,
        taxonomy=strings[0],
    )
    return ReportFacts(
        run=strings[0],
        model=strings[0],
        commit=strings[0],
        created=strings[0],
        versions={strings[0]: strings[0]},
        recipes={strings[0]: strings[0]},
        costs=(TeacherCost(teacher=strings[0], calls=1, tokens_in=1, tokens_out=1, money=None),),
        leaves=tuple(leaves),
        origins=origins,
        counts=counts,
        shortfalls=dict(zip(paths, strings, strict=True)),
        waterfall=Waterfall(
            phases=tuple(PhaseCount(filter=text, phase=text, made=2, kept=1, rejected=1) for text in strings),
            leaves=counts,
            rules=tuple(RuleCount(filter=text, rule=text, leaf=text, rejected=1) for text in strings),
        ),
        samples=tuple(samples),
        verdicts=tuple(verdicts),
        summary=summary.model_copy(update={"gate": gate}),
        items=tuple(items),
        answers=tuple(answers),
        losses=tuple(losses),
        held_out=tuple(held),
        learning=learnt,
    )
