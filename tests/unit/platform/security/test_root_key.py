"""The file of the root key: made whole, read strictly, private or refused."""

import base64
import os
import stat
import threading

import pytest

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security import root_key
from make_bridge.platform.security.root_key import RootKey
from make_bridge.platform.security.sealing import Place

MATERIAL = bytes(range(100, 132))
PLACE = Place(organization_id=OrganizationId(1), kind="k", object_id=1, field="f")


@pytest.fixture
def key_file(tmp_path):
    def write(content, mode=0o600):
        path = tmp_path / "root.key"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        MATERIAL.hex().encode(), MATERIAL.hex().upper().encode() + b"\n", base64.b64encode(MATERIAL),
        base64.b64encode(MATERIAL).rstrip(b"=") + b"\r\n", base64.urlsafe_b64encode(bytes(range(224, 256))),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_is_read_from_hexadecimal_or_base64(content, mode, key_file):
    key = RootKey.load(key_file(content, mode))
    assert key.open(PLACE, key.seal(PLACE, b"x")) == b"x"


def test_all_writings_of_one_key_are_one_key(key_file):
    first = RootKey.load(key_file(MATERIAL.hex().encode()))
    second = RootKey.load(key_file(base64.b64encode(MATERIAL)))
    assert second.name == first.name
    assert second.open(PLACE, first.seal(PLACE, b"x")) == b"x"
    assert RootKey(bytes(range(32))).name != first.name
    assert first.name not in MATERIAL.hex()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n", MATERIAL, MATERIAL.hex().encode()[:-1], MATERIAL.hex().encode() + b"0", MATERIAL.hex().encode() * 2,
        b"0x" + MATERIAL.hex().encode(), b" " + MATERIAL.hex().encode(), MATERIAL.hex().encode() + b" ",
        MATERIAL.hex().encode() + b"\n\n", b"g" + MATERIAL.hex().encode()[1:], base64.b64encode(MATERIAL[:31]),
        base64.b64encode(MATERIAL + b"x"), base64.b64encode(MATERIAL)[:-2] + b"B=", base64.b64encode(MATERIAL) + b"=",
        b"+-" + base64.b64encode(MATERIAL)[2:], b"change me please, change me please", b"00" * 32,
        b"0123456789abcdef" * 4, b"A" * 43 + b"=",
    ],
)  # fmt: skip
def test_what_is_only_nearly_a_key_is_refused_with_advice(content, key_file):
    with pytest.raises(ConfigurationError, match="openssl rand -hex 32"):
        RootKey.load(key_file(content))


@pytest.mark.attack("H10")
@pytest.mark.parametrize("mode", [0o644, 0o444, 0o604, 0o660, 0o460, 0o666, 0o700, 0o601, 0o650, 0o4600, 0o2640])
def test_a_file_that_others_may_read_or_write_is_refused(mode, key_file):
    with pytest.raises(ConfigurationError, match="chmod 600"):
        RootKey.load(key_file(MATERIAL.hex().encode(), mode))


@pytest.mark.parametrize("mode", [0o640, 0o440])
def test_the_group_may_read_where_the_process_is_of_it(mode, key_file):
    """Kubernetes mounts a secret as 0440 root:fsGroup."""
    RootKey.load(key_file(MATERIAL.hex().encode(), mode)).self_test()


@pytest.mark.parametrize("mode", [0o640, 0o440])
def test_a_group_of_others_may_not_read(mode, key_file):
    path = key_file(MATERIAL.hex().encode(), mode)
    strange = next(group for group in range(60_000, 60_999) if group not in {os.getegid(), *os.getgroups()})
    try:
        os.chown(path, -1, strange)
    except PermissionError:
        pytest.skip("only root may give a file to a group it is not of")
    with pytest.raises(ConfigurationError, match="chmod 600"):
        RootKey.load(path)


@pytest.mark.parametrize(
    ("mode", "owner", "group", "is_private"),
    [
        (0o440, 0, 2000, True), (0o400, 1000, 1000, True), (0o600, 1000, 9, True), (0o640, 1000, 1000, True),
        (0o440, 0, 9, False), (0o640, 0, 0, False), (0o444, 0, 2000, False), (0o460, 0, 2000, False),
        (0o600, 7, 1000, False), (0o440, 7, 2000, False), (0o000, 0, 2000, False), (0o040, 0, 2000, False),
    ],
)  # fmt: skip
def test_who_may_read_the_file_decides(mode, owner, group, is_private):
    status = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, group, 64, 0, 0, 0))
    assert root_key.is_private(status, user=1000, groups=frozenset({1000, 2000})) is is_private


def test_a_file_of_another_user_is_refused_with_what_to_run(key_file):
    path = key_file(MATERIAL.hex().encode())
    try:
        os.chown(path, 60_000, -1)
    except PermissionError:
        pytest.skip("only root may give a file away")
    with pytest.raises(ConfigurationError, match=r"chown .* && chmod 600"):
        RootKey.load(path)


def test_a_path_that_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "missing", tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigurationError, match=path.name):
            RootKey.load(path)


def test_a_new_key_is_private_whole_and_random(tmp_path):
    first, second = tmp_path / "a.key", tmp_path / "b.key"
    assert RootKey.create(first).name != RootKey.create(second).name
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.key", "b.key"]
    assert RootKey.load(first).name == RootKey.create(first).name


def test_many_starts_at_once_agree_on_one_key(tmp_path):
    barrier, names = threading.Barrier(8), []

    def start():
        barrier.wait()
        names.append(RootKey.create(tmp_path / "root.key").name)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(names)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["root.key"]


def test_no_message_shows_what_is_in_the_file(key_file):
    with pytest.raises(ConfigurationError) as caught:
        RootKey.load(key_file(MATERIAL.hex().encode() + b"0"))
    assert MATERIAL.hex()[:8] not in caught.value.message


def test_the_self_test_passes_and_sees_a_key_that_opens_everything():
    RootKey(MATERIAL).self_test()

    class Broken(RootKey):
        def open(self, place, sealed):
            return b"make-bridge root key v1"

    with pytest.raises(ConfigurationError, match="broken"):
        Broken(MATERIAL).self_test()
