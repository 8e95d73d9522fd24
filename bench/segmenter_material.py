"""Audio to measure and train the segmenter on: the shared recordings, prompts from Debian, and sounds made here."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
Wave = npt.NDArray[np.float64]
RATE = 16_000


@dataclass(frozen=True)
class Clip:
    """One piece of audio with what is known about it."""

    name: str
    #: ``meeting``, ``programme`` or ``nonspeech``; altered copies end in ``+``.
    kind: str
    #: Clips of one group come from the same recording: they are left out of training together.
    group: str
    samples: Samples
    #: (start, end) of speech in milliseconds.
    speech: tuple[tuple[int, int], ...]


def decode(path: Path, container: str | None = None) -> Samples:
    """The first audio track as 16 kHz mono."""
    import av

    parts: list[Samples] = []
    with av.open(str(path), format=container) as opened:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        for frame in opened.decode(audio=0):
            parts += [part.to_ndarray().reshape(-1) for part in resampler.resample(frame)]
        parts += [part.to_ndarray().reshape(-1) for part in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def meetings(media: Path) -> list[Clip]:
    """The AMI excerpts with their turns."""
    turns: dict[str, list[tuple[int, int]]] = {}
    for line in (media / "ami" / "train.rttm").read_text().splitlines():
        fields = line.split()
        start, length = float(fields[3]), float(fields[4])
        turns.setdefault(fields[1], []).append((round(start * 1000), round((start + length) * 1000)))
    paths = sorted((media / "ami").glob("*.flac"))
    return [Clip(p.stem, "meeting", p.stem, decode(p), tuple(turns.get(p.stem, []))) for p in paths]


def programmes(media: Path) -> list[Clip]:
    """The voice-over programmes with their cues."""
    clips = []
    for script in sorted((media / "programs").glob("*.json")):
        cues = json.loads(script.read_text())["cues"]
        path = next(p for p in sorted(script.parent.glob(f"{script.stem}.*")) if p != script)
        speech = tuple((cue["start_ms"], cue["end_ms"]) for cue in cues)
        clips.append(Clip(script.stem, "programme", script.stem, decode(path), speech))
    return clips


def nonspeech(media: Path) -> list[Clip]:
    """Recordings in which nobody speaks."""
    paths = sorted(p for p in (media / "nonspeech").glob("*") if p.is_file())
    return [Clip(p.stem, "nonspeech", p.stem, decode(p), ()) for p in paths]


def prompt_programme(folder: Path, seed: int, minutes: int = 5) -> Clip:
    """A programme like the shared ones from a folder of G.722 prompts (Debian: asterisk-core-sounds-LL-g722)."""
    dice, generator = random.Random(seed), np.random.default_rng(seed)
    paths = sorted(folder.glob("*.g722"))
    dice.shuffle(paths)
    parts: list[Wave] = [np.zeros(int(RATE * dice.uniform(0.5, 3)))]
    speech: list[tuple[int, int]] = []
    total = len(parts[0])
    for path in paths:
        voice = _trimmed(decode(path, "g722"))
        if len(voice) < 0.8 * RATE:
            continue
        speech.append((total // 16, (total + len(voice)) // 16))
        pauses = (dice.uniform(0.2, 0.6), dice.uniform(0.5, 1.5), dice.uniform(1, 6), dice.uniform(5, 18))
        parts += [voice.astype(np.float64), np.zeros(int(RATE * dice.choice(pauses)))]
        total += len(parts[-2]) + len(parts[-1])
        if total > minutes * 60 * RATE:
            break
    wave = np.concatenate(parts)
    return Clip(folder.name, "programme", folder.name, whole(wave + generator.normal(0, 25, len(wave))), tuple(speech))


def _trimmed(samples: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 300)
    return samples[max(0, loud[0] - 320) : loud[-1] + 480] if len(loud) else samples[:0]


def whole(wave: Wave) -> Samples:
    """Rounded and clipped to 16 bits."""
    return np.clip(np.round(wave), -32768, 32767).astype(np.int16)


def loudness(samples: Samples) -> float:
    """Root mean square of the 20 ms that is louder than nine tenths of them."""
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320).astype(np.float64)
    return float(np.percentile(np.sqrt((frames**2).mean(axis=1)), 90))


def with_noise(samples: Samples, ratio_db: float, generator: np.random.Generator, *, pink: bool = True) -> Samples:
    """Noise ``ratio_db`` under the loud parts."""
    noise = pink_noise(len(samples), generator) if pink else generator.normal(size=len(samples))
    return whole(samples + noise * loudness(samples) * 10 ** (-ratio_db / 20))


def with_music(samples: Samples, music: Samples, ratio_db: float) -> Samples:
    """A music bed ``ratio_db`` under the whole."""
    bed = np.resize(music, len(samples)).astype(np.float64)
    power = [np.sqrt((wave.astype(np.float64) ** 2).mean()) for wave in (samples, bed)]
    return whole(samples + bed * power[0] / power[1] * 10 ** (-ratio_db / 20))


def telephone(samples: Samples) -> Samples:
    """Only what a telephone carries: 250 to 3500 Hz."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    spectrum[(hertz > 3500) | (hertz < 250)] = 0
    return whole(np.fft.irfft(spectrum, len(samples)))


