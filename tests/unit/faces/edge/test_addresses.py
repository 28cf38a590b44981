"""Where a request comes from: the peer, or what a trusted proxy says of it."""

from ipaddress import ip_network

import pytest

from make_bridge.faces.edge.addresses import Addresses

PROXY = Addresses([ip_network("10.0.0.0/8")])


def forwarded(*values):
    return [(b"host", b"bridge.example"), *((b"x-forwarded-for", value.encode()) for value in values)]


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip"])
def test_c01_who_is_no_proxy_of_ours_has_one_address_whatever_it_says(name):
    seen = {
        Addresses([]).of("198.51.100.7", [(name.encode(), f"6.6.{n >> 8}.{n & 255}".encode())]) for n in range(10_000)
    }
    seen |= {PROXY.of("198.51.100.7", [(name.encode(), f"6.6.6.{n}".encode())]) for n in range(256)}
    assert seen == {"198.51.100.7"}


def test_of_what_a_trusted_proxy_says_the_last_hop_counts_alone():
    assert PROXY.of("10.1.2.3", forwarded("203.0.113.9")) == "203.0.113.9"
    assert PROXY.of("10.1.2.3", forwarded("6.6.6.6, 7.7.7.7, 203.0.113.9")) == "203.0.113.9"
    assert PROXY.of("10.1.2.3", forwarded("6.6.6.6", "203.0.113.9")) == "203.0.113.9"
    # The hop before is not believed, even when the last one is a proxy of ours too.
    assert PROXY.of("10.1.2.3", forwarded("6.6.6.6, 10.9.9.9")) == "10.9.9.9"


@pytest.mark.parametrize("said", ["", "unknown", "6.6.6.6,", "évil", "1.2.3.4.5", "_hidden", "a" * 5000])
def test_what_is_no_address_leaves_the_proxy_s(said):
    assert PROXY.of("10.1.2.3", [(b"x-forwarded-for", said.encode("latin-1"))]) == "10.1.2.3"


def test_addresses_of_one_64_are_one_and_a_mapped_one_is_what_it_stands_for():
    assert Addresses().of("2001:db8:1:2::1", []) == Addresses().of("2001:db8:1:2:ffff::9", []) == "2001:db8:1:2::/64"
    assert Addresses().of("2001:db8:1:3::1", []) == "2001:db8:1:3::/64"
    assert Addresses().of("::ffff:198.51.100.7", []) == "198.51.100.7"
    assert PROXY.of("::ffff:10.0.0.1", forwarded("203.0.113.9")) == "203.0.113.9"
