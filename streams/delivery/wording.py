"""What a person reads of an alert event in a chat or on a pager. Pure text of bounded length; ids and codes only."""

from schemas.alert import AlertEvent


def series_name(event: AlertEvent) -> str:
    """Workflow / step; the tenant where it is not the only one."""
    labels = dict(event.labels)
    where = " ".join(labels[name] for name in ("step", "agent", "tool", "evaluator") if labels.get(name))
    tenant = "" if event.tenant == "default" else f"{event.tenant}: "
    return f"{tenant}{labels.get('workflow', '')} / {where or 'all steps'}"


def summary(event: AlertEvent) -> str:
    """One sentence: what happens where."""
    return dict(event.annotations).get("summary") or f"{series_name(event)}: {event.rule.name}"


def description(event: AlertEvent) -> str:
    """The evidence in words, and the likeliest cause."""
    said = dict(event.annotations).get("description", "")
    likely = cause(event)
    return f"{said}\nLikely cause: {likely}".strip() if likely else said


def cause(event: AlertEvent) -> str:
    """What changed at the onset, where that is known."""
    found = event.attribution
    return found.causes[0].sentence if found is not None and found.causes else ""


def cut(text: str, most: int) -> str:
    """At most so many characters; what was cut is seen to be cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def runbook(event: AlertEvent) -> str | None:
    """The runbook's address, when it is one that may be clicked on."""
    url = event.rule.runbook_url
    return url if url.startswith(("https://", "http://")) else None
