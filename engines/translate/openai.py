"""Any OpenAI-compatible chat endpoint: a vLLM or llama.cpp server, or a hosted API."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from core.errors import EngineError, SegueError, SettingsError, UnitError
from core.specs import EngineSpec
from engines.engine import IN_FLIGHT_GRACE_S, EngineChoice, Result, Stopping, never
from engines.resources import EngineResources
from engines.translate.blame import Blame, names_parameter
from engines.translate.chat import ChatClient, Patience, RefusedError, RequestsStoppedError, RequestTally, tokens_of
from engines.translate.checks import CHECKS_VERSION
from engines.translate.dialect import RequestDialect, request_fields, simpler
from engines.translate.interface import Line, TranslationTask, token_usage
from engines.translate.origin import is_elsewhere, is_plain_name, revision_of
from engines.translate.prompt import PROMPT_VERSION, reply_tokens, system_prompt, user_prompt
from engines.translate.reasoning import has_marks
from engines.translate.reply import parse_reply
from engines.translate.retry import RetryPolicy
from engines.translate.rounds import LinesRefusedError, ModelAnswer, Question, add_usage, translate_task
from engines.translate.served import models_at, only_model, probe
from engines.translate.stream import text_of

#: Options a person may set, with their defaults; all of them are in the spec.
DEFAULT_OPTIONS = {"seed": "0", "temperature": "0"}
#: A person waits in front of the screen while a job is frozen.
_FREEZE_PATIENCE = Patience(
    read_s=60.0, total_s=120.0, retry=RetryPolicy(attempts=4, timeout_attempts=1, longest_asked_ms=10_000)
)
#: Tasks given at once, for each request in flight: enough that the last ones do not leave the server idle.
_TASKS_PER_REQUEST = 4
#: More room for an answer that was cut off: a model that thinks in spite of everything.
_THINKING_TOKENS = 4096
_HARMLESS = Question(TranslationTask("", "en", "es", ()), {"1": Line("", "Good morning.")})
#: How often whoever waits for an answer looks whether it is to stop.
_LOOK_S = 0.1


def freeze(choice: EngineChoice, resources: EngineResources) -> EngineSpec:
    """Asks the endpoint what it serves. The model is the one named, else the only one (or first) that is listed.

    Raises SettingsError without an address or for an unknown option, EngineError when nobody answers or the model is
    not served.
    """
    options = _options(choice)
    for name, said in (("MODEL", choice.model), ("REVISION", choice.revision)):
        if said and not is_plain_name(said):
            raise SettingsError(
                "the translator's model or revision holds characters that cannot be shown, or too many of them",
                f"correct SEGUE_TRANSLATOR_{name}",
            )
    client = _client(resources, _FREEZE_PATIENCE)
    try:
        listed = models_at(client, named=bool(choice.model))
        model = choice.model or only_model(listed, client.shown_url)
        entry = listed.get(model)
        if entry is None and listed:
            probe(client, model, sorted(listed))
        return EngineSpec("openai", model, revision_of(resources.url, entry, choice.revision), "", options)
    finally:
        client.close()


def open_engine(spec: EngineSpec, resources: EngineResources, patience: Patience | None = None) -> OpenAITranslator:
    """A translator at ``resources.url``; nothing is sent before the first task.

    Raises EngineError when the spec was frozen for another address.
    """
    if resources.url and is_elsewhere(spec.revision, resources.url):
        frozen = spec.revision.partition(";")[0].removeprefix("at=")
        raise EngineError(
            f"the job translates at {frozen}, and SEGUE_TRANSLATOR_URL names another endpoint here",
            "name the same one; where both serve the same weights, set SEGUE_TRANSLATOR_REVISION for new jobs",
        )
    return OpenAITranslator(spec, resources, patience)


def _options(choice: EngineChoice) -> tuple[tuple[str, str], ...]:
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


class _Call:
    """One call of `run`: what its threads share."""

    def __init__(self, tasks: Sequence[TranslationTask]) -> None:
        self._waiting = list(reversed(tasks))
        self._lock = threading.Lock()
        #: Results, what went wrong, and None from each thread that has ended.
        self.results: queue.SimpleQueue[Result | BaseException | None] = queue.SimpleQueue()
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

    def leave(self) -> list[Result]:
        """What is still under way; nothing more is sent for it."""
        self.halt()
        return [Result(name, None, usage=tally.close()) for name, tally in self.under_way.items()]


class OpenAITranslator:
    """Translates at an endpoint, several tasks at once."""

    remote = True

    def __init__(self, spec: EngineSpec, resources: EngineResources, patience: Patience | None = None) -> None:
        self.spec = spec
        self._concurrency = max(1, resources.concurrency)
        self.batch_size = resources.batch_size or self._concurrency * _TASKS_PER_REQUEST
        self._client = _client(resources, patience or Patience())
        self._sampling = _sampling({**DEFAULT_OPTIONS, **dict(spec.options)})
        #: What the endpoint was found to accept; replaced as a whole, so threads always see one dialect.
        self._dialect = RequestDialect(template_options="api.openai.com" not in resources.url)
        #: Dialects in which it has answered.
        self._accepted: frozenset[RequestDialect] = frozenset()
        self._exploring = threading.Lock()
        self._thinks = False

    def usage(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        self._client.close()

    def run(self, requests: Sequence[TranslationTask], stopping: Stopping = never) -> Iterator[Result]:
        call = _Call(requests)
        workers = min(self._concurrency, len(requests))
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
                    deadline = time.monotonic() + IN_FLIGHT_GRACE_S
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
                    call.under_way.pop(result.id)
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
                    translation, used = translate_task(task, partial(self._ask, tally=tally))
                    call.results.put(Result(task.id, translation, usage={**used, **tally.unanswered}))
                except UnitError as error:
                    call.results.put(Result(task.id, None, error.message, tally.usage))
        except RequestsStoppedError:
            if not call.halted:
                call.results.put(_closed())
        except SegueError as error:
            call.results.put(error)
        except Exception as error:  # noqa: BLE001 - a bug in a thread must reach the caller, not vanish
            call.results.put(error)
        finally:
            call.results.put(None)

    def _ask(self, question: Question, tally: RequestTally) -> ModelAnswer:
        """One question as one request, rewritten as often as the endpoint refuses how it is written."""
        with_context = question.with_context and bool(question.task.before or question.task.after)
        dialect, spent = self._dialect, token_usage()
        while True:
            body = self._body(question, dialect, with_context)
            try:
                value = self._client.post("chat/completions", body, tally)
            except RefusedError as refusal:
                spent = add_usage(spent, token_usage(1))
                if refusal.fault is Blame.DIALECT:
                    easier = simpler(dialect, refusal.detail) if names_parameter(refusal.detail) else None
                    if easier is None and dialect not in self._accepted:
                        spent = add_usage(spent, self._explore(refusal, tally))
                        easier = self._dialect if self._dialect != dialect else None
                    if easier is not None:
                        dialect = easier
                        continue
            else:
                self._accept(dialect)
                spent = add_usage(spent, token_usage(1, *tokens_of(value)))
                if not _is_filtered(value):
                    return self._answer(value, question, spent)
            # It is the lines, or what stands around them.
            if not with_context:
                raise LinesRefusedError(spent)
            with_context = False

    def _accept(self, dialect: RequestDialect) -> None:
        """Remembers what the endpoint takes, for the rest of the process."""
        self._accepted |= {dialect}
        self._dialect = dialect

    def _explore(self, refusal: RefusedError, tally: RequestTally) -> dict[str, int]:
        """Finds out, by a line that nobody minds, whether it is how requests are written that is refused; what it took.

        Raises EngineError when nothing is left to leave out.
        """
        spent = token_usage()
        with self._exploring:
            dialect = self._dialect
            while dialect not in self._accepted:
                try:
                    value = self._client.post("chat/completions", self._body(_HARMLESS, dialect, False), tally)
                except RefusedError as again:
                    spent = add_usage(spent, token_usage(1))
                    easier = simpler(dialect, again.detail)
                    if easier is None:
                        raise EngineError(
                            f"{self._client.shown_url} refuses every form of request (HTTP {refusal.status}): "
                            f"{refusal.detail}",
                            "check that the address is an OpenAI-compatible chat endpoint",
                        ) from None
                    dialect = easier
                else:
                    spent = add_usage(spent, token_usage(1, *tokens_of(value)))
                    self._accept(dialect)
        return spent

    def _body(self, question: Question, dialect: RequestDialect, with_context: bool) -> dict[str, Any]:
        numbers = list(question.lines)
        tokens = reply_tokens(list(question.lines.values())) + (_THINKING_TOKENS if self._thinks else 0)
        user = user_prompt(question.task, question.lines, question.complaints, with_context)
        if not dialect.template_options and "qwen3" in self.spec.model.lower():
            user += "\n/no_think"
        return {
            "model": self.spec.model,
            "messages": [
                {"role": "system", "content": system_prompt(question.task)},
                {"role": "user", "content": user},
            ],
            **request_fields(dialect, numbers, tokens, self._sampling),
        }

    def _answer(self, value: Mapping[str, Any], question: Question, spent: Mapping[str, int]) -> ModelAnswer:
        choice, message = _choice_of(value)
        content = text_of(message.get("content"))
        cut_off = choice.get("finish_reason") == "length"
        if cut_off and (has_marks(content) or message.get("reasoning_content") or message.get("reasoning")):
            self._thinks = True
        return ModelAnswer(parse_reply(content, question.lines.keys(), cut_off), spent)


def _choice_of(value: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The first choice and its message; empty where there is none."""
    choices = value.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    return choice, message if isinstance(message, dict) else {}


def _is_filtered(value: Mapping[str, Any]) -> bool:
    """Whether these lines are refused in an answer: a filter cut it off, or the model declines in its own field."""
    choice, message = _choice_of(value)
    return choice.get("finish_reason") == "content_filter" or bool(
        message.get("refusal") and not text_of(message.get("content"))
    )


def _closed() -> EngineError:
    return EngineError("the translator was closed while it worked", "run again: what is done stays done")
