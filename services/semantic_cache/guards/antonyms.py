"""Opposites: a pair of words on the two sides that turn a meaning around."""

from collections.abc import Mapping, Set
from typing import Final

from services.semantic_cache.guards.contrast import Contrast
from services.semantic_cache.guards.lexicon.stems import stem
from services.semantic_cache.guards.lexicon.tables import words

_PAIRS: Final = """
abroad/home absence/presence accept/decline accept/refuse accept/reject acquire/lose activate/deactivate
active/passive add/delete add/deduct add/drop add/remove add/subtract admit/deny adult/child advance/retreat
advantage/disadvantage advantages/disadvantages advantages/drawbacks affirm/deny after/before against/for
agree/disagree alive/dead allow/ban allow/block allow/deny allow/forbid allow/prevent allow/prohibit allowed/banned
allowed/forbidden allowed/prohibited always/never ancestor/descendant ancient/modern ancient/new antonym/synonym
antonyms/synonyms appear/disappear approve/deny approve/reject approved/denied approved/rejected arrival/departure
arrive/depart arrive/leave ascend/descend ascending/descending asleep/awake assemble/disassemble asset/liability
assets/liabilities attach/detach attack/defend attack/defense aunt/uncle back/front bad/good beginner/expert
beginning/end begin/end begin/finish begin/stop benefit/drawback benefits/drawbacks benefits/harms benefits/risks
best/worst better/worse big/small big/little bigger/smaller biggest/smallest birth/death bitter/sweet black/white
block/unblock borrow/lend bottom/top boy/girl boys/girls boyfriend/girlfriend bride/groom bright/dark bright/dim
brighten/darken broad/narrow brother/sister brothers/sisters build/demolish build/destroy bull/bear buy/sell
buyer/seller buyers/sellers buying/selling bought/sold cancel/confirm cancel/keep cancel/renew cause/prevent
charge/discharge cheap/expensive cheaper/pricier cheapest/priciest cheapest/expensive clean/dirty clean/pollute
clear/cloudy clockwise/counterclockwise clockwise/anticlockwise close/far close/open closed/open closing/opening
closest/farthest cold/hot cold/warm colder/hotter colder/warmer coldest/hottest coldest/warmest common/rare
compress/decompress compress/extract connect/disconnect cons/pros cool/heat cool/warm correct/incorrect correct/wrong
create/delete create/destroy create/remove credit/debit cure/cause customer/supplier dad/mom danger/safety
dangerous/safe dark/light daughter/son daughters/sons day/night daytime/nighttime dead/living debtor/creditor
decline/approve decompress/zip decrease/increase decreased/increased decreasing/increasing decrypt/encrypt
deep/shallow defeat/victory deflate/inflate deflation/inflation demand/supply deny/grant deposit/withdraw
deposit/withdrawal deposits/withdrawals descend/climb die/live different/same difficult/easy dim/brighten
disable/enable disabled/enabled disassemble/build discourage/encourage divide/multiply divided/multiplied
divided/times division/multiplication domestic/foreign domestic/international down/up download/upload
downstairs/upstairs downgrade/upgrade downwind/upwind drop/rise dry/wet drier/wetter early/late earlier/later
earliest/latest earn/spend earned/spent east/west eastern/western easy/hard easier/harder easiest/hardest effect/cause
employed/unemployed empty/fill empty/full enemy/friend enter/exit enter/leave entrance/exit ever/never
everybody/nobody everyone/nobody everything/nothing everywhere/nowhere evil/good exclude/include excluded/included
excluding/including expand/shrink expense/income expenses/income export/import exports/imports exporting/importing
export/imports extend/shorten external/internal extrovert/introvert fail/pass fail/succeed failed/passed
failure/success fake/genuine fake/real fall/rise fall/spring false/true famous/unknown far/near farther/nearer
farthest/nearest fast/slow faster/slower fastest/slowest fat/thin father/mother fathers/mothers female/male
feminine/masculine fewer/more few/many fewest/most first/last first/final flexible/rigid floor/ceiling follow/lead
follow/unfollow forbid/permit force/prevent forget/remember formal/informal forward/backward forwards/backwards
found/lost fresh/stale freeze/melt freeze/thaw freeze/unfreeze frequent/rare frequently/rarely friend/unfriend
front/rear full/hungry full/low future/past gain/lose gaining/losing gain/loss gained/lost gains/losses
general/specific generous/stingy give/receive give/take giving/taking global/local grandfather/grandmother
grandson/granddaughter great/terrible greater/less greater/smaller greatest/least grow/shrink guilty/innocent
happy/sad happiest/saddest hard/soft harmful/beneficial harmful/harmless harmful/useful hate/love hates/loves he/she
healthy/sick healthy/unhealthy healthiest/unhealthiest heat/cold heaven/hell heavier/lighter heaviest/lightest
heavy/light hers/his hero/villain hide/show hide/unhide high/low higher/lower highest/lowest hire/fire hiring/firing
horizontal/vertical humid/dry husband/wife import/imports implicit/explicit include/omit increase/lower
increase/reduce increased/reduced increasing/reducing indoor/outdoor indoors/outdoors inferior/superior inhale/exhale
inner/outer input/output inside/outside install/uninstall installing/uninstalling interior/exterior join/leave
join/split junior/senior keep/discard keep/throw king/queen land/takeoff landlord/tenant large/small larger/smaller
largest/smallest latter/former laugh/cry lazy/diligent least/most leave/return leave/stay left/right legal/illegal
lend/borrow lender/borrower less/more liberal/conservative life/death light/dark like/dislike likely/unlikely
linear/nonlinear liquid/solid lock/unlock login/logout long/short longer/shorter longest/shortest loose/tight
loosen/tighten lose/win loser/winner losers/winners losing/winning loss/profit lost/won loud/quiet louder/quieter
loudest/quietest love/hatred low/tall major/minor majority/minority man/woman men/women mandatory/optional
mandatory/voluntary manual/automatic married/single married/divorced master/slave max/min maximal/minimal
maximise/minimise maximize/minimize maximum/minimum merge/split minus/plus minus/times miss/catch misses/hits
more/fewer morning/evening mount/unmount mute/unmute natural/artificial negative/positive nephew/niece net/gross
never/sometimes new/old new/used newer/older newest/oldest nobody/somebody nominal/real none/all nothing/something
north/south northern/southern object/subject obese/underweight offline/online off/on oldest/youngest older/younger
old/young open/shut optimist/pessimist optimistic/pessimistic original/copy overweight/underweight pack/unpack
parallel/perpendicular parallel/serial parent/child parents/children part/whole passive/aggressive pause/play
pause/resume pass/fail pay/receive peace/war permanent/temporary permit/prohibit physical/virtual plug/unplug
plural/singular plus/times poor/rich poorer/richer poorest/richest poorly/well possible/impossible powerful/weak
powerful/powerless pre/post predator/prey present/past pretty/ugly prefix/suffix private/public problem/solution
profit/losses promote/demote prosecutor/defender pull/push pulling/pushing purchase/sell quick/slow quickest/slowest
quickly/slowly raise/reduce rapid/slow rapidly/slowly read/write real/imaginary real/virtual receive/send
receiver/sender received/sent receiving/sending refuse/agree regular/irregular reject/approve remain/leave
remote/onsite remote/local repair/break repel/attract reserve/cancel resident/visitor respect/disrespect reveal/hide
reward/punish reward/punishment rise/sink rising/falling rough/smooth safe/unsafe safe/risky safest/riskiest
same/opposite save/spend save/waste saving/spending savings/checking secure/insecure separate/together
shallow/profound sharp/blunt sharp/dull shorten/lengthen short/tall shorter/taller shortest/tallest sick/well
simple/complex simplest/hardest sink/float sit/stand slim/fat slow/quick smart/stupid smooth/bumpy sober/drunk
solvable/unsolvable start/end start/finish start/quit start/stop started/stopped starting/stopping strength/weakness
strengths/weaknesses strengthen/weaken strong/weak stronger/weaker strongest/weakest student/teacher
subscribe/unsubscribe subtract/sum success/failures sunny/cloudy sunny/rainy sunrise/sunset synchronous/asynchronous
tall/small tag/untag teach/learn thick/thin thicken/thin thicker/thinner times/minus tighten/undo tiny/huge top/worst
trust/distrust truth/lie uncommon/common undo/redo uncover/cover unite/divide up/downward upper/under upload/downloads
upwards/downwards useful/useless valid/invalid victory/loss villain/victim visible/invisible waking/sleeping war/truce
warmer/cooler warmest/coolest weekday/weekend weekdays/weekends wide/narrow wider/narrower win/tie wired/wireless
with/without within/outside worth/worthless wrap/unwrap yes/no zip/unzip zoom/shrink employee/employer
employees/employers trainer/trainee interviewer/interviewee payer/payee lessor/lessee donor/recipient doctor/patient
author/reader adult/kid adults/children mass/volume odds/evens acid/base acidic/alkaline anode/cathode proton/electron
latitude/longitude numerator/denominator row/column rows/columns width/height length/width width/length height/depth
radius/diameter perimeter/area speed/distance mean/median mean/mode median/mode numerator/divisor sine/cosine hot/iced
emigrate/immigrate emigration/immigration immigrants/emigrants inbound/outbound incoming/outgoing
introduction/conclusion prologue/epilogue upstream/downstream predecessor/successor plaintiff/defendant sell/purchase
stalagmites/stalactites prosecution/defense debit/creditcard savings/current summer/winter spring/autumn autumn/summer
autumn/winter spring/summer spring/winter fall/summer fall/winter left/center north/east north/west south/east
south/west morning/afternoon morning/night afternoon/evening afternoon/night evening/afternoon
"""
# These mean a direction in one question and nothing in the next: they count only if all the rest is equal.
_WEAK_PAIRS: Final = """
in/out over/under above/below even/odd then/now he/she her/him his/her breakfast/dinner breakfast/lunch dinner/lunch
add/take double/halve few/most lower/raise lower/upper wake/sleep
"""


