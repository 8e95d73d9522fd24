"""A Whisper with random weights: as large and as fast as a real one, for machines to which no real one can be taken.

Its texts mean nothing, but they are as long as real ones: a direction in the position encodings makes the end of the
text the likeliest token after so many. Needs CTranslate2, numpy and a tokenizer of a multilingual Whisper.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_POSITIONS, _TEXT_POSITIONS = 1500, 448
#: Whisper's own tokens, by name; the tokenizer knows their numbers.
_END, _START, _LANGUAGES = "<|endoftext|>", "<|startoftranscript|>", 99
#: So many tokens has about a text; speech of 25 s has 70 to 120.
_TEXT_TOKENS = 80
#: Spread of the tokens' scores: one choice is clearly likelier than the others, as in a trained model. Texts of which a
#: model is unsure would be decoded several times.
_SCORES = 14.0


@dataclass(frozen=True)
class Shape:
    """How large a Whisper is; encoder and decoder have as many layers."""

    width: int
    layers: int
    heads: int
    mels: int


LARGE_V3 = Shape(width=1280, layers=32, heads=20, mels=128)
TINY = Shape(width=64, layers=2, heads=2, mels=80)


class _Weights:
    """Random numbers, quickly: a block is drawn once and each array is another cut of it, so that no two are alike."""

    def __init__(self, seed: int, longest: int) -> None:
        random = np.random.Generator(np.random.SFC64(seed))
        self._block = random.random(longest + 1_000_003, dtype=np.float32) - 0.5
        self._next = 0
        #: The block by its spread, of which there are few.
        self._scaled: dict[float, npt.NDArray[np.float16]] = {}

    def draw(self, *shape: int, spread: float) -> npt.NDArray[np.float16]:
        size = int(np.prod(shape))
        self._next = (self._next + 7_919) % 1_000_003
        if spread not in self._scaled:
            # A uniform number of width 1 has the spread 1/sqrt(12).
            self._scaled[spread] = (self._block * np.float32(spread * 12**0.5)).astype(np.float16)
        return self._scaled[spread][self._next : self._next + size].reshape(shape)


def write_model(folder: Path, shape: Shape, tokenizer: Path, seed: int = 1) -> int:
    """Writes the model's folder as faster-whisper reads it, in float16; returns the bytes of its weights."""
    from ctranslate2.specs.whisper_spec import WhisperSpec
    from tokenizers import Tokenizer

    known = Tokenizer.from_file(str(tokenizer))
    tokens = [known.id_to_token(number) for number in range(known.get_vocab_size())]
    spec = WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
    weights = _Weights(seed, max(len(tokens), 4 * shape.width) * shape.width)
    _fill_encoder(spec.encoder, shape, weights)
    _fill_decoder(spec.decoder, shape, weights, len(tokens), known.token_to_id(_END))
    first_language = known.token_to_id(_START) + 1
    spec.config.lang_ids = list(range(first_language, first_language + _LANGUAGES))
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], [known.token_to_id(_END)]
    half = range(shape.layers // 2, shape.layers)
    spec.config.alignment_heads = list(itertools.product(half, range(shape.heads)))[-10:]
    spec.register_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization="float16")
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    features = {"feature_size": shape.mels, "sampling_rate": 16000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
    (folder / "preprocessor_config.json").write_text(json.dumps(features), "utf-8")
    return (folder / "model.bin").stat().st_size


def _fill_encoder(spec: Any, shape: Shape, weights: _Weights) -> None:
    width = shape.width
    for conv, inputs in ((spec.conv1, shape.mels), (spec.conv2, width)):
        conv.weight = weights.draw(width, inputs, 3, spread=(3 * inputs) ** -0.5)
        conv.bias = np.zeros(width, np.float16)
    spec.position_encodings.encodings = weights.draw(_POSITIONS, width, spread=0.1)
    _fill_norm(spec.layer_norm, width)
    for layer in spec.layer:
        _fill_attention(layer.self_attention, width, weights, (3, 1))
        _fill_feed_forward(layer.ffn, width, weights)


def _fill_decoder(spec: Any, shape: Shape, weights: _Weights, tokens: int, end: int) -> None:
    width = shape.width
    spec.embeddings.weight = weights.draw(tokens, width, spread=0.5)
    direction = np.ones(width, np.float32) * np.where(np.arange(width) % 2, 1.0, -1.0).astype(np.float32)
    ramp = np.clip((np.arange(_TEXT_POSITIONS) - 0.75 * _TEXT_TOKENS) / (0.25 * _TEXT_TOKENS), 0.0, 20.0)
    positions = weights.draw(_TEXT_POSITIONS, width, spread=0.5).astype(np.float32)
    spec.position_encodings.encodings = (positions + ramp[:, None] * direction).astype(np.float16)
    spread = _SCORES / width**0.5
    projection = weights.draw(tokens, width, spread=spread).copy()
    # The best of many random scores lies at about 4.5 spreads; the end's own score passes it where the ramp is near 1.
    projection[end] = (direction * 6.5 * spread / width**0.5).astype(np.float16)
    spec.projection.weight = projection
    _fill_norm(spec.layer_norm, width)
    for layer in spec.layer:
        _fill_attention(layer.self_attention, width, weights, (3, 1))
        _fill_attention(layer.attention, width, weights, (1, 2, 1))
        _fill_feed_forward(layer.ffn, width, weights)


def _fill_norm(spec: Any, width: int) -> None:
    spec.gamma, spec.beta = np.ones(width, np.float16), np.zeros(width, np.float16)


def _fill_attention(spec: Any, width: int, weights: _Weights, parts: tuple[int, ...]) -> None:
    """``parts``: how many matrices each product joins (queries, keys and values), the last one being the output's."""
    _fill_norm(spec.layer_norm, width)
    for number, (linear, joined) in enumerate(zip(spec.linear, parts, strict=True)):
        # Outputs are small beside what passes by them, so that deep models stay well behaved.
        spread = width**-0.5 * (0.1 if number == len(parts) - 1 else 1.0)
        _fill_linear(linear, joined * width, width, weights, spread)


def _fill_feed_forward(spec: Any, width: int, weights: _Weights) -> None:
    _fill_norm(spec.layer_norm, width)
    _fill_linear(spec.linear_0, 4 * width, width, weights, width**-0.5)
    _fill_linear(spec.linear_1, width, 4 * width, weights, 0.1 * (4 * width) ** -0.5)


def _fill_linear(spec: Any, outputs: int, inputs: int, weights: _Weights, spread: float) -> None:
    spec.weight = weights.draw(outputs, inputs, spread=spread)
    spec.bias = np.zeros(outputs, np.float16)
