"""When a call failed: rules E1 to E10, and what is none of them."""

import pytest

from schemas.failure import errors_are_its_business, finish_reasons
from schemas.toolcall import read_call
from tests.builders import llm_span, tool_span


def failure(result="fine", tool="lookup", **fields):
    return read_call(tool_span(1, tool, {}, result, **fields)).failure


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"status": 2}, "E1"),
        ({"error_type": "timeout"}, "E2"),
        ({"exception": "ValueError: no"}, "E4"),
    ],
)
def test_what_the_span_says_is_a_failure_that_is_not_swallowed(fields, rule):
    found = failure(**fields)
    assert (found.rule, found.severity, found.swallowed) == (rule, "failed", False)


@pytest.mark.parametrize(
    ("result", "rule"),
    [
        ({"error": "500"}, "E5"),
        ({"errors": ["no"]}, "E5"),
        ({"error": {"code": 5, "message": "no such order"}}, "E5"),
        ({"isError": True, "content": []}, "E5"),
        ({"success": False, "orders": []}, "E5"),
        ({"ok": False}, "E5"),
        ({"status": "failed", "message": "no"}, "E5"),
        ({"response_status": "Error", "data": 1, "b": 2, "c": 3}, "E5"),
        ({"status_code": 503, "body": ""}, "E5"),
        ({"type": "error", "text": "x"}, "E5"),
        ([{"type": "text", "text": '{"error": "gone"}'}], "E5"),
        ({"content": [{"type": "text", "text": "Error: no"}]}, "E6"),
        ({"lc": 1, "kwargs": {"content": "x", "status": "error"}}, "E5"),
        ("Error: flight not available", "E6"),
        ("  error executing tool lookup: boom", "E6"),
        ("Traceback (most recent call last):\n ...", "E6"),
        ("HTTP Error 404", "E6"),
        ("An error occurred while running the tool. Please try again.", "E6"),
        ("lookup is not a valid tool, try one of [a, b].", "E6"),
        ("500 Server Error", "E6"),
        ("{'error': '500'}", "E5"),
        ("{'result': {'error': 'gone'}}", "E5"),
        ({"result": {"error": "gone"}, "id": 7}, "E5"),
        ({"response": {"success": False}, "took_ms": 3, "retries": 0, "id": 1}, "E5"),
        ({"success": "false", "orders": []}, "E5"),
        ({"status": "FAILED"}, "E5"),
        ({"status_code": "503"}, "E5"),
        ({"status": 500, "message": "no"}, "E5"),
        ({"status": "404 Not Found", "detail": "no such order"}, "E5"),
        ({"errorMessage": "no order", "errorType": "KeyError"}, "E5"),
        ({"error_code": 17, "message": "no"}, "E5"),
        ({"isError": "true", "content": []}, "E5"),
        ([{"error": "gone"}], "E5"),
        ([{"text": '{"error": "gone"}'}], "E5"),
        ([{"type": "text", "text": "{'error': 'gone'}"}], "E5"),
        ({"content": [{"text": "Error: gone"}]}, "E6"),
        ('{"error": "the text was cut he', "E6"),
        ("ValueError: no such order", "E6"),
        ("requests.exceptions.HTTPError: 502", "E6"),
        ("KeyError('id')", "E6"),
        ("[ERROR] no such order", "E6"),
        ("Error - no such order", "E6"),
        ("ERR: no", "E6"),
        ("Error (500)", "E6"),
        ("An unexpected error occurred.", "E6"),
        ("Request failed with status code 500", "E6"),
        ("HTTP 503", "E6"),
        ("404 Not Found", "E6"),
        ("Internal Server Error", "E6"),
        ("Connection refused", "E6"),
        ("Permission denied for user 3", "E6"),
        ("Timed out.", "E6"),
        ("Unauthorized: sign in", "E6"),
    ],
)
def test_an_error_in_the_result_of_a_fine_span_is_swallowed(result, rule):
    found = failure(result)
    assert (found.rule, found.severity, found.swallowed) == (rule, "failed", True)


