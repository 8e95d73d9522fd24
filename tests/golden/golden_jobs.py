"""The golden jobs: inputs and commands whose results must stay what they are, to the byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from golden_media import (
    RATE,
    SAMPLE,
    TICKETS,
    long_speech,
    silence,
    speech,
    write_matroska,
    write_wav,
)
from golden_recorder import Job, segue

SRT = """\ufeff1
00:00:00,300 --> 00:00:02,100
<i>Two tickets</i> to the harbor,
please.

2
00:00:02,000 --> 00:00:04,400
- And back?
- Only there.

3
00:00:05,000 --> 00:00:05,000
Never shown.

4
00:00:06,200 --> 00:00:09,900
The boat leaves at seven, and whoever is late has to wait for the one that leaves at half past nine & pay again.
"""
VTT = """WEBVTT - captions

STYLE
::cue { color: red }

NOTE nobody reads this

intro
00:00.300 --> 00:02.100 align:start
<v Ann>Two tickets &amp; a map</v>

00:02.500 --> 00:04.400
<c.loud>No &lt;refunds&gt;.</c>
"""
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.30,0:00:02.10,Default,,0,0,0,,{\\i1}Two tickets{\\i0}\\Nto the harbor, please
Comment: 0,0:00:02.10,0:00:03.00,Default,,0,0,0,,not shown
Dialogue: 0,0:00:02.50,0:00:04.40,Default,,0,0,0,,Thank you, {\\an8}captain
"""
TTML = """<?xml version="1.0" encoding="utf-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en"><body><div>
<p begin="00:00:00.300" end="00:00:02.100">Two tickets<br/>to the harbor</p>
<p begin="2.5s" dur="1900ms">Thank <span>you</span></p>
</div></body></tt>
"""
GLOSSARY = """source,target,language
fake,genuine,
harbor,puerto,es
harbor,minato,ja
amber,ámbar,es
"""
EIGHT = "es,ja,zh-Hans,ar,de,pt-BR,th,ko"


def sample(folder: Path) -> None:
    shutil.copy(SAMPLE, folder / "sample.mp4")


def tickets(folder: Path) -> None:
    shutil.copy(TICKETS, folder / "tickets.flac")


def long_talk(folder: Path) -> None:
    write_wav(folder / "talk.wav", long_speech())


def with_glossary(folder: Path) -> None:
    tickets(folder)
    (folder / "terms.csv").write_text(GLOSSARY, encoding="utf-8")


def with_captions(folder: Path) -> None:
    tickets(folder)
    (folder / "given.srt").write_text(SRT, encoding="utf-8")


def killed_at_work(folder: Path) -> None:
    long_talk(folder)
    with_captions(folder)


