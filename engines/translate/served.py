"""What an endpoint says that it serves, while a job is frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import EndpointAwayError, EngineError, SettingsError, UnitError
from engines.translate.chat import ChatClient, RefusedError
from engines.translate.origin import listed_models


def models_at(client: ChatClient, named: bool) -> dict[str, Mapping[str, Any]]:
    """Model id -> its entry in the endpoint's list; empty when the endpoint has no list and a model was named."""
    try:
        value = client.get("models")
    except RefusedError as refusal:
        if named:
            return {}
        raise EngineError(
            f"{client.shown_url} does not list its models: {refusal.detail}", "set SEGUE_TRANSLATOR_MODEL"
        ) from None
    except UnitError as error:
        raise EndpointAwayError(error.message, "check the server, and run again") from None
    except EngineError as error:
        if named and "HTTP 40" in error.message and "key" not in error.message:
            return {}
        raise
    return listed_models(value)


def only_model(listed: Mapping[str, Mapping[str, Any]], url: str) -> str:
    """The model of a list that has one. Raises EngineError for none, SettingsError for several."""
    if not listed:
        raise EngineError(
            f"{url} does not say which models it serves, or not in plain words", "set SEGUE_TRANSLATOR_MODEL"
        )
    if len(listed) > 1:
        shown = ", ".join(sorted(listed)[:5])
        raise SettingsError(f"{url} serves {len(listed)} models ({shown} ...)", "set SEGUE_TRANSLATOR_MODEL to one")
    return next(iter(listed))


def probe(client: ChatClient, model: str, served: Sequence[str]) -> None:
    """One token from a model that is not listed: some endpoints know aliases. EngineError when it is unknown."""
    try:
        client.post(
            "chat/completions", {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        )
    except RefusedError:
        return
    except UnitError as error:
        raise EndpointAwayError(error.message, "check the server, and run again") from None
    except EngineError as error:
        if "does not know" not in error.message:
            raise
        raise EngineError(
            f"{client.shown_url} does not serve {model}; it serves {', '.join(served[:5])}",
            "set SEGUE_TRANSLATOR_MODEL",
        ) from None
