"""What a model wrote on its way to an answer, told from the answer: no draft becomes a subtitle. Pure.

Marks as the models' own documentation and chat templates have them: DeepSeek, Qwen and others ``<think>``, Magistral
``[THINK]``, Kimi ``◁think▷``, gpt-oss channels, Command A ``<|START_THINKING|>``, Sky-T1 ``<|begin_of_thought|>``, Seed
``<seed:think>``, Gemma ``<|channel>thought``; and the tags that prompts commonly ask for.
"""

from __future__ import annotations

import re

_NAMES = (
    "(?:seed:)?think|thinking|antthinking|thoughts?|thought_process|reason|reasoning|reflection|reflect|scratchpad|"
    "analysis|analyze|inner_monologue|internal_monologue|chain_of_thought|cot|planning|plan|draft|drafts"
)
_TOKENS = "begin_of_thought|start_thinking|start_of_thinking|begin_of_reasoning|think|thinking|thought"
_END_TOKENS = "end_of_thought|end_thinking|end_of_thinking|end_of_reasoning|/think|/thinking|/thought"
_ANSWERS = "answer|final|final_answer|final_translation|solution|response|result|output|translation"
_ANSWER_TOKENS = "begin_of_solution|start_response|begin_of_answer"

_MARK = re.compile(
    rf"""
    (?P<open>
        <(?:{_NAMES})(?:\s[^<>]{{0,80}})?> | (?-i:\[THINK\]) | ◁think▷ | <\|(?:{_TOKENS})\|>
        | <\|channel\|?>\s*(?:analysis|commentary|thought|thinking)\b[^<]{{0,80}}(?:<\|message\|>)?
        | (?-i:\A\s*analysis(?=[A-Z]))
    )
    | (?P<close>
        </(?:{_NAMES})\s*> | (?-i:\[/THINK\]) | ◁/think▷ | <\|(?:{_END_TOKENS})\|> | <channel\|>
    )
    | (?P<final>
        <\|channel\|?>\s*final\b[^<]{{0,80}}(?:<\|message\|>)? | (?-i:assistantfinal)
        | <(?:{_ANSWERS})> | <\|(?:{_ANSWER_TOKENS})\|>
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
#: A line that announces the answer: ``**Final answer:**``, ``Here is my response:``.
_ANNOUNCED = re.compile(
    r"^(?:[^\w\n]|_)*"
    r"(?:(?:the |my )?(?:final|corrected|revised|improved)\b[^\n{}:：]{0,40}|(?:here is )?my response|answer)"
    r"[\s*_\"]*[:：]",
    re.IGNORECASE | re.MULTILINE,
)
#: Words just before an object that say that it is not the answer.
_DRAFT_LEAD = re.compile(
    r"\b(?:draft|first (?:idea|attempt|try|pass|version|thought)|initial|rough|attempt|literal(?:ly)?|"
    r"word[- ]for[- ]word)\b[^{}\[\].!?]{0,60}\Z",
    re.IGNORECASE,
)


def has_marks(text: str) -> bool:
    """Whether something in the text marks reasoning or its end."""
    return _MARK.search(text) is not None


def without_reasoning(text: str) -> str:
    """The text outside of reasoning. An end without a beginning ends what came before it; what never ends is left out
    up to the text's own end, and what announces the answer leaves out all that stands before."""
    kept: list[str] = []
    inside, position = False, 0
    for mark in _MARK.finditer(text):
        if not inside:
            kept.append(text[position : mark.start()])
        position = mark.end()
        # Nothing nests: an inner end is followed by text that the outer end, then without a beginning, takes back.
        if mark.lastgroup == "final" or (mark.lastgroup == "close" and not inside):
            kept.clear()
        inside = mark.lastgroup == "open"
    return "".join(kept) if inside else "".join([*kept, text[position:]])


def after_announcement(text: str) -> str:
    """What follows the last line that announces the answer; all of it where none does."""
    end = 0
    for announced in _ANNOUNCED.finditer(text):
        end = announced.end()
    return text[end:]


def announces_draft(lead: str) -> bool:
    """Whether the text right before an object says that the object is a draft."""
    return _DRAFT_LEAD.search(lead[-120:]) is not None
