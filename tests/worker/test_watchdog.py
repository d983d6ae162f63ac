"""When a worker is taken for one that does not work, and when records are missed."""

from faust.types import TP

from streams.worker.watchdog import Alarm, Seen, Watchdog, distrusted, made_anew

ONE, TWO = TP("otlp_spans", 1), TP("otlp_spans", 2)


def look(dog: Watchdog, times: int, seen: dict[TP, Seen], every_s: float = 5.0, **said: object) -> list[Alarm]:
    found: list[Alarm] = []
    for _ in range(times):
        look.now += every_s  # type: ignore[attr-defined]
        found += dog.look(look.now, seen, **{"waiting": False, **said})  # type: ignore[attr-defined,arg-type]
    return found


look.now = 0.0  # type: ignore[attr-defined]


def test_a_worker_that_goes_on_or_is_caught_up_is_well() -> None:
    dog = Watchdog(20, 5)
    for done in range(0, 500, 10):
        assert look(dog, 1, {ONE: Seen(done, 0, 10_000), TWO: Seen(7, 0, 7)}) == []


def test_nothing_done_though_records_wait_is_fatal_after_the_time() -> None:
    dog = Watchdog(20, 5)
    assert look(dog, 4, {ONE: Seen(3, 0, 10)}) == []
    (alarm,) = look(dog, 1, {ONE: Seen(3, 0, 10)})
    assert (alarm.kind, alarm.is_fatal) == ("stalled", True)
    assert "otlp_spans-1: nothing done for 20 s, 7 records wait" in alarm.sentence


def test_one_partition_that_stands_still_beside_others_is_enough() -> None:
    dog, found = Watchdog(20, 5), []
    for done in range(5):
        found += look(dog, 1, {ONE: Seen(3, 0, 10), TWO: Seen(done, 0, 10)})
    assert [alarm.kind for alarm in found] == ["stalled"]


def test_while_the_store_is_away_nobody_is_to_blame_and_the_time_begins_anew() -> None:
    dog, seen = Watchdog(20, 5), {ONE: Seen(3, 0, 10)}
    assert look(dog, 4, seen) == []
    assert look(dog, 100, seen, waiting=True) == []
    assert look(dog, 4, seen) == []
    assert len(look(dog, 1, seen)) == 1


def test_a_process_that_was_stopped_for_an_hour_gets_time_to_go_on() -> None:
    dog, seen = Watchdog(20, 5), {ONE: Seen(3, 0, 10)}
    look(dog, 2, seen)
    assert look(dog, 1, seen, every_s=3_600) == []
    assert look(dog, 1, {ONE: Seen(9, 0, 10)}) == []


def test_what_retention_took_is_counted_and_told_once() -> None:
    dog = Watchdog(20, 5)
    found = look(dog, 3, {ONE: Seen(3, 10, 20), TWO: Seen(20, 10, 20)})
    assert [(alarm.kind, alarm.records, alarm.is_fatal) for alarm in found if alarm.kind != "stalled"] == [
        ("overtaken", 7, False)
    ]


def test_a_topic_that_was_made_anew_is_told_once() -> None:
    found = look(Watchdog(20, 5), 3, {ONE: Seen(500, 0, 4)})
    assert [(alarm.kind, alarm.is_fatal) for alarm in found] == [("recreated", False)]
    assert "made anew" in found[0].sentence


def test_a_topic_that_was_made_anew_twice_is_told_twice() -> None:
    dog = Watchdog(20, 5)
    seen = Seen(500, 0, 4), Seen(4, 0, 4), Seen(4, 0, 2)
    assert [len(look(dog, 2, {ONE: each})) for each in seen] == [1, 0, 1]


def test_retention_that_overtakes_again_is_told_and_counted_again() -> None:
    dog = Watchdog(20, 5)
    seen = Seen(3, 10, 20), Seen(3, 12, 20), Seen(15, 12, 20), Seen(15, 30, 40), Seen(15, 0, 20), Seen(2, 3, 20)
    assert [sum(alarm.records for alarm in look(dog, 2, {ONE: each})) for each in seen] == [7, 2, 0, 15, 0, 1]


def test_a_place_in_another_topic_is_worth_nothing_and_that_ends_the_worker() -> None:
    assert made_anew("otlp_spans").is_fatal
    assert not distrusted(ONE, 70).is_fatal
    assert "otlp_spans-1: offset 70 is of a topic of this name that is gone" in distrusted(ONE, 70).sentence


def test_no_partition_is_well_unless_some_belong_to_nobody() -> None:
    dog = Watchdog(20, 5)
    assert look(dog, 100, {}) == []
    assert look(dog, 3, {}, unowned=2) == []
    (alarm,) = look(dog, 1, {}, unowned=2)
    assert (alarm.kind, alarm.is_fatal) == ("unowned", True)
    assert "2 partitions belong to nobody for 20 s" in alarm.sentence


def test_a_partition_that_went_and_came_back_begins_anew() -> None:
    dog, seen = Watchdog(20, 5), {ONE: Seen(3, 0, 10)}
    look(dog, 4, seen)
    look(dog, 1, {TWO: Seen(1, 0, 1)})
    assert look(dog, 4, seen) == []
