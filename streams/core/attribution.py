"""What changed at the onset: which features of the runs explain that they fail now. Pure and deterministic.

Runs of the alert's series are sampled by hash (streams/store/attribution.py), each with whether it failed, whether it is of the
time since the onset, and its features. Two questions are asked of them.

*Which symptom is new?* For a symptom x (an evaluator's reason at a place, an argument at fault) the share of runs that show it,
since against before. The evidence is the Bayes factor of "two rates" against "one rate" (both Beta(1/2, 1/2), so that any
count is fair): the data decide, no threshold is set.

*Which attribute tells failing runs from the others?* Of the models

    nothing   the rate rose, the same for all runs:              B(f_s, n_s) B(f_b, n_b)
    v fails   runs with v fail at a new rate, the others as before: B(f_v, n_v) B(f_o + f_b, n_o + n_b)
    more v    runs with v always failed more, and there are more:  B(f_v + f_bv, n_v + n_bv) B(f_o + f_bo, n_o + n_bo)

(B(f, n): the beta-binomial marginal of f fails in n runs) each has a posterior probability; all attributes share one prior. A
value that appeared at the onset gets `APPEARED` times the prior: that a change which did it by chance falls into the same
minutes is that unlikely. It is what can name a release that all runs got at once. The onset is where runs began to fail, so a
few runs that have the value and passed may come before it: no more than chance gives at the rate at which they fail since.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import exp, lgamma, log
from typing import NamedTuple

from evaluators.catalogue import EVALUATORS
from schemas.attribution import ATTRIBUTES, FOLLOWING, NOTHING, Attribution, Cause, Mark, Run, Share
from streams.core.attribution_words import sentence_of

CAUSES_MAX = 5
TRACES_MAX = 3
RUNS_MIN = 5  # since the onset: of fewer nothing is said
NAMED_FROM = 0.5  # posterior from which a symptom is told
ATTRIBUTE_FROM = 0.8  # and an attribute
LEADS_FROM = 0.9  # and an attribute before the symptoms
EXPLAINS_FROM = 0.5  # of the failing runs: a cause of fewer does not lead
APPEARED = 100.0
APPEARED_RUNS_MIN = 30  # before the onset, without the value: fewer do not show that it is new
PASSED_CHANCE = 0.01  # of as many runs with it passing before the first that failed
SPECIFIC_FROM = 0.8  # an argument that stands for so much of its reason code is told instead of it
_CATALOGUE = {evaluator.name: place for place, evaluator in reversed([*enumerate(EVALUATORS)])}


class _Counts(NamedTuple):
    since: Share  # failing runs with the mark, of runs with it
    before: Share


def attribute(runs: Iterable[Run], onset_ms: int, step: str = "") -> Attribution:
    """The causes that these runs point to, the most likely first. `step`: the series' own, where it is of one."""
    ordered = sorted(runs, key=lambda run: (run.at_ms, run.trace_id))
    since, before = _share(r for r in ordered if r.is_since), _share(r for r in ordered if not r.is_since)
    bad = tuple(run.trace_id for run in ordered if run.is_since and run.failed)[:TRACES_MAX]
    if since.n < RUNS_MIN or not since.k:
        return NOTHING._replace(since=since, before=before, traces=bad)
    told = _Telling(ordered, onset_ms, since, before, step)
    symptoms, attributes = told.symptoms(), told.attributes()
    leading = [c for c in attributes if _leads(c)]
    following = [c for c in attributes if c not in leading]
    return Attribution((*leading, *symptoms, *following)[:CAUSES_MAX], since, before, bad)


