"""The law of ports: asked for = used or refused; usual but taken = another, said; once picked = preferred."""

import socket

import pytest

from streams.console.errors import UserError
from streams.local.ports import ANY, Choice, PortClaims, PortsAsked, choose, choose_all, is_free, pick_free

PICKED = 20_001
NOTE = "the usual port 9092 is taken, so 20001 is used"


@pytest.mark.parametrize(
    ("case", "asked", "remembered", "taken", "expected"),
    [
        ("the usual port when nothing speaks against it", None, None, (), Choice(9092)),
        ("another port, said, when the usual one is taken", None, None, (9092,), Choice(PICKED, NOTE)),
        ("the port of last time before the usual one", None, 20_500, (), Choice(20_500)),
        ("the usual port when that of last time is taken", None, 20_500, (20_500,), Choice(9092)),
        ("exactly the port asked for", 7000, 20_500, (), Choice(7000)),
        ("any free port for a test", ANY, None, (), Choice(PICKED)),
        ("the same free port for a test's second start", ANY, 20_500, (), Choice(20_500)),
    ],
)  # fmt: skip
def test_a_port_is_chosen_by_the_law(case, asked, remembered, taken, expected):
    assert choose("kafka", asked, remembered, lambda port: port not in taken, lambda: PICKED) == expected, case


def test_a_port_asked_for_that_is_taken_is_refused_with_the_flag_to_use():
    with pytest.raises(UserError, match=r"port 7000 is taken: .* --kafka-port"):
        choose("kafka", 7000, None, lambda port: False, lambda: PICKED)


def test_no_two_parts_get_the_same_port():
    chosen = choose_all(PortsAsked(ANY, ANY, ANY), {}, ("kafka", "clickhouse", "gateway"), is_free)
    assert len({choice.port for choice in chosen.values()}) == 3


def test_a_port_somebody_listens_on_is_not_free():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])


def test_a_picked_port_lies_below_the_range_of_outgoing_connections():
    assert pick_free(set()) < 32_768


def test_a_port_that_another_stack_is_about_to_use_is_not_had(tmp_path):
    ours, theirs, port = PortClaims(tmp_path), PortClaims(tmp_path), pick_free(set())
    assert theirs.take(port)
    assert is_free(port), "nobody listens yet"
    assert not ours.take(port)
    theirs.release()
    assert ours.take(port)
    ours.release()


def test_without_a_folder_to_agree_in_free_ports_are_had(tmp_path):
    assert PortClaims(tmp_path / "never").take(pick_free(set()))
