"""The table of addresses: public or not, also when one address carries another."""

from ipaddress import ip_address

import pytest

from make_bridge.platform.egress.addresses import is_public

PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 168.63.129.15
    168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.1 192.0.3.1
    192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255
    2606:4700::1111 2a00:1450::1 2001:200::1 2620:fe::fe 2c0f::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
    ::ffff:0:8.8.8.8
"""
NOT_PUBLIC = """
    0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0 127.255.255.255
    168.63.129.16 169.254.0.0 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.192 192.0.2.255
    192.88.99.1 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.1 203.0.113.255 224.0.0.0 239.255.255.255
    240.0.0.0 255.255.255.255 :: ::1 ::2 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:0:10.0.0.1 64:ff9b::10.0.0.1
    64:ff9b:1::8.8.8.8 100::1 2001::1 2001:2::1 2001:10::1 2001:1ff:ffff::1 2001:db8::1 2002:808:808::1 3ffe::1
    3fff:fff::1 4000::1 5f00::1 fc00::1 fdff::1 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1 2606:4700::5efe:10.0.0.1
    2606:4700::200:5efe:8.8.8.8 1fff::1
"""


@pytest.mark.parametrize("text", PUBLIC.split())
def test_public_addresses_up_to_the_edges_of_every_block_are_public(text):
    assert is_public(ip_address(text))


@pytest.mark.attack("E21")
@pytest.mark.parametrize("text", NOT_PUBLIC.split())
def test_all_other_addresses_are_not(text):
    assert not is_public(ip_address(text))
