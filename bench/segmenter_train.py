"""Trains the combiner of the segmenter's detectors, and reports how it does on meetings it has not seen.

    python bench/segmenter_train.py --media ../shared/media [--prompts DIR]... [--music DIR] [--loco] [--out FILE]

The shipped weights were made with all the shared recordings, with Italian and Russian prompts (Debian:
asterisk-core-sounds-it-g722 and -ru-g722, CC BY-SA 3.0) as `--prompts` and with music on hold (Debian:
asterisk-moh-opsound-g722, CC BY-SA 3.0) as `--music`. Meetings: AMI Meeting Corpus, CC BY 4.0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import segmenter_material as material
from bench.segmenter_material import Clip, Samples
from bench.segmenter_measures import Cues, Frames, cues_of, frames_of
from segmenter.boundaries import Track, find_segments
from segmenter.chunks import Chunk, Chunker
from segmenter.combiner import Combiner
from segmenter.detection import analysed
from segmenter.features import FRAME_MS, Analyser
from segmenter.params import WEIGHTS_PATH, SegmenterParams

Floats = npt.NDArray[np.float32]

#: How much a frame counts, by kind of clip; altered copies are marked with ``+``.
KIND_WEIGHTS = {"meeting": 3.0, "meeting+": 0.7, "programme": 0.5, "programme+": 0.25, "nonspeech": 0.25}
NETWORKS = 4
HIDDEN = 12
PASSES = 8
BATCH = 512
LEARNING_RATE = 2e-3
DECAY = 1e-3
#: Share of the features that a batch does not see.
DROPPED = 0.2


@dataclass(frozen=True)
class Example:
    """A clip as the combiner sees it."""

    clip: Clip
    chunks: tuple[Chunk, ...]
    #: One matrix for each chunk, lead and tail included.
    features: tuple[Floats, ...]

    @property
    def duration_ms(self) -> int:
        return sum(chunk.duration_ms for chunk in self.chunks)

    def training_rows(self) -> tuple[Floats, Floats]:
        """Feature rows of the chunks themselves, and the share of speech in each."""
        rows, targets = [], []
        for chunk, features in zip(self.chunks, self.features, strict=True):
            lead = chunk.lead_ms // FRAME_MS
            own = features[lead : lead + chunk.duration_ms // FRAME_MS]
            speech = np.zeros(len(own) * FRAME_MS, np.float32)
            for start, end in self.clip.speech:
                speech[max(0, start - chunk.start_ms) : max(0, end - chunk.start_ms)] = 1
            rows.append(own)
            targets.append(speech.reshape(-1, FRAME_MS).mean(axis=1))
        return np.concatenate(rows), np.concatenate(targets)


def clips_to_learn(media: Path, prompts: Sequence[Path], music: Path | None) -> Iterator[Clip]:
    """Every recording with its altered copies, and sounds made here."""
    generator = np.random.default_rng(0)
    beds = [material.decode(path, "g722") for path in sorted(music.glob("*.g722"))] if music else []
    for index, clip in enumerate(material.meetings(media)):
        yield clip
        yield from _altered_meeting(clip, generator, pink=index % 2 == 0)
    told = material.programmes(media)
    told += [material.prompt_programme(folder, seed) for seed, folder in enumerate(prompts, 1)]
    for index, clip in enumerate(told):
        yield clip
        yield _altered(clip, "noise", material.with_noise(clip.samples, 18, generator))
        yield _altered(clip, "telephone", material.telephone(clip.samples))
        wet = material.in_room(clip.samples, generator)
        yield _altered(clip, "room", material.with_noise(wet, 28, generator))
        if beds:
            yield _altered(clip, "music", material.with_music(clip.samples, beds[index % len(beds)], 18))
    yield from material.nonspeech(media)
    for index, bed in enumerate(beds):
        loud, soft = bed[: 60 * material.RATE], material.whole(bed[60 * material.RATE : 100 * material.RATE] * 0.1)
        yield Clip(f"music{index}", "nonspeech", f"music{index}", loud, ())
        yield Clip(f"music{index}-soft", "nonspeech", f"music{index}", material.with_noise(soft, 20, generator), ())
    yield from material.made_sounds(4, seed=0)


def _altered(clip: Clip, how: str, samples: Samples) -> Clip:
    return replace(clip, name=f"{clip.name}-{how}", kind=f"{clip.kind}+", samples=samples)


def _altered_meeting(clip: Clip, generator: np.random.Generator, *, pink: bool) -> Iterator[Clip]:
    yield _altered(clip, "softer", material.whole(clip.samples * 0.25))
    yield _altered(clip, "louder", material.whole(clip.samples * 4.0))
    yield _altered(clip, "telephone", material.telephone(clip.samples))
    yield _altered(clip, "noise", material.with_noise(clip.samples, 20, generator))
    yield _altered(clip, "noisier", material.with_noise(clip.samples, 12, generator, pink=pink))
    # The second part first: borders and warm-up fall elsewhere.
    total, cut = len(clip.samples) // 16, 3_700
    moved = [(max(0, start - cut), end - cut) for start, end in clip.speech if end > cut]
    moved += [(start + total - cut, min(cut, end) + total - cut) for start, end in clip.speech if start < cut]
    turned = np.concatenate([clip.samples[cut * 16 : total * 16], clip.samples[: cut * 16]])
    yield replace(_altered(clip, "turned", turned), speech=tuple(moved))


def examples(clips: Iterator[Clip]) -> list[Example]:
    analyser = Analyser()
    done = []
    for clip in clips:
        chunker = Chunker()
        chunks = (*chunker.feed(clip.samples), *chunker.finish())
        done.append(Example(clip, chunks, tuple(analyser.features(chunk.samples) for chunk in chunks)))
        print(f"analysed {clip.name}", file=sys.stderr, flush=True)
    return done


def fit(learned: Sequence[Example]) -> Combiner:
    """Several small networks, averaged into one: less swing between trainings than one larger network."""
    rows, targets, weights = [], [], []
    for example in learned:
        own, target = example.training_rows()
        rows.append(own)
        targets.append(target)
        weights.append(np.full(len(own), KIND_WEIGHTS[example.clip.kind]))
    features = np.concatenate(rows)
    weight = np.concatenate(weights)
    center = np.average(features, 0, weights=weight).astype(np.float32)
    scale = (1 / np.sqrt(np.average((features - center) ** 2, 0, weights=weight) + 1e-6)).astype(np.float32)
    normal = np.clip((features - center) * scale, -4, 4)
    share = (weight / weight.mean()).astype(np.float32)
    networks = [_fit_network(normal, np.concatenate(targets), share, seed) for seed in range(NETWORKS)]
    return Combiner(
        center=center,
        scale=scale,
        hidden_weights=np.concatenate([network[0] for network in networks], axis=1),
        hidden_bias=np.concatenate([network[1] for network in networks]),
        output_weights=np.concatenate([network[2] for network in networks]) / np.float32(NETWORKS),
        output_bias=np.asarray(np.mean([network[3][0] for network in networks]), np.float32),
    )


def _fit_network(normal: Floats, targets: Floats, share: Floats, seed: int) -> list[Floats]:
    """Logistic loss by Adam with a cosine rate; returns hidden weights and bias, output weights and bias."""
    generator = np.random.default_rng(seed)
    count, width = normal.shape
    weights: list[Floats] = [
        (generator.normal(size=(width, HIDDEN)) / np.sqrt(width)).astype(np.float32),
        np.zeros(HIDDEN, np.float32),
        (generator.normal(size=HIDDEN) / np.sqrt(HIDDEN)).astype(np.float32),
        np.zeros(1, np.float32),
    ]
    first = [np.zeros_like(value) for value in weights]
    second = [np.zeros_like(value) for value in weights]
    total, step = PASSES * (count // BATCH + 1), 0
    for _ in range(PASSES):
        order = generator.permutation(count)
        for start in range(0, count, BATCH):
            chosen = order[start : start + BATCH]
            seen = (generator.random(width) > DROPPED) / (1 - DROPPED)
            gradients = _gradients(weights, normal[chosen] * seen.astype(np.float32), targets[chosen], share[chosen])
            step += 1
            rate = LEARNING_RATE * (0.5 + 0.5 * np.cos(np.pi * step / total))
            for index, gradient in enumerate(gradients):
                first[index] = 0.9 * first[index] + 0.1 * gradient
                second[index] = 0.999 * second[index] + 0.001 * gradient**2
                move = first[index] / (1 - 0.9**step) / (np.sqrt(second[index] / (1 - 0.999**step)) + 1e-8)
                weights[index] = (weights[index] - rate * move).astype(np.float32)
    return weights


def _gradients(weights: list[Floats], rows: Floats, targets: Floats, share: Floats) -> list[Floats]:
    hidden = np.tanh(rows @ weights[0] + weights[1])
    guess = 1 / (1 + np.exp(-(hidden @ weights[2] + weights[3])))
    error = ((guess - targets) * share / len(rows)).astype(np.float32)
    inner = np.outer(error, weights[2]) * (1 - hidden * hidden)
    return [
        rows.T @ inner + DECAY * weights[0],
        inner.sum(axis=0),
        hidden.T @ error + DECAY * weights[2],
        np.array([error.sum()], np.float32),
    ]


def _track(example: Example, combiner: Combiner) -> Track:
    parts = [
        analysed(chunk, features, combiner) for chunk, features in zip(example.chunks, example.features, strict=True)
    ]
    return Track.joined(parts)


def report_leave_one_out(learned: Sequence[Example], params: SegmenterParams) -> None:
    """Trains without each meeting in turn (and a programme, and a ninth of the nonspeech), and measures on those."""
    groups = {kind: sorted({e.clip.group for e in learned if e.clip.kind == kind}) for kind in KIND_WEIGHTS}
    frames: dict[str, Frames] = {}
    cues: dict[str, Cues] = {}
    kept_ms, silent_ms = 0, 0
    for index, meeting in enumerate(groups["meeting"]):
        out = {meeting, *groups["programme"][index : index + 1], *groups["nonspeech"][index :: len(groups["meeting"])]}
        combiner = fit([example for example in learned if example.clip.group not in out])
        for example in learned:
            if example.clip.group not in out:
                continue
            segments = find_segments(_track(example, combiner), params)
            duration, name = example.duration_ms, example.clip.name.removeprefix(f"{example.clip.group}-")
            if example.clip.kind.startswith("meeting"):
                name = "as recorded" if example.clip.kind == "meeting" else name
                frames[name] = frames.get(name, Frames()) + frames_of(segments, example.clip.speech, duration)
            elif example.clip.kind == "nonspeech":
                kept_ms += sum(segment.duration_ms for segment in segments)
                silent_ms += duration
            else:
                cues[name] = cues.get(name, Cues()) + cues_of(segments, example.clip.speech, duration)
    for name, counted in frames.items():
        print(f"unseen meetings, {name}: {counted}")
    for name, found in cues.items():
        print(f"unseen programme, {name}: {found}")
    print(f"unseen nonspeech: {kept_ms / 1000:.1f} of {silent_ms / 1000:.0f} s called speech")


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, default=root.parent / "shared" / "media")
    parser.add_argument("--prompts", type=Path, action="append", default=[])
    parser.add_argument("--music", type=Path)
    parser.add_argument("--loco", action="store_true", help="report on unseen recordings first")
    parser.add_argument("--out", type=Path, default=WEIGHTS_PATH)
    arguments = parser.parse_args()
    learned = examples(clips_to_learn(arguments.media, arguments.prompts, arguments.music))
    if arguments.loco:
        report_leave_one_out(learned, SegmenterParams())
    fit(learned).save(arguments.out)


if __name__ == "__main__":
    main()
