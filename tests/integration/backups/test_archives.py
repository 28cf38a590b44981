"""One organization goes to another installation: its webhook runs there, its key opens, and nothing half arrives."""

import io
import tarfile
from contextlib import AsyncExitStack

import msgspec
import psycopg
import pytest

from faults.scene import QUICK
from make_bridge.boot import open_domain
from make_bridge.kernel.errors import InvalidInput, TooLarge
from make_bridge.kernel.ids import ComponentId, OrganizationId, TeamId
from make_bridge.platform.backups.archive import MANIFEST, SALT_BYTES, manifest_of, opened, passphrase_key
from make_bridge.platform.backups.carried import DIRECTORY, LEFT_BEHIND
from make_bridge.platform.sharding.moving_tables import STAYING
from make_bridge.settings import load_settings
from support.integrator import new_organization
from support.network import send
from support.server import installed
from support.waiting import until

PLENTY = 2**30
SECRET = "s3cret-of-the-shop"


def key_of(installation, url, api_token, team_id):
    body = {"name": "Shop", "typeName": "apikeyauth", "teamId": team_id, "parameters": {"key": SECRET}}
    headers = {"Authorization": f"Token {api_token}"}
    return send("POST", f"{url}/api/v2/keys", headers=headers, json_body=body).json()["key"]["id"]


async def opened_key(installation, organization_id, team_id, key_id):
    async with AsyncExitStack() as stack:
        loaded = load_settings(None, {"data_dir": installation.data_dir})
        domain = await open_domain(stack, loaded, lambda _line: None, join=True)
        found = await domain.opener.open(OrganizationId(organization_id), TeamId(team_id), ComponentId(key_id))
        return found.values


def rows(dsn, statement, *values):
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement, values).fetchall()


@pytest.mark.timeout(240)
async def test_an_organization_works_in_another_installation_under_its_own_addresses(tmp_path):
    file, passphrase = tmp_path / "acme.tgz", tmp_path / "passphrase"
    passphrase.write_text("a passphrase of some length\n")
    with installed("embedded", tmp_path / "one", None) as one, installed("embedded", tmp_path / "two", None) as two:
        first = one.server().start()
        acme = new_organization(one, first.url)
        scenario = acme.customer("dana@example.com").connect(
            acme.publish(QUICK), {}, autoActivate=True, scenario={"name": "Quick", "enable": True}
        )
        ((team_id,),) = rows(one.shard_dsn, "SELECT DISTINCT team_id FROM shard.hooks")
        key_id = key_of(one, first.url, acme.api_token, team_id)
        assert scenario.call_hook({"op": "before"}).status == 200
        told = one.ask("org", "export", str(acme.organization_id), file, "--passphrase-file", passphrase)
        assert told["leftBehind"]["executions"] == 1
        assert SECRET.encode() not in unpacked(file)
        assert first.end() is None

        second = two.server().start()
        wrong = tmp_path / "wrong"
        wrong.write_text("another passphrase")
        refused = two.command("org", "import", file, "--passphrase-file", wrong, check=False)
        assert "The passphrase does not open this archive." in refused.stderr
        made = two.ask("org", "import", file, "--passphrase-file", passphrase, "--name", "Acme elsewhere")
        assert made["organizationId"] == acme.organization_id
        token = scenario.hook_url.rpartition("/")[2]
        ran = until(
            lambda: (
                r if (r := send("POST", f"{second.url}/hook/{token}", json_body={"op": "x"})).status == 200 else None
            ),
            "the webhook's address is known",
            within=30,
        )
        assert ran.headers["x-execution-id"]
        until(
            lambda: rows(two.shard_dsn, "SELECT status FROM shard.outcomes") == [(1,)],
            "the run has ended well",
            within=30,
        )
        assert (await opened_key(two, acme.organization_id, team_id, key_id))["key"] == SECRET
        names = rows(two.directory_dsn, "SELECT name FROM directory.organizations")
        assert names == [("Acme elsewhere",)]
        actions = "SELECT action FROM directory.audit WHERE organization_id = %s"
        assert rows(two.directory_dsn, actions, acme.organization_id) == [("organization.import",)]
        again = two.command("org", "import", file, "--passphrase-file", passphrase, check=False)
        assert again.returncode == 1
        assert "is taken in this installation" in again.stderr
        later = two.ask("org", "create", "Later")
        ids = "SELECT count(*) = count(DISTINCT id) FROM shard.teams"
        assert rows(two.shard_dsn, ids) == [(True,)]
        assert later["organizationId"] > acme.organization_id
        hostile = tmp_path / "hostile.tgz"
        changed(file, hostile, "shard.teams.jsonl", lambda text: text.replace(str(acme.organization_id), "77"))
        refused = two.command("org", "import", hostile, "--passphrase-file", passphrase, check=False)
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr


