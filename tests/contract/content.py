"""What generated spans carry: arguments, results, messages and verdicts in the shapes that producers really send.

Every pool begins with its plainest value, so that a failing example shrinks to it. Captured text, not values: reading it
is what is tested. None is "not captured".
"""

from typing import Any

import orjson

Text = str | None


def _texts(*values: Any) -> tuple[Text, ...]:
    return tuple(v if v is None or isinstance(v, str) else orjson.dumps(v).decode() for v in values)


def _nested(depth: int) -> str:
    return '{"id":' * depth + "1" + "}" * depth


TOOLS = ("refund", "look", "verify_user", "cancel", "undo_cancel", "refund", "not declared", "", "Refund", "ask_human")
AGENTS = ("executor", "researcher", "billing", "", "nobody knows it", "executor")

ARGUMENTS = _texts(
    {"id": "C-1001"},
    {"id": "C-2002"},
    {"id": "C-1001", "amount": 42},
    {"id": "C-1001", "amount": 42.0},
    {"id": "C-1001", "amount": "42.00", "lines": [{"sku": "b"}, {"sku": "a"}]},
    {"id": "C-1001", "amount": 2.5, "lines": [{"sku": 1}]},
    {"id": 1001, "amount": True},
    {"id": None},
    {"nobody": {"declared": ["this"]}},
    {},
    None,
    "",
    " ",
    "{",
    '{"id": "C-1001"',
    "[1]",
    '"x"',
    "null",
    "plain text",
    "{'id': 'C-1001', 'amount': 42, 'note': None, 'sure': True}",  # a Python repr
    "{'id': 'C-1001', 'when': datetime.date(2026, 1, 1)}",
    "id='C-1001' amount=42",
    '"{\\"id\\": \\"C-1001\\"}"',  # JSON in a JSON string
    {"function": {"name": "refund", "arguments": '{"id": "C-1001"}'}},
    {"name": "refund", "arguments": {"id": "C-1001"}},
    {"id": "<EMAIL>"},
    {"id": "__REDACTED__", "amount": "***"},
    "[REDACTED]",
    {"id": "C-1001", "amount": -1},
    {"id": "C-1001", "on": "2026-02-31"},
    {"id": "C-1001", "amount": 84, "why": "no such reason", "on": "2026-02-01"},
    {"id": "C-1001", "agent_name": "billing"},
    {"agent_name": "researcher", "task": "find order C-2002"},
    {"recipient": "nobody knows it"},
    '{"id": "a", "id": "b"}',
    '{"id": 123456789012345678901234567890}',
    '{"amount": NaN}',
    '{"amount": 1e400}',
    '{"id": "\\ud800"}',
    {"id": "x" * 3_000},
    _nested(30),
    _nested(300),
    "[" * 2_000,
)
USUAL_ARGUMENTS = (*ARGUMENTS[:3], *_texts(None, {"id": "<EMAIL>"}, {"id": "C-1001", "amount": -1}, {"id": 1001}, {}))
RESULTS = _texts(
    "done",
    {"ok": True, "id": "C-1001", "email": "a@example.com", "amount": 42, "items": ["O-77", "O-78"]},
    {"id": "C-2002", "owner": "C-2002"},
    {"error": "500"},
    {"error": None},
    {"success": False, "message": "no such customer C-1001"},
    {"isError": True, "content": [{"type": "text", "text": "no"}]},
    {"content": [{"type": "text", "text": '{"id": "C-1001"}'}]},
    "Error: no such order",
    "Traceback (most recent call last):",
    "{'id': 'C-1001', 'items': ['O-77'], 'next': None}",
    None,
    "",
    [],
    {},
    "null",
    "{",
    "***",
    "<PHONE_NUMBER>",
    {"customer": "[REDACTED]"},
    [{"id": f"O-{n}"} for n in range(60)],
    "interrupted",
    _nested(300),
    "C-1001 " * 500,
)
STATUSES = (0, 0, 1, 2)
ERROR_TYPES = ("", "", "timeout", "CancelledError")
EXCEPTIONS = ("", "", "", "ValueError: no", "GraphInterrupt: asked")

SAID = (
    "Done.",
    "Your refund of $42.00 for C-1001 is through.",
    "I will now call refund for C-1001. Shall I go on?",
    "First look up C-1001, then refund it:\n1. look\n2. refund\n3. verify_user",
    "I cannot do that.",
    "The refund succeeded for order O-999, reference ABC123.",
    "",
    None,
    "Thought: the last call failed, so I try verify_user.\nAction: refund\nAction Input: {}",
    "no. not C-2002; 1,786.50",
    "[REDACTED]",
    "<PERSON> agreed",
    "APPROVED",
    "\u0000\u2028 \U0001f600",
    "word " * 400,
)
ASKED = ("Refund C-1001 please", "Yes, go on", "no, stop", "My order is O-77, I paid 42", "", "[REDACTED]", "C-2002")