def _by_stem(pairs: str) -> dict[str, set[str]]:
    opposites: dict[str, set[str]] = {}
    for pair in pairs.split():
        one, other = map(stem, pair.split("/"))
        opposites.setdefault(one, set()).add(other)
        opposites.setdefault(other, set()).add(one)
    return opposites


_OPPOSITES: Final[Mapping[str, Set[str]]] = _by_stem(_PAIRS)
_WEAK: Final[Mapping[str, Set[str]]] = _by_stem(_WEAK_PAIRS)
_MEMBERS: Final = frozenset(_OPPOSITES) | frozenset(_WEAK)
_NONE: Final = frozenset[str]()
# What turns a word around when put before it. "In-" may mean "into", which changes an answer as well.
_PREFIXES: Final = tuple(
    words(
        """
        un in im il ir dis non mis de anti counter over under hyper hypo pre post sub super micro macro inter intra
        """
    )
)
_ENDINGS: Final = (("less", "ful"), ("less", ""), ("ee", "er"), ("ee", "or"), ("free", ""))
_TAILS: Final = tuple({tail for tail, _ in _ENDINGS})
_SHORTEST: Final = 3


def differ(pair: Contrast) -> bool:
    """Whether a word that only one side has is the opposite of one that only the other side has."""
    left, right = pair.left, pair.right
    if not left or not right:
        return False
    for one in left & _MEMBERS:
        if not right.isdisjoint(_OPPOSITES.get(one, _NONE)):
            return True
        if pair.same_content and not right.isdisjoint(_WEAK.get(one, _NONE)):
            return True
    return _turned_in(left, right) or _turned_in(right, left)


def _turned_in(plain: frozenset[str], others: frozenset[str]) -> bool:
    """Whether a word of `others` is one of `plain` turned around: "lock" and "unlock", "useful" and "useless"."""
    for word in others:
        if word.startswith(_PREFIXES) and any(
            word.startswith(prefix) and len(word) - len(prefix) >= _SHORTEST and word[len(prefix) :] in plain
            for prefix in _PREFIXES
        ):
            return True
        if word.endswith(_TAILS) and any(
            word.removesuffix(tail) + opposite in plain for tail, opposite in _ENDINGS if word.endswith(tail)
        ):
            return True
    return False
