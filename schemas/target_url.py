"""Which URLs may be asked: said while a file is read, and again when a secret turns out to be one. Pure.

The law: no sentence shows the URL; it may hold a secret. Its address is checked later, when its name is resolved.
"""

from urllib.parse import urlsplit

from schemas.target import Allow


def url_problem(text: str) -> str | None:
    """Why this is no address to deliver to, in a sentence that does not show it; None when it is one."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "is not an URL; write https://host/path"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "is not an URL; write https://host/path"
    if "@" in parts.netloc:
        return 'holds a name or password; use bearer_token, or keep the whole URL in "${ENV:NAME}"'
    if parts.fragment:
        return "has a fragment, which no server ever sees; remove it"
    return None


def reach_problem(url: str, allow: Allow) -> str | None:
    """Why this URL may not be asked, scheme and port; None when it may. The address is checked when it is known."""
    parts = urlsplit(url)
    if parts.scheme == "http" and not allow.http:
        return "http is read by everybody on the way; use https, or write allow: {http: true}"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if port not in (443, 80, *allow.ports):
        return f"port {port} is neither 443 nor 80; write allow: {{ports: [{port}]}} if it is meant"
    return None
