"""A schedule played: workers one after the other, a zombie beside them, and a last worker that finishes in peace."""

from collections import Counter

from schemas.trajectory import TraceKey
from tests.properties.test_engine import LATER, REGISTRY
from tests.properties.world import Worker, World
from tests.simulator.schedule import Schedule

QUIET_MS = 100_000  # more than any window


class Played:
    """The world at the end, and how often each kind of thing really happened."""

    def __init__(self, world: World, happened: Counter[str]) -> None:
        self.world = world
        self.happened = happened


class Group:
    """The workers of one partition. What a planted bug changes of the shell is a method here or in `Worker`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.worker = self._new()
        self.zombie: Worker | None = None
        self.happened: Counter[str] = Counter()

    def act(self, action: str) -> None:
        """One action of the schedule; one that cannot happen now does not."""
        worker, world = self.worker, self.world
        match action:
            case "consume" if worker.position < len(world.log):
                worker.consume()
            case "step":
                worker.step()
            case "flush":
                worker.flush_whole()
            case "idle" if self.may_idle(worker):
                worker.idle(worker.engine.clock_ms + 2_000)
            case "crash":
                if worker.stage:
                    self.happened[f"crash after effect {worker.stage} of a flush"] += 1
                self.worker = self._new()
            case "zombie":
                self.zombie, self.worker = worker, self._new()
            case "zombie acts" if self.zombie is not None:
                self.zombie.consume()
                self.zombie.step()
            case "rebalance":
                Worker(world)  # another owner, which has done nothing yet
                self.worker = self.come_back(worker)
            case "config":
                world.apply(LATER if world.seq % 2 else REGISTRY)
            case _:
                return
        self.happened[action] += 1
        self._check_config()

    def _new(self) -> Worker:
        self._born_under = self.world.seq
        return Worker(self.world)

    def _check_config(self) -> None:
        """An owner never judges by an older config than that which was in force when it began."""
        for row in self.worker.flush.trajectories if hasattr(self.worker, "flush") else ():
            assert row.config_seq >= self._born_under, "a row under an older config than its writer began with"

    def may_idle(self, worker: Worker) -> bool:
        """Time alone may go on only for a worker that is caught up: what it has not read may be older."""
        return worker.position == len(self.world.log)

    def come_back(self, before: Worker) -> Worker:
        """The partition is assigned again: everything is read from the store."""
        return self._new()

    def finish(self) -> None:
        """A last worker reads on to the end, and then nothing comes for long."""
        self.worker = self._new()
        while self.worker.position < len(self.world.log):
            self.worker.consume()
            if self.worker.position % 2:
                self.worker.flush_whole()
        for _ in range(3):
            self.worker.flush_whole()
            self.worker.idle(self.worker.engine.clock_ms + QUIET_MS)
        self.worker.flush_whole()
        self.worker.flush_whole()


def play(schedule: Schedule, group_of: type[Group] = Group) -> Played:
    """Play it. Raises AssertionError where the world sees at once that something is wrong."""
    world = World(schedule.log, schedule.policy, REGISTRY)
    group = group_of(world)
    for action in schedule.actions:
        group.act(action)
    group.finish()
    group.happened.update(_of_the_log(schedule))
    return Played(world, group.happened)


def _of_the_log(schedule: Schedule) -> Counter[str]:
    """What the log brings: duplicates, contents that contradict each other, spans after a decision, eviction."""
    found: Counter[str] = Counter()
    seen: dict[tuple[TraceKey, bytes], set[int]] = {}
    for record in schedule.log:
        for item in record.spans:
            known = seen.setdefault((TraceKey(item.tenant, item.trace_id), item.span_id), set())
            found["duplicate"] += item.content_hash in known
            found["conflict"] += bool(known - {item.content_hash})
            known.add(item.content_hash)
    found["small memory"] += schedule.policy.spans_in_memory_max < 10
    return found
