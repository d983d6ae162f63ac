import logging

from streams.log_lines import Sparingly


def line(name: str = "aiokafka.conn", text: str = "no broker") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, text, (), None)


def test_a_library_says_so_much_a_minute_and_then_how_much_was_left_out():
    now = [0.0]
    sparingly = Sparingly(3, 60, lambda: now[0])
    assert [sparingly.filter(line()) for _ in range(5)] == [True, True, True, False, False]
    now[0] = 59.9
    assert not sparingly.filter(line())
    now[0] = 60.0
    said = line()
    assert sparingly.filter(said)
    assert said.getMessage() == "no broker (3 lines of aiokafka were left out)"
    assert sparingly.filter(line())
    now[0] = 200.0
    said = line()
    assert sparingly.filter(said)
    assert said.getMessage() == "no broker", "nothing was left out since"


def test_libraries_do_not_share_and_ours_is_never_cut():
    sparingly = Sparingly(1, 60, lambda: 0.0)
    assert sparingly.filter(line("aiokafka"))
    assert sparingly.filter(line("faust.app"))
    assert not sparingly.filter(line("aiokafka.conn"))
    assert all(sparingly.filter(line("streams.worker.sink")) for _ in range(100))
