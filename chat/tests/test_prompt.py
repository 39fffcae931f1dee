"""What the model is sent: stable first, within the budget, and never more than was meant for it."""

import pytest

from ai.tokens import estimate_prompt_tokens
from chat.prompt import CONTINUE, INSTRUCTIONS, OPENING, Character, Turn, build_prompt
from chat.titles import preview_of, title_from
from personas.macros import fill_in

ADA = Character(
    name="Ada",
    description="{{char}} is a mathematician.",
    personality="Curious.",
    scenario="{{user}} visits <BOT>.",
    example_dialogue="<START>\n{{user}}: Hi\n{{char}}: Good evening.",
)


def lore(*entries):
    base = {"extensions": {}, "enabled": True, "insertion_order": 100, "use_regex": False, "keys": []}
    return {"extensions": {}, "entries": [{**base, **entry} for entry in entries]}


def build(character=ADA, turns=(), budget=4_000, **options):
    turns = turns or [Turn("assistant", "Good evening.", 0), Turn("user", "Hello", 1)]
    return build_prompt(character, turns, user_name="Mia", budget=budget, **options)


def size(prompt):
    return estimate_prompt_tokens(
        [*(block.text for block in prompt.system), *(m.text for m in prompt.messages)]
    )


def test_the_stable_part_comes_first_and_is_cached():
    prompt = build()

    assert len(prompt.system) == 1
    assert prompt.system[0].cache is True
    assert prompt.system[0].text == "\n\n".join(
        [
            fill_in(INSTRUCTIONS, char="Ada", user="Mia"),
            "## About Ada\nAda is a mathematician.",
            "## Personality\nCurious.",
            "## Scenario\nMia visits Ada.",
            "## Examples of how Ada talks\n<START>\nMia: Hi\nAda: Good evening.",
        ]
    )
    assert [(message.role, message.text) for message in prompt.messages] == [
        ("user", OPENING),
        ("assistant", "Good evening."),
        ("user", "Hello"),
    ]


def test_the_system_part_does_not_change_from_turn_to_turn():
    book = lore(
        {"keys": ["engine"], "content": "The engine is brass."}, {"constant": True, "content": "It is 1843."}
    )
    ada = Character(name="Ada", description="A", lorebook=book)
    first = build(ada, [Turn("user", "Hello", 0)])
    second = build(
        ada, [Turn("user", "Hello", 0), Turn("assistant", "Hi", 1), Turn("user", "What of the engine?", 2)]
    )

    assert first.system == second.system
    assert "It is 1843." in first.system[0].text
    assert "The engine is brass." in second.messages[-1].text
    assert "The engine is brass." not in second.system[0].text
    assert second.messages[-1].text.endswith("What of the engine?")
    assert second.messages[:2] == (first.messages[0], second.messages[1])


def test_a_system_prompt_of_the_card_replaces_ours_or_wraps_it():
    own = build(Character(name="Ada", system_prompt="Be {{char}}."))
    wrapped = build(Character(name="Ada", system_prompt="Before. {{original}} After."))

    assert own.system[0].text == "Be Ada."
    assert wrapped.system[0].text == f"Before. {fill_in(INSTRUCTIONS, char='Ada', user='Mia')} After."


def test_closing_instructions_come_last_and_say_whom_they_are_for():
    prompt = build(Character(name="Ada", post_history_instructions="{{original}}Speak in verse to {{user}}."))

    assert prompt.messages[-1].text == "[For Ada only, not said by Mia:\nSpeak in verse to Mia.]\n\nHello"


@pytest.mark.parametrize("budget", [600, 1_000, 2_000, 8_000])
def test_the_prompt_fits_its_budget_whatever_is_too_long(budget):
    long = "wörd " * 20_000
    ada = Character(
        name="Ada",
        description=long,
        system_prompt=long,
        example_dialogue=long,
        post_history_instructions=long,
        lorebook=lore({"constant": True, "content": long}, {"keys": ["x"], "content": long}),
    )
    turns = [
        Turn("assistant" if depth % 2 else "user", f"x {depth} " + "word " * 50, depth) for depth in range(81)
    ]

    prompt = build(ada, turns, budget=budget)

    assert size(prompt) <= budget * 1.03 + 20
    assert prompt.messages[-1].text.rstrip().endswith("word")
    assert prompt.receipt["budget"] == budget
    assert prompt.receipt["tokens"] == sum(prompt.receipt["parts"].values()) <= budget
    assert prompt.receipt["messages"] + prompt.receipt["left_out"] == 81
    assert "persona" in prompt.receipt["cut"]


def test_the_oldest_messages_are_left_out_in_steps_that_keep_the_cache():
    turns = [Turn("assistant" if depth % 2 else "user", "word " * 40, depth) for depth in range(200)]
    starts = set()
    for length in range(100, 200):
        prompt = build(Character(name="Ada"), turns[:length], budget=2_500)
        starts.add(length - prompt.receipt["messages"])

    assert all(start % 16 == 0 for start in starts)
    assert len(starts) < 10


def test_the_newest_message_is_kept_even_if_it_must_be_cut():
    prompt = build(turns=[Turn("user", "word " * 10_000, 0)], budget=1_000)

    assert prompt.messages[0].text.startswith("word word")
    assert prompt.messages[0].text.endswith("…")
    assert "newest_message" in prompt.receipt["cut"]


def test_roles_alternate_and_empty_replies_are_left_out():
    turns = [
        Turn("user", "One", 0),
        Turn("assistant", "", 1),
        Turn("user", "Two", 2),
        Turn("assistant", "Yes", 3),
        Turn("user", "Three", 4),
    ]

    prompt = build(turns=turns)

    assert [(message.role, message.text) for message in prompt.messages] == [
        ("user", "One\n\nTwo"),
        ("assistant", "Yes"),
        ("user", "Three"),
    ]


def test_a_continuation_ends_with_the_reply_and_the_wish_to_go_on():
    prompt = build(turns=[Turn("user", "Tell", 0), Turn("assistant", "Once upon", 1)], is_continuation=True)

    assert [(message.role, message.text) for message in prompt.messages[-2:]] == [
        ("assistant", "Once upon"),
        ("user", CONTINUE),
    ]


def test_lore_of_the_lowest_priority_goes_first_where_it_does_not_fit():
    book = lore(
        {"keys": ["x"], "content": "LOW " * 120, "priority": 1, "insertion_order": 1, "name": "low"},
        {"keys": ["x"], "content": "HIGH " * 120, "priority": 9, "insertion_order": 2, "name": "high"},
    )

    prompt = build(Character(name="Ada", lorebook=book), [Turn("user", "x", 0)], budget=1_000)

    assert "HIGH" in prompt.messages[-1].text
    assert "LOW" not in prompt.messages[-1].text


def test_a_name_that_holds_a_macro_stays_as_it_is():
    assert fill_in("{{user}} and {{ Char }} and <USER>", char="{{user}}", user="{{char}}") == (
        "{{char}} and {{user}} and {{char}}"
    )


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello there. How are you?", "Hello there."),
        ("  \n# *Tell* me `now`\nplease", "Tell me now"),
        ("word " * 40, "word word word word word word word word word word word…"),
        ("無" * 100, "無" * 59 + "…"),
        ("***", ""),
        ("", ""),
    ],
)
def test_titles_are_the_first_sentence_cut_at_a_word(text, title):
    assert title_from(text) == title


def test_previews_are_one_line():
    assert preview_of("a\n\n b\tc") == "a b c"
    assert len(preview_of("x " * 5_000)) <= 160
