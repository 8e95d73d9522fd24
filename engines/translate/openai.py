"""Any OpenAI-compatible chat endpoint: a vLLM or llama.cpp server, or a hosted API.

Revision of the spec: what the endpoint's model list says about the model and does not change between restarts: its
``root`` (vLLM: the weights that a served name stands for) and, from llama.cpp, the sizes of the weights. ``created``
is left out: vLLM puts the time of the request there. An endpoint that lists nothing gives ``unstated``.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from core.errors import EndpointAwayError, EngineError, SegueError, SettingsError, UnitError
from core.specs import EngineSpec
from engines.resources import EngineResources
from engines.translate.chat import ChatClient, Patience, RefusedError, RequestTally, StoppedError, tokens_of
from engines.translate.checks import CHECKS_VERSION
from engines.translate.dialect import Dialect, is_too_large, request_fields, simpler
from engines.translate.interface import TaskFailure, TaskLeft, Translation, TranslationTask, TranslatorChoice, Usage
from engines.translate.prompt import PROMPT_VERSION, reply_tokens, system_prompt, user_prompt
from engines.translate.reply import Reply, parse_reply
from engines.translate.retry import RetryPolicy
from engines.translate.rounds import Answer, Question, translate_task

#: Options a person may set, with their defaults; all of them are in the spec.
DEFAULT_OPTIONS = {"seed": "0", "temperature": "0"}
_UNSTATED = "unstated"
#: A person waits in front of the screen while a job is frozen.
_FREEZE_PATIENCE = Patience(read_s=60.0, retry=RetryPolicy(attempts=4, timeout_attempts=1, longest_asked_ms=10_000))
#: Tasks given at once, for each request in flight: enough that the last ones do not leave the server idle.
_TASKS_PER_REQUEST = 4
#: More room for an answer that was cut off: a model that thinks in spite of everything.
_THINKING_TOKENS = 4096
_EMPTY = Reply({}, readable=False)
#: How often whoever waits for an answer looks whether it is to stop.
_LOOK_S = 0.1


def freeze(choice: TranslatorChoice, resources: EngineResources) -> EngineSpec:
    """Asks the endpoint what it serves. The model is the one named, else the only one (or first) that is listed.

    Raises SettingsError without an address or for an unknown option, EngineError when nobody answers or the model is
    not served.
    """
    options = _options(choice)
    client = _client(resources, _FREEZE_PATIENCE)
    try:
        listed = _listed_models(client, named=bool(choice.model))
        model = choice.model or _first_model(listed, client.shown_url)
        entry = listed.get(model)
        if entry is None and listed:
            _probe(client, model, sorted(listed))
        return EngineSpec("openai", model, _revision(entry), "", options)
    finally:
        client.close()


def open_translator(spec: EngineSpec, resources: EngineResources, patience: Patience | None = None) -> OpenAITranslator:
    """A translator at ``resources.url``; nothing is sent before the first task."""
    return OpenAITranslator(spec, resources, patience)


def _options(choice: TranslatorChoice) -> tuple[tuple[str, str], ...]:
    options = dict(DEFAULT_OPTIONS)
    for name, value in choice.options:
        if name not in DEFAULT_OPTIONS:
            raise SettingsError(
                f"the openai translator has no option {name!r}", f"it knows: {', '.join(DEFAULT_OPTIONS)}"
            )
        options[name] = value
    _sampling(options)
    return tuple(sorted({**options, "checks": CHECKS_VERSION, "prompt": PROMPT_VERSION}.items()))


def _sampling(options: Mapping[str, str]) -> dict[str, float | int]:
    try:
        return {"temperature": float(options["temperature"]), "seed": int(options["seed"])}
    except ValueError:
        raise SettingsError(
            "temperature and seed of the translator are numbers", "for example temperature 0, seed 0"
        ) from None


def _client(resources: EngineResources, patience: Patience) -> ChatClient:
    if not resources.url:
        raise SettingsError(
            "the openai translator needs the address of an endpoint",
            "set SEGUE_TRANSLATOR_URL, for example http://127.0.0.1:8000/v1",
        )
    if not resources.url.startswith(("http://", "https://")):
        raise SettingsError(
            "the translator's address does not begin with http:// or https://", "correct SEGUE_TRANSLATOR_URL"
        )
    if not (resources.api_key.isascii() and resources.api_key.isprintable()):
        raise SettingsError(
            "the translator's key holds characters that no key has", "correct SEGUE_TRANSLATOR_API_KEY (or its file)"
        )
    return ChatClient(resources.url, resources.api_key, max(1, resources.concurrency), patience)


def _listed_models(client: ChatClient, named: bool) -> dict[str, Mapping[str, Any]]:
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
    entries = value.get("data")
    models = entries if isinstance(entries, list) else []
    return {str(entry["id"]): entry for entry in models if isinstance(entry, dict) and entry.get("id")}


def _first_model(listed: Mapping[str, Mapping[str, Any]], url: str) -> str:
    if not listed:
        raise EngineError(f"{url} does not say which models it serves", "set SEGUE_TRANSLATOR_MODEL")
    if len(listed) > 1:
        shown = ", ".join(sorted(listed)[:5])
        raise SettingsError(f"{url} serves {len(listed)} models ({shown} ...)", "set SEGUE_TRANSLATOR_MODEL to one")
    return next(iter(listed))


def _probe(client: ChatClient, model: str, served: Sequence[str]) -> None:
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


def _revision(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return _UNSTATED
    parts = []
    root = entry.get("root")
    if isinstance(root, str) and root:
        # A folder on the server's disk may be mounted elsewhere tomorrow: its own name is what stays.
        parts.append(f"root={PurePosixPath(root).name if root.startswith('/') else root}")
    meta = entry.get("meta")
    if isinstance(meta, dict):
        parts += [f"{name}={meta[name]}" for name in ("n_params", "size", "n_vocab") if isinstance(meta.get(name), int)]
    return ";".join(parts) or _UNSTATED


class _Call:
    """One call of `translate_until`: what its threads share."""

    def __init__(self, tasks: Sequence[TranslationTask]) -> None:
        self._waiting = list(reversed(tasks))
        self._lock = threading.Lock()
        #: Results, what went wrong, and None from each thread that has ended.
        self.results: queue.SimpleQueue[Translation | TaskFailure | BaseException | None] = queue.SimpleQueue()
        #: True when no more tasks may be begun.
        self.halted = False
        #: Requests of the tasks that were begun and whose results the caller has not been given, by task.
        self.under_way: dict[str, RequestTally] = {}

    def begin(self) -> tuple[TranslationTask, RequestTally] | None:
        """The next task; None when there is none, or none may be begun."""
        with self._lock:
            if self.halted or not self._waiting:
                return None
            task, tally = self._waiting.pop(), RequestTally()
            self.under_way[task.id] = tally
            return task, tally

    def halt(self) -> None:
        """From now on no task is begun."""
        with self._lock:
            self.halted = True

    def leave(self) -> list[TaskLeft]:
        """What is still under way; nothing more is sent for it."""
        self.halt()
        return [TaskLeft(name, tally.close()) for name, tally in self.under_way.items()]


class OpenAITranslator:
    """Translates at an endpoint, several tasks at once."""

    def __init__(self, spec: EngineSpec, resources: EngineResources, patience: Patience | None = None) -> None:
        self._spec = spec
        self._concurrency = max(1, resources.concurrency)
        self._batch_size = resources.batch_size or self._concurrency * _TASKS_PER_REQUEST
        self._client = _client(resources, patience or Patience())
        self._sampling = _sampling({**DEFAULT_OPTIONS, **dict(spec.options)})
        #: What the endpoint was found to accept; replaced as a whole, so threads always see one dialect.
        self._dialect = Dialect(template_options="api.openai.com" not in resources.url)
        self._thinks = False

    @property
    def spec(self) -> EngineSpec:
        return self._spec

    @property
    def batch_size(self) -> int:
        return self._batch_size

    @property
    def remote(self) -> bool:
        return True

    def close(self) -> None:
        self._client.close()

    def translate(self, tasks: Sequence[TranslationTask]) -> Iterator[Translation | TaskFailure]:
        for result in self.translate_until(tasks, lambda: False, 0.0):
            if not isinstance(result, TaskLeft):
                yield result

    def translate_until(
        self, tasks: Sequence[TranslationTask], stopping: Callable[[], bool], grace_s: float
    ) -> Iterator[Translation | TaskFailure | TaskLeft]:
        call = _Call(tasks)
        workers = min(self._concurrency, len(tasks))
        for number in range(workers):
            # Daemons: an answer that nobody waits for must not keep the process alive.
            name = f"segue-translate-{number}"
            threading.Thread(target=self._work, args=(call,), name=name, daemon=True).start()
        fatal: BaseException | None = None
        deadline: float | None = None
        try:
            while workers:
                if deadline is None and stopping():
                    call.halt()
                    deadline = time.monotonic() + grace_s
                try:
                    result = call.results.get(timeout=_LOOK_S)
                except queue.Empty:
                    if self._client.stop.is_set():
                        # Closing a client does not wake those who wait for an answer on it.
                        fatal = fatal or _closed()
                        break
                    if deadline is not None and time.monotonic() >= deadline:
                        break
                    continue
                if result is None:
                    workers -= 1
                elif isinstance(result, BaseException):
                    fatal = fatal or result
                    call.halt()
                else:
                    call.under_way.pop(result.task_id)
                    yield result
        finally:
            # What comes too late is thrown away, so nothing more may be asked for.
            left = call.leave()
        yield from left
        if fatal is not None:
            raise fatal

    def _work(self, call: _Call) -> None:
        """One worker: takes tasks until none is left; what it cannot handle goes to the caller's thread."""
        try:
            while (begun := call.begin()) is not None:
                task, tally = begun
                try:
                    found = translate_task(task, partial(self._ask, tally=tally))
                    used = replace(found.usage, unanswered=tally.usage.unanswered)
                    call.results.put(replace(found, usage=used))
                except UnitError as error:
                    call.results.put(TaskFailure(task.id, error.message, tally.usage))
        except StoppedError:
            if not call.halted:
                call.results.put(_closed())
        except SegueError as error:
            call.results.put(error)
        except Exception as error:  # noqa: BLE001 - a bug in a thread must reach the caller, not vanish
            call.results.put(error)
        finally:
            call.results.put(None)

    def _ask(self, question: Question, tally: RequestTally) -> Answer:
        """One question as one request, rewritten as often as the endpoint refuses how it is written."""
        with_context, usage = True, 0
        while True:
            dialect = self._dialect
            body = self._body(question, dialect, with_context)
            usage += 1
            try:
                value = self._client.post("chat/completions", body, tally)
            except RefusedError as refusal:
                if is_too_large(refusal.detail):
                    if with_context and (question.task.before or question.task.after):
                        with_context = False
                        continue
                    # Too large even so: asked again in smaller pieces, or given up, by the rounds.
                    return Answer(_EMPTY, Usage(usage, 0, 0))
                self._learn(dialect, refusal)
                continue
            return self._answer(value, question, usage)

    def _learn(self, used: Dialect, refusal: RefusedError) -> None:
        """Remembers a simpler dialect for the rest of the process. Another thread may have learned it already."""
        if self._dialect != used:
            return
        easier = simpler(used, refusal.detail)
        if easier is None:
            raise EngineError(
                f"{self._client.shown_url} refuses every form of request (HTTP {refusal.status}): {refusal.detail}",
                "check that the address is an OpenAI-compatible chat endpoint",
            )
        self._dialect = easier

    def _body(self, question: Question, dialect: Dialect, with_context: bool) -> dict[str, Any]:
        numbers = list(question.lines)
        tokens = reply_tokens(list(question.lines.values())) + (_THINKING_TOKENS if self._thinks else 0)
        user = user_prompt(question.task, question.lines, question.complaints, with_context)
        if not dialect.template_options and "qwen3" in self._spec.model.lower():
            user += "\n/no_think"
        return {
            "model": self._spec.model,
            "messages": [
                {"role": "system", "content": system_prompt(question.task)},
                {"role": "user", "content": user},
            ],
            **request_fields(dialect, numbers, tokens, self._sampling),
        }

    def _answer(self, value: Mapping[str, Any], question: Question, requests: int) -> Answer:
        spent = Usage(requests, *tokens_of(value))
        try:
            choice = value["choices"][0]
            message = choice["message"]
            content = message.get("content") or ""
            cut_off = choice.get("finish_reason") == "length"
        except (KeyError, IndexError, TypeError, AttributeError):
            return Answer(_EMPTY, spent)
        if not isinstance(content, str):
            return Answer(_EMPTY, spent)
        if cut_off and ("<think>" in content or message.get("reasoning_content") or message.get("reasoning")):
            self._thinks = True
        return Answer(parse_reply(content, question.lines.keys()), spent)


def _closed() -> EngineError:
    return EngineError("the translator was closed while it worked", "run again: what is done stays done")
