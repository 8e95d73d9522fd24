"""Nothing but the one named file is ever opened, whatever it contains and whatever it is called."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hostile_files import avi_with_a_passenger, point_elsewhere
from media_maker import decode, make, peak, sound

from core.errors import MediaError
from media.builds import FfmpegBuild
from media.containers import FORMAT_WHITELIST
from media.decode import DecodeLimits, decode_command, decode_pcm
from media.decoding_order import HEADER, REFUSED
from media.probe import probe
from media.process import FfmpegRun, TimeLimits
from media.sources import shown
from media.tracks import AudioTrack, MediaInfo, select_track


@dataclass
class Bait:
    """What a hostile file points to: a server that remembers, and a sound file that must not be heard."""

    url: str
    secret: Path
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def server_with_bait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bait]:
    secret = tmp_path_factory.mktemp("bait") / "secret.ts"
    make(*sound(2), "-c:a", "aac", secret)
    requests: list[str] = []

    class Remember(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(secret.read_bytes())

        def log_message(self, *_arguments: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Remember) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Bait(f"http://127.0.0.1:{server.server_address[1]}", secret, requests)
        server.shutdown()
        thread.join()


@pytest.fixture
def bait(server_with_bait: Bait, tmp_path: Path) -> Bait:
    server_with_bait.requests.clear()
    shutil.copy(server_with_bait.secret, tmp_path / "secret.ts")
    return server_with_bait


POINTERS = {
    "hls-network": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
    "hls-local": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{secret}\n#EXT-X-ENDLIST\n",
    "hls-relative": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsecret.ts\n#EXT-X-ENDLIST\n",
    "hls-with-bom": "\ufeff#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{secret}'\n",
    "concat-network": "ffconcat version 1.0\nfile '{url}/a.ts'\n",
    "concat-bare": "file '{secret}'\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="a" '
    'bandwidth="1"><BaseURL>{url}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>\n',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "asx": '<asx version="3.0"><entry><ref href="{url}/a.mp3"/></entry></asx>\n',
    "pls": "[playlist]\nFile1={url}/a.mp3\nNumberOfEntries=1\n",
    "m3u": "{url}/a.mp3\n",
    "imf": '<?xml version="1.0"?>\n<AssetMap><AssetList><Path>{secret}</Path></AssetList></AssetMap>\n',
    "smooth": '<SmoothStreamingMedia MajorVersion="2" Duration="2"></SmoothStreamingMedia>',
    "rtsp": "RTSPtext\nrtsp://127.0.0.1:9/a\n",
}


@pytest.mark.parametrize("suffix", ["mp4", "mp3", "m3u8"])
@pytest.mark.parametrize("kind", POINTERS)
def test_a_list_of_other_files_is_refused_under_any_name(tmp_path: Path, bait: Bait, kind: str, suffix: str) -> None:
    path = tmp_path / f"innocent.{suffix}"
    path.write_text(POINTERS[kind].format(url=bait.url, secret=bait.secret))
    with pytest.raises(MediaError, match=rf"innocent\.{suffix}: is ") as caught:
        decode(path)
    assert "\n" not in str(caught.value)
    assert bait.requests == []


@pytest.mark.parametrize("kind", POINTERS)
def test_the_decoder_refuses_by_itself_what_the_probe_would_have_let_through(
    tmp_path: Path, bait: Bait, kind: str
) -> None:
    path = tmp_path / "sound.wav"
    make(*sound(1), path)
    info = probe(path)
    path.write_text(POINTERS[kind].format(url=bait.url, secret=bait.secret))
    with pytest.raises(MediaError, match=r"sound\.wav"):
        list(decode_pcm(info, info.audio_tracks[0]))
    *program, order = decode_command(info, info.audio_tracks[0])
    unforced = json.dumps({**json.loads(order), "container": None})
    result = subprocess.run(
        [*program, unforced], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    kind_of_message, length = HEADER.unpack(result.stdout[: HEADER.size])
    assert (kind_of_message, length) == (REFUSED, len(result.stdout) - HEADER.size)
    assert bait.requests == []


def test_a_playlist_really_would_reach_the_bait_without_the_guards(
    tmp_path: Path, bait: Bait, build: FfmpegBuild
) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text(POINTERS["hls-network"].format(url=bait.url, secret=bait.secret))
    command = [build.path, "-nostdin", "-v", "error", "-protocol_whitelist", "file,http,tcp", "-i", path]
    subprocess.run(
        [*command, "-f", "null", "-"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    assert bait.requests


def test_a_reference_movie_opens_no_other_file(tmp_path: Path, build: FfmpegBuild) -> None:
    whole = tmp_path / "whole.mov"
    make(*sound(2), "-c:a", "pcm_s16le", whole)
    pointing = tmp_path / "pointing.mov"
    pointing.write_bytes(point_elsewhere(whole.read_bytes(), whole))
    unguarded = [build.path, "-nostdin", "-v", "error", "-enable_drefs", "1", "-use_absolute_path", "1"]
    control = subprocess.run(
        [*unguarded, "-i", pointing, "-f", "s16le", "-"], capture_output=True, timeout=60, check=False
    )
    assert len(control.stdout) == 64_000
    with pytest.raises(MediaError, match=r"pointing\.mov"):
        decode(pointing)


@pytest.mark.parametrize("kind", POINTERS)
def test_a_list_that_rides_inside_an_avi_is_not_followed(tmp_path: Path, bait: Bait, kind: str) -> None:
    path = tmp_path / "carrier.avi"
    path.write_bytes(avi_with_a_passenger(POINTERS[kind].format(url=bait.url, secret=bait.secret).encode()))
    samples, report = decode(path)
    assert report.samples == 16_000
    assert peak(samples) == 0x2010
    assert bait.requests == []


def test_the_passenger_of_an_avi_really_is_opened(tmp_path: Path, build: FfmpegBuild) -> None:
    path = tmp_path / "carrier.avi"
    path.write_bytes(avi_with_a_passenger(b"1\n00:00:00,000 --> 00:00:01,000\nhello\n"))
    command = [build.path, "-nostdin", "-v", "error", "-i", path, "-map", "0:s", "-f", "srt", "-"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert b"hello" in result.stdout


def test_no_listed_container_is_one_that_opens_others() -> None:
    refused = {"hls", "dash", "concat", "sdp", "rtsp", "image2", "imf", "webm_dash_manifest", "mlv", "vobsub", "lavfi"}
    assert refused.isdisjoint(FORMAT_WHITELIST.split(","))


@pytest.mark.parametrize(
    "name",
    [
        "-i.wav",
        "--help.wav",
        "file:a.wav",
        "concat:a.wav|b.wav",
        "http:a.wav",
        "pipe:0",
        "img%03d.wav",
        "with space.wav",
        'it\'s "quoted".wav',
        "new\nline.wav",
        "emoji 🎬.wav",
        "back\\slash.wav",
        "semi;colon&amp$(x).wav",
        "[a:0]{b},c=d.wav",
        "*.wav",
        "\u202edesrever.wav",
        "\x1b[31mred.wav",
        "ends with space ",
    ],
)
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    make(*sound(0.5), tmp_path / "plain.wav")
    path = tmp_path / name
    (tmp_path / "plain.wav").rename(path)
    samples, report = decode(path)
    assert report.samples == 8000
    assert peak(samples) > 10_000
    path.write_bytes(b"not media")
    with pytest.raises(MediaError) as caught:
        decode(path)
    assert str(caught.value).isprintable()


def test_a_name_that_is_no_unicode_is_read_and_shown(tmp_path: Path) -> None:
    make(*sound(0.5), tmp_path / "plain.wav")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin\xe9.wav"))
    (tmp_path / "plain.wav").rename(path)
    assert decode(path)[1].samples == 8000
    assert shown(path).endswith("latin\\udce9.wav")


def test_a_relative_name_with_a_leading_dash_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(*sound(0.5), tmp_path / "plain.wav")
    (tmp_path / "plain.wav").rename(tmp_path / "-y.wav")
    monkeypatch.chdir(tmp_path)
    assert decode(Path("-y.wav"))[1].samples == 8000


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    folder = tmp_path / "ep1.mp4"
    folder.mkdir()
    with pytest.raises(MediaError, match=r"ep1\.mp4: is a folder"):
        probe(folder)
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(MediaError, match=r"pipe\.mp4: is a named pipe"):
        probe(pipe)
    with pytest.raises(MediaError, match="/dev/zero: is a device"):
        probe(Path("/dev/zero"))
    with socket.socket(socket.AF_UNIX) as listener:
        address = tmp_path / "s.mp4"
        listener.bind(str(address))
        with pytest.raises(MediaError, match=r"s\.mp4: is a socket"):
            probe(address)


def test_missing_empty_and_impossible_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.mp4: there is no such file"):
        probe(tmp_path / "gone.mp4")
    link = tmp_path / "link.mp4"
    link.symlink_to(tmp_path / "gone.mp4")
    with pytest.raises(MediaError, match="points nowhere"):
        probe(link)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(MediaError, match=r"empty\.mp4: is empty"):
        probe(empty)
    with pytest.raises(MediaError, match="cannot be read"):
        probe(tmp_path / ("n" * 300))
    with pytest.raises(MediaError, match="cannot be read"):
        probe(Path("nul\0byte"))


def test_a_file_without_permission_is_named_with_a_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.mp4"
    path.write_bytes(b"x")

    def refuse(*_arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    # Root reads everything, so the refusal is the kernel's in name only.
    monkeypatch.setattr("media.sources.os.open", refuse)
    with pytest.raises(MediaError, match=r"locked\.mp4: no permission to read it \(chmod"):
        probe(path)


def test_the_decoder_checks_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    make(*sound(1), path)
    info = probe(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(MediaError, match="named pipe"):
        list(decode_pcm(info, select_track(info)))


def test_a_decoder_that_stands_still_is_stopped() -> None:
    with FfmpegRun(["sleep", "60"], TimeLimits(stall_s=0.2), "a.mp4") as run, pytest.raises(MediaError, match="stood"):
        run.read()


def test_a_decoder_that_never_ends_is_stopped() -> None:
    with FfmpegRun(["yes"], TimeLimits(stall_s=5, total_s=0.05), "a.mp4") as run:
        pieces = iter(run.read, b"")
        with pytest.raises(MediaError, match="too long"):
            deque(pieces, maxlen=0)


def test_a_decoder_that_was_killed_is_an_error_and_not_a_short_file() -> None:
    with FfmpegRun(["sh", "-c", "echo part; kill -9 $$"], TimeLimits(), "a.mp4") as run:
        while run.read():
            pass
        with pytest.raises(MediaError, match=r"a\.mp4: .* was ended by SIGKILL"):
            run.finish()


def test_what_ffmpeg_writes_is_bounded_and_printable() -> None:
    script = r"printf '[mp3 @ 0x55e0d462c540] \033[31mred\007 \n'; head -c 3000000 /dev/zero | tr '\0' 'x'; echo"
    with FfmpegRun(["sh", "-c", f"({script}) >&2"], TimeLimits(), "a.mp4") as run:
        while run.read():
            pass
        assert run.finish() == 0
        assert run.complaint == "[mp3] [31mred"
        assert run.complaint_count > 1


def test_a_decoder_that_crashes_or_wants_all_memory_costs_one_file_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    make(*sound(1), path)
    for code, said in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("import media.decoding as d; d.TrackDecoder.run = lambda self: bytes(8 << 30); d.main()", "MemoryError"),
        ("import sys; sys.exit(7)", r"exit code 7"),
    ):

        def broken(info: MediaInfo, track: AudioTrack, code: str = code) -> list[str]:
            return [sys.executable, "-P", "-c", code, decode_command(info, track)[-1]]

        with monkeypatch.context() as patched:
            patched.setattr("media.decode.decode_command", broken)
            with pytest.raises(MediaError, match=rf"a\.wav: .*{said}"):
                decode(path)
    assert decode(path)[1].samples == 16_000


def test_ctrl_c_does_not_reach_the_decoder() -> None:
    with FfmpegRun(["sh", "-c", "ps -o pgid= -p $$; sleep 0"], TimeLimits(), "a.mp4") as run:
        assert int(run.read()) != os.getpgid(0)


def test_time_limits_grow_with_the_length() -> None:
    limits = DecodeLimits()
    assert limits.time_limits(36_000_000).total_s > limits.time_limits(60_000).total_s
    assert limits.time_limits(0).total_s >= limits.time_limits(limits.max_ms).total_s
