"""Which required outputs of the task truth were said so far: kept once a fold, read by several evaluators.

The law: every text is read once, and only while a required output is still unsaid; what was said stays said.
"""

from collections.abc import Sequence
from itertools import islice

from evaluators.base import Context, Follower
from evaluators.views.speech import TEXTS_MAX, assistant_texts, may_say, unsaid, wanted
from schemas.payload import has_token, is_placeholder
from schemas.span import REDACTED, Span, is_step
from schemas.trajectory import Step


class RequiredOutputs(Follower):
    """The required outputs that are unsaid. Shared in a fold."""

    def __init__(self, context: Context) -> None:
        truth = context.truth
        self.required: tuple[str, ...] = truth.required_outputs if truth is not None else ()
        super().__init__(context, None if self.required else [])  # where nothing is required nothing need be looked at
        self.captured = False  # whether anything that was said was captured
        self.redacted = False  # whether some of it was replaced by placeholders
        self._unsaid = list(self.required)
        self._texts = 0
        self._roots: tuple[Span, ...] = ()
        self._unsaid_with_roots = self._unsaid

    def take(self, steps: Sequence[Step]) -> None:
        """Take in what these steps said."""
        for step in steps:
            self._hear(step)

    def _hear(self, step: Step) -> None:
        if step.span.output_messages is None:
            return
        self.captured = True
        self.redacted = self.redacted or is_redacted(step.span)
        if self._unsaid and self._texts < TEXTS_MAX and may_say(step.span.output_messages, map(wanted, self._unsaid)):
            texts = list(islice(assistant_texts((step.span,)), TEXTS_MAX - self._texts))
            self._texts += len(texts)
            left = unsaid(self._unsaid, texts)
            if len(left) != len(self._unsaid):
                self._unsaid, self._roots = left, ()

    def unsaid(self, roots: tuple[Span, ...]) -> list[str]:
        """What neither the steps nor these roots said."""
        self.catch_up()
        if not self._unsaid:
            return self._unsaid
        if roots != self._roots or not roots:
            said = [root for root in roots if root.output_messages is not None and not is_step(root.kind)]
            self._roots = roots
            self._unsaid_with_roots = unsaid(self._unsaid, assistant_texts(said)) if said else self._unsaid
        return self._unsaid_with_roots

    def any_redacted(self, roots: tuple[Span, ...]) -> bool:
        """Whether some of what was said, by the steps or by these roots, was taken away: an output may have been in it."""
        self.catch_up()
        return self.redacted or any(map(is_redacted, roots))

    def any_captured(self, roots: tuple[Span, ...]) -> bool:
        """Whether anything that was said, by the steps or by these roots, was captured."""
        self.catch_up()
        return self.captured or any(root.output_messages is not None for root in roots)


def is_redacted(span: Span) -> bool:
    """Whether a redactor replaced what a span said, or some of it."""
    said = span.output_messages
    return is_placeholder(said) or (bool(span.flags & REDACTED) and has_token(said))