def in_room(samples: Samples, generator: np.random.Generator) -> Samples:
    """0.4 s of reverberation."""
    length = int(0.4 * RATE)
    tail = generator.normal(size=length) * 10 ** (-3 * np.arange(length) / length)
    tail *= 0.7 / np.sqrt((tail**2).sum())
    tail[0] = 1
    size = 1 << int(np.ceil(np.log2(len(samples) + length)))
    wet = np.fft.irfft(np.fft.rfft(samples.astype(np.float64), size) * np.fft.rfft(tail, size), size)
    return whole(wet[: len(samples)])


def pink_noise(count: int, generator: np.random.Generator) -> Wave:
    spectrum = np.fft.rfft(generator.normal(size=count))
    wave = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    return wave / wave.std()


def applause(count: int, generator: np.random.Generator) -> Wave:
    wave = np.zeros(count)
    for _ in range(int(count / RATE * generator.integers(20, 200))):
        at = int(generator.integers(0, count))
        length = int(min(count - at, generator.integers(100, 600)))
        decay = np.exp(-np.arange(length) / generator.uniform(20, 100))
        wave[at : at + length] += generator.normal(size=length) * decay * generator.uniform(0.3, 1)
    return wave / wave.std()


def chords(count: int, generator: np.random.Generator) -> Wave:
    """Struck chords with harmonics, some with vibrato."""
    time = np.arange(count) / RATE
    wave = np.zeros(count)
    at = 0
    while at < count:
        end = min(count, at + int(RATE * generator.choice([0.25, 0.5, 1, 2])))
        root = 110 * 2 ** (generator.integers(0, 24) / 12)
        for step in (0, 4, 7, 12) if generator.random() < 0.5 else (0, 3, 7):
            for harmonic in range(1, 6):
                vibrato = 1 + 0.003 * np.sin(5 * time[at:end]) * generator.integers(0, 2)
                fade = np.exp(-(time[at:end] - time[at]) * generator.uniform(0.2, 3))
                phase = 2 * np.pi * root * 2 ** (step / 12) * harmonic * time[at:end] * vibrato
                wave[at:end] += np.sin(phase) / harmonic**1.3 * fade
        at = end
    return wave / wave.std()


def clicks(count: int, generator: np.random.Generator) -> Wave:
    wave = np.zeros(count)
    at = 0
    while at < count:
        length = int(min(count - at, generator.integers(5, 800)))
        wave[at : at + length] += generator.normal(size=length) * np.exp(-np.arange(length) / generator.uniform(5, 200))
        at += int(generator.exponential(6000)) + 100
    return wave / max(wave.std(), 1e-9)


def hum(count: int, generator: np.random.Generator) -> Wave:
    time = np.arange(count) / RATE
    base = generator.choice([50, 60, 100, 120, 400, 1000])
    wave = np.zeros(count)
    for harmonic in range(1, 6):
        wave += np.sin(2 * np.pi * base * harmonic * time + harmonic) * generator.uniform(0.1, 1) / harmonic
    return wave / wave.std()


def white_noise(count: int, generator: np.random.Generator) -> Wave:
    return generator.normal(size=count)


SOUNDS = {
    "white": white_noise, "pink": pink_noise, "applause": applause, "chords": chords, "clicks": clicks, "hum": hum
}  # fmt: skip


def made_sounds(rounds: int, seed: int, seconds: int = 20) -> Iterator[Clip]:
    """Noise, hum, music-like and clap-like sounds at several levels over a faint bed."""
    generator = np.random.default_rng(seed)
    for index in range(rounds):
        for name, make in SOUNDS.items():
            wave = make(seconds * RATE, generator) * 10 ** generator.uniform(1.3, 3.6)
            bed = generator.normal(size=seconds * RATE) * 3
            yield Clip(f"{name}{index}", "nonspeech", f"{name}{index}", whole(wave + bed), ())


def stand_in_programme(seed: int, minutes: int = 2) -> Clip:
    """Vowel-like bursts in phrases with pauses: what to measure on when there are no recordings."""
    generator = np.random.default_rng(seed)
    parts: list[Wave] = [np.zeros(RATE)]
    speech: list[tuple[int, int]] = []
    total = RATE
    while total < minutes * 60 * RATE:
        phrase = np.concatenate([_syllable(generator) for _ in range(int(generator.integers(6, 20)))])
        pause = np.zeros(int(RATE * generator.choice([0.4, 0.8, 2.0, 5.0])))
        speech.append((total // 16, (total + len(phrase)) // 16))
        parts += [phrase, pause]
        total += len(phrase) + len(pause)
    wave = np.concatenate(parts)
    return Clip("stand-in", "programme", "stand-in", whole(wave + generator.normal(0, 20, len(wave))), tuple(speech))


def _syllable(generator: np.random.Generator) -> Wave:
    """A buzz through two resonances that glide, with a noisy onset."""
    count = int(RATE * generator.uniform(0.12, 0.28))
    pitch = generator.uniform(95, 190) * (1 + 0.1 * np.sin(np.linspace(0, 3, count)))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    first, second = generator.uniform(300, 800), generator.uniform(1000, 2300)
    wave = np.zeros(count)
    for harmonic in range(1, 36):
        hertz = harmonic * pitch
        shape = 1 / (1 + ((hertz - first) / 90) ** 2) + 0.5 / (1 + ((hertz - second) / 120) ** 2) + 0.01
        wave += shape * np.sin(harmonic * phase)
    onset = generator.normal(size=count) * np.exp(-np.arange(count) / 400) * 0.3
    rise = np.minimum(1, np.arange(count) / 300) * np.minimum(1, np.arange(count)[::-1] / 500)
    return (wave * rise + onset) * 2500
