"""Units and currencies, in all spellings."""

from collections.abc import Mapping
from typing import Final

from services.semantic_cache.guards.lexicon.tables import grouped

# The first word of a line names the unit. Units of time also tell "this year" from nothing, so alone they prove little.
_TIMES: Final = """
second seconds sec secs s
minute minutes min mins minuten
hour hours hr hrs h stunde stunden heure heures hora horas
day days tag tage tagen jour jours día días
week weeks wk wks woche wochen semaine semaines semana semanas
month months monat monate mois mes meses
quarter quarters
year years yr yrs jahr jahre jahren an ans année année año años
decade decades
century centuries
am a.m
pm p.m
"""
_MEASURES: Final = """
km kilometer kilometers kilometre kilometres kms k.m
meter meters metre metres m
cm centimeter centimeters centimetre centimetres
mm millimeter millimeters millimetre millimetres
mile miles mi meile meilen
yard yards yd
foot feet ft
inch inches
mph
kmh kph
knot knots
kg kilo kilos kilogram kilograms kilogramme
gram grams g gramm
mg milligram milligrams
pound pounds lb lbs £ gbp sterling quid pence
ounce ounces oz
ton tons tonne tonnes
stone
liter liters litre litres l
ml milliliter milliliters millilitre millilitres
gallon gallons gal
pint pints
cup cups
tablespoon tablespoons tbsp
teaspoon teaspoons tsp
celsius °c centigrade c
fahrenheit °f f
kelvin
° degree degrees
% percent percentage pct prozent
dollar dollars $ usd bucks buck
cent cents
euro euros € eur
yen ¥ jpy
rupee rupees inr rs ₹
peso pesos mxn
yuan renminbi cny rmb
won krw ₩
franc francs chf
ruble rubles rub rouble roubles
lira liras
bitcoin bitcoins btc
ethereum eth
byte bytes b
kb kilobyte kilobytes
mb megabyte megabytes
gb gigabyte gigabytes
tb terabyte terabytes
bit bits
watt watts w
kw kilowatt kilowatts
kwh
volt volts v
amp amps ampere amperes
ohm ohms
hz hertz
khz kilohertz
mhz megahertz
ghz gigahertz
joule joules
calorie calories kcal cal
newton newtons
pascal pascals
bar bars
psi
acre acres
hectare hectares
radian radians
horsepower hp
"""


UNITS: Final[Mapping[str, str]] = grouped(_TIMES + _MEASURES)
"""A unit's spellings to its name. Some are other words too and count only beside a number."""
TIME_UNITS: Final = frozenset(grouped(_TIMES).values())
"""Names of those of time."""
