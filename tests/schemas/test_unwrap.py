"""Wrappings that producers put round what a tool gave, taken off."""

import pytest

from schemas.dialects.unwrap import json_prefix

PROMPT = "\n\n\nYou ONLY have access to the following tools"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ('{"error": "500"}' + PROMPT, '{"error": "500"}'),
        ("{'error': '5}00'}" + PROMPT, "{'error': '5}00'}"),
        ('{"said": "it\'s"}' + PROMPT, '{"said": "it\'s"}'),
        ('{"whole": 1}', '{"whole": 1}'),
        ("{no value}" + PROMPT, "{no value}" + PROMPT),
        ("words", "words"),
        (None, None),
    ],
)
def test_a_prompt_behind_a_value_is_no_part_of_it(given: str | None, wanted: str | None) -> None:
    assert json_prefix(given) == wanted
