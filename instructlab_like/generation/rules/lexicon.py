"""The words the rules know: verbs with their forms, units, weekdays, people's roles and words that point elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

from instructlab_like.generation.sentences import words

REGULAR = """
    absorb accept accompany achieve acquire adapt add adjust adopt advise affect aim alert allow alternate amount
    analyze announce answer appeal appear apply appoint approach approve archive arrange arrive assemble assess
    assist assume astonish attach attack attend attract authorize award bake base bathe belong blend bless bloom
    blow boil boost border bounce breathe brew bribe broadcast burn burrow buzz calculate call capture carry carve
    cause celebrate change characterize charge chase check cheer chew chime circle cite civilise classify clean
    clear click climb close coat coin collect colonise colonize combine commemorate commence commission
    communicate compare compensate compete compile complain complete complicate compose compress comprise
    concentrate conclude condense conduct confirm confuse connect conquer consent conserve consider consist
    consolidate constitute construct consult consume contain continue contribute control convert convey cook cool
    correct correspond cover crash crawl create cremate criticize cross crush cultivate cure dance date decide
    declare decorate deepen defeat defend define delight deliver demolish demonstrate deny depart depend depict
    deploy derive descend describe deserve design destroy detect deteriorate determine develop devise devote die
    differ diminish direct disappear discover discuss dismiss displace display dissolve distinguish distribute
    disturb divert divide document dominate donate double drain dramatise drown dry dwell earn edit educate
    elaborate elect eliminate emerge emphasize employ empty enable enclose encode encourage end endanger endorse
    enforce engage engrave enhance enjoy enlarge enlist ensure enter entertain equal erode erupt escape establish
    estimate euthanise euthanize evolve examine excavate exceed exchange exclude execute exhibit exist expand
    expire explain exploit explore export expose extend extinguish extract face facilitate fade fail farm
    fascinate fasten feature ferment ferry fertilise fetch fill film filter finalize finance finish fire fix
    flatten float flood flourish flower focus follow forecast form found free fry fuel function fund furnish gain
    gallop gather generate govern graduate graft grant graze greet group guard guide handle happen harvest hatch
    haunt head heal heat help hire hoist honor honour host house hunt identify illustrate imagine imitate
    immigrate import impose impress improve inaugurate include incorporate increase indicate infect inform inhabit
    inherit inject innovate inscribe insert insist inspect inspire install insulate insure interact interpret
    interrupt introduce invade invent invert invest invite involve irrigate isolate issue join jump justify kill
    label lack lament land last launch leap learn lease legalise liberate lick lift lighten like limit link list
    listen live locate lock lodge look loosen love lower mail maintain manage manufacture mark marry match mature
    measure melt mention merge migrate mine mix moan mock modernise modify monitor motivate mount move mow
    multiply murder name nationalise neglect negotiate nest nominate note nourish number nurture obey observe
    obtain occupy occur offend officiate open operate oppose orbit order organise organize orient originate
    outline outnumber overlook own oxidise pack paint pass patrol pave peel penetrate perceive perch perform
    persuade phone photograph pick place plan plant play plead please plough plunge point polish pollinate
    popularize possess post postpone pour power praise preach precede predict prefer preoccupy prepare prescribe
    present preserve preside press prevail prevent print privatise privatize process produce prohibit prolong
    promote pronounce propose prosper protect prove provide provoke publish pull pump punish purchase push puzzle
    raise rank rationalise reach react realize reassemble recall receive reclaim recognise recognize recommend
    reconstruct record recover recruit recycle redesign rediscover reduce refer refine reflect refurbish refuse
    regain regulate rehearse reinforce reject relate release relocate rely remain remember remind remove rename
    render renovate rent reopen repair repeat replace report represent reproduce require rescue resemble reside
    resign respect respond rest restore restrict result resume retain retire retreat return reveal reverse revise
    revive revolve rinse roam roar roast roll rotate rule sacrifice sadden sail salute satisfy scatter score
    scrape scratch seal search secure select separate serve settle shape share shelter ship shorten shout sign
    signal slow smell smoke smooth soak soften solve sort sound specialise specialize specify spoil sponsor spray
    squeeze stabilise staff standardise standardize start stay steer stimulate store strengthen stretch study
    subsidise substitute succeed sue suffer suggest supply support surprise surrender surround survive suspect
    suspend sustain swallow switch symbolise symbolize tackle target taste telephone tempt tend terminate test
    thank thicken threaten thrive tie tighten tolerate torture touch tour tow trade train transcribe transfer
    transform translate transmit transplant transport travel treasure treat tremble trigger turn twine twist
    uncover unify unite unveil update upgrade urge use utilise vaccinate vanish vary ventilate view visit
    volunteer vote voyage wait walk wander warm warn wash watch water weaken weigh welcome whisper whistle widen
    wipe wish witness wonder work worship wrap wreck yield
    """
DOUBLING = """
    admit ban chop clip commit control compel confer dip drag drip drop drum equip fan fit flap fog grab hop hum jog
    jot knit map mop occur omit pad pat permit pin plan plot plug prefer propel refer regret rob rub scan ship skip
    slip snap spot star stir stop strap strip submit swap tag tap tip top transfer transmit trap trim trip tug wrap
    """
# "base past participle"; a base with the same past and participle is written once
IRREGULAR = """
    bear bore born; beat beat beaten; become became become; begin began begun; bend bent; bind bound; bite bit bitten;
    bleed bled; blow blew blown; break broke broken; breed bred; bring brought; build built; burst burst; buy bought;
    catch caught; do did done; choose chose chosen; come came come; cost cost; creep crept; cut cut; deal dealt; dig
    dug; draw drew drawn; drink drank drunk; drive drove driven; eat ate eaten; fall fell fallen; feed fed; fight
    fought; find found; fly flew flown; freeze froze frozen; get got; give gave given; go went gone; grind ground;
    grow grew grown; hang hung; hide hid hidden; hit hit; hold held; keep kept; know knew known; lay laid; lead led;
    leave left; lend lent; let let; lie lay lain; light lit; lose lost; make made; mean meant; meet met; pay paid; put
    put; read read; ride rode ridden; ring rang rung; rise rose risen; run ran run; say said; see saw seen; sell sold;
    send sent; set set; sew sewed sewn; shake shook shaken; shed shed; shine shone; shoot shot; show showed shown;
    shut shut; sing sang sung; sink sank sunk; sit sat; sleep slept; slide slid; sow sowed sown; speak spoke spoken;
    spend spent; spin spun; split split; spread spread; spring sprang sprung; stand stood; steal stole stolen; stick
    stuck; strike struck; sweep swept; swim swam swum; swing swung; take took taken; teach taught; tear tore torn;
    tell told; think thought; throw threw thrown; understand understood; wake woke woken; wear wore worn; weave wove
    woven; win won; wind wound; write wrote written
    """


@dataclass(frozen=True)
class Verb:
    base: str
    third: str
    past: str
    participle: str


def _third(base: str) -> str:
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + ("es" if base.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")


def _past(base: str) -> str:
    if base.endswith("e"):
        return base + "d"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ied"
    return base + (base[-1] if base in words(DOUBLING) else "") + "ed"


def _verbs() -> list[Verb]:
    found = {}
    for base in [*REGULAR.split(), *DOUBLING.split()]:
        found[base] = Verb(base, _third(base), _past(base), _past(base))
    for entry in IRREGULAR.split(";"):
        base, past, *participle = entry.split()
        found[base] = Verb(base, _third(base), past, participle[0] if participle else past)
    return list(found.values())


VERBS = _verbs()
THIRD = {verb.third: verb for verb in VERBS}
PAST = {verb.past: verb for verb in VERBS} | {"travelled": Verb("travel", "travels", "travelled", "travelled")}
BASE = {verb.base: verb for verb in VERBS}
PARTICIPLE = {verb.participle: verb for verb in VERBS}

BE = words("is are was were")
HAVE = words("has have had")
MODAL = words("can must")  # the other modals hedge
HEDGES = words(
    """
    may might could would should shall will cannot n't not never ever no nor neither none hardly allegedly reportedly
    perhaps possibly probably supposedly maybe seemingly apparently purportedly does do did
    """
)
# A pronoun that a question must not carry; the possessive ones are bound by the clause's own subject.
POINTING = words(
    """
    it he she they him them this that these those such here there former latter respectively itself himself herself
    themselves above below following aforementioned another other others same i we you us me my our your one ones
    both either so thus
    """
)
POSSESSIVE = words("its his her their")
DETERMINERS = words("the a an")
QUANTIFIERS = words(
    """
    some many most several few both any all various numerous certain none half much more fewer less only even just
    almost nearly not what who whom whose which how why when where here if also then thus later soon nobody somebody
    everybody anybody whoever whatever everyone someone anyone nothing something everything although while because
    since though whereas unless once another other there
    """
)
PREPOSITIONS = words(
    """
    in on at by from to for with into onto through across along around about over under above below behind beside near
    between among within inside outside against during until till since before after beyond without towards toward
    upon via as throughout despite per off past opposite underneath beneath alongside amid like
    """
)
SPATIAL = words(
    """
    in on at near beside behind between inside outside under along above below opposite beneath underneath among
    alongside across by within around
    """
)
PRONOUNS = words("it they he she we this these those")
RELATIVES = words("that which who whom whose where whereby such than including")  # they complete the words before
CLAUSE_OPENERS = words(
    """
    because although though while whereas when if unless which who whom whose that where but so whether whereby
    whereupon than such including e.g i.e yet how why what due according
    """
)
ADVERBS = words(
    """
    also often always usually normally generally typically commonly mainly mostly first originally officially still
    now widely currently chiefly primarily largely partly formerly already once initially finally soon later then
    thereby therefore thus however too sometimes today again almost frequently regularly traditionally
    """
)
FILLERS = words("also therefore thus however thereby then too")  # fall away without loss
UNREPEATABLE = words("once soon later then already again almost still first finally")
NOT_PARTICIPLES = words("red bed shed hundred kindred sacred wicked naked rugged aged embed need seed weed")

NOT_ADVERBS = words(
    "italy july family supply assembly daily only early butterfly monthly weekly yearly hourly fly jelly belly"
)
PLURALS = words("they these those we people children men women mice geese feet teeth sheep fish police cattle wolves")
SINGULAR = words("a an each every this that one")
PARTICLES = words("up down out off away back together")
INTRANSITIVE = words(
    "have die live return retire graduate remain end close arrive belong last happen appear weigh cost"
)

# Without an object these are no clause but a participle: "the tonsils located in …".
TRANSITIVE = words(
    """
    announce locate situate base found build design invent name elect appoint publish make use know consider create
    produce buy purchase award give establish construct introduce discover describe contain include feature provide
    support replace remove add own raise send take bring carry call keep store hold find lead direct house adopt
    """
)

MONTHS = words("January February March April May June July August September October November December")
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
SEASONS = words("spring summer autumn winter")
COLOURS = words(
    """
    red blue green yellow black white grey gray brown orange purple pink silver golden gold cream crimson scarlet
    violet turquoise beige maroon amber copper ivory bronze
    """
)
SHADES = words("dark light pale bright deep dull")

# adjective of a measure -> its noun
MEASURES = {
    "tall": "height", "high": "height", "long": "length", "wide": "width", "broad": "width", "deep": "depth",
    "thick": "thickness", "heavy": "weight", "old": "age",
}  # fmt: skip
# What a thing has one of: "The height of X is …". Nouns that are persons are asked for with "who".
ATTRIBUTES = words(
    """
    height length width depth thickness weight age colour color size shape name nickname population capital price cost
    fee fare speed temperature duration distance currency language symbol motto emblem flag mascot diet habitat
    lifespan range area volume capacity number purpose aim ingredient material frequency wavelength date year day
    month time season title birthplace home source origin mouth border anthem slogan theme genus family order class
    diameter mass pressure voltage power yield output limit wingspan boiling melting freezing rent deposit fine
    penalty prize entrance location site address budget altitude elevation pet hobby job trade profession instrument
    food drink product export fuel key code password dose rule signal call record tempo pitch rhythm
    """
)
PERSONS = words(
    """
    founder builder architect inventor author owner mayor leader head chair chairman chairwoman chairperson director
    captain teacher keeper designer discoverer creator composer painter writer conductor manager president king queen
    secretary treasurer librarian curator editor editor-in-chief coach driver winner chief organiser organizer
    publisher producer singer engineer miller baker mother father wife husband son daughter brother sister friend
    master guide ceo principal headmaster host lead warden caretaker gardener cook chef sexton clockmaker
    """
)
# What happens to a thing once: a question about it needs no other circumstance.
ONCE = words("build found bear invent discover design construct establish complete die write")
# Verbs that ask for a place: by any phrase, or by a proper name (and "at the …") only.
PLACED = words(
    "lie stand sit live sleep hang nest stay reside moor keep store bury locate situate hide anchor house display"
)
GOING = words("sail go travel fly walk ride drive move")
PLACED_BY_NAME = words(
    """
    bear die build hold start begin end stop finish open find base meet work grow raise perform originate occur settle
    land arrive sell make happen hatch breed winter serve rest study graduate release publish record film
    """
)
# What follows "in" or "at" without being a place.
PLACELESS = words(
    """
    way order part form addition turn use danger charge love trouble public detail style manner condition time case
    fact number length height width total general response view favour favor terms spite end beginning age rate
    temperature speed level expense price cost series film book novel role honour honor presence absence context
    language wild music literature media process
    """
)
MADE = words("make build carve weave cast knit construct compose brew bake print sew forge cut")
# Verb and preposition that mean one thing together: "What does X feed on?"
TOGETHER = {
    "consist": "of", "run": "on", "feed": "on", "belong": "to", "depend": "on", "rely": "on", "deal": "in",
    "trade": "in", "lead": "to", "flow": "into through to", "come": "from", "turn": "into", "change": "into",
    "stand": "for", "serve": "as for", "work": "as with", "point": "to", "wait": "for", "look": "like",
    "end": "with in",
    "begin": "with", "start": "with", "connect": "to", "differ": "from", "grow": "into from", "open": "onto",
    "specialise": "in", "specialize": "in", "develop": "into from", "derive": "from", "result": "in from",
    "border": "on", "act": "as", "function": "as", "react": "with", "live": "on", "originate": "from", "focus": "on",
    "care": "for", "smell": "of", "taste": "of like", "drain": "into", "empty": "into", "hatch": "from",
    "evolve": "from", "compete": "in", "apply": "to", "participate": "in", "play": "for", "translate": "as",
}  # fmt: skip
# Too little meaning of their own for "What does X …?"
LIGHT = words(
    """
    have take give get let put set do become remain appear come go fall mean say think show tell seem see involve lack
    like leave lose love end result occur differ happen exist aim allow cause help need require face reach mark form
    reflect hold include contain stand lie turn run keep date rank receive follow meet share gain offer start begin
    """
)
# Heads that alone say nothing about what a thing is.
VAGUE = words(
    """
    process thing type kind form part member one way term name word result person place group example number set piece
    case fact lot means method area sort variety species use series subject matter time year only first second third
    last next event period
    """
)
TITLES = words("mr mrs ms dr prof sir lady lord king queen prince princess saint st father captain pope")
ORGANISATIONS = words(
    """
    institute university college company inc ltd corporation association society council museum ministry department
    government committee commission agency party union bank group club band orchestra church press studios school
    academy foundation league office army navy guild team court trust bureau board bbc city town county state states
    kingdom republic park river lake mountain mountains valley street road island islands sea ocean bay bridge tower
    station hall house castle library theatre records times news magazine award awards cup prize act war
    festival hospital mill market harbour garden gardens works management sports entertainment productions pictures
    systems international industries holdings motors bros airlines
    enterprises partners line
    marsh pool point hide path cafe hill wood farm gate square bell clock gallery stadium theater center centre
    """
)
ROLES = words(
    "judge cook chef nurse clerk guide king queen prince princess pope saint athlete poet spy monk nun priest"
)
ROLE_ENDINGS = (
        "ist",
        "ian",
        "ess",
        "man",
        "woman",
        "smith",
        "wright",
        "grapher",
        "eer",
        "yer",
        "ctor",
        "nter",
        "nger",
        "cher",
        "ster",
        "ier",
        "iter",
        "lor",
        "ler",
        "ker",
        "ger",
        "per",
        "rer",
        "ber",
        "nor",
        "tor",
        "sor",
    )  # fmt: skip
# End like persons, and are things.
NO_ROLES = words(
    """
    water letter paper river tower corner number center chapter computer container layer meter filter cylinder order
    power helicopter shelter summer winter monster cluster quarter border factor motor vector tractor reactor sector
    humor color tumor floor door liquor mirror anchor barrier carrier frontier pier amplifier locker bunker tanker
    marker sticker finger hanger burger danger hunger ginger timber chamber rubber copper pepper zipper wrapper
    slipper dipper ferry theater cancer transistor register poster plaster roster disaster
    """
)


def person_noun(text: str) -> bool:
    """Whether a noun phrase's head names a person by role: "an engineer", "the first keeper of the lamp"."""
    head = re.split(r" (?:of|in|on|at|for|from|with|who|that|and|by)\b", text)[0].split()[-1].lower()
    return head in ROLES | PERSONS or (head.endswith(ROLE_ENDINGS) and head not in NO_ROLES)