@pytest.mark.parametrize(
    "result",
    [
        {"error": None},
        {"error": ""},
        {"error": False, "data": 1},
        {"errors": []},
        {"error": "none"},
        {"error": {"code": None, "message": None}},
        {"isError": False, "content": [{"type": "text", "text": "no errors found"}]},
        {"success": True},
        {"status": "available"},
        {"code": 90210},
        {"code": True},
        "The word error stands in here, and exception: too",
        "errors were not found",
        "Errata: page 4",
        [{"title": "Error: the novel"}],
        {"result": "ok"},
        {"error": "No error."},
        {"error": "success", "data": 1},
        {"error": 0.03, "mean": 4.2},
        {"error_code": 0, "message": "done"},
        {"result": {"error": None, "id": 1}, "id": 7},
        {"ok": True, "message": "error handling is on"},
        {"status": 200, "message": "fine"},
        {"success": 0, "failed_logins": 3},
        {"postal_code": "50321"},
        [{"error": "one"}, {"error": "two"}],
        [{"text": "Error: the novel"}, {"text": "Error: the film"}],
        "Error rates fell to 3 %",
        "Errors: a history",
        "Error-free since May",
        "Timeout: 30 s",
        "Erroneous bookings are refunded",
        "404 rooms are free",
        "450 EUR",
        "Fatalities: none",
        "Toolbox",
        "The call was answered",
        "{'error': None}",
        "{'error': ''}",
        '{"error": null, "the text was cut he',
        "",
        None,
    ],
)
def test_the_word_error_alone_is_no_failure(result):
    assert failure(result) is None


@pytest.mark.parametrize(
    "tool", ["read_logs", "getErrorLog", "run_tests", "list_incidents", "diagnose", "trace-lookup"]
)
def test_tools_whose_business_is_errors_are_only_suspect(tool):
    found = failure({"error": "disk full"}, tool)
    assert (found.severity, found.swallowed) == ("suspect", False)


@pytest.mark.parametrize("tool", ["login", "catalog_search", "latest_price", "contest", "logistics"])
def test_words_that_only_contain_such_a_word_are_not_meant(tool):
    assert not errors_are_its_business(tool)


@pytest.mark.parametrize(
    "result",
    [
        {"status": "failed", "id": 1, "amount": 3, "date": "x"},
        {"code": 404, "floor": 4},
        {"errors": 3, "warnings": 1},
        {"error_code": "E7", "model": "x"},
        "Could not find a flight on that day",
        "Unable to find the order",
    ],
)
def test_what_may_be_domain_data_is_only_suspect(result):
    assert failure(result).severity == "suspect"


def test_an_error_type_that_says_none_is_no_failure():
    assert failure(error_type="none") is None and failure(error_type="None", result={"error": "x"}).rule == "E5"


def test_a_long_text_that_was_retrieved_is_a_document():
    assert failure("Failed to launch: the story. " + "x" * 300, kind="retrieval").severity == "suspect"
    assert failure("Failed to connect", kind="retrieval").severity == "failed"


@pytest.mark.parametrize(
    "result",
    ["{" * 9000, [[[]]], {"error": {"a": {"b": {"c": {"d": {"e": {"f": {}}}}}}}}, "\x00", [None], {"content": [1]}],
)
def test_odd_results_are_no_exceptions(result):
    read_call(tool_span(1, "lookup", {}, result))


@pytest.mark.parametrize("said", ["GraphInterrupt: ask", "asyncio.CancelledError: ", "ParentCommand(x)"])
def test_control_flow_and_cancellation_are_handled_not_failed(said):
    assert failure(status=2, exception=said).severity == "handled"


def test_an_exception_inside_a_model_call_that_ended_well_is_handled():
    assert read_call(llm_span(1, exception="RateLimit: retry")).failure.severity == "handled"


def test_an_empty_retrieval_is_suspect_and_an_empty_tool_result_is_nothing():
    assert failure([], kind="retrieval").rule == "E10"
    assert failure([]) is None


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"finish_reason": "length"}, {"length"}),
        ({"finish_reason": "stop", "finish_reasons": "max_tokens"}, {"stop", "max_tokens"}),
        ({"said": None, "finish_reasons": '["length", null, {}]'}, {"length"}),
        ({"said": None, "finish_reasons": "[broken"}, {"[broken"}),
        ({"said": None}, set()),
    ],
)
def test_why_a_model_stopped_is_read_from_its_attribute_and_its_messages(fields, reasons):
    assert finish_reasons(llm_span(1, fields.pop("said", "text"), **fields)) == reasons
