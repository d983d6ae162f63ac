"""Which series an outcome counts in: rules applied to labels, series made on first sight, and their caps.

At a cap the series that exist stay and new ones are refused; each outcome so refused is counted under its (rule, tenant,
workflow). So that junk labels of an hour ago do not keep new steps out for a day, a tick makes room where something was
refused: of the series that have no alert and were silent for an hour, the longest silent go. The law: every outcome is
in at most one series of each rule, and a series with an alert is never given up.
"""

from collections import Counter
from collections.abc import Callable

from schemas.alert import AlertEvent
from schemas.outcome import Outcome
from schemas.rule import Rule, RuleSet, When
from streams.core.series import Series

SERIES_MAX = 10_000  # of one partition: its checkpoint must stay below the topic's 8 MiB
WORKFLOWS_MAX = 1_000  # that a rule follows of one tenant: one that invents names must not take the others' room
LABEL_CHARS_MAX = 128  # a label is cut before it names a series
ROUTES_MAX = 50_000
STALE_MS = 3_600_000
DROPPED_NAMED_MAX = 1_000

SeriesId = tuple[str, str, tuple[tuple[str, str], ...]]  # rule uid, tenant, group labels
Group = tuple[str, str, str]  # rule uid, tenant, workflow
OTHER_GROUP: Group = ("", "", "")
_Labels = tuple[str, str, str, str, str, str, str, When]


class Board:
    """All series of one partition."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.series: dict[SeriesId, Series] = {}
        self.dropped: Counter[Group] = Counter()
        self._live: Counter[Group] = Counter()
        self._workflows: Counter[tuple[str, str]] = Counter()  # by rule uid and tenant
        self._routes: dict[_Labels, tuple[Series, ...]] = {}
        self.refused: Counter[Group] = Counter()  # since room was last made

    def live(self, group: Group) -> int:
        """How many series share the budget of a rule and workflow."""
        return self._live[group]

    def series_of(
        self, tenant: str, workflow: str, outcome: Outcome, now_ms: int, well_ms: int, when: When = "decided"
    ) -> tuple[Series, ...]:
        """The series that this outcome counts in, one a rule at most; made where they are new and there is room."""
        o = outcome
        labels = (tenant, workflow, o.step, o.evaluator, o.step_kind, o.agent, o.tool, when)
        route = self._routes.get(labels)
        if route is None:
            told = tenant, workflow, o.step, o.evaluator, o.step_kind
            fitting = [rule for rule in self.rules.rules if rule.when == when and rule.match.fits(*told)]
            found = [self._find_or_make(rule, labels, now_ms, well_ms) for rule in fitting]
            route = tuple(series for series in found if series)
            if len(route) == len(fitting):  # what was refused must be counted each time
                self._remember(labels, route)
        return route

    def _remember(self, labels: _Labels, route: tuple[Series, ...]) -> None:
        if len(self._routes) >= ROUTES_MAX:
            self._routes.clear()
        self._routes[labels] = route

    def _find_or_make(self, rule: Rule, labels: _Labels, now_ms: int, well_ms: int) -> Series | None:
        tenant, workflow, step, evaluator, step_kind, agent, tool, _ = labels
        by_name = {
            "workflow": workflow,
            "step": step,
            "evaluator": evaluator,
            "step_kind": step_kind,
            "agent": agent,
            "tool": tool,
        }
        group_labels = tuple(sorted((name, by_name[name][:LABEL_CHARS_MAX]) for name in rule.group_by))
        found = self.series.get((rule.uid, tenant, group_labels))
        if found:
            return found
        group = rule.uid, tenant, workflow
        is_one_too_many = group not in self._live and self._workflows[rule.uid, tenant] >= WORKFLOWS_MAX
        if is_one_too_many or self._live[group] >= rule.max_series or len(self.series) >= SERIES_MAX:
            named = group in self.dropped or len(self.dropped) < DROPPED_NAMED_MAX
            self.dropped[group if named else OTHER_GROUP] += 1
            wanted = _any_workflow(group) if is_one_too_many else group
            if wanted in self.refused or len(self.refused) < DROPPED_NAMED_MAX:
                self.refused[wanted] += 1
            return None
        series = Series(rule, tenant, workflow, group_labels, last_ms=now_ms, heard_ms=well_ms)
        self.put(series)
        return series

    def put(self, series: Series) -> None:
        """Take a series in: a new one, or one of a checkpoint."""
        self.series[series.rule.uid, series.tenant, series.labels] = series
        self._workflows[series.group[:2]] += series.group not in self._live
        self._live[series.group] += 1

    def remove(self, gone: Callable[[Series], bool]) -> None:
        """Forget the series that `gone` names."""
        leaving = [id_ for id_, series in self.series.items() if gone(series)]
        for id_ in leaving:
            series = self.series.pop(id_)
            self._live[series.group] -= 1
            if not self._live[series.group]:
                del self._live[series.group]
                self._workflows[series.group[:2]] -= 1
                if not self._workflows[series.group[:2]]:
                    del self._workflows[series.group[:2]]
        if leaving:
            self._routes.clear()

    def awake(self) -> list[Series]:
        """The series that time alone can change."""
        return [s for s in self.series.values() if s.is_open or s.rule.no_data.do != "keep"]

    def make_room(self, now_ms: int) -> None:
        """Where outcomes were refused since the last time, give up as many stale series, the longest silent first."""
        if not self.refused:
            return
        crowded = (
            len(self.series) >= SERIES_MAX
        )  # then a series of any rule makes room, else only one of the same group
        room = Counter({OTHER_GROUP: self.refused.total()}) if crowded else self.refused.copy()
        self.refused.clear()
        leaving: set[str] = set()
        for series in sorted(self.series.values(), key=lambda s: (s.last_ms, s.key)):
            group = OTHER_GROUP if crowded else series.group if room[series.group] else _any_workflow(series.group)
            if room[group] > 0 and now_ms - series.last_ms >= STALE_MS and not series.is_open and not series.bucket.n:
                room[group] -= 1
                leaving.add(series.key)
        if leaving:
            self.remove(lambda s: s.key in leaving)

    def is_silenced(self, event: AlertEvent) -> bool:
        """Whether a silence of the rules holds for an event."""
        labels = dict(event.labels)
        return any(s.holds(event.rule.uid, event.tenant, labels, event.time_ms) for s in self.rules.silences)

    def take_over(self, rules: RuleSet) -> None:
        """Go on under new rules; every series must have one of them already."""
        self.rules = rules
        self._routes.clear()


def _any_workflow(group: Group) -> Group:
    """Where room is wanted that any workflow of the rule and tenant may give."""
    return group[0], group[1], ""
