"""Words that carry the grammar of a question, not its subject."""

from collections.abc import Mapping
from typing import Final

from services.semantic_cache.guards.lexicon.tables import grouped, words

_ENGLISH: Final = """
a an the this that these those there here it its itself he him his himself she her hers herself they them their theirs
i me my mine myself we us our ours ourselves you your yours yourself u ur one ones someone somebody anyone anybody
everyone everybody something anything everything and or but nor if whether then than as so because since while though
although unless of in on at to from by for with without about into onto out off up down over under through during
between among against across along around behind below beneath beside besides beyond above inside outside within
toward towards upon via per until till before after vs versus be am is are was were been being do does did doing done
have has had having can could may might must shall should will would ought gonna wanna gotta let lets not no never
none neither nothing nobody nowhere cannot except what which who whom whose when where why how whatever whichever
whoever wherever whenever however some any all both each every few many much more most less least several enough such
own same other another only just even also too very really quite rather pretty so ever still yet already again once
now today
currently presently later sooner earlier please hi hello hey thanks thank ok okay well oh yes yeah actually basically
exactly maybe
kindly like want need know tell help wish wonder wondering able possible sure go going get gets getting got way ways
thing things kind sort type lot bit much show give provide mean means meaning around about approximately etc am pm vs
instead_of how_long how_many how_often going_to if_not unsure
"""
_OTHERS: Final = """
der die das den dem des ein eine einen einem einer eines und oder aber wenn ob als wie was wer wen wem wo wann warum
wieso welche welcher welches welchen wieviel viele viel ist sind war waren sein bin bist wird werden wurde hat haben
hatte habe kann kannst ich du er sie es wir ihr mir mich dir dich mein meine meinen meinem meiner dein deine unser
unsere man zu zum zur von vom mit bei beim nach aus auf an am im in für über unter um durch bitte mal denn eigentlich
nicht kein keine keinen ohne nie le la les un une des du de d l et ou mais si que qui quoi quel quelle quels quelles
où quand pourquoi comment combien est sont était être a ai as ont je tu il elle on nous vous ils elles mon ma mes ton
ta tes votre notre ce cette ces à au aux en dans sur sous avec pour par chez pas ne n jamais sans s'il plaît y c qu
est-ce el los las unos unas y o pero qué quién quiénes cuál cuáles cuándo dónde cómo cuánto cuánta cuántos cuántas por
porque es son era ser está están estar soy ha han he yo tú él ella ellos mi mis tu su sus este esta estos se me te lo
con para sin del al no nunca il lo gli i uno una e ed ma che chi cosa quale quali quando dove come perché quanto
quanta quanti quante è sono era essere ho hai ha hanno io lui lei noi voi loro mio mia miei tuo suo questo questa di
da nel nella sul con per tra fra non mai senza del della dei o os as um uma uns umas e mas quem qual quais quando onde
porque como quanto quantos é são era ser está estão eu ele ela nós meu minha seu sua este esta do da dos das no na nos
nas em com para por sem não nunca que
"""
# The first word of a line names the role.
_PREPOSITIONS: Final = """
from off out von aus desde da
to into onto toward towards nach zu zum zur vers hacia para
by durch
than
about
against contre gegen contra
with
for
of
at in on near inside within
before
after since
until till
over above
under below
per
versus vs
between among
instead instead_of
"""

FUNCTION_WORDS: Final = words(_ENGLISH)
"""English ones, and the fillers of polite requests."""
FOREIGN_FUNCTION_WORDS: Final = words(_OTHERS)
"""German, French, Spanish, Italian and Portuguese ones."""
ROLES: Final[Mapping[str, str]] = grouped(_PREPOSITIONS)
"""What a preposition makes of the words behind it: where something comes from, where it goes, who does it ..."""
TRANSPARENT: Final = words("a an the my your his her our their its this that these those some any der die das le la el")
"""Words between a preposition and what it belongs to."""
