"""Where settings come from, and that secrets stay secret."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from segue_cli import Segue
from spoken import SPEECH


def test_flags_win_over_environment_over_file(segue: Segue, tmp_path: Path) -> None:
    own = tmp_path / "config" / "segue" / "segue.toml"
    own.parent.mkdir(parents=True)
    own.write_text('owner = "file"\nfrom = "en"\n', encoding="utf-8")
    (tmp_path / "segue.toml").write_text('to = "de"\nfrom = "fr"\n', encoding="utf-8")
    segue.env["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    done = segue("settings", "--json")
    shown = done.json
    assert (shown["owner"], shown["to"], shown["source"]) == ("file", "de", "en")
    assert done.stderr.splitlines() == [
        f"segue: settings from {own}: owner, source",
        "segue: settings from segue.toml in this folder: to (not source: said elsewhere, which wins)",
    ]
    flagged = segue("settings", "--json", SEGUE_OWNER="ann", SEGUE_SOURCE="es").stderr
    assert f"settings from {own}: nothing (not owner, source: said elsewhere, which wins)" in flagged
    named = tmp_path / "other.toml"
    named.write_text('owner = "named"\n', encoding="utf-8")
    shown = segue("settings", "--json", SEGUE_CONFIG=str(named)).json
    assert (shown["owner"], shown["to"], shown["source"]) == ("named", "de", "fr")
    job = segue("run", SPEECH, "--owner", "flag", "--out", "out", "--json", SEGUE_OWNER="env").json["jobs"][0]
    assert segue("status", job["id"], "--json").json["owner"] == "flag"
    assert {Path(path).name for path in job["outputs"]} >= {"tickets.de.srt"}


@pytest.mark.usefixtures("impatient")
def test_a_secret_comes_from_a_file_and_is_never_shown(segue: Segue, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("sk-very-secret\n", encoding="utf-8")
    done = segue("settings", "--json", SEGUE_TRANSLATOR_API_KEY_FILE=str(secret))
    assert done.json["translator_api_key"] == "(set)"
    dead = endpoint("http://127.0.0.1:9/v1")
    failed = segue("run", SPEECH, "--to", "es", "--out", "out", SEGUE_TRANSLATOR_API_KEY_FILE=str(secret), **dead)
    for each in (done, failed):
        assert "very-secret" not in each.stdout + each.stderr
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != secret:
            assert b"very-secret" not in path.read_bytes()


def test_a_folder_of_media_runs_nothing_and_sends_nothing(segue: Segue, tmp_path: Path) -> None:
    program = tmp_path / "x"
    program.write_text(f'#!/bin/sh\nenv > "{tmp_path}/trace"\necho ffmpeg version 7\n', encoding="utf-8")
    program.chmod(0o755)
    key = {"SEGUE_TRANSLATOR_API_KEY": "sk-very-secret"}
    for line in ('ffmpeg = "./x"', 'translator_url = "http://127.0.0.1:9/v1"', f'home = "{tmp_path}/theirs"'):
        (tmp_path / "segue.toml").write_text(f'to = "es"\n{line}\n', encoding="utf-8")
        done = segue("run", SPEECH, "--out", "out", **key)
        assert done.code == 2
        assert f"may not say {line.partition(' ')[0]}" in done.stderr
        assert len(done.stderr.splitlines()) == 2
    assert not (tmp_path / "trace").exists()
    assert not (tmp_path / "theirs").exists()
    assert not (tmp_path / "out").exists()


def test_a_query_of_an_address_is_a_secret_too_and_stays_behind_the_path(segue: Segue, tmp_path: Path) -> None:
    class Tokened(Refusing):
        asked: ClassVar[list[str]] = []

        def do_GET(self) -> None:
            self.asked.append(self.path)
            super().do_GET()

        def do_POST(self) -> None:
            self.asked.append(self.path)
            super().do_POST()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Tokened)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = endpoint(f"http://somebody:pass-word@127.0.0.1:{server.server_address[1]}/v1?key=very-secret")
        shown = segue("settings", "--json", **url)
        ran = segue("run", SPEECH, "--to", "es", "--out", "out", "--json", **url)
    finally:
        server.shutdown()
        server.server_close()
    assert Tokened.asked
    assert set(Tokened.asked) <= {"/v1/models?key=very-secret", "/v1/chat/completions?key=very-secret"}
    assert "/v1/chat/completions?key=very-secret" in Tokened.asked
    assert shown.json["translator_url"].endswith("/v1")
    for each in (shown, ran):
        assert not any(secret in each.stdout + each.stderr for secret in ("very-secret", "pass-word", "somebody"))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"very-secret" not in path.read_bytes()


def test_a_hundred_thousand_bad_rows_are_summed_up(segue: Segue, tmp_path: Path) -> None:
    rows = "".join(f"nowhere{number}.mp4,xx-not-a-language\n" for number in range(100_000))
    (tmp_path / "list.csv").write_text(f"media,to\n{rows}", encoding="utf-8")
    done = segue("run", "list.csv", "--json")
    assert done.code == 2
    assert done.json["error"]["total"] == 100_000
    assert "row 2:" in done.stderr
    assert "and 99980 more" in done.stderr
    assert len(done.stdout + done.stderr) < 20_000


def test_a_missing_secret_file_is_one_clear_line(segue: Segue) -> None:
    done = segue("settings", SEGUE_TRANSLATOR_API_KEY_FILE="/nowhere/key")
    assert done.code == 2
    assert "SEGUE_TRANSLATOR_API_KEY_FILE" in done.stderr


def test_bad_settings_are_named(segue: Segue, tmp_path: Path) -> None:
    done = segue("settings", SEGUE_DEVICE="tpu")
    assert done.code == 2
    assert "device" in done.stderr
    (tmp_path / "segue.toml").write_text('no_such_setting = "x"\n', encoding="utf-8")
    done = segue("settings")
    assert done.code == 2
    assert "no_such_setting" in done.stderr
    (tmp_path / "segue.toml").write_text("not toml", encoding="utf-8")
    assert segue("settings").code == 2


def test_a_misspelt_name_is_pointed_out(segue: Segue) -> None:
    assert "SEGUE_TRANSLATR" in segue("settings", SEGUE_TRANSLATR="x").stderr


@pytest.mark.usefixtures("impatient")
def test_an_unreachable_translator_is_named_before_anything_is_spent(segue: Segue) -> None:
    done = segue("run", SPEECH, "--to", "es", "--out", "out", "--json", **endpoint("http://127.0.0.1:9/v1"))
    assert done.code == 2
    assert "127.0.0.1:9" in done.json["error"]["message"]


def endpoint(url: str) -> dict[str, str]:
    return {"SEGUE_TRANSLATOR": "openai", "SEGUE_TRANSLATOR_URL": url, "SEGUE_TRANSLATOR_MODEL": "m"}


class Refusing(BaseHTTPRequestHandler):
    """An endpoint that lists its model and then takes nobody's key."""

    def do_GET(self) -> None:
        self._answer(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(401, {"error": {"message": "wrong key"}})

    def _answer(self, status: int, value: dict[str, object]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_a_translator_that_gives_up_keeps_the_transcripts(segue: Segue) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        done = segue("run", SPEECH, "--to", "es", "--out", "out", "--json", **endpoint(url))
    finally:
        server.shutdown()
        server.server_close()
    assert done.code == 3
    job = done.json["jobs"][0]
    assert job["state"] == "partial"
    assert any(path.endswith("tickets.partial.en.srt") for path in job["outputs"])
    later = segue("run", SPEECH, "--to", "es", "--out", "out", "--json")
    assert later.json["jobs"][0]["units"]["transcribe"]["cached"] == 1