class _Telling:
    """The runs of one attribution, counted by mark."""

    def __init__(self, runs: Sequence[Run], onset_ms: int, since: Share, before: Share, step: str) -> None:
        self._onset_ms, self._since, self._before, self._step = onset_ms, since, before, step
        self._runs: dict[Mark, list[Run]] = defaultdict(list)
        for run in runs:
            for mark in run.marks:
                self._runs[mark].append(run)

        place = {run.trace_id: at for at, run in enumerate(runs)}
        self._attributes = [mark for mark in self._runs if mark.feature in ATTRIBUTES]
        self._new = {mark for mark in self._attributes if self._appeared(mark, place[self._runs[mark][0].trace_id])}

    def symptoms(self) -> list[Cause]:
        """What is seen in more runs than before, of that which failing runs show and passing ones do not."""
        found: dict[Mark, Cause] = {}
        marks = sorted(mark for mark in self._runs if mark.feature not in ATTRIBUTES)
        for mark in marks:
            shown = [run for run in self._runs[mark] if run.is_since]
            k, k_before = len(shown), len(self._runs[mark]) - len(shown)
            failing = sum(run.failed for run in shown)
            rise = k / self._since.n - k_before / max(1, self._before.n)
            if rise <= 0 or not self._tells_apart(k, failing):
                continue
            evidence = _two_rates(k, self._since.n, k_before, self._before.n) if self._before.n else k * log(2)
            posterior = _posterior(evidence, len(marks))
            if posterior >= NAMED_FROM:
                share = Share(k, self._since.n), Share(k_before, self._before.n)
                found[mark] = self._cause(mark, *share, None, failing / self._since.k, posterior)
        return self._ordered(found)

    def _tells_apart(self, k: int, failing: int) -> bool:
        """Whether failing runs show it rather than passing ones, as far as both are there. What the series' own evaluator
        says, only failing ones do."""
        passing = self._since.n - self._since.k
        if passing < RUNS_MIN:
            return failing > 0
        return failing > k - failing and _two_rates(failing, self._since.k, k - failing, passing) > 0

    def _ordered(self, found: dict[Mark, Cause]) -> list[Cause]:
        """By how much they explain; an argument before the reason code that it stands for, which is then left out."""
        arguments = [c for c in found.values() if c.feature == "argument"]

        def covered(cause: Cause) -> bool:
            return cause.feature == "reason_code" and any(
                (a.agent, a.tool, a.evaluator, a.reason_code) == (cause.agent, cause.tool, cause.evaluator, cause.value)
                and a.explained >= SPECIFIC_FROM * cause.explained
                for a in arguments
            )

        return sorted((cause for cause in found.values() if not covered(cause)), key=self._rank)

    def _rank(self, cause: Cause) -> tuple[object, ...]:
        """Of symptoms that explain as much: what was seen before what was concluded from it (the order of the catalogue;
        evaluators that are not in it are somebody's own, and come first), then the series' own step."""
        place = f"{cause.agent or '-'}/{cause.tool}" if cause.tool else cause.agent
        return (
            -_twentieth(cause.explained),
            cause.feature != "argument",
            _CATALOGUE.get(cause.evaluator, -1),
            place != self._step,
            -cause.explained,
            *(cause.agent, cause.tool, cause.evaluator, cause.value),
        )

    def attributes(self) -> list[Cause]:
        """Whose runs fail while the others do not."""
        models: list[tuple[Mark, _Counts, float]] = []
        for mark in sorted(self._attributes):
            counts = self._counts(mark)
            if counts.since.k and (weighed := self._weigh(mark, counts)) is not None:
                models.append((mark, counts, weighed))
        if not models:
            return []
        log_total = _log_sum([0.0, *(weighed for *_, weighed in models)])
        causes = []
        for mark, counts, weighed in models:
            posterior = exp(weighed - log_total)
            twins = sum(exp(w - log_total) for _, c, w in models if c == counts)  # they cannot be told apart
            if twins >= ATTRIBUTE_FROM:
                elsewhere = Share(self._since.k - counts.since.k, self._since.n - counts.since.n)
                explained = counts.since.k / self._since.k
                cause = self._cause(mark, counts.since, self._before, elsewhere, explained, twins)
                causes.append((-posterior, ATTRIBUTES.index(mark.feature), cause))
        return [cause for *_, cause in sorted(causes, key=lambda told: told[:2])]

    def _weigh(self, mark: Mark, counts: _Counts) -> float | None:
        """Log of prior times Bayes factor against "nothing"; None where the value cannot be the cause."""
        (f, n), (f_b, n_b) = counts.since, counts.before
        f_o, n_o = self._since.k - f, self._since.n - n
        if f * n_o < f_o * n and n_o:
            return None  # runs with it fail less than the others
        appeared = mark in self._new
        peers = len(self._new) if appeared else len(self._attributes) - len(self._new)  # they share one prior
        prior = (log(APPEARED) if appeared else 0.0) - log(peers)
        if not n_o and self._before.n:
            # All runs have it now: that they fail says nothing of it, only when it came does.
            return prior if appeared else None
        nothing = _marginal(*self._since) + _marginal(*self._before)
        fails = _marginal(f, n) + _marginal(f_o + self._before.k, n_o + self._before.n)
        more = _marginal(f + f_b, n + n_b) + _marginal(f_o + self._before.k - f_b, n_o + self._before.n - n_b)
        return prior + max(fails, more) - nothing

    def _appeared(self, mark: Mark, first: int) -> bool:
        """Whether the value came up at the onset; `first` is the place of its first run among all."""
        (f, n), (f_b, n_b) = self._counts(mark)
        if first < APPEARED_RUNS_MIN or not n:
            return False
        as_often_since = n_b * self._since.n / n  # runs in which it would have come so often as it comes now
        came_late = self._before.n - first <= 3 * (1 + as_often_since)
        return n_b == 0 or (came_late and not f_b and (1 - f / n) ** n_b >= PASSED_CHANCE)

    def _counts(self, mark: Mark) -> _Counts:
        runs = self._runs[mark]
        return _Counts(_share(r for r in runs if r.is_since), _share(r for r in runs if not r.is_since))

    def _cause(
        self, mark: Mark, since: Share, before: Share, elsewhere: Share | None, explained: float, confidence: float
    ) -> Cause:
        bad = [run.trace_id for run in self._runs[mark] if run.is_since and run.failed]
        is_new = elsewhere is not None and mark in self._new
        return Cause(
            feature=mark.feature,
            value=mark.value,
            agent=mark.agent,
            tool=mark.tool,
            evaluator=mark.evaluator,
            reason_code=mark.reason_code,
            sentence=sentence_of(mark, since, before, elsewhere, self._onset_ms, is_new=is_new),
            since=since,
            before=before,
            elsewhere=elsewhere,
            explained=explained,
            confidence=round(confidence, 4),
            traces=tuple(bad[:TRACES_MAX]),
        )


def _leads(cause: Cause) -> bool:
    told = cause.confidence >= LEADS_FROM and cause.explained >= EXPLAINS_FROM
    return told and cause.feature not in FOLLOWING


def _share(runs: Iterable[Run]) -> Share:
    counted = [run.failed for run in runs]
    return Share(sum(counted), len(counted))


def _twentieth(share: float) -> int:
    return round(share * 20)


def _marginal(fails: int, n: int) -> float:
    """Log of the probability of a sequence with so many fails, its rate unknown: Beta(1/2, 1/2)."""
    return _log_beta(fails + 0.5, n - fails + 0.5) - _log_beta(0.5, 0.5)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _two_rates(k: int, n: int, k_other: int, n_other: int) -> float:
    """Log Bayes factor: two rates against one."""
    return _marginal(k, n) + _marginal(k_other, n_other) - _marginal(k + k_other, n + n_other)


def _posterior(log_factor: float, hypotheses: int) -> float:
    """Of one among so many that could have been the one."""
    return 1.0 / (1.0 + max(1, hypotheses) * exp(-log_factor)) if log_factor > -700 else 0.0


def _log_sum(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + log(sum(exp(each - most) for each in logs))
