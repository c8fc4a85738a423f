"""Words so general that they alone do not name what a question is about.

Whatever is not here counts as a possible name: places, people, products, foods, animals, diseases, languages and the
like are missing on purpose, so that "flights to boston" and "flights to denver" differ although nothing is capitalised.
Too short a list costs hits, too long a list costs trust. Inflected forms are found through their stem.
"""

from functools import lru_cache
from typing import Final

from services.semantic_cache.guards.lexicon.stems import stem
from services.semantic_cache.guards.lexicon.tables import in_order

_VERBS: Final = """
abandon able absorb accept access accompany accomplish account achieve acquire act activate adapt add address adjust
admit adopt advance advertise advise affect afford agree aim alert allow alter amaze analyse analyze announce annoy
answer anticipate apologise apologize appeal appear apply appoint appreciate approach approve argue arrange arrest
arrive ask assess assign assist assume assure attach attack attempt attend attract authorize avoid awake award back
backup balance ban base battle be beat become beg begin behave believe belong bend benefit bet bill bind bite blame
bless block blow book boost bore borrow bother bounce break breathe bring browse build burn burst buy calculate call
cancel capture care carry cast catch cause celebrate challenge change charge chase chat cheat check cheer choose claim
clarify classify clean clear click climb close collapse collect combine come comfort comment commit communicate
compare compete complain complete comply compose compute concentrate concern conclude conduct confirm confuse connect
consider consist consume contact contain continue contribute control convert convince cope copy correct cost count
cover crack crash create criticize cross cry cure cut damage dare date deal debate decide declare decline decrease
define delay delete deliver demand deny depend deposit derive describe deserve design desire destroy detect determine
develop die differ dig direct disable disagree disappear discover discuss display dispute distinguish disturb divide
do donate double doubt download draft drag draw dream dress drink drive drop dry earn ease eat edit educate elect
eliminate email embarrass emerge employ enable encounter encourage end engage enhance enjoy enroll ensure enter
entertain escape establish estimate evaluate examine exceed exchange exclude execute exercise exist expand expect
experience expire explain explore export expose express extend extract face fail fake fall fear feed feel fetch fight
figure file fill filter find finish fire fit fix flag flip float flow fly focus fold follow force forget forgive form
format forward found freeze frighten frustrate fulfill function fund gain gather generate get give go govern grab
grant greet grow guarantee guess guide hack hand handle hang happen hate have head heal hear heat help hide hire hit
hold hope hunt hurry hurt identify ignore illustrate imagine impact implement import impress improve include increase
indicate influence inform inherit injure inquire insert insist inspect inspire install instruct insure integrate
intend interact interest interpret interrupt introduce invent invest investigate invite involve issue join joke judge
jump justify keep kick kill kiss knock know label lack land last laugh launch lead leak lean learn leave lend let
level lie lift like limit link list listen live load locate lock log look lose love lower maintain make manage mark
marry master match matter mean measure meet memorize mention merge message mind miss mix modify monitor motivate mount
move multiply name need negotiate note notice notify obey obtain occupy occur offer open operate order organise
organize overcome owe own pack paint park participate pass paste pause pay perform permit persuade phone pick place
plan plant play point possess post postpone pour practice practise praise predict prefer prepare present press pretend
prevent print process produce program progress promise promote prompt pronounce propose protect prove provide publish
pull punish purchase pursue push put qualify quantify question quit quote raise range rank rate reach react read
realise realize rearrange receive recharge recognise recognize recommend reconcile record recover recycle redeem
reduce refer refinance reflect refresh refund refuse regard register regret regulate reject relate relax release rely
remain remember remind remove renew rent repair repeat replace replicate reply report represent request require rescue
research reserve reset resign resist resolve respond rest restart restore restrict result resume retire retrieve
return reveal reverse review revise reward ride ring rise risk roll round rub ruin rule run save say scan scare
schedule scratch scream search seat secure see seek seem select sell send sense separate serve set settle shake shape
share shift shine ship shock shoot shop show shut sign signal simplify simulate sit skip sleep slip slow smell smile
snooze solve sort sound speak specify speed spell spend split spread stand start state stay steal step stick stop
store stream strengthen stretch strike structure struggle study submit subscribe substitute succeed suffer suggest
suit summarise summarize supply support suppose surprise surround survive suspect suspend switch take talk tap taste
teach tear tell tend test text thank think threaten throw tie time touch track trade train transfer transform
translate transmit travel treat trick trigger trust try turn type undergo understand undo unlock update upgrade upload
urge use utilise utilize vacation validate value vary verify view violate visit volunteer vote wait wake walk want
warn wash waste watch wear weigh welcome whisper win wish withdraw wonder work worry wrap write yell zoom
"""
_ADJECTIVES_AND_ADVERBS: Final = """
absolute abstract academic acceptable accidental accurate active actual additional adequate advanced advantageous
afraid aggressive alive alone alternate alternative amazing amount ancient angry annual anonymous anxious apart
apparent appropriate approximate artificial asleep attractive automatic available average aware awesome awful bad
basic beautiful beneficial best better big blank blind boring brand brave brief bright brilliant broad busy calm
capable careful cheap chief chronic civil classic clever closest cold comfortable common compatible competitive
complex complicated comprehensive concrete confident conscious consistent constant content contemporary continuous
convenient conventional cool crazy creative critical crowded crucial curious current custom cute daily dangerous dark
dead dear decent deep default delicious dependent desirable detailed different difficult digital dim direct dirty
distant distinct domestic due dumb early eastern easy economic effective efficient either elaborate electric
electronic elegant else elementary emotional empty encouraging endless enough enormous entire equal equivalent
essential eternal even eventual exact excellent exceptional excessive excited exciting exclusive expensive expert
explicit extensive external extra extreme factual fair faithful familiar famous far fast fat favorable favorite
favourite fed final financial fine firm flat flexible foreign formal former fortunate forth free frequent fresh
friendly full fun functional fundamental funny further future general generous gentle genuine giant global glad good
gorgeous grand grateful great guilty half handy happy hard harmful healthy heavy helpful hidden high historical holy
honest honorable horrible hot huge human humble hungry ideal identical ill illegal immediate immense imperfect
important impossible impressive incorrect incredible independent indirect individual inevitable infinite informal
inner innocent instant intelligent intense interesting interested intermediate internal international invisible
jealous joint junior just keen key kind large late latest lawful lazy least legal legitimate less liable light likely
limited literal little local logical lonely long loose lot loud lovely low loyal lucky mad magic main major mandatory
manual married massive material mature maximum maybe meaningful medical medium mental mere middle mild minimum minor
minute missing mobile moderate modern modest monthly moral most multiple mutual mysterious narrow nasty national
native natural near nearby neat necessary negative neutral new nice noisy normal notable novel numerous obvious
occasional odd offensive official old online only ongoing optimal optional ordinary organic original other outdoor
outer outside outstanding overall overnight own pale parallel partial particular past patient peaceful perfect
permanent personal physical plain pleasant plenty plus polite poor popular positive possible potential powerful
practical precise pregnant previous primary principal prior private probable productive professional profitable
prominent proper proud public pure quick quiet random rapid rare raw ready real realistic reasonable recent regular
relative relevant reliable reluctant remarkable remote repeated required respective responsible rich ridiculous right
rough routine rude sad safe same satisfied scared scary secondary secret secure selfish senior sensible sensitive
separate serious severe shallow sharp short shy sick significant silent silly similar simple single skilled slight
slow small smart smooth so social soft sole solid sophisticated sorry spare special specific spiritual stable standard
static steady steep straight strange strict strong stuck stupid subtle successful sudden sufficient suitable super
superior supreme sure suspicious sweet systematic tall technical temporary terrible thick thin thorough tight tiny
tired together top total tough toxic traditional tremendous true typical ugly ultimate unable unbelievable
uncomfortable unexpected unfair unfortunate unhappy uniform unique universal unknown unlikely unnecessary unusual
upcoming upper upset urgent useful useless usual vague valid valuable various vast vertical very viable virtual
visible visual vital warm weak weekly weird well western wet whole wide wild willing wise wonderful worldwide worse
worst worth wrong yearly young absolutely actually again ago ahead almost already also altogether always anyhow
anymore anyway anywhere around aside away barely basically certainly clearly completely currently definitely easily
elsewhere especially essentially eventually ever everywhere exactly extremely fairly finally forever fully generally
hardly hopefully however immediately indeed instead lately maybe mostly moreover nearly necessarily nevertheless
normally nowadays obviously often okay ok once originally otherwise perhaps personally possibly pretty previously
probably properly quickly quite rarely rather really recently regularly seldom seriously simply slightly somehow
sometimes somewhat somewhere soon specifically still suddenly supposedly therefore thus together too totally truly
typically ultimately unfortunately usually widely yet
"""
_NOUNS: Final = """
ability absence abuse accident accuracy action activity addition advantage advice age agency agenda agent aid air
alarm alert algorithm amount analysis angle anniversary answer app appearance appliance application appointment area
arm art article aspect asset atmosphere attention attitude attorney audience author authority autopay background bag
bank bar barrier basis bathroom beach beauty bed bedroom beginner beginning behavior behaviour being belief bell
benefit bike birth birthday bit blood board boat body bonus book border boss bottle bottom bowl box boy boyfriend
brain branch break breakfast breath brother budget building bunch burden bus business button buyer cable calculation
calendar camera campaign candidate capacity capital car career cash category ceiling cell center centre certificate
chain chair champion chance channel chapter character charity chart chat chemical chemistry child choice circle
circumstance citizen city class classroom client climate clock cloth clothes club clue coach code coin collection
college color colour column combination communication community company comparison competition complaint component
computer concept conclusion condition conference confidence conflict connection consequence constitution construction
consumer contest context contract contrast contribution conversation cooking corner corporation council country couple
courage course court cousin credit credential creature crew crime crisis criterion criticism crowd culture cup
currency curve customer cycle dad danger data database date daughter day deadline deal death debt decision deduction
default defense definition degree delivery demand department departure depth description desk destination detail
development device dialogue diet difference difficulty dinner direction director disadvantage discipline discount
discussion disease dish distance district doctor document documentation dollar door drama drawing driver duration duty
earth economy edge education effect effort election element employee employer employment energy engine engineer
engineering enterprise entertainment entry environment equipment error essay estate evening event evidence exam
example exception excuse executive exit expense explanation expression extent eye fact factor factory failure faith
fall fame family fan farm father fault feature fee feedback feeling fellow female fiction field figure film finance
finding finger firm flight floor flow fluid folder food foot footage form formula fortune foundation fraud freedom
friend front fruit fuel fun fund furniture gain game gap garage garden gas gate gear gender generation gift girl
girlfriend glass goal government grade grammar graph ground group growth guest guide guy habit hair hall hand
handwriting harm health heart height hell hero highway history hobby hole holiday home homework hospital host hotel
hour house household housing hundred husband ice idea identity illness image impact importance impression improvement
incident income independence individual industry information ingredient initiative injury inside instance instruction
insurance intelligence intent interaction interest internet interview introduction investment investor island item job
journal journey judgment jury justice keyboard kid kind kitchen knee knowledge lab lake land language laptop law
lawyer layer leader leadership learning lecture leg lesson letter level library license life line liquid literature
loan location logic loss luck luggage lunch machine mail maintenance majority male man management manner manufacturer
map market marketing marriage mass match math mathematics maximum meal meaning measurement meat mechanism media
medication medicine meeting member membership memory menu message metal method middle mile military million mind
minute mirror mission mistake mix mode model mom moment money month mood morning mother motion motor mouth movement
movie mud muscle music name nation nature neck network news newspaper night noise note nothing notification novel
number object objective occasion occupation office officer oil operation opinion opportunity option origin outcome
output outside overview owner package packet page pain pair paper paragraph parent park part partner party passage
password path patient pattern payment paycheck peace pen penalty people percentage performance period permission
person personality perspective phase philosophy phone photo photograph phrase physics picture piece pin place planet
plate player playlist plot pocket poem poet poetry point police policy politics population portion position possession
possibility post pot power practice preference presence presentation president pressure price pride prime principle
priority prison privacy prize problem procedure product profession professor profile profit project property proposal
protection protocol purpose quality quantity quarter quick race radio rain range rate ratio reader reality reason
receipt recipe recommendation record recovery reference reflection region relation relationship relief religion
reminder rent reply reputation requirement reservation resident resource response responsibility restaurant result
resume revenue review revolution ring river road rock role roof room root route routine row rule safety salary sale
sample satisfaction saving scale scene schedule school science scientist scope score screen script sea season seat
secret secretary section sector security selection self seller sense sentence sequence series service session setting
sex shape shirt shoe shopping shot shoulder side sign signature significance site situation size skill skin sky
society software soil solution son song sort soul sound source space speaker species speech spirit spite sport spot
staff stage standard star statement station statistics status step stock stone store storm story strategy street
strength stress structure student stuff style subject substance success suggestion sun supply support surface surprise
survey symbol symptom system table talk target task tax teacher team tech technique technology telephone television
temperature term test text thanks theme theory therapy thing thought threat ticket time tip tire title today tomorrow
tone tool tooth topic total touch tour tourist town track tradition traffic training transaction transition
transportation trash travel treatment tree trend trial trick trip trouble truck truth turn type uncle unit universe
university usage user vacation value variation variety vehicle verse version victim victory video viewpoint village
violence virus vision visitor voice volume wage wait wall war warning washing waste water way wealth weapon weather
web website wedding week weekend weight wife will wind window winner winter wireless wisdom woman wonder word worker
workplace workshop world writer writing yard year youth zone adult accounting timezone info creator chore premium
expiry next first used born previous following details detail spot hello goodbye robot bot ai human assistant schedule
rental airline airport appliance tank frame laundry auto swap initial vaccine vaccinate command debit leisure fridge
freezer grocery fuel petrol mileage route account apr balance bill card checking check checks deposit overdraft
routing savings statement billing pto tv pc usb cpu gpu ram wifi bluetooth app apps api url html css sql json csv pdf
web browser server client cloud array string variable loop class method parameter argument branch commit repository
query index column key compiler library framework ceo cto gdp dna hr faq cv id pin atm login logout signup username
homepage inbox spam gmail hashtag emoji gps led dvd cd
"""

