"""The few words of each language that decide where a reader expects a line to end.

Two lists a language: words that lean on what follows (articles, prepositions, possessives, particles of negation),
after which a line should not end; and words that open a clause, before which it may. Lists are short on purpose: a word
in doubt is left out. Languages without a list break by punctuation, pauses and balance alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from subtitles.scripts import primary_language


@dataclass(frozen=True)
class Grammar:
    """Closed-class words of one language, lower case."""

    #: A line should not end after one of these.
    leaning: frozenset[str] = frozenset()
    #: A line may well end before one of these.
    opening: frozenset[str] = frozenset()
    #: Abbreviations that take a full stop and do not end a sentence, without their last full stop.
    abbreviations: frozenset[str] = frozenset()
    #: Likewise, but only before a number: "No. 5", "Fig. 3".
    counting: frozenset[str] = frozenset()
    #: A conjunction that is written as the first letter of the next word (Arabic and Hebrew "and"); empty for none.
    opening_letter: str = ""
    #: False where a capital does not tell a name (German writes every noun with one).
    capitals_mean_names: bool = True
    #: True where "3." is an ordinal number.
    ordinal_stop: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GRAMMARS = {
    "en": Grammar(
        leaning=_words(
            "a an the of to in on at by for with from into onto about over under between through during without "
            "against toward towards upon within among my your his her its our their this these those every each "
            "some any no not very so too as than or and but if because that which who whose when while where is "
            "are was were be been am will would can could should may might must shall do does did has have had "
            "i you he she we they i'm you're he's she's it's we're they're i'll you'll we'll they'll i've we've "
            "don't doesn't didn't won't can't couldn't wouldn't isn't aren't wasn't weren't let's"
        ),
        opening=_words(
            "and but or so because that which who where when while if unless until before after although though "
            "since then to for with from in on at by about into as than like"
        ),
        abbreviations=_words("mr mrs ms dr prof st vs e.g i.e approx gen col sgt capt lt rev hon"),
        counting=_words("no nos vol fig p pp ch art sec"),
    ),
    "es": Grammar(
        leaning=_words(
            "el la los las un una unos unas lo de del a al en con por para sin sobre entre desde hasta hacia "
            "contra según mi tu su mis tus sus nuestro nuestra nuestros nuestras este esta estos estas ese esa "
            "esos esas y e o u ni pero que si no se me te le les nos muy más tan como cuando porque donde es "
            "son ha he han está están"
        ),
        opening=_words(
            "y e o u pero que porque cuando donde si aunque como para por con sin de en a mientras pues ni sino"
        ),
        abbreviations=_words("sr sra srta dr dra ud uds prof p.ej av avda d dña"),
        counting=_words("núm n.º pág art cap"),
    ),
    "fr": Grammar(
        leaning=_words(
            "le la les l' un une des du de d' à au aux en dans par pour sur sous sans avec chez entre vers "
            "contre depuis mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs ce cet cette ces et "
            "ou mais que qui si ne pas je tu il elle on nous vous ils elles me te se très plus est sont a ont "
            "suis êtes sommes comme quand où"
        ),
        opening=_words(
            "et ou mais que qui parce car donc quand lorsque si où comme pour avec sans dans de à sur puis afin"
        ),
        abbreviations=_words("m mm mme mlle dr pr me st ste p.ex cf env av"),
        counting=_words("no n vol p art chap fig"),
    ),
    "de": Grammar(
        leaning=_words(
            "der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner in im ins "
            "an am ans auf aus bei beim mit nach seit von vom zu zum zur durch für gegen ohne um über unter vor "
            "zwischen hinter neben mein meine meinen dein deine sein seine seinen ihr ihre ihren unser unsere "
            "euer eure dieser diese dieses und oder aber dass daß ob wenn weil als wie nicht sehr so ich du er "
            "sie es wir ist sind war hat haben"
        ),
        opening=_words(
            "und oder aber sondern denn dass daß weil wenn als ob obwohl damit während bevor nachdem die der das um"
        ),
        abbreviations=_words("dr prof hr fr z.b u.a d.h bzw ca st evtl ggf z.t inkl vgl"),
        counting=_words("nr art abs bd s kap"),
        capitals_mean_names=False,
        ordinal_stop=True,
    ),
    "it": Grammar(
        leaning=_words(
            "il lo la i gli le l' un uno una di del dello della dei degli delle a al allo alla ai agli alle da "
            "dal dalla in nel nella nei nelle con su sul sulla per tra fra mio mia tuo tua suo sua nostro "
            "nostra questo questa e o ma che se non mi ti si ci vi è sono ha ho hanno come quando più molto"
        ),
        opening=_words("e o ma che perché quando dove se come per con di a da in anche mentre però quindi poi"),
        abbreviations=_words("sig sig.ra dott dr prof ing avv p.es"),
    ),
    "pt": Grammar(
        leaning=_words(
            "o a os as um uma uns umas de do da dos das em no na nos nas ao à aos às por pelo pela para com sem "
            "sobre entre até desde meu minha seu sua nosso nossa este esta esse essa e ou mas que se não me te "
            "lhe é são foi está muito mais como quando onde porque"
        ),
        opening=_words("e ou mas que porque quando onde se como para por com sem de em a embora enquanto pois"),
        abbreviations=_words("sr sra srta dr dra prof p.ex av exmo d"),
    ),
    "nl": Grammar(
        leaning=_words(
            "de het een van in op aan met voor door bij naar uit om over onder tussen zonder tegen te mijn jouw "
            "zijn haar ons onze hun dit dat deze die en of maar als dat niet geen heel ik je hij ze we is was "
            "heeft"
        ),
        opening=_words("en of maar want dat omdat als toen terwijl die om met voor in op"),
        abbreviations=_words("dhr mevr dr prof bijv d.w.z ca"),
    ),
    "ru": Grammar(
        leaning=_words(
            "в во на с со к ко о об обо от до из изо по за под над при про для без у между через перед и а но "
            "или что как если не ни мой моя моё мои твой его её их наш наша наше наши нашу нашей наших "
            "ваш ваша ваше ваши вашу этот эта это эти тот та те очень я "
            "ты он она мы вы они"
        ),
        opening=_words(
            "и а но или что чтобы который которая которое которые когда если потому где как хотя в на с для из по"
        ),
        abbreviations=_words("г гг т т.е т.к см ул им проф"),
    ),
    "uk": Grammar(
        leaning=_words(
            "в у на з із зі до від за під над при про для без між через і й та а але або що як якщо не ні мій твій"
        ),
        opening=_words("і й та а але або що щоб який яка яке які коли якщо тому де як хоча"),
    ),
    "pl": Grammar(
        leaning=_words(
            "w we na z ze do od za pod nad przy o dla bez przez i a ale lub czy że jak nie mój moja twój jego ten ta to"
        ),
        opening=_words("i a ale lub że żeby który która które kiedy gdy jeśli bo ponieważ gdzie jak choć"),
        abbreviations=_words("np prof dr tzn ul św im"),
        ordinal_stop=True,
    ),
    "sv": Grammar(
        leaning=_words(
            "en ett den det de i på av till med för från om under över mellan utan min din sin och eller men "
            "att som inte jag"
        ),
        opening=_words("och eller men att som när om eftersom medan för så"),
    ),
    "tr": Grammar(
        leaning=_words("bir bu şu o ve ile ama çok daha en"),
        opening=_words("ve ama çünkü fakat ya ki"),
        ordinal_stop=True,
    ),
    "ar": Grammar(
        leaning=_words("في من إلى على عن مع بين قبل بعد عند منذ حتى أو ثم أن إن لا لم لن ما هذا هذه ذلك تلك قد كل يا"),
        opening=_words("و أو ثم لكن ولكن لأن أن الذي التي الذين حيث عندما إذا كما بينما في من إلى على"),
        abbreviations=_words("د أ م"),
        opening_letter="و",
    ),
    "he": Grammar(
        leaning=_words("של את על אל עם מן בין לפני אחרי בלי או אבל כי אם לא זה זאת אני הוא היא כל יותר מאוד"),
        opening=_words("או אבל כי אם כאשר אשר ש למרות בגלל עם על של"),
        opening_letter="ו",
    ),
    "fa": Grammar(
        leaning=_words("در از به با بر برای تا و یا که این آن هر یک بدون بین"),
        opening=_words("و یا اما که چون اگر وقتی زیرا برای"),
    ),
    # Hindi's postpositions follow their noun: a line ends after them, not before.
    "hi": Grammar(
        leaning=_words("और या कि यह वह एक बहुत मेरा मेरी मेरे आपका आपकी इस उस न"),
        opening=_words("और या लेकिन कि क्योंकि जब अगर तो जो"),
    ),
}

_NONE = Grammar()


def grammar_of(language_tag: str) -> Grammar:
    """The word lists for a BCP 47 tag; empty ones for languages without."""
    return _GRAMMARS.get(primary_language(language_tag), _NONE)
