"""Words and pairs of words that ask for the same thing, so that exchanging them is a rephrasing."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from services.semantic_cache.guards.lexicon.stems import stem
from services.semantic_cache.guards.lexicon.tables import translated
from services.semantic_cache.guards.lexicon.vocabulary import VERBS

# The first word of a line stands for all. Only what stays true in nearly every question belongs here.
_GROUPS: Final = """
about regarding concerning
accelerate hasten
advice tip suggestion recommendation guidance
aid assistance help
allow permit let enable
amount quantity sum total
answer reply respond response
apartment flat
application app
arrange organize organise
assist help
attorney lawyer
auto car automobile vehicle
average typical
baby infant
bad awful terrible horrible
beautiful pretty gorgeous lovely
begin start commence
beginner newbie novice
behavior behaviour
big large huge enormous giant
biggest largest
boost improve enhance better
bike bicycle
block freeze lock
broken damaged defective
build construct
buy purchase acquire
calculate compute
calorie cal
cancel abort
call dial ring
convince persuade motivate
cure heal
cinema movie
curb reduce
fuel gas petrol
funds money
greatest best
world earth globe
rise raise
temperature temp
nearest closest
near nearby
strangest weirdest oddest
hottest coolest
exercise workout
write author writer
invent inventor
direct director
create creator
paint painter
compose composer
founded founder
discover discoverer
own owner
win winner
height how_tall
age how_old
distance how_far
speed how_fast
size how_big
weight mass how_heavy
depth how_deep
width how_wide
beneficial helpful useful
robot bot
info information detail
expire expiry
vaccine vaccination shot
quantity amount
return back revert
schedule calendar
cause reason
cell mobile cellphone
center centre
change modify alter edit adjust switch update
cheap inexpensive affordable
chat conversation talk
choose pick select
clever smart intelligent
clothes clothing
color colour
company firm business corporation
complete finish
confirm verify
contact reach
cook prepare
correct right proper
country nation
create make produce generate
current present
dad father
danger risk hazard
decline reject deny refuse
define definition explain describe
delete erase remove clear uninstall
determine establish
difference distinction differ different
difficult hard tough
directions route way
discuss talk
doctor physician
earn make
easy simple effortless
email mail
end finish stop
error fault
fake false
famous renowned well-known popular
fast quick rapid quickly fastly
fastest quickest
favorite favourite
film movie
find locate search
fix repair mend
food meal
forgot forget
fraud fraudulent scam
fun funny amusing
get obtain receive
glad happy
goodbye bye farewell
grab take
grown-up adult
guy man
happen occur
healthy health
hello hi hey
holiday vacation
home house
identify recognize recognise
swap exchange substitute
refrigerator fridge
important significant essential crucial vital
increase raise
job occupation
joke funny
kid child
kill murder
kilometer km
learn study
leave quit
list enumerate
lower reduce decrease
luggage baggage
map directions
marriage wedding
maximum max
method approach procedure process step
minimum min
mobile cellphone
mom mother mum
money cash
movie film
need require requirement
new brand
number digit
often frequently
order request
ought should
password passcode
payment pay
person people human
phone telephone
photo picture photograph image
place location spot
play put
possible feasible
present current
price cost charge
probability chance likelihood odds
problem issue trouble
program programme
quality property
reorder order
report notify
result outcome
rich wealthy
road street
room space
salary wage
same identical
say tell speak
search look
see view watch check
sex gender
shop store
show display
sick ill
small little tiny
song track music tune
sorry apologize
speak talk
status state
store save
stuff thing
summarise summarize summary
synonym synonymous
television tv telly
town city
translate translation
trip travel journey
truth true
type kind
use utilize utilise employ using usage
usa us america
usual normal
value worth
vacation holiday
vehicle car
weather forecast
website site webpage
win victory
wrong incorrect
year annual yearly
"""
_PHRASES: Final = """
look for=find, look up=find, find out=find, figure out=find, search for=find, log in=login, sign in=login
log out=logout, sign out=logout, log off=logout, sign up=signup, set up=setup, get rid=remove, shut down=disable
turn off=disable, turn on=enable, switch off=disable, switch on=enable, get off=remove, carry out=do, how come=why
a lot=many, lots of=many, how long=how_long, how many=how_many, how much=how_many, how often=how_often
how frequently=how_often, how soon=when, how far=how_far, how old=how_old, how tall=how_tall, how high=how_tall
how big=how_big, how large=how_big, how fast=how_fast, how quickly=how_fast, how deep=how_deep, how heavy=how_heavy
how wide=how_wide, work out=exercise, time zone=timezone, go back=return, put on=enable, what time=when
what date=when, what year=when, what day=when, what place=where, what reason=why, what price=how_many
united states=usa, the us=usa, united kingdom=uk, wi fi=wifi, e mail=email, per cent=percent, more than=over
less than=under, such as=like, as well=also, right now=now, at present=now, in order=to, due to=because
because of=because, be able=can, have to=must, has to=must, need to=must, going to=going_to, had to=must
ought to=should, used to=used_to, take off=remove, take away=remove, call off=cancel, pay off=payoff
fill out=complete, fill in=complete, hand in=submit, put off=postpone, next to=near, close to=near, out of=from
instead of=instead_of, rather than=instead_of, other than=except, apart from=except, free of=without, or not=
or no=, at all=, not only=, whether or=whether, if not=if_not, no matter=regardless, no idea=unsure, not sure=unsure
no need=unneeded, no one=nobody, no longer=not
"""
# "Expiration" is when something expires, "arrival" when it arrives.
_NOMINAL: Final = ("ation", "ition", "ion", "ment", "al", "age")


def _canonical_stems() -> dict[str, str]:
    """Each word's stem to the stem that stands for its group; a word of several groups joins them into one."""
    leader: dict[str, str] = {}
    for line in _GROUPS.strip().splitlines():
        members = [stem(word) for word in line.split()]
        first = next((leader[member] for member in members if member in leader), members[0])
        for member in members:
            leader.setdefault(member, first)
    return leader


_CANONICAL: Final[Mapping[str, str]] = _canonical_stems()


@lru_cache(maxsize=8192)
def meaning(word: str) -> str:
    """The stem that stands for all words that mean what the stem `word` means."""
    known = _CANONICAL.get(word)
    if known is not None:
        return known
    roots = [stem(word.removesuffix(ending)) for ending in _NOMINAL if word.endswith(ending)]
    verb = next((root for root in roots if root in VERBS), word)
    return _CANONICAL.get(verb, verb)


def _phrases() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for pair, word in translated(_PHRASES).items():
        first, second = pair.split()
        found.setdefault(stem(first), {})[second] = word
    return found


PHRASES: Final[Mapping[str, Mapping[str, str]]] = _phrases()
"""The stem of a word, and the word behind it, to the one that stands for both; an empty one for what says nothing."""
PHRASE_STEMS: Final = frozenset(stem(word) for words in PHRASES.values() for word in words.values())
"""What stands for two words is known as well."""