_GENERAL: Final = frozenset(map(stem, (_VERBS + _ADJECTIVES_AND_ADVERBS + _NOUNS).split()))
VERBS: Final = frozenset(map(stem, _VERBS.split()))
"""Stems of the verbs among them."""
QUALITIES: Final = frozenset(map(stem, _ADJECTIVES_AND_ADVERBS.split()))
"""Stems of the adjectives and adverbs among them."""
# What turns a general word into another general word. The root's last letter may have been lost on the way.
_DERIVED: Final = in_order(
    """
    ification ization isation ability ibility ation ition ment ness able ible ance ence iest ier tion sion ion ity ism
    ist ive ous ful less est er or al th ly y
    """
)
_SHORTEST: Final = 3


@lru_cache(maxsize=8192)
def is_general(word: str) -> bool:
    """Whether the stem `word` is that of a general word or of one derived from it: "expir" and "expiration"."""
    return word in _GENERAL or any(
        len(word) - len(ending) >= _SHORTEST and word.endswith(ending) and _is_root(word[: len(word) - len(ending)])
        for ending in _DERIVED
    )


def _is_root(root: str) -> bool:
    undoubled = root[:-1] if root[-1] in (root[-2], "e") else root
    return not _GENERAL.isdisjoint((root, undoubled, root + "e", root + "y", root + "t"))
