"""A GGUF model in this process, through llama.cpp: the translator that needs no server and no GPU.

Two styles, told apart by the file: a model with a chat template is asked for JSON as an endpoint is; a base model
continues three examples, one line at a time.

The same task gives the same text whatever was translated before. Measured: llama.cpp's prompt cache breaks that
(reusing a longer common prefix changes the batches that the rest is computed in, and with it the last bits, and with
them words). So the cache is pinned: before each question the cache is cut back to the standing instructions, whose
values are always those of one computation. That costs one token and keeps two thirds of the gain.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.errors import EngineError, EngineMissingError, UnitError
from core.specs import EngineSpec
from engines.defaults import choose_default_translator, default_translator
from engines.device import DeviceKind, cpu_threads, detect_device
from engines.engine import EngineChoice, Result, Stopping, never
from engines.models import is_at_hand, resolve_gguf
from engines.packaged import ModelKind
from engines.places import find_frozen, remember_place
from engines.resources import EngineResources
from engines.translate.checks import CHECKS_VERSION
from engines.translate.examples import EXAMPLES_VERSION, continuation_prefix, continuation_prompt, has_examples
from engines.translate.gguf import compute_type, read_metadata
from engines.translate.interface import Line, TranslationTask, token_usage
from engines.translate.prompt import PROMPT_VERSION, reply_schema, reply_tokens, system_prompt, user_prompt
from engines.translate.reply import Reply, parse_reply
from engines.translate.rounds import ModelAnswer, Question, add_usage, translate_task

NO_EXAMPLES = "no-examples"
_CHAT, _BASE = "chat", "base"
_TEMPLATE = "tokenizer.chat_template"
#: Tokens of context: a window's lines, its context and their answer; a base model sees one line.
_CONTEXT = {_CHAT: 4096, _BASE: 1024}
#: Tasks given at once: few, because they are worked on one after the other and a kill costs those begun.
_BATCH_SIZE = 4
#: Weights that keep one thread busy.
_BYTES_FOR_A_THREAD = 256_000_000
_GREEDY: dict[str, Any] = {"temperature": 0, "seed": 0}
_EMPTY = Reply({}, readable=False)


def freeze(choice: EngineChoice, resources: EngineResources) -> EngineSpec:
    """Finds the model's file (which may download it, announced) and reads what it says about itself.

    Raises SettingsError for an option (there are none), EngineMissingError or EngineError without a usable model.
    """
    choice.refuse_options("the llama translator")
    if find_spec("xllamacpp") is None:
        raise EngineMissingError("the translator llama needs the package xllamacpp", "pip install xllamacpp")
    model = choice.model
    if not model:
        model = choose_default_translator(detect_device(resources.device), resources)
    files = resolve_gguf(model, resources)
    metadata = read_metadata(files.path, {_TEMPLATE, "general.file_type"})
    style = _CHAT if metadata.get(_TEMPLATE) else _BASE
    options = {"checks": CHECKS_VERSION, "prompt": PROMPT_VERSION, "style": style}
    if style == _BASE:
        options["prompt"] = f"examples-{EXAMPLES_VERSION}"
    remember_place(files, resources)
    return EngineSpec("llama", files.name, files.revision, compute_type(metadata), tuple(sorted(options.items())))


def open_engine(spec: EngineSpec, resources: EngineResources) -> LlamaTranslator:
    """Loads the model.

    Raises EngineMissingError when xllamacpp or the model is not here, EngineError when the file is another one than
    the spec says, or llama.cpp cannot load it.
    """
    return LlamaTranslator(spec, find_frozen(spec, resources, resolve_gguf).path, resources)


def model_at_hand(choice: EngineChoice, resources: EngineResources) -> tuple[str, bool]:
    """(the model that is meant, whether it is on this machine)."""
    model = choice.model or default_translator(detect_device(resources.device))
    return model, is_at_hand(model, ModelKind.GGUF)


class LlamaTranslator:
    """One model, one line of thought: tasks are worked on one after the other."""

    remote = False

    def __init__(self, spec: EngineSpec, path: Path, resources: EngineResources) -> None:
        self.spec = spec
        self.batch_size = resources.batch_size or _BATCH_SIZE
        self._style = dict(spec.options).get("style", _BASE)
        #: The instructions that the cache is pinned to now.
        self._pinned: object = None
        self._server: Any = _load(path, _CONTEXT[self._style], resources)

    def run(self, requests: Sequence[TranslationTask], stopping: Stopping = never) -> Iterator[Result]:
        ask = self._ask_chat if self._style == _CHAT else self._ask_base
        for task in requests:
            try:
                translation, used = translate_task(task, ask)
                result = Result(task.id, translation, usage=used)
            except UnitError as error:
                result = Result(task.id, None, error.message, token_usage())
            yield result
            if stopping():
                return

    def usage(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        self._server = None

    def _ask_chat(self, question: Question) -> ModelAnswer:
        system = {"role": "system", "content": system_prompt(question.task)}
        self._pin(system["content"], "chat", {"messages": [system, {"role": "user", "content": "."}], "max_tokens": 1})
        body = self._chat_body(question, system, with_context=True)
        value = self._call("chat", body)
        if _is_too_large(value) and (question.task.before or question.task.after):
            value = self._call("chat", self._chat_body(question, system, with_context=False))
        if _is_too_large(value):
            return ModelAnswer(_EMPTY, token_usage(1))
        content = _first_choice(value).get("message", {}).get("content") or ""
        return ModelAnswer(parse_reply(content, question.lines.keys()), _usage(value))

    def _chat_body(self, question: Question, system: dict[str, str], with_context: bool) -> dict[str, Any]:
        schema = {"name": "subtitle_lines", "strict": True, "schema": reply_schema(list(question.lines))}
        user = user_prompt(question.task, question.lines, question.complaints, with_context)
        return {
            "messages": [system, {"role": "user", "content": user}],
            "max_tokens": reply_tokens(list(question.lines.values())),
            "response_format": {"type": "json_schema", "json_schema": schema},
        }

    def _ask_base(self, question: Question) -> ModelAnswer:
        """Each line by itself. A second and a third round show the examples in another order."""
        task, usage, texts = question.task, token_usage(), {}
        languages = (task.source_language, task.target_language)
        prefix = continuation_prefix(*languages, question.round)
        for number, line in question.lines.items():
            self._pin(prefix, "text", {"prompt": prefix, "max_tokens": 0})
            value = self._call("text", self._base_body(line, languages, question.round))
            usage = add_usage(usage, _usage(value))
            choice = {} if _is_too_large(value) else _first_choice(value)
            if choice.get("finish_reason") == "stop":
                texts[number] = str(choice.get("text", ""))
        return ModelAnswer(Reply(texts), usage, () if has_examples(*languages) else (NO_EXAMPLES,))

    def _base_body(self, line: Line, languages: tuple[str, str], order: int) -> dict[str, Any]:
        prompt = continuation_prompt(*languages, " ".join(line.text.split()), order)
        return {"prompt": prompt, "max_tokens": reply_tokens([line]), "stop": ["\n"]}

    def _pin(self, instructions: object, style: str, body: dict[str, Any]) -> None:
        """Leaves exactly ``instructions`` in the prompt cache, as one computation made them."""
        if self._pinned != instructions:
            self._call(style, {**body, "cache_prompt": False})
            self._pinned = instructions
        self._call(style, {**body, "cache_prompt": True})

    def _call(self, style: str, body: dict[str, Any]) -> Mapping[str, Any]:
        if self._server is None:
            raise EngineError("the translator is closed", "open it again")
        full = {**_GREEDY, "cache_prompt": True, **body}
        try:
            if style == "chat":
                value = self._server.handle_chat_completions(
                    {**full, "chat_template_kwargs": {"enable_thinking": False}}
                )
            else:
                value = self._server.handle_completions(full)
        except RuntimeError as error:
            raise EngineError(f"llama.cpp failed: {error}", "run again; if it stays, name another model") from error
        if not isinstance(value, dict):
            raise EngineError("llama.cpp gave no answer", "run again; if it stays, name another model")
        return value


def _load(path: Path, context: int, resources: EngineResources) -> Any:
    """A llama.cpp server object with one slot. It also listens on a loopback port, closed to others by a random key."""
    try:
        import xllamacpp
    except ImportError as error:
        raise EngineMissingError("the translator llama needs the package xllamacpp", "pip install xllamacpp") from error
    device = detect_device(resources.device)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = useful_threads(path, resources.threads)
    params.api_keys = [secrets.token_hex(16)]
    params.verbosity = -1
    params.warmup = False
    # Everything that could make one answer depend on another, or on free memory, is off.
    params.swa_full = True
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.n_ctx_checkpoints = 0
    params.ctx_shift = False
    if device.kind is DeviceKind.CPU:
        params.n_gpu_layers = 0
        params.fit_params = False
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise EngineError(
            f"llama.cpp cannot load {path.name}", "the file may be damaged or need more memory: see `segue doctor`"
        ) from error


def useful_threads(path: Path, allowed: int) -> int:
    """CPU threads worth using for a model: more for larger weights, never more than allowed (0: than there are).

    llama.cpp's threads wait for each other after every layer by spinning. Measured with the 238 MB Gemma on two busy
    cores: 0.5 s a line on one thread, 2 to 5 s on two, most of it spinning; idle, the second thread gains little.
    """
    return max(1, min(allowed or cpu_threads(), round(path.stat().st_size / _BYTES_FOR_A_THREAD)))


def _is_too_large(value: Mapping[str, Any]) -> bool:
    error = value.get("error")
    return isinstance(error, dict) and error.get("type") == "exceed_context_size_error"


def _first_choice(value: Mapping[str, Any]) -> Mapping[str, Any]:
    error = value.get("error")
    if isinstance(error, dict):
        raise UnitError(
            f"llama.cpp refused: {error.get('message', 'no reason given')}", "look at the lines of this window"
        )
    choices = value.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    raise UnitError("llama.cpp gave an answer without a choice", "run again")


def _usage(value: Mapping[str, Any]) -> dict[str, int]:
    counts = value.get("usage") or {}
    return token_usage(1, int(counts.get("prompt_tokens", 0)), int(counts.get("completion_tokens", 0)))
