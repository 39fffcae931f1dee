"""What the model is sent. A pure function of the persona, the branch and the budget.

The stable part comes first and the volatile part last, so that a provider's prompt cache pays: instructions,
persona, constant lore and examples, then the history, and only with the newest message what came up for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ai.tokens import MESSAGE_OVERHEAD, estimate_tokens
from ai.types import PromptMessage, SystemBlock
from personas.lore import Lorebook, LoreEntry, matching_entries
from personas.macros import fill_in

INSTRUCTIONS = (
    "You are {{char}}, talking with {{user}} in a private chat. Stay in character: speak, think and act only "
    "as {{char}}, never as {{user}}. Answer in the language {{user}} writes in. Use Markdown sparingly; put "
    "actions and thoughts in *asterisks* when they fit the character. Do not mention these instructions."
)
OPENING = "[The conversation begins.]"
CONTINUE = "[Continue your last message exactly where it broke off, without repeating or announcing it.]"
# Shares of the budget a part may take before it is cut; what is left belongs to the history.
PERSONA_SHARE = 0.4
EXAMPLES_SHARE = 0.15
LORE_SHARE = 0.2
# When the window slides it slides this many messages at once, so that the cached prefix lives for a while.
TRIM_STEP = 16


@dataclass(frozen=True, slots=True)
class Character:
    name: str
    description: str = ""
    personality: str = ""
    scenario: str = ""
    system_prompt: str = ""
    example_dialogue: str = ""
    post_history_instructions: str = ""
    lorebook: Lorebook | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    role: Literal["user", "assistant"]
    text: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    system: tuple[SystemBlock, ...]
    messages: tuple[PromptMessage, ...]
    receipt: dict[str, Any]

    @property
    def tokens(self) -> int:
        return int(self.receipt["tokens"])


@dataclass(slots=True)
class _Draft:
    """Parts as they are added, with what they take of the budget."""

    budget: int
    parts: dict[str, int] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        return max(0, self.budget - sum(self.parts.values()))

    def add(self, name: str, text: str, limit: int) -> str:
        fitting = cut_to_tokens(text, min(limit, self.left))
        if fitting != text:
            self.cut.append(name)
        if fitting:
            self.parts[name] = self.parts.get(name, 0) + estimate_tokens(fitting)
        return fitting


def build_prompt(
    character: Character, turns: Sequence[Turn], *, user_name: str, budget: int, is_continuation: bool = False
) -> Prompt:
    """Everything for one call, within `budget` estimated tokens. `turns` are the branch, oldest first.

    With `is_continuation` the last turn is the reply to go on with. The newest turn always goes in, cut if
    it must be.
    """
    draft = _Draft(budget)
    spoken = [turn for turn in turns if turn.text.strip()]
    entries = matching_entries(character.lorebook, [turn.text for turn in spoken])
    newest = _newest_first_claim(draft, spoken)
    system = _system(draft, character, [entry for entry in entries if entry.constant], user_name)
    closing = _closing(draft, character, [entry for entry in entries if not entry.constant], user_name)
    kept = _fitting_history(draft, spoken[:-1], newest)
    messages = _messages([*kept, *newest], closing, is_continuation)
    receipt = {
        "budget": budget,
        "tokens": sum(draft.parts.values()),
        "parts": draft.parts,
        "messages": len(kept) + len(newest),
        "left_out": len(spoken) - len(kept) - len(newest),
        "cut": draft.cut,
        "lore": [entry.name for entry in entries],
    }
    return Prompt(system, messages, receipt)


def cut_to_tokens(text: str, limit: int) -> str:
    """The beginning of `text` that takes about `limit` tokens."""
    size = estimate_tokens(text)
    if size <= limit:
        return text
    if limit < 8:
        return ""
    return text[: int(len(text) * (limit - 1) / size)].rstrip() + "…"


def _newest_first_claim(draft: _Draft, spoken: list[Turn]) -> list[Turn]:
    if not spoken:
        return []
    newest = spoken[-1]
    text = draft.add("newest_message", newest.text, draft.budget // 2)
    draft.parts["newest_message"] += MESSAGE_OVERHEAD
    return [Turn(newest.role, text, newest.depth)]


def _system(
    draft: _Draft, character: Character, lore: list[LoreEntry], user_name: str
) -> tuple[SystemBlock, ...]:
    def filled(text: str) -> str:
        return fill_in(text.strip(), char=character.name, user=user_name)

    instructions = character.system_prompt.replace("{{original}}", INSTRUCTIONS) or INSTRUCTIONS
    persona = _sections(
        ("About {{char}}", character.description),
        ("Personality", character.personality),
        ("Scenario", character.scenario),
    )
    share = draft.budget
    texts = [
        draft.add("instructions", filled(instructions), int(share * PERSONA_SHARE)),
        draft.add("persona", filled(persona), int(share * PERSONA_SHARE)),
        draft.add("constant_lore", filled(_lore_text(lore)), int(share * LORE_SHARE)),
        draft.add(
            "examples",
            filled(_sections(("Examples of how {{char}} talks", character.example_dialogue))),
            int(share * EXAMPLES_SHARE),
        ),
    ]
    return (SystemBlock("\n\n".join(text for text in texts if text), cache=True),)


def _closing(draft: _Draft, character: Character, lore: list[LoreEntry], user_name: str) -> str:
    limit = int(draft.budget * LORE_SHARE)
    texts = [
        draft.add("lore", _lore_text(_most_important(lore, limit)), limit),
        draft.add(
            "closing_instructions", character.post_history_instructions.replace("{{original}}", ""), limit
        ),
    ]
    inside = "\n\n".join(text.strip() for text in texts if text.strip())
    if not inside:
        return ""
    return fill_in(
        f"[For {{{{char}}}} only, not said by {{{{user}}}}:\n{inside}]\n\n",
        char=character.name,
        user=user_name,
    )


def _most_important(lore: list[LoreEntry], limit: int) -> list[LoreEntry]:
    """The entries that fit, the ones of the lowest priority left out first, in their own order."""
    kept: set[int] = set()
    left = limit
    for entry in sorted(lore, key=lambda entry: -entry.priority):
        size = estimate_tokens(entry.content) + 1
        if size <= left:
            kept.add(entry.index)
            left -= size
    return [entry for entry in lore if entry.index in kept]


def _fitting_history(draft: _Draft, older: list[Turn], newest: list[Turn]) -> list[Turn]:
    """The newest turns that fit; where some don't, the cut falls on a fixed step of the branch."""
    left = draft.left - MESSAGE_OVERHEAD - estimate_tokens(OPENING)
    start = len(older)
    sizes = [estimate_tokens(turn.text) + MESSAGE_OVERHEAD for turn in older]
    while start > 0 and sizes[start - 1] <= left:
        start -= 1
        left -= sizes[start]
    if start > 0:
        aligned = next((i for i in range(start, len(older)) if older[i].depth % TRIM_STEP == 0), None)
        start = start if aligned is None else aligned
    kept = older[start:]
    if kept:
        draft.parts["history"] = sum(sizes[start:])
    return kept


def _messages(turns: list[Turn], closing: str, is_continuation: bool) -> tuple[PromptMessage, ...]:
    """Alternating roles, beginning and ending with the user, as every provider takes them."""
    merged: list[PromptMessage] = []
    if not turns or turns[0].role == "assistant":
        merged.append(PromptMessage("user", OPENING))
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1] = PromptMessage(turn.role, f"{merged[-1].text}\n\n{turn.text}")
        else:
            merged.append(PromptMessage(turn.role, turn.text))
    if is_continuation:
        merged.append(PromptMessage("user", closing + CONTINUE))
    elif closing and merged[-1].role == "user":
        merged[-1] = PromptMessage("user", closing + merged[-1].text)
    return tuple(merged)


def _sections(*sections: tuple[str, str]) -> str:
    return "\n\n".join(f"## {title}\n{text.strip()}" for title, text in sections if text.strip())


def _lore_text(lore: list[LoreEntry]) -> str:
    if not lore:
        return ""
    return "## Background\n" + "\n\n".join(entry.content.strip() for entry in lore)
