"""How far each settings file is trusted. A folder of media is somebody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import SecretStr, create_model

from core.errors import SettingsError
from pipeline.runtime import Settings, load_settings
from pipeline.settings_files import GoesTo, Harmless, Trust, refuse_leaks

FIELDS = Settings.model_fields
HARMLESS = {
    "bilingual": "true",
    "format": '"vtt"',
    "glossary": '"terms.csv"',
    "mux": "true",
    "out": '"subtitles"',
    "source": '"en"',
    "to": '"es"',
    "track": '"1"',
    "whole_media": "true",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory; the user's own configuration folder stands beside it, empty."""
    for name in ("SEGUE_CONFIG", "SEGUE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    media = tmp_path / "media"
    media.mkdir()
    monkeypatch.chdir(media)
    return media


def say(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings({})
    assert "\n" not in caught.value.message + caught.value.hint
    return str(caught.value)


def test_a_folder_s_file_may_say_only_what_is_declared_harmless(folder: Path) -> None:
    declared = {name for name, field in FIELDS.items() if any(isinstance(mark, Harmless) for mark in field.metadata)}
    assert declared == set(HARMLESS)
    say(folder / "segue.toml", "".join(f"{name} = {value}\n" for name, value in HARMLESS.items()))
    settings = load_settings({})
    assert (settings.to, settings.mux, settings.glossary) == ("es", True, folder / "terms.csv")


@pytest.mark.parametrize("name", sorted(set(FIELDS) - set(HARMLESS)))
def test_every_other_setting_is_refused_there_by_name(folder: Path, name: str) -> None:
    say(folder / "segue.toml", f'to = "es"\n{name} = "./x"\n')
    said = refusal()
    assert f"may not say {name}:" in said
    assert f"SEGUE_{name.upper()}" in said
    assert str(folder.parent / "config" / "segue" / "segue.toml") in said
    # Not even below a word of the user's own, which would win.
    with pytest.raises(SettingsError, match=f"may not say {name}"):
        load_settings({name: "x"})


def test_the_user_s_own_files_may_say_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = say(folder.parent / "config" / "segue" / "segue.toml", 'ffmpeg = "/opt/ffmpeg"\nowner = "me"\n')
    assert (load_settings({}).ffmpeg, load_settings({"owner": "flag"}).owner) == ("/opt/ffmpeg", "flag")
    monkeypatch.setenv("SEGUE_OWNER", "environment")
    assert load_settings({}).owner == "environment"
    named = say(folder / "named.toml", 'translator_url = "http://127.0.0.1:1/v1"\n')
    monkeypatch.setenv("SEGUE_CONFIG", "named.toml")
    assert (load_settings({}).translator_url, load_settings({}).ffmpeg) == ("http://127.0.0.1:1/v1", "")
    # Named by the environment, even the folder's own file is the user's word.
    say(folder / "segue.toml", 'ffmpeg = "./mine"\n')
    monkeypatch.setenv("SEGUE_CONFIG", "segue.toml")
    assert load_settings({}).ffmpeg == "./mine"
    for path in (own, named):
        path.chmod(0o646)
    monkeypatch.setenv("SEGUE_CONFIG", str(named))
    assert "can be written by everybody" in refusal()
    monkeypatch.delenv("SEGUE_CONFIG")
    (folder / "segue.toml").unlink()
    assert "can be written by everybody" in refusal()


def test_without_an_absolute_configuration_folder_the_one_at_home_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    say(folder / "config" / "segue" / "segue.toml", 'owner = "folder"\n')
    say(folder.parent / "home" / ".config" / "segue" / "segue.toml", 'owner = "home"\n')
    assert load_settings({}).owner == "home"


@pytest.mark.parametrize("name", ["out", "glossary"])
@pytest.mark.parametrize("value", ["/etc/passwd", "../elsewhere", "link", "link/below"])
def test_paths_of_a_folder_s_file_stay_in_it(folder: Path, name: str, value: str) -> None:
    (folder / "link").symlink_to("..", target_is_directory=True)
    say(folder / "segue.toml", f'{name} = "{value}"\n')
    assert f"{name} leads out of that folder" in refusal()


def test_a_tilde_in_a_folder_s_file_is_a_name_like_any_other(folder: Path) -> None:
    say(folder / "segue.toml", 'out = "~/subtitles"\n')
    assert load_settings({}).out == folder / "~" / "subtitles"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no_such_setting = 1", "no_such_setting is no setting"),
        ("".join(f"x{number} = 1\n" for number in range(20_000)), "and 19980 more are no settings"),
        ("not toml", "segue.toml: "),
        ("to = " + "[" * 100_000, "segue.toml: "),
        ('from = "en"\nsource = "en"', "says both from and source"),
        ("# " + "x" * (1 << 20), "is too large"),
        ("to = 5", "to in "),
        ('"a\\u001b[31m" = 1', "a?[31m is no setting"),
    ],
)
def test_a_bad_file_is_one_line(folder: Path, text: str, said: str) -> None:
    say(folder / "segue.toml", text)
    found = refusal()
    assert said in found
    assert len(found) < 8000


def test_a_file_as_windows_editors_save_it_is_read(folder: Path) -> None:
    (folder / "segue.toml").write_bytes(b'\xef\xbb\xbfto = "es"\r\n')
    assert load_settings({}).to == "es"


def test_what_is_no_readable_file_is_one_line(folder: Path) -> None:
    (folder / "segue.toml").mkdir()
    assert "is not a file" in refusal()
    (folder / "segue.toml").rmdir()
    (folder / "segue.toml").write_bytes(b'to = "\xff"')
    assert "segue.toml: " in refusal()


def test_a_secret_goes_only_to_an_address_that_is_trusted_as_far() -> None:
    model = create_model(
        "Later", key=(Annotated[SecretStr, GoesTo("place")], SecretStr("")), place=(Annotated[str, Harmless()], "")
    )
    fields = model.model_fields
    with pytest.raises(SettingsError, match="less trusted source says"):
        refuse_leaks({"key": Trust.USER, "place": Trust.FOLDER}, fields)
    refuse_leaks({"key": Trust.USER, "place": Trust.USER}, fields)
    refuse_leaks({"key": Trust.FOLDER, "place": Trust.FOLDER}, fields)
    refuse_leaks({"place": Trust.FOLDER}, fields)


def test_the_guard_knows_the_translator_s_key_and_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the address ever be declared harmless, the key still does not go there."""
    assert GoesTo("translator_url") in FIELDS["translator_api_key"].metadata
    say(folder / "segue.toml", 'translator_url = "http://127.0.0.1:1/v1"\n')
    monkeypatch.setattr(FIELDS["translator_url"], "metadata", [Harmless()])
    assert load_settings({}).translator_url
    monkeypatch.setenv("SEGUE_TRANSLATOR_API_KEY", "sk-secret")
    assert "translator_api_key is not sent" in refusal()
