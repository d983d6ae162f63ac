"""Where nothing is ever sent, in all its spellings; and where the target's own exceptions lead."""

from ipaddress import ip_network

import pytest

from streams.delivery.address import refusal

PUBLIC = ["8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
REFUSED = [
    ("127.0.0.1", "loopback"),
    ("127.8.9.1", "loopback"),
    ("::1", "loopback"),
    ("0.0.0.0", "this host"),
    ("::", "this host"),
    ("10.1.2.3", "private"),
    ("172.16.0.1", "private"),
    ("192.168.1.1", "private"),
    ("100.64.0.1", "carrier"),
    ("192.0.0.8", "reserved"),
    ("192.0.2.1", "examples"),
    ("198.18.0.1", "measurements"),
    ("169.254.169.254", "link-local"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fd00:ec2::254", "private"),
    ("fec0::1", "site-local"),
    ("224.0.0.1", "multicast"),
    ("ff02::1", "multicast"),
    ("255.255.255.255", "reserved"),
    ("240.0.0.1", "reserved"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::127.0.0.1", "reserved"),
    ("64:ff9b::169.254.169.254", "link-local"),
    ("64:ff9b:1::7f00:1", "reserved"),
    ("2002:7f00:1::1", "loopback"),
    ("2002:a9fe:a9fe::", "link-local"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "tunnel"),
    ("2001:db8::1", "examples"),
    ("4000::1", "reserved"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_connected_to(address: str) -> None:
    assert refusal(address, ()) is None


@pytest.mark.parametrize(("address", "kind"), REFUSED)
def test_everything_else_is_refused_however_it_is_spelled(address: str, kind: str) -> None:
    told = refusal(address, ())
    assert told is not None
    assert "not public" in told
    assert kind in told


@pytest.mark.parametrize(
    ("network", "address", "open_"),
    [
        ("10.20.0.0/16", "10.20.3.4", True),
        ("10.20.0.0/16", "10.21.0.1", False),
        ("10.20.0.0/16", "::ffff:10.20.3.4", True),
        ("10.20.0.0/16", "169.254.169.254", False),
        ("127.0.0.1/32", "127.0.0.1", True),
        ("127.0.0.1/32", "127.0.0.2", False),
        ("fd12::/32", "fd12::7", True),
        ("fd12::/32", "10.0.0.1", False),
    ],
)
def test_an_exception_opens_its_network_and_no_other(network: str, address: str, open_: bool) -> None:
    assert (refusal(address, (ip_network(network),)) is None) == open_


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "2130706433", "0x7f.1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert refusal(text, ())
