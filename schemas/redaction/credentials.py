"""Patterns of what lets somebody in: private keys, tokens, keys of clouds and APIs, by their own form or by their name."""

import re
from collections.abc import Callable, Iterator

from schemas.redaction.pattern import Pattern, any_of, named_by

PRIVATE_KEY = Pattern(
    "PRIVATE_KEY",
    any_of("-----BEGIN "),
    re.compile(
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----.*?"
        r"(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)",
        re.DOTALL,
    ),
    str.strip,
)


def _jwts(found: re.Match[str]) -> Iterator[tuple[int, int]]:
    if begins := _HEADER.search(found[0]):
        yield found.start() + begins.start(), found.end()


_HEADER = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{8,}+\.")  # base64 of `{"`
JWT = Pattern(
    "JWT", any_of("eyJ"), re.compile(r"(?<![\w.-])[\w-]++(?:\.[\w-]*+){2,}+"), str.strip, _jwts
)  # signed: three parts; encrypted: five, of which some may be empty

# Each form with the words by which it is found.
_FORMS = {
    "AKIA": r"AKIA[0-9A-Z]{16,}",  # AWS
    "ASIA": r"ASIA[0-9A-Z]{16,}",
    "AIza": r"AIza[\w-]{35,}",  # Google
    "GOCSPX-": r"GOCSPX-[\w-]{20,}",
    "ya29.": r"ya29\.[\w-]{20,}",
    "sk-": r"sk-[\w-]{20,}",  # OpenAI, Anthropic and many after them
    "gsk_": r"gsk_\w{20,}",  # Groq
    "xai-": r"xai-[\w-]{20,}",
    "pplx-": r"pplx-\w{20,}",  # Perplexity
    "nvapi-": r"nvapi-[\w-]{20,}",
    "hf_": r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    "r8_": r"r8_\w{30,}",  # Replicate
    "tvly-": r"tvly-[\w-]{20,}",  # Tavily
    "lsv2_": r"lsv2_(?:pt|sk)_\w{30,}",  # LangSmith
    "k_live_": r"[sr]k_live_\w{16,}",  # Stripe
    "k_test_": r"[sr]k_test_\w{16,}",
    "whsec_": r"whsec_[\w+/=-]{16,}",
    "ghp_ gho_ ghu_ ghs_ ghr_": r"gh[pousr]_\w{30,}",  # GitHub
    "github_pat_": r"github_pat_\w{30,}",
    "glpat-": r"glpat-[\w-]{20,}",  # GitLab
    "xox": r"xox[abeprs](?:\.xox[bp])?-[\w-]{10,}",  # Slack
    "xapp-": r"xapp-\d-[\w-]{20,}",
    "hooks.slack": r"(?<=hooks\.slack\.com/services/)[\w/]{20,}",
    "npm_": r"npm_[A-Za-z0-9]{36,}",
    "pypi-": r"pypi-[\w-]{50,}",
    "SG.": r"SG\.[\w-]{16,32}\.[\w-]{16,64}",  # SendGrid
    "dop_v1_": r"dop_v1_[0-9a-f]{64}",  # DigitalOcean
    "dapi": r"dapi[0-9a-f]{32}",  # Databricks
    "shpat_ shpca_ shppa_ shpss_": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
    "lin_api_": r"lin_api_\w{30,}",  # Linear
    "ntn_": r"ntn_\w{40,}",  # Notion
    "ATATT3": r"ATATT3[\w=-]{50,}",  # Atlassian
    "swk_": r"swk_\w{20,}",  # Stepwatch
    "earer EARER": r"(?:(?<=earer )|(?<=EARER ))[\w.~+/-]{20,}=*",
}


def _long_word_and(*words: str) -> Callable[[str], bool]:
    """A hint for keys, which are longer than the words of most texts."""
    are_there = any_of(*words)
    return lambda text: _LONG_WORD.search(text) is not None and are_there(text)


_LONG_WORD = re.compile(r"[A-Za-z0-9_.~+/=-]{16}")
SECRET = Pattern(
    "SECRET",
    _long_word_and(*" ".join(_FORMS).split()),
    re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_FORMS.values())})"),
    str.strip,
)


def _random(text: str) -> str | None:
    """A key is no word: it has digits."""
    return text if re.search(r"\d", text) and re.search("[A-Za-z]", text) else None


NAMED_SECRET = Pattern(
    "SECRET",
    _long_word_and(
        "key", "Key", "KEY", "oken", "OKEN", "ecret", "ECRET", "uthorization", "UTHORIZATION", "ignature", "sig="
    ),
    re.compile(r"[:=]\s{0,3}\[?\s{0,3}[\"']?(?:(?i:basic|token|apikey|bearer) )?(?=([\w.~+/-]{16,}+={0,2}))"),
    _random,
    named_by(
        re.compile(
            r"(?:(?i:api[ _-]?key|access[ _-]?key(?:[ _-]?id)?|secret(?:[ _-]?access)?(?:[ _-]?key)?|account[ _-]?key"
            r"|subscription[ _-]?key|(?:access|auth|refresh|id|session|bearer)[ _-]?token|authorization|amz-signature"
            r"|(?<![A-Za-z_-])(?:token|signature))|[?&](?:key|sig))[\"']?\s{0,3}\Z"
        ),
        40,
        1,
    ),
)