@pytest.mark.timeout(240)
async def test_an_archive_without_credentials_lets_nobody_in_and_opens_nothing(tmp_path):
    file = tmp_path / "acme.tgz"
    with installed("embedded", tmp_path / "one", None) as one, installed("embedded", tmp_path / "two", None) as two:
        first = one.server().start()
        acme = new_organization(one, first.url)
        scenario = acme.customer("dana@example.com").connect(
            acme.publish(QUICK), {}, autoActivate=True, scenario={"name": "Quick", "enable": True}
        )
        ((team_id,),) = rows(one.shard_dsn, "SELECT DISTINCT team_id FROM shard.hooks")
        key_id = key_of(one, first.url, acme.api_token, team_id)
        signed = {"signature": {"scheme": "github", "secrets": ["a secret of the sender"]}}
        headers = {"Authorization": f"Token {acme.api_token}"}
        ((hook_id,),) = rows(one.shard_dsn, "SELECT id FROM shard.hooks")
        changed_hook = send("PATCH", f"{first.url}/api/v2/hooks/{hook_id}", headers=headers, json_body=signed)
        assert changed_hook.status == 200, changed_hook
        one.ask("org", "export", str(acme.organization_id), file, "--without-credentials")
        # Nothing that was sealed is there, under whatever key, and nothing by which a secret is known again.
        content = unpacked(file)
        for name in ("secret_sealed", "access_sealed", "client_secret_sealed", "token_sealed", "previous_sealed"):
            assert name.encode() in content or name in ("access_sealed", "previous_sealed")
        assert b"v1.d1." not in content
        assert b"v1.d1.".hex().encode() not in content
        assert manifest_of(file, PLENTY).data_keys == {}
        digests = rows(one.shard_dsn, "SELECT encode(token_digest, 'hex') FROM shard.hooks")
        digests += rows(one.directory_dsn, "SELECT encode(digest, 'hex') FROM directory.api_tokens")
        assert [digest for (digest,) in digests if digest.encode() in content] == []
        both = one.command(
            "org", "export", str(acme.organization_id), tmp_path / "x.tgz", "--without-credentials",
            "--passphrase-file", tmp_path / "none", check=False,
        )  # fmt: skip
        assert both.returncode == 1
        assert first.end() is None

        second = two.server().start()
        made = two.ask("org", "import", file)
        assert made["organizationId"] == acme.organization_id
        assert rows(two.directory_dsn, "SELECT count(*) FROM directory.portal_keys") == [(0,)]
        assert rows(two.directory_dsn, "SELECT count(*) FROM directory.api_tokens") == [(0,)]
        assert await opened_key(two, acme.organization_id, team_id, key_id) == {}
        refused = send("GET", f"{second.url}/api/v2/hooks?teamId={team_id}", headers=headers)
        assert refused.status == 401
        token = two.ask("tokens", "create", "new", "--scope", "*", "--organization", str(acme.organization_id))["token"]
        headers = {"Authorization": f"Token {token}"}
        hook = send("GET", f"{second.url}/api/v2/hooks/{hook_id}", headers=headers).json()["hook"]
        assert hook["url"].rpartition("/")[2] != scenario.hook_url.rpartition("/")[2]
        old = send("POST", f"{second.url}/hook/{scenario.hook_url.rpartition('/')[2]}", json_body={})
        assert old.status in (404, 410)
        # It asked for signatures, and so it does still: without a secret nobody gets in.
        unsigned = send("POST", f"{second.url}/hook/{hook['url'].rpartition('/')[2]}", json_body={"op": "x"})
        assert unsigned.status == 401, unsigned


