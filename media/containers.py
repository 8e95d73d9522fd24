"""Which containers are opened, by ffmpeg's names. Everything that is not listed here is refused before it is read.

Left out on purpose: playlists and manifests (hls, dash, concat, sdp, asx ...), still-image and sequence readers,
readers that open sibling files (mlv, vobsub, imf), subtitle and raw formats (they accept any bytes), and devices.
"""

from __future__ import annotations

import re

#: ffmpeg's demuxers that read one self-contained file of sound, with or without picture.
DEMUXERS = (
    "aa", "aac", "ac3", "aiff", "amr", "ape", "asf", "asf_o", "au", "avi", "caf", "dsf", "dts", "dtshd", "dv",
    "eac3", "flac", "flv", "gxf", "iff", "ivf", "kux", "live_flv", "loas", "matroska", "mlp", "mov", "mp3", "mpc",
    "mpc8", "mpeg", "mpegts", "mxf", "nsv", "nut", "ogg", "oma", "rm", "shn", "tak", "truehd", "tta", "voc", "w64",
    "wav", "webm", "wtv", "wv", "xwma",
)  # fmt: skip

#: The value of ffmpeg's ``-format_whitelist``. A container's name may be a list; one match is enough.
FORMAT_WHITELIST = ",".join(DEMUXERS)

#: Containers whose timestamps may jump; ffmpeg rebases these to the first *mapped* stream, not to the file's start.
JUMPING_DEMUXERS = frozenset({"mpeg", "mpegts", "ogg", "wtv", "nsv", "dv"})

#: No containers but bare frames, one after the other: their timestamps are made up, by the rate of the first.
BARE_DEMUXERS = frozenset({"aac", "ac3", "dts", "dtshd", "eac3", "loas", "mlp", "mp3", "truehd"})

#: Containers whose header says how long a track is, so that a shorter one is known to be cut off.
LENGTH_STATING_DEMUXERS = frozenset(
    {"mov", "matroska", "flac", "flv", "wav", "w64", "aiff", "ape", "caf", "avi", "asf", "au", "tta", "wv"}
)

#: What a folder is searched for. A file that is named by itself may have any suffix.
MEDIA_SUFFIXES = frozenset((
    ".3g2", ".3gp", ".aac", ".ac3", ".aif", ".aiff", ".amr", ".ape", ".asf", ".au", ".avi", ".caf", ".dts", ".dv",
    ".eac3", ".f4v", ".flac", ".flv", ".gxf", ".m2ts", ".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mp2", ".mp3",
    ".mp4", ".mpa", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".oga", ".ogg", ".ogm", ".ogv", ".opus", ".qt", ".rm",
    ".rmvb", ".tak", ".ts", ".tta", ".vob", ".w64", ".wav", ".webm", ".wma", ".wmv", ".wtv", ".wv",
))  # fmt: skip

_SNIFFED = (
    (re.compile(rb"#EXTM3U"), "an HLS or M3U playlist"),
    (re.compile(rb"ffconcat\s|file\s+['\"]?\S"), "a concat script"),
    (re.compile(rb"\[playlist\]", re.IGNORECASE), "a PLS playlist"),
    (re.compile(rb"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<MPD[\s>]", re.DOTALL), "a DASH manifest"),
    (re.compile(rb"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<SmoothStreamingMedia", re.DOTALL), "a streaming manifest"),
    (re.compile(rb"(<\?xml[^>]*>\s*)?<(asx|smil|playlist|AssetMap)[\s>]", re.IGNORECASE), "a playlist"),
    (re.compile(rb"v=0\r?\no="), "a stream description (SDP)"),
    (re.compile(rb"(rtsp|rtmp|https?|mms|file)://", re.IGNORECASE), "a list of addresses"),
)
_TEXT_BYTES = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\n\r\f") | frozenset(range(0x80, 0x100))


def demuxer_name(format_name: str) -> str:
    """The one name that stands for a container: ``mov,mp4,m4a,...`` -> ``mov``."""
    return format_name.partition(",")[0]


def name_pointer(head: bytes) -> str:
    """What kind of list of other files ``head`` (a file's first bytes) begins, or an empty string."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((name for pattern, name in _SNIFFED if pattern.match(text)), "")


def looks_like_text(head: bytes) -> bool:
    """True when a file's first bytes are text in some encoding with one byte for ASCII."""
    return bool(head) and _TEXT_BYTES.issuperset(head)


def looks_like_mp4(head: bytes) -> bool:
    """True when a file's first bytes are a box of the MP4 and QuickTime family."""
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")