def _call(name: str, arguments: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def outputs(said: Text, tool: str, arguments: Text) -> tuple[Text, ...]:
    """Output messages that say this, or ask for this call, by shape."""
    return _texts(
        [{"role": "assistant", "parts": [{"type": "text", "content": said}], "finish_reason": "stop"}],
        None,
        said,
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": said},
                    {"type": "tool_call", "id": "call_1", "name": tool, "arguments": arguments},
                ],
                "finish_reason": "tool_call",
            }
        ],
        [{"role": "assistant", "content": said, "tool_calls": [_call(tool, arguments)]}],
        {"choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "length"}]},
        [{"message.role": "assistant", "message.content": said, "message.tool_calls": [{"tool_call.function.name": tool}]}],
        [{"role": "assistant", "content": [{"type": "text", "text": said}, {"type": "tool_use", "name": tool, "input": {}}]}],
        [{"type": "ai", "data": {"content": said, "tool_calls": [{"name": tool, "args": {}, "id": "1"}]}}],
        {"content": said},
        [said],
        [None, 1, [], {}, {"role": None, "parts": None}, {"role": 3, "parts": [None, 7, {"type": None, "content": {}}]}],
        [{"role": "assistant", "parts": "text", "tool_calls": {"name": tool}}],
        "[{'role': 'assistant', 'content': 'a repr'}]",
        '[{"role": "assistant", "parts": [',
        "",
        "null",
        "[" * 1_500,
    )  # fmt: skip


def inputs(asked: str, said: Text, result: Text) -> tuple[Text, ...]:
    """Input messages of a talk so far, by shape."""
    return _texts(
        None,
        [{"role": "user", "parts": [{"type": "text", "content": asked}]}],
        [
            {"role": "system", "parts": [{"type": "text", "content": "Customer C-1001. Confirm before you write."}]},
            {"role": "user", "parts": [{"type": "text", "content": asked}]},
            {"role": "assistant", "parts": [{"type": "text", "content": said}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": result}]},
            {"role": "user", "parts": [{"type": "text", "content": "yes"}]},
        ],
        [{"role": "user", "content": asked}, {"role": "tool", "tool_call_id": "call_1", "content": result}],
        [{"role": "user", "content": [{"type": "text", "text": asked}, {"type": "tool_result", "content": result}]}],
        [{"message.role": "user", "message.content": asked}],
        {"messages": [{"type": "human", "content": asked}]},
        asked,
        [{"role": "user"}, {"content": None}, None, 5],
        "{'role': 'user'}",
        '[{"role": "user", ',
        "",
    )


VERDICTS = _texts(
    {"passed": True},
    {"passed": False, "reason": "refund of C-1001 is missing"},
    {"verdict": "pass"},
    {"verdict": "FAIL", "score": 0.2},
    {"score": 0.9, "threshold": 0.5},
    {"score": "high"},
    {"approved": "yes"},
    {"is_valid": 0, "errors": []},
    {"result": {"status": "ok"}},
    "PASS",
    "Fail: two writes are missing",
    "this did not pass",
    "[REDACTED]",
    None,
    "",
    "{'passed': False}",
    {"passed": None, "verdict": {}},
    [True],
    "true",
    "{",
)
_FUNCTION = {"name": "refund", "description": "", "parameters": {"type": "object", "properties": {"id": {}}}}
DEFINITIONS = _texts(
    None,
    [{"type": "function", **_FUNCTION}, {"type": "function", "name": "look"}],
    [{"type": "function", "function": _FUNCTION}],
    [{"name": "verify_user", "description": "", "inputSchema": {"type": "object"}}],
    {"tools": [_FUNCTION]},
    ["refund", "look"],
    [],
    [None, 1, {"name": None}, {"function": "refund"}, {"type": "function", "name": "x", "parameters": {"type": "nope"}}],
    "[{'name': 'refund'}]",
    "[{",
    "",
)  # fmt: skip
EXPECTATIONS = _texts(
    None,
    {"expected_calls": [{"name": "refund", "arguments": {"id": "C-1001"}}], "required_outputs": ["42"]},
    [{"name": "look"}],
    "{",
    {"expected_calls": 3},
)