def unpacked(file):
    with tarfile.open(file) as tar:
        return b"".join(content.read() for member in tar if (content := tar.extractfile(member)) is not None)


def changed(file, target, name, change):
    """Write an archive anew with one file changed."""
    with tarfile.open(file) as tar, tarfile.open(target, "w:gz") as into:
        for member in tar:
            packed = tar.extractfile(member)
            assert packed is not None
            content = packed.read()
            if member.name == name:
                content = change(content.decode()).encode()
                member.size = len(content)
            into.addfile(member, io.BytesIO(content))


def archive(path, *, tables, files, size=None):
    head = msgspec.json.encode({
        "format": 1, "organizationId": 1024, "name": "Acme", "programVersion": "0", "directoryVersion": "1",
        "shardVersion": "1", "exportedAt": "", "salt": "00" * SALT_BYTES, "dataKeys": {"1": "x"}, "tables": tables,
        "leftBehind": {},
    })  # fmt: skip
    with tarfile.open(path, "w:gz") as tar:
        for name, content in ((MANIFEST, head), *files):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def table(**changes):
    return {"columns": ["id"], "rows": 1, "bytes": 6, "sha256": "00", **changes}


def read_all(path, most=PLENTY):
    with opened(path, most) as reading:
        return [(name, list(rows_)) for name, _, rows_ in reading.tables()]


@pytest.mark.parametrize(
    ("tables", "files", "words"),
    [
        pytest.param({}, [("../../etc/passwd", b"x")], "does not name once", id="a path"),
        pytest.param({"shard.teams": table()}, [], "is missing", id="missing"),
        pytest.param(
            {"shard.teams": table(bytes=5)}, [("shard.teams.jsonl", b'["1"]\n')], "another size", id="another size"
        ),
        pytest.param(
            {"shard.teams": table()}, [("shard.teams.jsonl", b'["1"]\n')], "not what its manifest", id="changed"
        ),
        pytest.param(
            {"shard.teams": table()}, [("shard.teams.jsonl", b"[1,2]\n")], "cannot be read", id="other values"
        ),
    ],
)  # fmt: skip
def test_an_archive_that_was_made_up_is_refused_with_a_sentence(tmp_path, tables, files, words):
    with pytest.raises(InvalidInput, match=words):
        read_all(archive(tmp_path / "a.tgz", tables=tables, files=files))


def test_an_archive_that_unpacks_to_more_than_is_taken_is_refused_before_it_is_read(tmp_path):
    made = archive(tmp_path / "a.tgz", tables={"shard.teams": table(bytes=2**40)}, files=[])
    with pytest.raises(TooLarge, match="--most-mib"):
        manifest_of(made, PLENTY)
    (tmp_path / "no.tgz").write_bytes(b"no archive")
    with pytest.raises(InvalidInput, match="cannot be read"):
        manifest_of(tmp_path / "no.tgz", PLENTY)


def test_a_short_passphrase_is_refused():
    with pytest.raises(InvalidInput, match="12 to"):
        passphrase_key(b"short", b"0" * SALT_BYTES)


async def test_each_table_that_stays_behind_is_one_that_is_there(postgres):
    database = await postgres.clone(("directory", "shard"), 0)
    found = rows(postgres.dsn(database), "SELECT schemaname, tablename FROM pg_tables")
    there = {name for schema, name in found if schema == "shard"}
    homes = {name for schema, name in found if schema == "directory"}
    await postgres.drop(database)
    assert LEFT_BEHIND.keys() <= there
    assert not LEFT_BEHIND.keys() & STAYING.keys()
    assert set(DIRECTORY) <= homes
