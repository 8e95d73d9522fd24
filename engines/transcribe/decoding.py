"""Whisper below ``transcribe()`` of faster-whisper: encode, generate and align, so that no clip touches another.

The options are those of faster-whisper's batched pipeline: beam 5, patience 1, length penalty 1, no timestamps,
blank and non-speech tokens suppressed. Measured on the CPU with int8: text, scores and word times of a clip are
the same to the bit alone and in any batch, when each clip is aligned by itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.audio import SAMPLES_PER_MS, samples_to_ms
from engines.transcribe.interface import Clip
from engines.transcribe.loops import compression_ratio
from engines.transcribe.metering import EffortMeter, Part
from engines.transcribe.words import UNSPACED_LANGUAGES, TimedWord, join_units, whole_ms

#: Punctuation that joins the word after it, and the word before it.
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
_HOP_SAMPLES = 160
#: Bytes of encoder outputs kept from language detection, so that the vote costs no second pass.
_KEPT_BYTES = 64 << 20

Encoded = npt.NDArray[Any]


@dataclass(frozen=True)
class DecodedClip:
    """What Whisper wrote for one clip, before its words are placed."""

    tokens: tuple[int, ...]
    text: str
    #: Mean log probability of a token, as Whisper counts it (the end token included).
    avg_logprob: float
    #: Probability of the no-speech token at the start.
    no_speech_prob: float
    #: Length of the text's UTF-8 over its deflated length.
    compression_ratio: float


@dataclass(frozen=True)
class Search:
    """How a text is searched for. Always a beam: CTranslate2 seeds its samples once a thread, not once a call, so a
    sampled text would depend on what was sampled before it.
    """

    #: Lets the model write timestamps between phrases, which breaks most loops.
    timestamps: bool = False
    #: Above 1, tokens that were used already become less likely.
    repetition_penalty: float = 1.0
    #: Runs of this many tokens that may not occur twice; 0 forbids nothing.
    no_repeat_ngram: int = 0


#: What faster-whisper's batched pipeline does.
PLAIN_SEARCH = Search()


class EncodedClips:
    """The last encoder outputs, up to a number of bytes."""

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[bytes, Encoded] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def put(self, name: bytes, encoded: Encoded) -> None:
        with self._lock:
            if name in self._kept or encoded.nbytes > self._most_bytes:
                return
            self._kept[name] = encoded
            self._bytes += encoded.nbytes
            while self._bytes > self._most_bytes:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes

    def take(self, name: bytes) -> Encoded | None:
        """The encoder output, which is not kept any longer: a clip is transcribed once."""
        with self._lock:
            encoded = self._kept.pop(name, None)
            self._bytes -= encoded.nbytes if encoded is not None else 0
            return encoded

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._bytes = 0


class WhisperDecoder:
    """One loaded Whisper. Its methods may be called from several threads."""

    def __init__(self, model: Any, beam_size: int, meter: EffortMeter) -> None:
        self._model = model
        self._beam_size = beam_size
        self._meter = meter
        self._tokenizers: dict[str, Any] = {}

    @property
    def multilingual(self) -> bool:
        return bool(self._model.model.is_multilingual)

    @property
    def languages(self) -> frozenset[str]:
        """ISO codes that the model was trained on."""
        return frozenset(self._model.supported_languages)

    def encode(self, clips: Sequence[npt.NDArray[np.float32]]) -> list[Encoded]:
        """Encoder outputs, one a clip, shape (1500, width), in main memory.

        On a CPU clips are encoded one by one: that is faster than together (measured with base int8: 3.3 s against
        5.8 s for seven clips), because one clip's activations fit the processor's cache.
        """
        with self._meter.busy(Part.ENCODER):
            self._meter.count(encoder_passes=len(clips))
            features = [self._features(samples) for samples in clips]
            if self._model.model.device == "cpu":
                return [np.array(self._model.encode(one))[0] for one in features]
            return list(_to_host(self._model.encode(np.stack(features))))

    def _features(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        from faster_whisper.audio import pad_or_trim

        mel: npt.NDArray[np.float32] = pad_or_trim(self._model.feature_extractor(samples)[..., :-1])
        return mel

    def detect_language(self, encoded: Encoded) -> tuple[str, float]:
        """The most probable language and its probability."""
        with self._meter.busy(Part.DECODER):
            token, probability = self._model.model.detect_language(_storage(encoded[None]))[0][0]
        return token[2:-2], float(probability)

    def generate(
        self, encoded: Sequence[Encoded], languages: Sequence[str], search: Search = PLAIN_SEARCH
    ) -> list[DecodedClip]:
        """The text of each clip, in its own language."""
        from faster_whisper.transcribe import get_suppressed_tokens

        tokenizers = [self._tokenizer(language) for language in languages]
        with self._meter.busy(Part.DECODER):
            results = self._model.model.generate(
                _storage(np.stack(encoded)),
                [
                    tokenizer.sot_sequence if search.timestamps else [*tokenizer.sot_sequence, tokenizer.no_timestamps]
                    for tokenizer in tokenizers
                ],
                beam_size=self._beam_size,
                patience=1.0,
                length_penalty=1.0,
                repetition_penalty=search.repetition_penalty,
                no_repeat_ngram_size=search.no_repeat_ngram,
                max_length=self._model.max_length,
                suppress_blank=True,
                suppress_tokens=list(get_suppressed_tokens(tokenizers[0], [-1])),
                return_scores=True,
                return_no_speech_prob=True,
            )
        lengths = [len(result.sequences_ids[0]) for result in results]
        self._meter.count(decoder_texts=len(lengths), decoder_steps=max(lengths), decoder_tokens=sum(lengths))
        return [_decoded(result, tokenizer) for result, tokenizer in zip(results, tokenizers, strict=True)]

    def align(self, decoded: DecodedClip, encoded: Encoded, clip: Clip, language: str) -> list[TimedWord]:
        """The words of one clip with their times; always one clip alone."""
        tokenizer = self._tokenizer(language)
        seconds = len(clip.samples) / (SAMPLES_PER_MS * 1000)
        part = {"seek": 0, "start": 0.0, "end": seconds, "tokens": list(decoded.tokens)}
        if not any(token < tokenizer.eot for token in decoded.tokens):
            return []
        frames = max(2, min(self._model.feature_extractor.nb_max_frames, len(clip.samples) // _HOP_SAMPLES))
        self._meter.count(aligner_texts=1)
        with self._meter.busy(Part.ALIGNER):
            self._model.add_word_timestamps(
                [[part]], tokenizer, _storage(encoded[None]), frames, _PREPENDED, _APPENDED, 0.0
            )
        words = [
            TimedWord(
                str(word["word"]),
                whole_ms(word["start"] * 1000),
                whole_ms(word["end"] * 1000),
                float(word["probability"]),
            )
            for word in part.get("words", [])  # type: ignore[attr-defined]
        ]
        words = [word for word in words if word.text]
        return join_units(words) if language in UNSPACED_LANGUAGES else words

    def _tokenizer(self, language: str) -> Any:
        tokenizer = self._tokenizers.get(language)
        if tokenizer is None:
            from faster_whisper.tokenizer import Tokenizer

            tokenizer = Tokenizer(self._model.hf_tokenizer, self.multilingual, task="transcribe", language=language)
            self._tokenizers[language] = tokenizer
        return tokenizer


def _decoded(result: Any, tokenizer: Any) -> DecodedClip:
    tokens = tuple(result.sequences_ids[0])
    text = tokenizer.decode(tokens)
    # CTranslate2 divides the sum by the length; Whisper's mean counts the end token too.
    avg_logprob = float(result.scores[0]) * len(tokens) / (len(tokens) + 1)
    return DecodedClip(tokens, text, avg_logprob, float(result.no_speech_prob), compression_ratio(text))


def audio_ms(clip: Clip) -> int:
    """Length of the clip's audio in whole milliseconds."""
    return samples_to_ms(len(clip.samples))


def _storage(array: Encoded) -> Any:
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _to_host(view: Any) -> Encoded:
    import ctranslate2

    return np.array(view.to_device(ctranslate2.Device.cpu))
