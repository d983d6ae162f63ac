"""Vercel AI SDK (span-conventions 5): `ai.operationId` up to v6 and in v7's legacy mode; GenAI operations in v7 (`@ai-sdk/otel`).

`ai.generateText` is the loop of an agent, `ai.generateText.doGenerate` one call of a model inside it.
"""

from typing import Final

from schemas.dialects import genai, messages
from schemas.dialects.kinds import kind_of_tool
from schemas.dialects.reading import GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "vercel"
MARKERS: Final = frozenset({"ai.operationId", "ai.toolCall.name"})
SCOPES: Final = frozenset({"gen_ai", "ai", "@ai-sdk/otel"})

_FIELDS: Final = GENAI.before(
    agent=("gen_ai.agent.name", "ai.telemetry.functionId"),
    tool=("ai.toolCall.name",),
    call_id=("ai.toolCall.id",),
    arguments=("ai.toolCall.args",),
    result=("ai.toolCall.result",),
    model=("ai.response.model", "ai.model.id"),
    provider=("ai.model.provider",),
    input_tokens=("gen_ai.usage.input_tokens", "ai.usage.inputTokens", "ai.usage.promptTokens"),
    output_tokens=("gen_ai.usage.output_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens"),
    input=("ai.prompt.messages", "ai.prompt"),
    definitions=("ai.prompt.tools",),
    finish=("ai.response.finishReason",),
)


def read(view: View) -> Reading:
    """The span in canonical fields."""
    if not view.has(*MARKERS):
        return genai.read(view)
    kind = _kind(view)
    return read_fields(
        view,
        _FIELDS,
        kind,
        output_messages=messages.answer(
            view.captured("ai.response.text", "ai.result.text", "ai.response.object"),
            view.captured("ai.response.toolCalls", "ai.result.toolCalls"),
            view.text("ai.response.finishReason"),
            view.text("ai.response.reasoning"),
        ),
    )


def _kind(view: View) -> StepKind:
    view.rule = "9: ai.operationId"
    operation = view.low("ai.operationId")
    if operation == "ai.toolCall" or view.has("ai.toolCall.name"):
        return kind_of_tool(view.low("ai.toolCall.name"))
    if operation.endswith((".doGenerate", ".doStream")):
        return "llm"
    if operation.startswith("ai.embed"):
        return "internal"
    return "agent" if operation.startswith(("ai.generate", "ai.stream")) else "internal"
