"""A small network that weighs everything both detectors and the sound itself say about a frame.

The weights are trained by ``bench/segmenter_train.py`` on excerpts of the AMI Meeting Corpus (CC BY 4.0,
https://groups.inf.ed.ac.uk/ami/corpus/), on voice prompts and music on hold of the Asterisk project (CC BY-SA 3.0), and
on sounds made there. No audio is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: Probabilities are whole thousandths from here on, so that a last bit of arithmetic rarely matters.
FULL = 1000
_SLICE = 64


@dataclass(frozen=True)
class Combiner:
    """One hidden layer. Arrays are float32."""

    #: shape (features,): subtracted from the features.
    center: Floats
    #: shape (features,): multiplied with the centred features.
    scale: Floats
    #: shape (features, hidden) and (hidden,).
    hidden_weights: Floats
    hidden_bias: Floats
    #: shape (hidden,) and ().
    output_weights: Floats
    output_bias: Floats

    @classmethod
    def load(cls, path: Path) -> Combiner:
        """Reads the .npz that the training wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(**{name: stored[name].astype(np.float32) for name in cls.__dataclass_fields__})

    def save(self, path: Path) -> None:
        np.savez(path, **{name: getattr(self, name) for name in self.__dataclass_fields__})

    def probabilities(self, features: Floats) -> npt.NDArray[np.uint16]:
        """Speech probability of each row in thousandths; shape (frames,)."""
        if not len(features):
            return np.zeros(0, np.uint16)
        # Slices this small stay on one thread of any BLAS: no spinning helpers, and sums in the same order everywhere.
        logit = np.concatenate([self._logits(features[at : at + _SLICE]) for at in range(0, len(features), _SLICE)])
        thousandths: npt.NDArray[np.uint16] = np.rint(FULL / (1 + np.exp(-logit.astype(np.float64)))).astype(np.uint16)
        return thousandths

    def _logits(self, features: Floats) -> Floats:
        normal = np.clip((features - self.center) * self.scale, -4, 4)
        hidden = np.tanh(normal @ self.hidden_weights + self.hidden_bias)
        return np.asarray(hidden @ self.output_weights + self.output_bias, np.float32)
