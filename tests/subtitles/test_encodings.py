"""Text in the code pages that captions and lists are still written in."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subtitles.alphabets import alphabets_of
from subtitles.encodings import decode_text

#: What is said in a language, as captions would.
SAID: dict[str, tuple[str, ...]] = {
    "fr": ("Où est l’hôtel ? Ça coûte 5 francs…", "Je t’aime déjà, mais c’était à Noël.", "Elle a été très gênée."),
    "de": ("Über den Wölken ist es schön, daß du kommst.", "Für mich? Natürlich, ich möchte größere Stücke."),
    "es": ("¿Qué haces mañana? ¡Nada!", "El niño está aquí, señor.", "Iré a España el próximo año."),
    "pt": ("Não é possível, você está atrás da estação.", "As informações estão à disposição, João."),
    "it": ("Perché no? È così, però può darsi.", "La città è là, più giù."),
    "sv": ("Jag är från Göteborg, och hon är på ön.", "Får jag fråga vad du gör här?"),
    "da": ("Hvad hedder du? Jeg er på vej hjem nå.", "Rødgrød med fløde på Ærø er også godt."),
    "fi": ("Hyvää päivää, mitä sinä täällä teet?", "Äiti lähti töihin, mä jään tänne."),
    "is": ("Það er gott að sjá þig aftur, góði minn.", "Ég veit ekki hvað þú ert að tala um."),
    "pl": (
        "Dzień dobry, cześć! Żółć.",
        "Nie wiem, co się stało.",
        "Dziękuję bardzo, gdzie jest łazienka?",
        "Ależ tak.",
    ),
    "cs": ("Příliš žluťoučký kůň úpěl ďábelské ódy.", "Děkuju, že jste přišel. Není zač."),
    "sk": ("Ďakujem, že ste prišli, pán učiteľ.", "Čo sa deje? Nič, všetko je v poriadku, ľahko."),
    "hu": ("Jó napot kívánok, hogy érzi magát? Köszönöm, jól.", "Őrült nő a fürdőben, űzött üldöző."),
    "hr": ("Što radiš? Ništa, čekam te već sat vremena.", "Neću više čekati, žao mi je."),
    "sl": ("Kje je žena? Še vedno čaka pred hišo.", "Če hočeš, pridi jutri, življenje je lepo."),
    "tr": ("Günaydın, nasılsınız? İyiyim, teşekkür ederim.", "Şimdi değil, çünkü ağır yağmur yağıyor."),
    "lt": ("Ačiū, kad atėjote, šiandien gražus oras.", "Aš nežinau, kur yra mano ąžuolas."),
    "lv": ("Paldies, ka atnācāt, šodien ir jauks laiks.", "Es nezinu, kur ir mana māja, draugs ķēniņš."),
    "et": ("Tere päevast, kuidas läheb? Aitäh, hästi.", "Õun on väga hea, šokolaad ka, žanr."),
    "vi": ("Xin chào, bạn có khỏe không? Tôi không biết.", "Cảm ơn, hôm nay trời đẹp quá."),
    "ru": ("Привет, как дела? Сегодня хорошая погода.", "Я не знаю, что случилось. Спасибо большое."),
    "uk": ("Привіт, як справи? Сьогодні гарна погода.", "Я не знаю, що сталося. Дуже дякую, їжак є тут."),
    "bg": ("Здравей, как си? Днес времето е хубаво.", "Не знам какво се случи. Благодаря ти много."),
    "sr": ("Здраво, како си? Данас је лепо време.", "Не знам шта се десило, хвала вам."),
    "el": ("Καλημέρα, τι κάνετε σήμερα;", "Δεν ξέρω τι έγινε, ευχαριστώ πολύ."),
    "he": ("שלום לכולם, מה שלומכם היום?", "אני לא יודע מה קרה, תודה רבה."),
    "ar": ("مرحبا بكم في هذا البرنامج اليوم", "لا أعرف ماذا حدث، شكرا جزيلا"),
    "fa": ("سلام، امروز حال شما چطور است؟", "نمي دانم چه شد، خيلي ممنون"),
    "th": ("สวัสดีครับ วันนี้อากาศดีมาก", "ฉันไม่รู้ว่าเกิดอะไรขึ้น ขอบคุณมาก"),
    "ja": ("今日は天気がいいですね。明日はどうでしょうか。", "何が起きたのか分かりません。ありがとうございます。"),
    "zh-Hans": ("你好，我们今天说的是这个问题。你在什么地方？", "我不知道发生了什么，谢谢你。"),
    "zh-TW": ("你好，我們今天說的是這個問題。你在什麼地方？", "我不知道發生了什麼，謝謝你。"),
    "ko": ("안녕하세요. 오늘은 날씨가 좋고 바람이 시원하네요.", "무슨 일이 있었는지 모르겠어요. 감사합니다."),
}


def written(text: str, encoding: str) -> bytes | None:
    """The text as a program of that code page saves it; None where it cannot."""
    if encoding == "cp1258":
        text = "".join(_vietnamese(char) for char in text)
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


def _vietnamese(char: str) -> str:
    """Code page 1258 has the vowels and writes the five tone marks behind them."""
    parts = unicodedata.normalize("NFD", char)
    tones = [part for part in parts if part in "\u0300\u0301\u0303\u0309\u0323"]
    return unicodedata.normalize("NFC", "".join(part for part in parts if part not in tones)) + "".join(tones)


CASES = [
    (language, encoding)
    for language in SAID
    for encoding in dict.fromkeys(page for alphabet in alphabets_of(language) for page in alphabet.encodings)
    if all(written(text, encoding) is not None for text in SAID[language])
]
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_what_was_written_in_a_code_page_comes_back_when_the_language_is_known(language: str, encoding: str) -> None:
    for said in (SAID[language], tuple(reversed(SAID[language]))):
        text = "\r\n\r\n".join(f"{n}\r\n00:00:0{n},000 --> 00:00:0{n},900\r\n{line}" for n, line in enumerate(said))
        data = written(text, encoding)
        assert data is not None
        decoded = decode_text(data, language)
        assert decoded.text == text
        assert not decoded.doubt or encoding != alphabets_of(language)[0].encodings[0], decoded.doubt


@settings(max_examples=300)
@given(st.data())
def test_any_of_what_was_said_comes_back_in_any_encoding(data: st.DataObject) -> None:
    language = data.draw(st.sampled_from(list(SAID)))
    # A language's own first code page, or Unicode with and without a mark; the others need more text to be told apart.
    encoding = data.draw(st.sampled_from([alphabets_of(language)[0].encodings[0], *UNICODE]))
    said = data.draw(st.lists(st.sampled_from(SAID[language]), min_size=1, max_size=6))
    plain = data.draw(st.integers(0, 40))
    text = "\n".join(["1", "00:00:01,000 --> 00:00:02,000", *said, *["OK."] * plain])
    encoded = written(text, encoding)
    assert encoded is not None
    decoded = decode_text(encoded, language)
    assert decoded.text == text
    assert encoding not in UNICODE or not decoded.doubt


@pytest.mark.parametrize("language", SAID)
def test_without_a_language_the_guess_is_right_and_said(language: str) -> None:
    text = "\n".join(SAID[language])
    encoded = written(text, alphabets_of(language)[0].encodings[0])
    assert encoded is not None
    decoded = decode_text(encoded)
    assert decoded.text == text
    assert decoded.encoding in decoded.doubt


def test_a_language_that_the_text_does_not_look_like_is_said() -> None:
    text = "\n".join(SAID["ru"])
    decoded = decode_text(text.encode("cp1251"), "pl")
    assert decoded.text == text
    assert "does not look like 'pl'" in decoded.doubt


def test_a_damaged_character_does_not_make_utf_8_another_encoding() -> None:
    data = "\n".join(SAID["cs"]).encode()
    decoded = decode_text(data + b" caf\xe9", "cs")
    assert decoded.encoding == "utf-8"
    assert decoded.text.endswith("caf\ufffd")
    assert "1 place in it cannot be read" in decoded.doubt


@pytest.mark.parametrize(("encoding", "language"), [("iso2022_jp", "ja"), ("iso2022_kr", "ko")])
def test_seven_bit_encodings_are_no_utf_8(encoding: str, language: str) -> None:
    text = SAID[language][0]
    assert decode_text(text.encode(encoding)).text == text
