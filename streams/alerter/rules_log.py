"""The rules of every config record that is still on the config log, by its seq.

A text that does not parse (another version wrote it) keeps the last good rules and says so. The log is compacted: where the
record that a tick names is gone, the next one that survived stands for it.
"""

import logging

from schemas.config import ConfigError
from schemas.rule import NO_RULES, RuleSet
from schemas.rules import parse_rules
from streams.config_log import ConfigReader, ConfigRecord

KEPT_MAX = 200

log = logging.getLogger(__name__)


class RulesLog:
    """Follows the config log. `newest_seq` is 0 until anything was applied."""

    def __init__(self, reader: ConfigReader) -> None:
        self._reader = reader
        self._rules: dict[int, RuleSet] = {}
        self.newest_seq = 0

    async def follow(self) -> None:
        """Take over what is new. Raises KafkaError."""
        for record in await self._reader.read_new():
            self._take(record)

    def _take(self, record: ConfigRecord) -> None:
        try:
            rules = parse_rules(record.rules_text, f"eval.config {record.seq}")
        except ConfigError as error:
            rules = self._rules.get(self.newest_seq, NO_RULES)
            log.error("the rules of config %d are not readable here, the last good ones stay: %s", record.seq, error)
        self._rules[record.seq] = rules
        self.newest_seq = max(self.newest_seq, record.seq)
        if len(self._rules) > KEPT_MAX:
            del self._rules[min(self._rules)]

    def at(self, seq: int) -> RuleSet | None:
        """The rules of record `seq`, of the next one where it is gone; None when the log does not reach that far."""
        later = [known for known in self._rules if known >= seq]
        return self._rules[min(later)] if later else None
