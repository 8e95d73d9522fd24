"""Makes `sample.mp4`, `sample.txt` and the short clip in `tests/data`: speech with real pauses, free to ship.

The files lie in the repository; run this only to change them, in a virtual environment of its own:

    python3 -m venv /tmp/voice
    /tmp/voice/bin/pip install hibari-tts==0.2.1 imageio-ffmpeg==0.8.1 numpy pillow==13.0.0
    /tmp/voice/bin/python demo/make_sample.py

The text was written for this project. The voice is the one inside hibari-tts (Apache-2.0), distilled from
Kokoro-82M (Apache-2.0). The picture is drawn here. All of it may be used under the project's own licence.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from hibari import Hibari
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
VOICE_RATE = 24_000
#: Loudness of the room between sentences, below full scale.
ROOM_TONE_DB = -58
WIDTH, HEIGHT, FRAMES_PER_SECOND = 640, 360, 4


@dataclass(frozen=True)
class Sentence:
    """One sentence and the pause after it."""

    text: str
    pause_ms: int
    #: How it is read aloud, where the letters do not say it.
    spoken: str = ""


SAMPLE_LEAD_MS = 1500
SAMPLE = (
    Sentence("In the summer of 1977, two small spacecraft left the Earth.", 700),
    Sentence("Their names were Voyager 1 and Voyager 2, and each of them carried a golden record.", 2600),
    Sentence("How do you say hello to somebody you will never meet?", 1200),
    Sentence("Carl Sagan and his team chose greetings in 55 languages, 115 pictures, and 90 minutes of music.", 4200),
    Sentence("One of the greetings was spoken by Nick Sagan, who was six years old.", 500),
    Sentence("He said: Hello from the children of planet Earth.", 6000),
    Sentence("Today, Voyager 1 is more than 24 billion kilometers away.", 900),
    Sentence("Its radio signal needs almost a whole day to reach us, although it travels at the speed of light.", 3100),
    Sentence("The record was made to last for a billion years.", 1000),
    Sentence("So the message is still on its way, and perhaps, one day, somebody will listen.", 2000),
)

CLIP_LEAD_MS = 800
CLIP = (
    Sentence("The last train leaves the station at half past nine.", 1600),
    Sentence("Did you bring the tickets, Maria?", 700),
    Sentence("Good, then we still have twelve minutes.", 900),
)


@dataclass(frozen=True)
class Spoken:
    """Where one sentence lies in the audio."""

    start_ms: int
    end_ms: int
    text: str


def speak(sentences: tuple[Sentence, ...], lead_ms: int) -> tuple[np.ndarray, list[Spoken]]:
    """The sentences with their pauses over a faint room tone: float32 at 24 kHz, and where each one is."""
    voice = Hibari()
    pieces: list[np.ndarray] = [np.zeros(lead_ms * VOICE_RATE // 1000, np.float32)]
    spoken: list[Spoken] = []
    at = len(pieces[0])
    for sentence in sentences:
        audio = trimmed(np.asarray(voice(sentence.spoken or sentence.text, speed=0.95, seed=0), np.float32))
        spoken.append(Spoken(at * 1000 // VOICE_RATE, (at + len(audio)) * 1000 // VOICE_RATE, sentence.text))
        pause = np.zeros(sentence.pause_ms * VOICE_RATE // 1000, np.float32)
        pieces += [audio, pause]
        at += len(audio) + len(pause)
    joined = np.concatenate(pieces)
    return joined * (0.7 / np.abs(joined).max()) + room_tone(len(joined)), spoken


def trimmed(audio: np.ndarray) -> np.ndarray:
    """Without the silence that the voice puts around a sentence, with short fades."""
    loud = np.flatnonzero(np.abs(audio) > 0.01)
    margin = VOICE_RATE // 25
    cut = audio[max(0, loud[0] - margin) : loud[-1] + margin].copy()
    ramp = np.linspace(0, 1, VOICE_RATE // 100, dtype=np.float32)
    cut[: len(ramp)] *= ramp
    cut[-len(ramp) :] *= ramp[::-1]
    return cut


def room_tone(samples: int) -> np.ndarray:
    """A quiet room: noise that falls off towards the high frequencies, the same at every run."""
    noise = np.random.default_rng(1977).standard_normal(samples)
    spectrum = np.fft.rfft(noise)
    frequencies = np.fft.rfftfreq(samples, 1 / VOICE_RATE)
    spectrum *= 1 / np.sqrt(np.maximum(frequencies, 40) / 40)
    tone = np.fft.irfft(spectrum, samples)
    return (tone / tone.std() * 10 ** (ROOM_TONE_DB / 20)).astype(np.float32)


def frames(seconds: float) -> Iterator[bytes]:
    """The picture: stars drift slowly behind a golden record that turns."""
    random = np.random.default_rng(1)
    stars = random.random((90, 3))
    sky = night_sky()
    count = round(seconds * FRAMES_PER_SECOND)
    title, small = ImageFont.load_default(34), ImageFont.load_default(16)
    for number in range(count):
        image = Image.fromarray(sky)
        draw = ImageDraw.Draw(image)
        for x, y, depth in stars:
            left = (x * WIDTH - number * (0.1 + 0.5 * depth)) % WIDTH
            bright = int(120 + 120 * depth)
            size = 1 + depth
            draw.ellipse([left, y * HEIGHT, left + size, y * HEIGHT + size], fill=(bright, bright, bright))
        draw_record(draw, number * 3)
        draw.text((320, 128), "The Golden Record", font=title, fill=(244, 226, 178))
        draw.text((322, 178), "A short story about a long journey", font=small, fill=(190, 196, 224))
        done = 322 + 250 * number / count
        draw.line([322, 214, 572, 214], fill=(70, 74, 110), width=2)
        draw.line([322, 214, done, 214], fill=(244, 226, 178), width=2)
        yield image.tobytes()


def night_sky() -> np.ndarray:
    top, bottom = np.array([12, 14, 38]), np.array([58, 38, 92])
    share = np.linspace(0, 1, HEIGHT)[:, None, None]
    return np.broadcast_to(top + (bottom - top) * share, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def draw_record(draw: ImageDraw.ImageDraw, degrees: float) -> None:
    x, y, radius = 170, 180, 110
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(196, 152, 64))
    for groove in range(40, radius - 4, 8):
        draw.ellipse([x - groove, y - groove, x + groove, y + groove], outline=(168, 126, 48))
    for turn in (0, 180):
        draw.pieslice(
            [x - radius + 3, y - radius + 3, x + radius - 3, y + radius - 3],
            degrees + turn,
            degrees + turn + 16,
            fill=(226, 190, 104),
        )
    draw.ellipse([x - 34, y - 34, x + 34, y + 34], fill=(94, 62, 30))
    draw.ellipse([x - 5, y - 5, x + 5, y + 5], fill=(20, 18, 40))


def write_wave(path: Path, audio: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(VOICE_RATE)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())


def run_ffmpeg(arguments: list[str], feed: Iterator[bytes] | None = None) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE if feed else subprocess.DEVNULL)
    for data in feed or ():
        process.stdin.write(data)
    if process.stdin:
        process.stdin.close()
    if process.wait() != 0:
        raise SystemExit("ffmpeg failed")


def main() -> None:
    audio, spoken = speak(SAMPLE, SAMPLE_LEAD_MS)
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "sound.wav")
        write_wave(sound, audio)
        picture = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FRAMES_PER_SECOND)]
        video = ["-c:v", "libx264", "-preset", "veryslow", "-tune", "animation", "-crf", "30", "-pix_fmt", "yuv420p"]
        speech = ["-c:a", "aac", "-b:a", "64k", "-metadata:s:a:0", "language=eng"]
        target = str(ROOT / "demo" / "sample.mp4")
        tags = ["-map_metadata", "-1", "-fflags", "+bitexact", "-movflags", "+faststart"]
        run_ffmpeg(
            [*picture, "-i", "-", "-i", str(sound), *video, *speech, *tags, target],
            frames(len(audio) / VOICE_RATE),
        )
        clip, clip_spoken = speak(CLIP, CLIP_LEAD_MS)
        write_wave(sound, clip)
        data = ROOT / "tests" / "data"
        run_ffmpeg(["-i", str(sound), "-ar", "16000", "-compression_level", "12", str(data / "tickets.flac")])
    cues = [{"start_ms": line.start_ms, "end_ms": line.end_ms, "text": line.text} for line in clip_spoken]
    (data / "tickets.json").write_text(json.dumps(cues, indent=2) + "\n", encoding="utf-8")
    (ROOT / "demo" / "sample.txt").write_text(script_text(spoken), encoding="utf-8")


def script_text(spoken: list[Spoken]) -> str:
    lines = [
        "The Golden Record: what is said in sample.mp4, with start and end in seconds.",
        "",
        *(f"{line.start_ms / 1000:6.2f} {line.end_ms / 1000:6.2f}  {line.text}" for line in spoken),
        "",
        "Text, picture and sound were made for this project by make_sample.py and may be used under its licence",
        "(Apache-2.0). The voice is synthetic: hibari-tts 0.2.1 (Apache-2.0), distilled from Kokoro-82M (Apache-2.0).",
        "A faint room tone lies under it all, so that the pauses are not digital silence.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