def caption_formats(folder: Path) -> None:
    """A manifest whose rows have captions in five formats and encodings, and one row without."""
    given = {
        "a.srt": SRT.replace("\n", "\r\n").encode(),
        "b.vtt": VTT.encode(),
        "c.ass": ASS.encode(),
        "d.ttml": TTML.encode(),
        "e.srt": SRT.lstrip("\ufeff").replace("harbor", "café").encode("cp1252"),
    }
    rows = ["media;to;from;transcript"]
    for number, (name, data) in enumerate(given.items()):
        write_wav(folder / f"{name[0]}.wav", speech()[number * 10 :])
        (folder / name).write_bytes(data)
        rows.append(f"{name[0]}.wav;es,ja;en;{name}")
    write_wav(folder / "f.wav", speech()[:-RATE])
    rows.append("f.wav;fr;;")
    (folder / "list.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def season(folder: Path) -> None:
    """A folder as people have them: good, silent, broken, cut-off and empty files, two of one name, and a note."""
    season = folder / "season"
    write_wav(season / "1" / "good.wav", speech())
    write_wav(season / "1" / "silent.wav", silence(6))
    write_wav(season / "2" / "same.wav", speech()[: 6 * RATE])
    shutil.copy(TICKETS, season / "2" / "same.flac")
    (season / "2" / "broken.mp4").write_bytes(bytes(range(256)) * 40)
    (season / "2" / "cut.flac").write_bytes(TICKETS.read_bytes()[:60_000])
    (season / "2" / "empty.mkv").write_bytes(b"")
    write_wav(season / "2" / "instant.wav", speech()[:1])
    (season / "notes.txt").write_text("not media", encoding="utf-8")


def odd_audio(folder: Path) -> None:
    """Sound that has to be resampled or mixed."""
    mono = speech()
    surround = np.zeros((len(mono), 6), np.int16)
    surround[:, 2] = mono
    write_wav(folder / "odd" / "surround.wav", surround)
    write_wav(folder / "odd" / "telephone.wav", mono[::2], rate=8_000)
    write_wav(folder / "odd" / "compact.wav", np.repeat(mono, 3)[:, None].repeat(2, axis=1), rate=48_000)


def odd_times(folder: Path) -> None:
    """Sound that begins after the picture, in eight bits, or between long silences."""
    write_matroska(folder / "odd" / "late.mkv", {"eng": speech()}, start_s=1.5, picture=True)
    write_wav(folder / "odd" / "eight.wav", speech(), width=1)
    spread = np.concatenate([silence(40), speech(), silence(35), speech()[::-1].copy(), silence(20)])
    write_wav(folder / "odd" / "spread.wav", spread)


def two_tracks(folder: Path) -> None:
    other = (speech()[: 8 * RATE] * 0.7).astype(np.int16)
    write_matroska(folder / "film.mkv", {"eng": speech(), "spa": other})


def edited(folder: Path) -> None:
    """Outputs that are somebody else's are in the way."""
    tickets(folder)
    (folder / "out").mkdir()
    (folder / "out" / "tickets.es.srt").write_text("mine\n", encoding="utf-8")


def own_settings(folder: Path) -> None:
    tickets(folder)
    (folder / "segue.toml").write_text('to = "es,fr"\nformat = "vtt"\nbilingual = true\n', encoding="utf-8")


RUN = "--out out --json"
GIVEN = f"run tickets.flac --transcript given.srt --from en --to {EIGHT} --out given --json"
JOBS: dict[str, Job] = {
    "sample": Job(
        sample,
        (
            segue(f"run sample.mp4 --to es,ja {RUN}"),
            segue(f"run sample.mp4 --to es,ja,de --mux {RUN}"),
        ),
        ("sample.mp4",),
    ),
    "many_targets": Job(
        tickets, (segue(f"run tickets.flac --to {EIGHT} --bilingual --format srt,vtt,ass,ttml {RUN}"),)
    ),
    "source_is_target": Job(
        tickets,
        (
            segue(f"run tickets.flac --to en,es --from en --bilingual {RUN}"),
            segue("run tickets.flac --to en --out voted --json"),
            segue("run tickets.flac --to de --from de --out german --json"),
            segue("run tickets.flac --out alone --json"),
        ),
    ),
    "captions": Job(
        with_captions,
        (
            segue(f"run tickets.flac --transcript given.srt --from en --to es,fr {RUN}"),
            segue("run tickets.flac --transcript given.srt --to es --out voted --json"),
        ),
    ),
    "caption_formats": Job(caption_formats, (segue(f"run list.csv {RUN}"),)),
    "glossary": Job(with_glossary, (segue(f"run tickets.flac --to es,ja,de --glossary terms.csv {RUN}"),)),
    "season": Job(season, (segue(f"run season --to es {RUN}"), segue("run season --to es --out out --json"))),
    "odd_audio": Job(
        odd_audio,
        (segue(f"run odd --to es {RUN}"),),
        ("odd/surround.wav", "odd/telephone.wav", "odd/compact.wav"),
    ),
    "odd_times": Job(odd_times, (segue(f"run odd --to es {RUN}"),)),
    "two_tracks": Job(
        two_tracks,
        (
            segue("run film.mkv --to ja --out first --json"),
            segue("run film.mkv --to ja --track 1 --out second --json"),
            segue("run film.mkv --to ja --track spa --out spanish --json"),
            segue("run film.mkv --to ja --track 7 --out none --json"),
        ),
    ),
    "failures": Job(
        long_talk,
        (
            segue(f"run talk.wav --to es,ja --from en {RUN}", SEGUE_FAKE_FAULTS="fail:3"),
            segue("export last --format vtt --out partial --json"),
            segue(f"run talk.wav --to es,ja --from en {RUN}"),
        ),
    ),
    "wrong_words": Job(
        long_talk,
        (
            segue("run talk.wav --to es --from en --out mute --json", SEGUE_FAKE_FAULTS="mute:2"),
            segue(
                "run talk.wav --to es --from en --transcriber-model b --out astray --json",
                SEGUE_FAKE_FAULTS="astray:2,oom:2",
            ),
            segue("run talk.wav --to es --from en --transcriber-model c --out skip --json", SEGUE_FAKE_FAULTS="skip:2"),
            # Without targets: a second engine beside it would be as far as its thread has come.
            segue("run talk.wav --from en --transcriber-model d --out sick --json", SEGUE_FAKE_FAULTS="sick:3"),
            segue("run talk.wav --from en --transcriber-model e --out crash --json", SEGUE_FAKE_FAULTS="crash:2"),
        ),
    ),
    "killed": Job(
        killed_at_work,
        (
            segue(f"run talk.wav {RUN}", child=True, SEGUE_FAKE_FAULTS="die:3", SEGUE_BATCH_SIZE="1"),
            segue(f"run talk.wav --to es,ja {RUN}"),
            segue(GIVEN, child=True, SEGUE_FAKE_FAULTS="die:3", SEGUE_BATCH_SIZE="1"),
            segue(GIVEN),
        ),
    ),
    "whole_media": Job(
        odd_times,
        (
            segue("run odd/spread.wav --to es --out whole --json", SEGUE_WHOLE_MEDIA="1"),
            segue("run odd/spread.wav --to es --out spared --json"),
        ),
    ),
    "exports": Job(
        tickets,
        (
            segue(f"run tickets.flac --to es,ar {RUN}"),
            segue("export last --format ass,ttml,json --bilingual --out elsewhere --json"),
        ),
    ),
    "foreign_files": Job(
        edited,
        (
            segue(f"run tickets.flac --to es {RUN}"),
            segue(f"run tickets.flac --to es --force {RUN}"),
        ),
    ),
    "settings_file": Job(own_settings, (segue("run tickets.flac --json"),)),
    "bad_usage": Job(
        with_glossary,
        (
            segue("run tickets.flac --to klingonese --json"),
            segue("run tickets.flac --format docx --json"),
            segue("run tickets.flac --transcriber whisperr --json"),
            segue("run tickets.flac --transcript none.srt --json"),
            segue("run tickets.flac --glossary none.csv --json"),
            segue("run tickets.flac --to es --transcript terms.csv --json"),
            segue("run none.mp4 --to es --json"),
            segue("run tickets.flac --no-such-flag"),
            segue("run"),
            segue("status nothing --json"),
            segue("export nothing --json"),
        ),
    ),
}
