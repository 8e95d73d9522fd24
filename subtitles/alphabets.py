"""What code pages are judged by: the letters of languages, and the code pages that their texts were written in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Alphabet:
    """How the texts of some languages look beyond ASCII."""

    #: Code pages in use for it, the likeliest first.
    encodings: tuple[str, ...]
    #: All letters beyond ASCII, lower case; empty where they are too many to list.
    letters: str
    #: Letters that make up much of any text; empty for all of `letters`.
    common: str = ""
    #: Share of `common` that a text reaches.
    share: float = 1.0


_WESTERN = ("cp1252", "iso8859_15", "mac_roman", "cp850")
_CENTRAL = ("cp1250", "iso8859_2", "cp852", "mac_latin2")
_BALTIC = ("cp1257", "iso8859_13", "cp775")
_TURKISH = ("cp1254", "iso8859_9", "cp857")
_CYRILLIC = ("cp1251", "koi8_u", "koi8_r", "cp866", "iso8859_5")
_CYRILLIC_LETTERS = "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґўђѓѕјљњћќџ"

#: Signs that texts in any language have beyond ASCII; they speak for no code page.
PUNCTUATION = frozenset("“”„‘’‚‹›«»–—…°€£§©®™•♪♫·′″\u00a0\u00ad\u2011\ufeff\u200b\u200e\u200f\u202a\u202b\u202c")
#: Those of them that stand between letters.
INSIDE_WORDS = frozenset("’‘—–…·′″\u00a0\u00ad\u2011\ufeff\u200b\u200e\u200f\u202a\u202b\u202c")

_RUSSIAN = Alphabet(_CYRILLIC, _CYRILLIC_LETTERS, "оеаинтсрвл", 0.45)
_JAPANESE = "のにはをたがでてとしれさいるなもかりらこ、。よねだっんまうおすえ"
_CHINESE = "的一是不了我你他在有这们来到说就人大么什好吗这那会，。？！"
_TRADITIONAL = "的一是不了我你他在有這們來到說就人大麼什好嗎這那會，。？！"
_KOREAN = "이다는을를의에가고지하한나어요아그니도해"

#: Scripts: told apart without knowing the language.
SCRIPTS: dict[str, Alphabet] = {
    "ru": _RUSSIAN,
    "el": Alphabet(("cp1253", "iso8859_7", "cp737"), "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰ", "αοιετσνηρά", 0.45),
    "he": Alphabet(("cp1255", "iso8859_8", "cp862"), "אבגדהוזחטיכלמנסעפצקרשתךםןףץ", "יוהלאתרמב", 0.45),
    "ar": Alphabet(
        ("cp1256", "iso8859_6", "cp720"),
        "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهويىپچژگکیہھےںڈڑٹ،؛؟ـًٌٍَُِّْ",
        "اليمنوتر",
        0.45,
    ),
    "th": Alphabet(
        ("cp874", "tis_620"),
        "".join(map(chr, range(0xE01, 0xE5C))),
        "านรอกเงยมลว\u0e48ด\u0e49ท\u0e31",
        0.45,
    ),
    "ja": Alphabet(("cp932", "euc_jp"), "", _JAPANESE, 0.3),
    "zh": Alphabet(("gb18030",), "", _CHINESE, 0.1),
    "zh-Hant": Alphabet(("cp950", "big5hkscs"), "", _TRADITIONAL, 0.1),
    "ko": Alphabet(("cp949", "johab"), "", _KOREAN, 0.15),
}

_ICELANDIC = "áéíóúýþæöð"
_SCANDINAVIAN = "æøåäöéèêóôòüá"
_IBERIAN = "áéíóúüñçªº¿¡àèòï·"
#: Languages in Latin letters. What is not listed is taken for a western one.
_LATIN: dict[str, Alphabet] = {
    "en": Alphabet(_WESTERN, "éèêëïöüñçâàáíóúîôäåøæœ"),
    "fr": Alphabet(_WESTERN, "àâäçéèêëîïôœùûüÿæ"),
    "de": Alphabet(_WESTERN, "äöüßéèàê"),
    "es": Alphabet(_WESTERN, _IBERIAN),
    "ca": Alphabet(_WESTERN, _IBERIAN),
    "gl": Alphabet(_WESTERN, _IBERIAN),
    "pt": Alphabet(_WESTERN, "áâãàçéêíóôõúüªº"),
    "it": Alphabet(_WESTERN, "àèéìíîòóùúªº"),
    "nl": Alphabet(_WESTERN, "éèëïóöüáíúêç"),
    "sv": Alphabet(_WESTERN, _SCANDINAVIAN),
    "da": Alphabet(_WESTERN, _SCANDINAVIAN),
    "nb": Alphabet(_WESTERN, _SCANDINAVIAN),
    "nn": Alphabet(_WESTERN, _SCANDINAVIAN),
    "no": Alphabet(_WESTERN, _SCANDINAVIAN),
    "fi": Alphabet(_WESTERN, "äöåšžé"),
    "is": Alphabet(("cp1252", "iso8859_1", "mac_iceland", "cp861"), _ICELANDIC),
    "fo": Alphabet(_WESTERN, _ICELANDIC + "ø"),
    "pl": Alphabet(_CENTRAL, "ąćęłńóśźż"),
    "cs": Alphabet(_CENTRAL, "áčďéěíňóřšťúůýž"),
    "sk": Alphabet(_CENTRAL, "áäčďéíĺľňóôŕšťúýž"),
    "hu": Alphabet(_CENTRAL, "áéíóöőúüű"),
    "ro": Alphabet((*_CENTRAL, "iso8859_16"), "ăâîșțşţ"),
    "hr": Alphabet(_CENTRAL, "čćđšž"),
    "bs": Alphabet(_CENTRAL, "čćđšž"),
    "sl": Alphabet(_CENTRAL, "čšžćđ"),
    "sr": Alphabet(_CENTRAL, "čćđšž"),
    "sq": Alphabet(("cp1252", "cp1250", "iso8859_1"), "ëç"),
    "tr": Alphabet(_TURKISH, "çğıİöşüâîû"),
    "az": Alphabet(_TURKISH, "çğıİöşüə"),
    "lt": Alphabet(_BALTIC, "ąčęėįšųūž"),
    "lv": Alphabet(_BALTIC, "āčēģīķļņšūžō"),
    "et": Alphabet(("cp1257", "iso8859_15", "cp1252", "iso8859_13", "cp775"), "äöõüšž"),
    "vi": Alphabet(
        ("cp1258",),
        "ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ",
    ),
    "eo": Alphabet(("iso8859_3",), "ĉĝĥĵŝŭ"),
    "cy": Alphabet(("iso8859_14", "cp1252"), "âêîôûŵŷáéíóëïöü"),
}
_CYRILLIC_LANGUAGES = ("ru", "uk", "be", "bg", "mk", "sr", "kk", "ky", "mn", "tg", "tt")
_RELATED = {"fa": "ar", "ur": "ar", "ps": "ar", "ku": "ar", "yi": "he", "iw": "he", "cmn": "zh", "yue": "zh-Hant"}
_TRADITIONAL_PLACES = ("hant", "tw", "hk", "mo")


def alphabets_of(language: str) -> tuple[Alphabet, ...]:
    """What texts in a language may look like (Serbian has two scripts, Chinese two ways of writing)."""
    primary, *rest = language.lower().split("-")
    primary = _RELATED.get(primary, primary)
    if primary.startswith("zh"):
        simplified, traditional = SCRIPTS["zh"], SCRIPTS["zh-Hant"]
        old = "-hant" in primary or any(part in _TRADITIONAL_PLACES for part in rest)
        return (traditional, simplified) if old else (simplified, traditional)
    if primary in SCRIPTS:
        return (SCRIPTS[primary],)
    cyrillic = (_RUSSIAN,) if primary in _CYRILLIC_LANGUAGES else ()
    latin = (_LATIN[primary],) if primary in _LATIN else ()
    return cyrillic + latin or (_LATIN["en"],)


def is_latin(language: str) -> bool:
    """True for a language of which the letters beyond ASCII in Latin script are known."""
    return language in _LATIN
