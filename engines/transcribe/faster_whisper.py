"""Whisper through faster-whisper and CTranslate2: batched over clips, gated, the same result whatever the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from core.errors import DeviceError, EngineError, EngineMissingError, SettingsError
from core.specs import EngineSpec
from engines.defaults import choose_default_whisper, default_whisper
from engines.device import Device, DeviceKind, cpu_threads, detect_device
from engines.engine import EngineChoice, Result, Stopping, never
from engines.faults import Fault, classify
from engines.gpu_memory import free_gpu_bytes
from engines.models import is_at_hand, resolve_whisper
from engines.packaged import ModelKind
from engines.places import find_frozen, remember_place
from engines.resources import EngineResources
from engines.transcribe.batching import BatchLimit, failed, heard, run_batches, settle
from engines.transcribe.clips import audio_ms, is_digital_silence, whole_segments
from engines.transcribe.decoding import DecodedClip, Encoded, EncodedClips, Search, WhisperDecoder
from engines.transcribe.gates import Evidence
from engines.transcribe.interface import Clip, LanguageGuess, LanguageQuestion, Transcript
from engines.transcribe.judging import Reading, judge, read
from engines.transcribe.metering import EffortMeter
from engines.transcribe.words import place_words, spread_words

#: Changes when the rules of decoding and judging change, so that old records are not taken for new ones.
_RULES = "3"
_DEFAULT_BEAM = 5
#: Whisper's window; a longer clip would lose its end.
_LONGEST_CLIP_MS = 30_000
#: Clips in one batch on a CPU: more gain nothing, fewer cost up to a fourth (measured with base int8).
_CPU_BATCH = 4
_CPU_WORKERS = 4
#: Clips in one batch on a GPU at most, and the memory that each takes beside the weights: large-v3, beam 5, computed.
_GPU_BATCH = 32
_CLIP_BYTES = 430_000_000
#: What a Whisper can be computed in; CTranslate2's bfloat16 types are missing, since numpy cannot hold its outputs.
COMPUTE_TYPES = ("float32", "float16", "int8", "int8_float32", "int8_float16", "int16")
#: BCP 47 primary languages that Whisper calls otherwise.
_WHISPER_NAMES = {"cmn": "zh", "nb": "no", "jv": "jw", "fil": "tl", "iw": "he", "in": "id", "ji": "yi"}


def freeze(choice: EngineChoice, resources: EngineResources) -> EngineSpec:
    """Fixes the model's files, the compute type and the options. Finds the model (it may be downloaded), loads nothing.

    Raises SettingsError for an unknown option or compute type, EngineMissingError when the model cannot be had.
    """
    _faster_whisper()
    _check_compute_type(choice.compute_type)
    beam = _beam_size(dict(choice.options))
    device = detect_device(resources.device)
    preferred = default_whisper(device)
    name = choice.model or choose_default_whisper(device, resources).name
    files = resolve_whisper(name, resources)
    remember_place(files, resources)
    compute_type = choice.compute_type or preferred.compute_type
    options = (("beam", str(beam)), ("rules", _RULES))
    return EngineSpec("faster-whisper", files.name, files.revision, compute_type, options)


def open_engine(spec: EngineSpec, resources: EngineResources) -> FasterWhisperTranscriber:
    """Loads the model that ``spec`` froze.

    Raises EngineError when its files are not those that were frozen or this device cannot compute in its type,
    DeviceError when the device does not work.
    """
    return FasterWhisperTranscriber(spec, resources)


def model_at_hand(choice: EngineChoice, resources: EngineResources) -> tuple[str, bool]:
    """(the model that is meant, whether it is on this machine)."""
    model = choice.model or default_whisper(detect_device(resources.device)).name
    return model, is_at_hand(model, ModelKind.WHISPER)


def _beam_size(options: dict[str, str]) -> int:
    for name in options:
        if name not in ("beam", "rules"):
            raise SettingsError(f"the transcriber faster-whisper has no option {name!r}", "it knows only: beam")
    text = options.get("beam", str(_DEFAULT_BEAM))
    if not text.isdigit() or not 1 <= int(text) <= 20:
        raise SettingsError(f"beam is a number from 1 to 20, not {text!r}", "the default is 5")
    return int(text)


def _check_compute_type(name: str) -> None:
    """Whether results can be computed in it anywhere: a job may be frozen on a machine without its GPU."""
    if name and name not in COMPUTE_TYPES:
        why = ", which numpy cannot read" if "bfloat16" in name else ""
        raise SettingsError(
            f"SEGUE_TRANSCRIBER_COMPUTE_TYPE: Whisper is not computed in {name}{why}",
            f"choose one of: {', '.join(COMPUTE_TYPES)}",
        )


def check_here(spec: EngineSpec, resources: EngineResources) -> None:
    """Raises SettingsError when this machine's device cannot compute in the type of ``spec``."""
    import ctranslate2

    device = detect_device(resources.device)
    supported = ctranslate2.get_supported_compute_types(device.kind.value)
    if spec.compute_type not in supported:
        usable = [name for name in COMPUTE_TYPES if name in supported]
        raise SettingsError(
            f"this {device.kind.value} cannot compute in {spec.compute_type}",
            f"run it on a machine that can, or set SEGUE_TRANSCRIBER_COMPUTE_TYPE to one of: {', '.join(usable)}",
        )


