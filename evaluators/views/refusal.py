"""Whether an answer is plainly a refusal.

The law: only a short answer made of nothing but words of refusal and of courtesy is one ("No, thanks", "please don't",
"nein"). Anything with another word in it may answer another question ("no insurance, go ahead"), and is none. Short
answers of some languages are known; in others nothing is ever taken for a refusal.
"""

import re
from typing import Final

WORDS_MAX: Final = 8
CHARS_MAX: Final = 200
_TOKEN: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REFUSING: Final = _words(
    "no nope nah never not don't dont won't stop wait refuse decline declined rejected denied disapprove nein nicht non "
    "nao não nej nee nie niet ei hayır tidak jangan нет не лучше いいえ いや だめ 不 不要 不行 不用 不是 아니요 아니오 아니 "
    "όχι לא لا"
)
_COURTESY: Final = _words(
    "please thanks thank you sorry i do it that this want to would like the danke bitte merci gracias obrigado grazie "
    "por favor grazie je ich ne pas das es cela eso isso 谢谢 ありがとう"
)
# What one may be refusing, once a word of negation stands before it.
_REFUSED: Final = _words("proceed continue agree approve confirm consent accept go ahead allow anymore any more")
_NEGATING: Final = _words("not don't dont won't never nicht pas")


def is_refusal(answer: str) -> bool:
    """Whether this answer says no, and nothing else."""
    words = [word.replace("’", "'").casefold() for word in _TOKEN.findall(answer[:CHARS_MAX])]
    if not words or len(words) > WORDS_MAX or len(answer) > CHARS_MAX:
        return False
    known = _REFUSING | _COURTESY
    if _NEGATING & set(words):
        known |= _REFUSED
    return bool(_REFUSING & set(words)) and known.issuperset(words)
