"""One reading of a URL: what is dialled is what was checked."""

import pytest

from make_bridge.platform.egress.messages import EgressFailure
from make_bridge.platform.egress.urls import read_target


@pytest.mark.parametrize(
    ("text", "host", "port", "dialled"),
    [
        ("http://example.com", "example.com", 80, "http://example.com/"),
        ("HTTPS://Example.COM./a", "example.com", 443, "https://example.com/a"),
        ("https://example.com:443/", "example.com", 443, "https://example.com/"),
        ("http://example.com:8080?q=1#part", "example.com", 8080, "http://example.com:8080/?q=1"),
        ("http://münchen.example/straße", "xn--mnchen-3ya.example", 80, "http://xn--mnchen-3ya.example/stra%C3%9Fe"),
        ("http://\uff25\uff38\uff21\uff2d\uff30\uff2c\uff25\uff0ecom/", "example.com", 80, "http://example.com/"),
        ("http://my_host.example/", "my_host.example", 80, "http://my_host.example/"),
        (" http://example.com/a b\n", "example.com", 80, "http://example.com/a%20b"),
        ("http://134744072/", "8.8.8.8", 80, "http://8.8.8.8/"),
        ("http://0x8.0x8.2056/", "8.8.8.8", 80, "http://8.8.8.8/"),
        ("http://[2606:4700:0:0::1111]:8443/x", "2606:4700::1111", 8443, "http://[2606:4700::1111]:8443/x"),
        ("http://example.com/a?mail=b@c.d", "example.com", 80, "http://example.com/a?mail=b@c.d"),
    ],
)
def test_a_url_is_read_into_one_form(text, host, port, dialled):
    target = read_target(text)
    assert (target.host, target.port, str(target.url)) == (host, port, dialled)


def test_path_and_query_stay_byte_for_byte():
    text = "https://example.com/a%2Fb/../c%7e?X-Signature=ab%2B~%2f'()*&list[]=1&plus=+&odd=100%&u=%C3%BC"
    assert str(read_target(text).url) == text


@pytest.mark.attack("E26", "F15")
@pytest.mark.parametrize(
    "text",
    [
        "", "example.com", "//example.com/", "/path", "ftp://example.com/", "file:///etc/passwd",
        "gopher://example.com/", "javascript:alert(1)", "http:example.com", "http:///path", "http://",
        "http:\\\\example.com/", "https://:443/", "http://user@example.com/", "http://user:password@example.com/",
        "http://a@b@c/", "http://@example.com/", "http://good.com#@evil.com/", "http://good.com?@evil.com/",
        "http://good.com\\@evil.com/", "http://example.com%2f.evil.com/", "http://%31%32%37.0.0.1/",
        "http://exa mple.com/", "http://exam\tple.com/", "http://example.com\r\nHost: evil/",
        "http://example.com/\r\nX: y", "http://example.com/\x00", "http://a\ud800.com/", "http://-example.com/",
        "http://example-.com/", "http://example..com/", "http://.example.com/", "http://./", "http://example.com../",
        f"http://{'a' * 64}.com/", f"http://{'a.' * 127}com/", "http://exam!ple.com/", "http://example.com:0/",
        "http://example.com:65536/", "http://example.com:99999/", "http://example.com:80:80/",
        "http://example.com:8o/", "http://example.com:-1/", "http://example.com:\uff18\uff10/", "http://256.0.0.1/",
        "http://08.8.8.8/", "http://1.2.3.4.5/", "http://0x100000000/", "http://4294967296/", "http://1.2.3.256/",
        "http://1.2.65536/", "http://name.0x7f/", "http://1_0.0.0.1/", "http://[::1", "http://::1/", "http://[]/",
        "http://[::1%25lo]/", "http://[fe80::1%eth0]/", "http://[::1]evil.com/", "http://[v1.x]/",
        "http://[1.2.3.4]/", "http://℀.com/", "http://a\uff0fb.com/", "http://a\u200db.com/", "http://" + "a" * 8200,
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_or_is_no_web_address_is_refused(text):
    with pytest.raises(EgressFailure) as caught:
        read_target(text)
    assert (caught.value.kind, caught.value.reason, caught.value.sent) == ("refused", "blocked_url", False)