def _faster_whisper() -> Any:
    try:
        import faster_whisper
    except ModuleNotFoundError as error:
        raise EngineMissingError(
            f"the transcriber faster-whisper needs the package {error.name}", "pip install faster-whisper"
        ) from error
    return faster_whisper


@dataclass(frozen=True)
class _Shape:
    """How a model is spread over a machine."""

    #: Batches computed at the same time.
    workers: int
    #: Threads for each.
    threads: int
    #: Clips in one batch.
    batch: int
    #: Clips that are best given to `run` at once.
    call: int


def _shape(device: Device, resources: EngineResources) -> _Shape:
    """On a CPU one thread a worker: two batches side by side are faster than one batch on two threads.

    Measured on two cores with base int8: encoding 3.7 s against 3.9 s, generating 3.1 s against 5.4 s.
    """
    if device.kind is DeviceKind.CUDA:
        batch = resources.batch_size or _GPU_BATCH
        return _Shape(workers=1, threads=0, batch=batch, call=batch)
    threads = resources.threads or cpu_threads()
    workers = max(1, min(threads, _CPU_WORKERS))
    call = resources.batch_size or 2 * workers * _CPU_BATCH
    return _Shape(workers=workers, threads=max(1, threads // workers), batch=min(call, _CPU_BATCH), call=call)


class FasterWhisperTranscriber:
    """One loaded Whisper model. Calls may come from one thread at a time."""

    remote = False

    def __init__(self, spec: EngineSpec, resources: EngineResources) -> None:
        self._spec = spec
        device = detect_device(resources.device)
        self._shape = _shape(device, resources)
        self._limit = BatchLimit(self._shape.batch)
        self._on_gpu = device.kind is DeviceKind.CUDA
        self._kept = EncodedClips()
        #: What its workers spend their time on.
        self.meter = EffortMeter()
        try:
            check_here(spec, resources)
        except SettingsError as error:
            raise EngineError(error.message, error.hint) from error
        path = find_frozen(spec, resources, resolve_whisper).path
        self._decoder: WhisperDecoder | None = WhisperDecoder(
            _load(path, spec.compute_type, device, self._shape), _beam_size(dict(spec.options)), self.meter
        )
        self._pool = ThreadPoolExecutor(self._shape.workers, thread_name_prefix="whisper")
        self._follow_memory()

    @property
    def spec(self) -> EngineSpec:
        return self._spec

    @property
    def batch_size(self) -> int:
        fits = self._limit.clips
        return self._shape.call if fits >= self._shape.batch else fits * self._shape.workers

    def run(
        self, requests: Sequence[Clip] | Sequence[LanguageQuestion], stopping: Stopping = never
    ) -> Iterator[Result]:
        """As `Engine.run`; the batch is computed as a whole."""
        del stopping
        if requests and isinstance(requests[0], LanguageQuestion):
            yield from self._detect_all(cast(Sequence[LanguageQuestion], requests))
        else:
            yield from self._transcribe(cast(Sequence[Clip], requests))

    def _detect_all(self, questions: Sequence[LanguageQuestion]) -> Iterator[Result]:
        try:
            for question, guess in zip(questions, self._pool.map(self._detect, questions), strict=True):
                yield Result(question.id, guess)
        except (RuntimeError, MemoryError) as error:
            if classify(error) is not Fault.OTHER:
                # One clip at a time is the least that can be asked of a device.
                raise DeviceError(f"the device failed at a language: {error}", "run `segue doctor`") from error
            hint = "use a smaller model, or SEGUE_DEVICE=cpu; a language said with --from needs no detection"
            raise EngineError(f"the language could not be detected: {error}", hint) from error

    def _transcribe(self, clips: Sequence[Clip]) -> Iterator[Result]:
        computable: list[Clip] = []
        for clip in clips:
            refusal = self._refusal(clip)
            if refusal:
                yield failed(clip, refusal)
            elif is_digital_silence(clip):
                yield heard(clip, Transcript(()))
            else:
                computable.append(clip)
        self._follow_memory()
        # Long clips first, alike together: a batch takes as long as its longest text.
        computable.sort(key=lambda clip: -len(clip.samples))
        size = max(1, min(self._limit.clips, -(-len(computable) // self._shape.workers)))
        batches = [computable[start : start + size] for start in range(0, len(computable), size)]
        yield from run_batches(batches, lambda batch: settle(batch, self._compute, self._limit), self._pool)

    def usage(self) -> Mapping[str, int]:
        """What the calls since the last asking took, part by part, and how clips are spread over the workers."""
        shape = {"workers": self._shape.workers, "batch_clips": self._limit.clips, "call_clips": self.batch_size}
        return {**self.meter.take(), **shape}

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._kept.clear()
        self._decoder = None

    def _follow_memory(self) -> None:
        """Between calls nothing of ours is computed, so what is free now is what the next batch may take."""
        free = free_gpu_bytes() if self._on_gpu else None
        if free is not None:
            self._limit.follow(free // _CLIP_BYTES)

    def _engine(self) -> WhisperDecoder:
        if self._decoder is None:
            raise EngineError("the transcriber is closed", "open it again")
        return self._decoder

    def _refusal(self, clip: Clip) -> str:
        """Why a clip cannot be transcribed, or an empty string."""
        if audio_ms(clip) > _LONGEST_CLIP_MS:
            return f"the clip is {audio_ms(clip) / 1000:.1f} s long, and Whisper hears 30 s"
        language = whisper_language(clip.language)
        if language not in self._engine().languages:
            known = "only English" if not self._engine().multilingual else "other languages"
            return f"the model {self._spec.model} knows {known}, not {clip.language or 'an unnamed language'}"
        return ""

    def _detect(self, question: LanguageQuestion) -> LanguageGuess:
        engine = self._engine()
        if not engine.multilingual or len(question.samples) == 0:
            return LanguageGuess("en", 1000 if len(question.samples) else 0)
        encoded = engine.encode([question.samples[: _LONGEST_CLIP_MS * 16]])[0]
        self._kept.put(_name(question), encoded)
        language, probability = engine.detect_language(encoded)
        return LanguageGuess(language, round(probability * 1000))

    def _compute(self, batch: Sequence[Clip]) -> Iterator[Result]:
        engine = self._engine()
        encoded = self._encode(engine, batch)
        decoded = engine.generate(encoded, [whisper_language(clip.language) for clip in batch])
        suspects: list[tuple[Clip, Encoded, Reading]] = []
        for clip, output, text in zip(batch, encoded, decoded, strict=True):
            first = read(_evidence(engine, clip, output, text))
            if first.is_suspect:
                suspects.append((clip, output, first))
            else:
                yield heard(clip, judge(clip, first, self._look))
        for clip, output, first in suspects:
            self._kept.put(_name(clip), output)
            yield heard(clip, judge(clip, first, self._look))

    def _encode(self, engine: WhisperDecoder, batch: Sequence[Clip]) -> list[Encoded]:
        known = [self._kept.take(_name(clip)) for clip in batch]
        fresh = iter(engine.encode([clip.samples for clip, output in zip(batch, known, strict=True) if output is None]))
        return [next(fresh) if output is None else output for output in known]

    def _look(self, clip: Clip, search: Search) -> Evidence:
        engine = self._engine()
        with self.meter.second_look():
            encoded = self._encode(engine, [clip])[0]
            self._kept.put(_name(clip), encoded)
            decoded = engine.generate([encoded], [whisper_language(clip.language)], search)[0]
            return _evidence(engine, clip, encoded, decoded)


def _evidence(engine: WhisperDecoder, clip: Clip, encoded: Encoded, decoded: DecodedClip) -> Evidence:
    segments = whole_segments(clip)
    aligned = engine.align(decoded, encoded, clip, whisper_language(clip.language))
    if not any(word.text.strip() for word in aligned):
        # An aligner that finds no place for a text must not make it vanish; that nothing vouches for its words shows.
        aligned = spread_words(decoded.text, segments, audio_ms(clip))
    return Evidence(
        text=decoded.text,
        words=tuple(place_words(aligned, segments, audio_ms(clip))),
        segments=segments,
        avg_logprob=decoded.avg_logprob,
        no_speech_prob=decoded.no_speech_prob,
        compression_ratio=decoded.compression_ratio,
    )


def _load(path: Path, compute_type: str, device: Device, shape: _Shape) -> Any:
    faster_whisper = _faster_whisper()
    try:
        return faster_whisper.WhisperModel(
            str(path),
            device=device.kind.value,
            compute_type=compute_type,
            cpu_threads=shape.threads,
            num_workers=shape.workers,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, MemoryError) as error:
        fault = classify(error)
        if fault is Fault.MEMORY:
            fix = "free memory on the device, or use a smaller model or compute type"
            raise DeviceError(f"there is no memory for the model in {path.name}: {error}", fix) from error
        if fault is Fault.DEVICE:
            raise DeviceError(f"the device failed: {error}", "run `segue doctor`") from error
        raise EngineError(f"the model in {path.name} cannot be loaded: {error}", "run `segue doctor`") from error


def whisper_language(language: str) -> str:
    """Whisper's name of a BCP 47 language: its primary subtag, with Whisper's own spelling."""
    primary = language.replace("_", "-").split("-")[0].lower()
    return _WHISPER_NAMES.get(primary, primary)


def _name(clip: Clip | LanguageQuestion) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(clip.samples, dtype=np.float32).data).digest()
