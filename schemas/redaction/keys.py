"""What `strict` keeps: attributes that say how a run went, and none that say what it was about.

The list is closed: whatever is not on it, an attribute that nobody has heard of above all, goes. Values on it are masked
like any other. Content that evaluators ask for leaves a placeholder, so that "taken away" is never read as "not captured".
"""

import re

from schemas.dialects.context import SESSION, WORKFLOW
from schemas.dialects.truth import TASK

_STRUCTURE = re.compile(
    r"""
    # gen_ai.* of three generations: names, ids, kinds, counts.
    gen_ai\.(operation\.name | span\.kind | system | provider\.name | agent\.(id|name|version|graph\.node_name)
        | conversation\.id | request\.(?!.*(instruction|prompt|input|message|content)).{1,60}
        | response\.(id|model|status|finish_reasons?) | tool\.(name|type|status|call\.id|execution\.success)
        | task\.status | workflow\.(name|nested|nodes|operation\.success) | usage\..{1,60} | cost\..{1,60}
        | transfer\.(mode|target\.name) | handoff\.(from|to)_agent | output\.type | token\.type
        | guardrail\.(triggered|component\.name|result\.type) | evaluation\.(name|score\.(label|value)))
    # OpenInference, traceAI, OpenLLMetry and their siblings.
    | openinference\.(span\.kind|project\.name) | fi\.span\.kind | langsmith\.span\.kind | lmnr\.span\.type
    | traceloop\.(span\.kind|entity\.name) | agentops\.span\.kind | langwatch\.span\.(type|cost) | operation\.cost
    | logfire\.(span_type|level_num) | agent\.(name|trajectory\.step) | agent_name | graph\.node\.(id|name|parent_id)
    | tool\.(name|id|agent_role) | tool_call\.id | executor\.id | workflow\.(id|name) | crewai\.agent\.role
    | event_loop\.cycle_id | model_name | ls_model_name
    | llm\.(model_name|provider|system|finish_reason|request\.type|response\.model_name|(token_count|cost|usage)\..{1,60})
    | (llm\.(in|out)put_messages | gen_ai\.((in|out)put\.messages|prompt|completion))\.\d{1,3}\.(message\.)?
        (role | finish_reason | tool_call_id | tool_calls\.\d{1,3}\.(tool_call\.)?(id|name|function\.name))
    | ai\.(operationId|model\.(id|provider)|response\.(finishReason|model)|toolCall\.(id|name)|usage\..{1,60}
        | telemetry\.functionId)
    | langfuse\.observation\.(type|level|model\.name|cost_details|usage_details)
    | mlflow\.(spanType|llm\.(model|cost)|chat\.tokenUsage) | gcp\.vertex\.agent\.(event_id|invocation_id)
    | langgraph\.command\.(goto_nodes?|source_node)
    | (traceloop\.association\.properties\. | langsmith\.metadata\. | langfuse\.observation\.metadata\.)?
        (lc_agent_name | langgraph_(node|step|checkpoint_ns) | ls_model_name | is_error)
    | mcp\.(method\.name|request\.id|session\.id) | rpc\.(system|method|response\.status_code) | jsonrpc\..{1,30}
    | guardrail\.(passed|blocked|status) | strands\.cancellation\.type | lk\.function_tool\.is_error
    | pydantic_ai\.tool\.failure_stage | error\.type | exception\.(type|escaped) | event\.name
    | http\.(response\.)?status_code | http\.(request\.)?method
    # Of resources (OpenTelemetry's semantic conventions).
    | service\.(name|version|namespace|instance\.id) | telemetry\..{1,60} | deployment\.environment(\.name)? | k8s\..{1,80}
    | cloud\..{1,60} | container\.(id|name|image\.(name|tag)) | host\.(name|id|arch|type) | os\.type
    | process\.(pid|runtime\..{1,30}) | stepwatch\.trajectory\.end
    """,
    re.VERBOSE,
)
_EXACT = frozenset((*SESSION, *WORKFLOW, *TASK))

# Content that evaluators ask for; it leaves a placeholder.
_ASKED_FOR = re.compile(
    r"gen_ai\.(input|output)\.messages|gen_ai\.tool\.(call\.arguments|call\.result|args|input|input_kwargs|output|result)"
    r"|(input|output)\.value|langfuse\.observation\.(input|output)|mcp\.(request\.argument|response\.value)"
    r"|gen_ai\.(agent|task|workflow)\.(input|output)|traceloop\.entity\.(input|output)|mlflow\.span(Inputs|Outputs)"
    r"|ai\.(prompt(\.messages)?|response\.(text|toolCalls)|toolCall\.(args|result))|gcp\.vertex\.agent\.(tool_call_args|"
    r"tool_response|llm_request|llm_response)|lk\.function_tool\.output|(lmnr\.span|langwatch)\.(input|output)|fi\.tool\.arguments"
    r"|gen_ai\.(prompt|completion)|(llm\.(in|out)put_messages|gen_ai\.((in|out)put\.messages|prompt|completion))\.\d{1,3}\..*"
    r"(content|arguments(_json)?)(\..*)?|tool_arguments|tool_response|error\.message|gen_ai\.tool\.error"
)
# Of these, what tells that a call failed is told on (and nothing else of it).
_RESULTS = re.compile(r".*(result|output|output\.value|tool_response|response\.value|toolCall\.result|Outputs)")
# Keys that mean this in events and log records alone.
EVENT_STRUCTURE = frozenset({"role", "index", "id", "finish_reason", "gen_ai.message.index"})
EVENT_CONTENT = frozenset({"content", "message", "tool_calls", "result", "arguments"})
TYPES = frozenset({"error.type", "exception.type"})
# Keys of the JSON object in `metadata`, by which a run's parts find each other.
METADATA = frozenset(
    {
        "session_id", "thread_id", "conversation_id", "workflow_name", "workflow", "flow_name", "graph_name", "pipeline",
        "lc_agent_name", "langgraph_node", "langgraph_step", "langgraph_checkpoint_ns", "ls_model_name", "stepwatch.task.id",
        "eval.task_id",
    }
)  # fmt: skip


def is_structure(key: str) -> bool:
    """Whether an attribute says how a run went, not what it was about."""
    return key in _EXACT or _STRUCTURE.fullmatch(key) is not None


def is_asked_for(key: str) -> bool:
    """Whether evaluators ask for this content."""
    return _ASKED_FOR.fullmatch(key) is not None


def is_result(key: str) -> bool:
    """Whether this content may tell that a call failed."""
    return _RESULTS.fullmatch(key) is not None
