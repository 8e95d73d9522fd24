"""Speech to text with word times. Read `interface` first, then `faster_whisper` and `judging`; `fake` is for tests."""
