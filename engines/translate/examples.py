"""Three everyday sentences in many languages: what a base model is shown before the line it continues.

A base model follows no instructions; it continues a pattern. The same three sentences in every language make
examples for any pair. Written for Segue; part of the prompt, so a change here raises `EXAMPLES_VERSION`.
"""

from __future__ import annotations

from engines.translate.languages import language_name, primary, script_code

EXAMPLES_VERSION = "1"

_SENTENCES: dict[str, tuple[str, str, str]] = {
    "en": ("Good morning, how are you?", "I will see you tomorrow at the station.", "We don't have much time."),
    "es": ("Buenos días, ¿cómo estás?", "Te veré mañana en la estación.", "No tenemos mucho tiempo."),
    "fr": ("Bonjour, comment allez-vous ?", "Je te verrai demain à la gare.", "Nous n'avons pas beaucoup de temps."),
    "de": ("Guten Morgen, wie geht es dir?", "Ich sehe dich morgen am Bahnhof.", "Wir haben nicht viel Zeit."),
    "it": ("Buongiorno, come stai?", "Ci vediamo domani alla stazione.", "Non abbiamo molto tempo."),
    "pt": ("Bom dia, como você está?", "Vejo você amanhã na estação.", "Não temos muito tempo."),
    "nl": ("Goedemorgen, hoe gaat het met je?", "Ik zie je morgen op het station.", "We hebben niet veel tijd."),
    "sv": ("God morgon, hur mår du?", "Vi ses i morgon på stationen.", "Vi har inte mycket tid."),
    "da": ("Godmorgen, hvordan har du det?", "Vi ses i morgen på stationen.", "Vi har ikke meget tid."),
    "nb": ("God morgen, hvordan har du det?", "Vi sees i morgen på stasjonen.", "Vi har ikke mye tid."),
    "fi": ("Hyvää huomenta, mitä kuuluu?", "Nähdään huomenna asemalla.", "Meillä ei ole paljon aikaa."),
    "pl": ("Dzień dobry, jak się masz?", "Zobaczymy się jutro na dworcu.", "Nie mamy dużo czasu."),
    "cs": ("Dobré ráno, jak se máš?", "Uvidíme se zítra na nádraží.", "Nemáme moc času."),
    "hu": ("Jó reggelt, hogy vagy?", "Holnap találkozunk az állomáson.", "Nincs sok időnk."),
    "ro": ("Bună dimineața, ce mai faci?", "Ne vedem mâine la gară.", "Nu avem mult timp."),
    "tr": ("Günaydın, nasılsın?", "Yarın istasyonda görüşürüz.", "Fazla zamanımız yok."),
    "el": ("Καλημέρα, τι κάνεις;", "Θα σε δω αύριο στον σταθμό.", "Δεν έχουμε πολύ χρόνο."),
    "ru": ("Доброе утро, как дела?", "Увидимся завтра на вокзале.", "У нас мало времени."),
    "uk": ("Доброго ранку, як справи?", "Побачимося завтра на вокзалі.", "У нас мало часу."),
    "ar": ("صباح الخير، كيف حالك؟", "سأراك غدًا في المحطة.", "ليس لدينا الكثير من الوقت."),
    "he": ("בוקר טוב, מה שלומך?", "נתראה מחר בתחנה.", "אין לנו הרבה זמן."),
    "fa": ("صبح بخیر، حالت چطور است؟", "فردا در ایستگاه می‌بینمت.", "وقت زیادی نداریم."),
    "hi": ("सुप्रभात, आप कैसे हैं?", "मैं आपसे कल स्टेशन पर मिलूँगा।", "हमारे पास ज़्यादा समय नहीं है।"),
    "id": ("Selamat pagi, apa kabar?", "Sampai jumpa besok di stasiun.", "Kita tidak punya banyak waktu."),
    "vi": ("Chào buổi sáng, bạn khỏe không?", "Hẹn gặp bạn ngày mai ở nhà ga.", "Chúng ta không có nhiều thời gian."),
    "th": ("สวัสดีตอนเช้า คุณเป็นอย่างไรบ้าง", "พรุ่งนี้เจอกันที่สถานี", "เรามีเวลาไม่มาก"),
    "ja": ("おはようございます、お元気ですか？", "明日、駅で会いましょう。", "あまり時間がありません。"),
    "ko": ("좋은 아침이에요, 어떻게 지내세요?", "내일 역에서 만나요.", "우리는 시간이 별로 없어요."),
    "zh": ("早上好，你好吗？", "我们明天在车站见。", "我们没有多少时间了。"),
    "zh-Hant": ("早安，你好嗎？", "我們明天在車站見。", "我們沒有多少時間了。"),
}
#: Orders of the examples: a second and a third look at a line that came out badly the first time.
_ORDERS = ((0, 1, 2), (2, 1, 0), (1, 2, 0))


def example_sentences(tag: str) -> tuple[str, str, str] | None:
    """The three sentences in a language, or None when there are none."""
    if primary(tag) == "zh" and script_code(tag) == "Hant":
        return _SENTENCES["zh-Hant"]
    if script_code(tag) != script_code(primary(tag)):
        return None
    return _SENTENCES.get({"no": "nb", "cmn": "zh"}.get(primary(tag), primary(tag)))


def has_examples(source_language: str, target_language: str) -> bool:
    """True when a base model can be shown real examples of this pair."""
    return example_sentences(source_language) is not None and example_sentences(target_language) is not None


def continuation_prefix(source_language: str, target_language: str, order: int) -> str:
    """What stands before the line: three examples, or only the languages' names where there are none."""
    source, target = language_name(source_language), language_name(target_language)
    ours, theirs = example_sentences(source_language), example_sentences(target_language)
    if ours is None or theirs is None:
        return f"Subtitles in {source} and their {target} translation.\n\n"
    places = _ORDERS[order % len(_ORDERS)]
    return "".join(f"{source}: {ours[place]}\n{target}: {theirs[place]}\n\n" for place in places)


def continuation_prompt(source_language: str, target_language: str, text: str, order: int) -> str:
    """`continuation_prefix` and the line, up to where the translation begins."""
    source, target = language_name(source_language), language_name(target_language)
    return f"{continuation_prefix(source_language, target_language, order)}{source}: {text}\n{target}:"
