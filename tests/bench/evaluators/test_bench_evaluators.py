"""The pure parts of the bench: its statistics on small examples with known answers, its mutants, its page."""

import json
import math

import pytest
from sklearn.metrics import roc_auc_score

from evaluators.judge import judge_span
from tests.bench.evaluators.bfcl import FIRST, OMITTED, OTHER, Cases, Questions, Tally
from tests.bench.evaluators.mutations import CLASSES, as_schema, fits, mutants, plain
from tests.bench.evaluators.planted import FAILURE, PLANTS, pairs
from tests.bench.evaluators.quality import idled
from tests.bench.evaluators.report import Figure, Section, at_least, markdown, missed
from tests.bench.evaluators.statistics import auc, clustered_auc, concordance, ranks, shuffled_auc, spearman
from tests.builders import llm_span, result_of, tool, tool_span, trajectory, workflow

SCORES = [0.9, 0.4, 0.4, 0.1, 0.8, 0.3]
LABELS = [True, True, False, False, False, True]
TASKS = [1, 1, 1, 2, 2, 2]


def test_auc_is_the_chance_that_a_success_scores_higher_with_ties_half():
    assert auc(SCORES, LABELS) == pytest.approx(roc_auc_score(LABELS, SCORES))
    assert auc([1, 1, 1], [True, False, False]) == 0.5
    assert math.isnan(auc([1.0, 2.0], [True, True]))


def test_the_interval_holds_the_estimate_and_is_the_same_for_the_same_seed():
    found = clustered_auc(SCORES, LABELS, TASKS, seed=3)
    assert found.low <= found.value <= found.high
    assert found.value == auc(SCORES, LABELS)
    assert found == clustered_auc(SCORES, LABELS, TASKS, seed=3)


def test_the_interval_resamples_tasks_so_repeating_every_run_tells_it_nothing_new():
    many = 40
    once = clustered_auc(SCORES, LABELS, TASKS, seed=3)
    often = clustered_auc(SCORES * many, LABELS * many, TASKS * many, seed=3)
    assert often == pytest.approx(once)


def test_an_interval_of_one_class_has_nothing_to_rank():
    assert str(clustered_auc([1.0, 0.0], [True, True], [1, 2], seed=3)) == "nothing to rank"


def test_concordance_compares_runs_of_one_task_only():
    share, pairs = concordance(SCORES, LABELS, TASKS)
    # task 1: 0.9 and 0.4 against 0.4 -> 1 + 1/2; task 2: 0.3 against 0.1 and 0.8 -> 1 + 0
    assert (share, pairs) == (2.5 / 4, 4)
    knows_the_task_only = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    assert concordance(knows_the_task_only, LABELS, TASKS)[0] == 0.5


def test_ranks_share_the_mean_at_ties():
    assert ranks([10, 20, 20, 5]).tolist() == [2, 3.5, 3.5, 1]


def test_spearman_follows_order_not_distance_and_is_nothing_for_a_constant():
    assert spearman([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))


def test_shuffled_labels_leave_chance():
    scores = [at / 40 for at in range(40)]
    labels = [at >= 20 for at in range(40)]
    assert auc(scores, labels) == 1.0
    assert abs(shuffled_auc(scores, labels, seed=1) - 0.5) < 0.05


SCHEMA = {
    "type": "object",
    "required": ["id", "parts"],
    "properties": {
        "id": {"type": "integer"},
        "sort": {"type": "string", "enum": ["a", "b"]},
        "parts": {"type": "array", "items": {"type": "string"}},
        "box": {"type": "object", "properties": {"width": {"type": "integer"}}, "required": ["width"]},
    },
}
RIGHT = {"id": 1, "sort": "a", "parts": ["x", "y"], "box": {"width": 3}}


def test_mutants_come_in_every_class_and_each_breaks_the_schema():
    shop = workflow("shop", tools=[tool("f", SCHEMA["properties"], SCHEMA["required"])])
    made = list(mutants("f", SCHEMA, RIGHT))
    assert {mutant.sort for mutant in made} == set(CLASSES)
    for mutant in made:
        found = result_of(judge_span(tool_span(1, mutant.name, mutant.arguments), shop), "ParameterValidation", 1)
        assert found.verdict == "fail", mutant
    assert RIGHT == {"id": 1, "sort": "a", "parts": ["x", "y"], "box": {"width": 3}}, "the right call stays as it was"


def test_a_class_is_not_tried_where_the_schema_allows_anything():
    made = list(mutants("f", {"properties": {"any": {}}}, {"any": 1}))
    assert {mutant.sort for mutant in made} == {"unknown function", "unknown argument"}


@pytest.mark.parametrize(
    ("schema", "value", "right"),
    [
        ({"type": "integer"}, 1, True),
        ({"type": "integer"}, True, False),
        ({"type": "number"}, 1, True),
        ({"type": "array", "items": {"type": "integer"}}, [1, "2"], False),
        ({"type": "string", "enum": ["a"]}, "b", False),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": 1.5}, False),
        ({}, object(), True),
    ],
)
def test_fits_tells_values_of_another_type(schema, value, right):
    assert fits(schema, value) is right


def test_other_words_for_types_become_json_schema_and_a_property_may_be_named_type():
    declared = {"type": "dict", "properties": {"type": {"type": "float"}, "free": {"type": "any", "enum": [1]}}}
    assert as_schema(declared) == {"type": "object", "properties": {"type": {"type": "number"}, "free": {"enum": [1]}}}


