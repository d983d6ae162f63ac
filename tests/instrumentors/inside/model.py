"""A scripted model behind the OpenAI API, on the loopback: Responses, Chat Completions, and the latter as a stream.

The name of the model names the script: `scripted-planner` says the planner's next turn. Every call costs other tokens, so
that none can be counted for another.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from desk import Turn


class ScriptedModel:
    """Serves as long as the process lives. `scripts` are taken from their beginnings, by agent."""

    def __init__(self, scripts: dict[str, list[Turn]]) -> None:
        self.scripts = scripts
        self.calls = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, model: str) -> tuple[Turn, int, int, int]:
        """The next turn of a model, its number, and what it costs: input and output tokens."""
        turn = self.scripts[model.removeprefix("scripted-")].pop(0)
        self.calls += 1
        return turn, self.calls, 40 + 10 * self.calls, 8 + self.calls

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                taken = model.take(asked["model"])
                if asked.get("stream"):
                    parts = _chunks(asked["model"], *taken)
                    body = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
                    kind = "text/event-stream"
                else:
                    answer = _response if self.path.endswith("/responses") else _completion
                    body, kind = json.dumps(answer(asked["model"], *taken)), "application/json"
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _response(model: str, turn: Turn, n: int, taken: int, given: int) -> dict[str, Any]:
    if turn[0] == "call":
        said = {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": turn[1]}
        said |= {"arguments": json.dumps(turn[2]), "status": "completed"}
    else:
        text = {"type": "output_text", "text": turn[1], "annotations": []}
        said = {"type": "message", "id": f"msg_{n}", "role": "assistant", "status": "completed", "content": [text]}
    usage = {
        "input_tokens": taken,
        "output_tokens": given,
        "total_tokens": taken + given,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    frame = {"parallel_tool_calls": False, "tool_choice": "auto", "tools": [], "status": "completed", "created_at": 0}
    return {"id": f"resp_{n}", "object": "response", "model": model, "output": [said], "usage": usage, **frame}


def _completion(model: str, turn: Turn, n: int, taken: int, given: int) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **_said(turn, n)}, "finish_reason": _why(turn)}
    return {
        "id": f"chatcmpl-{n}",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [choice],
        "usage": _usage(taken, given),
    }


def _chunks(model: str, turn: Turn, n: int, taken: int, given: int) -> Iterator[dict[str, Any]]:
    head = {"id": f"chatcmpl-{n}", "object": "chat.completion.chunk", "created": 0, "model": model}
    said = _said(turn, n)
    for index, call in enumerate(said.get("tool_calls", ())):
        call["index"] = index
    yield {**head, "choices": [{"index": 0, "delta": {"role": "assistant", **said}, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": _why(turn)}]}
    yield {**head, "choices": [], "usage": _usage(taken, given)}


def _said(turn: Turn, n: int) -> dict[str, Any]:
    if turn[0] == "text":
        return {"content": turn[1]}
    function = {"name": turn[1], "arguments": json.dumps(turn[2])}
    return {"content": None, "tool_calls": [{"id": f"call_{n}", "type": "function", "function": function}]}


def _why(turn: Turn) -> str:
    return "tool_calls" if turn[0] == "call" else "stop"


def _usage(taken: int, given: int) -> dict[str, int]:
    return {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given}
