"""Whether traces lie where all their spans meet: what a scorer sees of a sender that places them otherwise.

All spans of a trace must come to one partition. Which one is agreed upon (`schemas.partition`), so every first span of a trace
shows whether its sender keeps to it. One that places all of a trace elsewhere does no harm until another sender takes part; one
that does not place by trace at all splits every run. Pure.
"""

from schemas.partition import Partitioner, partition_of_trace

TELL_FROM = 10  # misplaced traces: one or two may be somebody's trial
SURE = 0.9  # share of them that the other hasher explains
_OTHER: dict[Partitioner, Partitioner] = {"sarama": "murmur2", "murmur2": "sarama"}


class Placement:
    """The traces that one worker saw first, and where."""

    def __init__(self, hasher: Partitioner) -> None:
        self._hasher = hasher
        self.misplaced = 0
        self._by_other = 0  # of them, those that lie where the other hasher puts them
        self._told: set[str] = set()

    def look(self, trace_id: bytes, partition: int, partitions: int) -> bool:
        """Take note of a trace that comes for the first time; whether it is misplaced."""
        if partition_of_trace(trace_id, partitions, self._hasher) == partition:
            return False
        self.misplaced += 1
        self._by_other += partition_of_trace(trace_id, partitions, _OTHER[self._hasher]) == partition
        return True

    def news(self) -> str:
        """What to tell people and has not been told: the cause, and the cure. "" where there is nothing."""
        if self.misplaced < TELL_FROM:
            return ""
        other = _OTHER[self._hasher]
        if self._by_other >= SURE * self.misplaced:
            cause = (
                f"traces are placed by {other}, not by {self._hasher}: set STEPWATCH_RECORD_PARTITIONER={other} for all parts, "
                "or the hasher of the Collector's kafka exporter (record_partitioner.sticky_key.hasher)"
            )
        else:
            cause = (
                "spans are not placed by trace, so that runs are split: set partition_traces_by_id: true in the Collector's "
                "kafka exporter, as infra/collector/collector.yaml does, or send through the gateway; or the number of "
                "partitions was changed while traces were open"
            )
        if cause in self._told:
            return ""
        self._told.add(cause)
        return f"{self.misplaced} traces came to another partition than theirs: {cause}"
