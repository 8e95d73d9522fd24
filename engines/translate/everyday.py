"""Words of everyday speech, to tell a one-word line that must be translated from a name that need not be."""

from __future__ import annotations

_SOUNDS = "ok okay ah aha ahh eh ha haha hahaha hey hm hmm mm mmm oh ooh uh um wow bravo la na"

_ENGLISH = """
again alright always and anything are bye careful come congratulations cool correct done down easy enough everybody
everyone everything exactly excellent excuse fine finally fire forward four five from go good goodbye goodnight
great happy hello help here hi how hurry i indeed listen look lovely maybe me morning move mister never nice
nobody not nothing now one out perfect please pound press quickly quiet ready really right run seriously she ship six
somebody something sorry speak star stay stop sure thank thanks that the then there they this three time today
tomorrow tonight true two understood up wait watch we welcome well what when where which who whose why wonderful
world wrong yeah yep yes yesterday you your zero
"""

_ROMANCE = """
hola adiós gracias sí bueno buenos buenas vale claro perdón perdona siempre nunca mañana ayer hoy aquí allí qué
quién cuándo cómo dónde espera mira oye vamos nada nadie también
bonjour bonsoir merci oui non salut pardon toujours jamais demain hier ici voilà attends regarde écoute
ciao grazie sì scusa mai domani ieri oggi qui aspetta bene
olá obrigado obrigada sim não tchau sempre amanhã ontem hoje espere
"""

_GERMAN = "hallo danke bitte ja nein tschüss immer niemals morgen gestern heute dort warte genau gut"

#: Sounds that most languages write alike.
SOUNDS = frozenset(_SOUNDS.split())
#: Words that begin one-word lines with a capital letter and are no names. Two languages may share one; then a
#: person is asked, which costs less than a line that nobody translated.
EVERYDAY_WORDS = frozenset((_ENGLISH + _ROMANCE + _GERMAN).split())
