"""Voice activity, segment boundaries and windows: where speech is, and which silence is not paid for.

Read `detection` first (a stream of samples to probabilities), then `detectors` and `combiner`, `boundaries`
(probabilities to segments) and `windows` (segments to units). `params` is everything that moves a cut.
"""