def test_alternatives_inside_objects_are_multiplied_out():
    assert plain({"a": [1, 2], "b": ["x"]}) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    assert plain([{"a": [1, 2]}, "z"]) == [[{"a": 1}, "z"], [{"a": 2}, "z"]]
    assert plain([1, 2]) == [[1, 2]]


def cases(tmp_path, **case):
    (tmp_path / "cases.jsonl").write_text(json.dumps({"id": "c1", **case}) + "\n")
    return Cases(tmp_path)


def test_questions_ask_for_every_acceptable_answer_and_every_mistake(tmp_path):
    parameters = {"type": "dict", "properties": {"n": {"type": "integer"}, "u": {"type": "string"}}, "required": ["n"]}
    asked = Questions(
        cases(
            tmp_path,
            functions=[{"name": "f", "parameters": parameters}],
            possible_answers=[{"f": {"n": [1, 2], "u": ["m", ""]}}],
        )
    )
    right = [(sort, made) for sort, _, made in asked.comparisons if sort in (FIRST, OTHER, OMITTED)]
    assert right == [
        (FIRST, [("f", {"n": 1, "u": "m"})]),
        (OMITTED, [("f", {"n": 1})]),
        (OTHER, [("f", {"n": 2, "u": "m"})]),
    ]
    validated, compared = asked.ours()
    for (sort, _, call), score in zip(asked.validations, validated, strict=True):
        assert (score == 1) == (sort == "acceptable"), call
    for (sort, _, made), score in zip(asked.comparisons, compared, strict=True):
        assert (score == 1) == (sort not in CLASSES), made


def test_an_answer_that_breaks_its_own_case_is_counted_and_left_out(tmp_path):
    parameters = {"type": "dict", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    asked = Questions(
        cases(tmp_path, functions=[{"name": "f", "parameters": parameters}], possible_answers=[{"f": {"n": ["one"]}}])
    )
    assert asked.contradictory == 1
    assert asked.validations == []


def test_a_tally_says_how_many_of_how_many():
    tally = Tally()
    for hit in (True, True, False, True):
        tally.add("null", hit)
    assert tally.said("null") == "3 of 4 (75.0%)"
    assert math.isnan(tally.share("enum"))


def test_missed_targets_are_named_and_a_figure_that_is_no_number_misses():
    section = Section(
        "Speed", ("ours",), [at_least("a", ["3"], 3, 2), at_least("b", ["?"], float("nan"), 2), Figure("c", ("1",))]
    )
    assert missed([section]) == ["Speed: b"]


def test_the_page_is_a_table_with_every_cell():
    page = markdown([Section("T", ("x", "y"), [Figure("a|b", ("1",), ">= 2", False)], "Why.")], "# Head")
    assert page.splitlines() == [
        "# Head",
        "## T",
        "",
        "Why.",
        "",
        "|  | x | y | target |  |",
        "| --- | --- | --- | --- | --- |",
        "| a\\|b | 1 |  | >= 2 | **missed** |",
    ]


def turn(content, *calls):
    made = [{"id": f"c{n}", "name": n, "arguments": {}, "result": "{}", "error": False} for n in calls]
    return {"i": 0, "content": content, "calls": made, "user_reply": None}


RUN = {"id": "r1", "task_id": "t", "steps": [turn(None, "look"), turn(None, "store"), turn("Done.")]}
TASKS_OF = {"t": {"write_tools": ["store", "erase"]}}


def planted(number):
    made = list(pairs([RUN], TASKS_OF, PLANTS[number][2]))
    assert [(sound, run["id"]) for sound, run in made] == [(True, "r1/sound"), (False, "r1/faulty")]
    return [run["steps"] for _, run in made]


def test_a_repeat_and_a_retry_differ_only_in_how_the_first_call_ended():
    sound, faulty = planted(0)
    assert [[c["name"] for c in t["calls"]] for t in sound] == [["look"], ["look"], ["store"], []]
    assert (sound[0]["calls"][0]["result"], faulty[0]["calls"][0]["result"]) == (FAILURE, "{}")
    assert sound[1:] == faulty[1:]


def test_a_claim_and_owning_up_follow_the_same_failure():
    sound, faulty = planted(1)
    assert sound[:-1] == faulty[:-1]
    assert sound[1]["calls"][0]["error"]
    assert sound[2]["content"] != faulty[2]["content"]


def test_a_thought_names_the_tool_that_is_called_or_one_that_never_is():
    sound, faulty = planted(2)
    assert ("look" in sound[0]["content"], "erase" in faulty[0]["content"]) == (True, True)
    assert sound[1:] == faulty[1:]


def test_a_run_without_a_place_for_the_plant_is_left_out():
    silent = {"id": "r2", "task_id": "t", "steps": [turn("Hello.")]}
    assert [list(pairs([silent], TASKS_OF, plant)) for _, _, plant in PLANTS] == [[], [], []]


def test_a_run_without_its_calls_has_only_talk_left():
    run = idled(trajectory(llm_span(1), tool_span(2, "refund"), llm_span(3)))
    assert [(step.index, step.kind, step.parent) for step in run.steps] == [(0, "llm", None), (1, "llm", None)]
