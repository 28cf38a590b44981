"""Tokens for runs: renewed ahead of their end and at a refusal, once, by whichever process asks first."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import web

from make_bridge.domain.connections.messages import DeleteComponent
from make_bridge.domain.oauth import grants_store, sealed
from make_bridge.domain.oauth.keeping import TokenLost, TokenNotForHost, TokenUnavailable
from make_bridge.domain.oauth.messages import ConnectionNeedsConsent, DeleteOAuthConnection, UpdateOAuthApplication
from make_bridge.domain.oauth.resealing_store import SealedGrants
from make_bridge.domain.organizations.keys import place_of
from make_bridge.engine.ports import CredentialUnavailable
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId
from make_bridge.platform.security.sealing import KeyRing, Sealed, SealingKey
from support.endings import make_place
from support.jobs import until

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")

HERE = Path(__file__).parent


def renewals(provider):
    return provider.asked("refresh_token")


class Gate:
    """Holds the token endpoint: before anything is issued, or after, before the answer leaves."""

    def __init__(self, provider, *, after=False):
        self.provider, self.after = provider, after
        self.begun, self.may_go = asyncio.Event(), asyncio.Event()
        self.here = asyncio.get_running_loop()
        provider.faults["/token"] = self.handle

    async def handle(self, request):
        form = await self.provider.form_of(request)
        answer = self.provider.answer(request, form) if self.after else None
        self.here.call_soon_threadsafe(self.begun.set)
        while not self.may_go.is_set():  # noqa: ASYNC110 - set on another thread's loop
            await asyncio.sleep(0.01)
        return answer or self.provider.answer(request, form)


def refusing(error, status=400):
    async def fault(_request):
        return web.json_response({"error": error}, status=status)

    return fault


async def test_a_token_is_renewed_ahead_of_its_end_and_the_new_refresh_token_is_kept(oauth, provider):
    connection_id = await oauth.connected()
    first = await oauth.token(connection_id)
    assert await oauth.token(connection_id) == first
    for _ in range(3):
        await oauth.make_due(connection_id)
        second = await oauth.token(connection_id)
        assert second != first
        assert provider.holder(second) is not None
        first = second
    assert (len(renewals(provider)), provider.reused) == (3, 0)
    row = await oauth.row(connection_id)
    assert (row["version"], row["leased_until"]) == (4, None)


async def test_renewal_begins_before_the_end_spread_by_chance(oauth):
    connection_id = await oauth.connected()
    ahead = []
    for _ in range(5):
        row = await oauth.row(connection_id)
        ahead.append((row["expires_at"] - row["renew_at"]).total_seconds())
        await oauth.make_due(connection_id)
        await oauth.token(connection_id)
    assert all(300 <= seconds <= 361 for seconds in ahead)
    assert len(set(ahead)) > 1


async def test_many_runs_of_one_process_make_one_call(oauth, provider):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    tokens = await asyncio.gather(*[oauth.token(connection_id) for _ in range(20)])
    assert len(set(tokens)) == 1
    assert len(renewals(provider)) == 1


async def test_many_runs_of_several_processes_make_one_call(oauth, provider):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    keepers = [oauth.new_keeper() for _ in range(5)]
    tokens = await asyncio.gather(*[oauth.token(connection_id, keeper) for keeper in keepers * 3])
    assert len(set(tokens)) == 1
    assert (len(renewals(provider)), provider.reused) == (1, 0)


async def test_a_token_that_is_not_over_is_used_while_another_process_renews_it(oauth, provider):
    connection_id = await oauth.connected()
    first = await oauth.token(connection_id)
    provider.faults["/token"] = refusing("server_error", 503)
    await oauth.make_due(connection_id)
    assert await oauth.token(connection_id) == first
    provider.faults.clear()
    assert await oauth.token(connection_id) != first


async def test_a_run_that_is_cancelled_does_not_lose_the_new_refresh_token(oauth, provider):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    gate = Gate(provider, after=True)
    run = asyncio.create_task(oauth.token(connection_id))
    await gate.begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    gate.may_go.set()
    provider.faults.clear()
    await oauth.keeper.close()
    token = await oauth.token(connection_id)
    assert provider.holder(token) is not None
    assert (len(renewals(provider)), provider.reused) == (1, 0)


@pytest.mark.parametrize("fault", ["server_error", "temporarily_unavailable", "slow_down"])
async def test_a_provider_in_trouble_is_asked_again_and_the_connection_stays(oauth, provider, fault):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    provider.faults["/token"] = refusing(fault, 503)
    with pytest.raises(TokenUnavailable):
        await oauth.token(connection_id)
    assert (await oauth.shown(connection_id)).state == "active"
    assert (await oauth.row(connection_id))["leased_until"] is None
    provider.faults.clear()
    assert provider.holder(await oauth.token(connection_id)) is not None


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "invalid_request"])
async def test_only_invalid_grant_means_that_a_person_is_needed(oauth, provider, error):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    provider.faults["/token"] = refusing(error, 401)
    with pytest.raises(TokenUnavailable, match=error):
        await oauth.token(connection_id)
    assert (await oauth.shown(connection_id)).state == "active"


async def test_a_hanging_provider_is_given_up_in_time(build, provider):
    oauth = await build(call_seconds=2.0)
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    gate = Gate(provider)
    async with asyncio.timeout(30):
        with pytest.raises(TokenUnavailable, match=r"within 2 s"):
            await oauth.token(connection_id)
    gate.may_go.set()
    assert (await oauth.shown(connection_id)).state == "active"


async def test_i11_a_grant_that_was_revoked_needs_consent_once_with_notice_and_comes_back(oauth, provider):
    connection_id = await oauth.connected()
    provider.end_family(provider.issued[0].family)
    await oauth.make_due(connection_id, is_over=True)
    found = await asyncio.gather(*[oauth.token(connection_id) for _ in range(5)], return_exceptions=True)
    assert {type(error) for error in found} == {TokenLost}
    shown = await oauth.shown(connection_id)
    assert (shown.state, shown.reason) == ("needs_consent", "The provider takes the tokens of this connection no more.")
    assert (await oauth.place.events())[ConnectionNeedsConsent.wire_name] == 1
    with pytest.raises(TokenLost, match="needs your consent again"):
        await oauth.token(connection_id)
    assert len(renewals(provider)) == 1
    answer = await oauth.browser().agree(await oauth.ticket(connection_id))
    assert answer.status == 200
    shown = await oauth.shown(connection_id)
    assert (shown.id, shown.state, shown.reason) == (connection_id, "active", "")
    assert provider.holder(await oauth.token(connection_id)) is not None


async def test_i11_a_token_that_a_target_refuses_is_renewed_once(oauth, provider):
    connection_id = await oauth.connected()
    url = f"{provider.url}/api"
    refused = await oauth.keeper.token(oauth.organization_id, connection_id, url=url)
    provider.end_access(refused.access)
    both = await asyncio.gather(
        oauth.keeper.after_refusal(oauth.organization_id, connection_id, refused),
        oauth.new_keeper().after_refusal(oauth.organization_id, connection_id, refused),
    )
    assert len({token.access for token in both}) == 1
    assert provider.holder(both[0].access) is not None
    late = await oauth.keeper.after_refusal(oauth.organization_id, connection_id, refused)
    assert late.access == both[0].access
    assert len(renewals(provider)) == 1


async def test_a_token_that_was_just_got_is_not_renewed_because_a_target_refuses_it(build, provider):
    oauth = await build(refusal_pause_seconds=30.0)
    connection_id = await oauth.connected()
    refused = await oauth.keeper.token(oauth.organization_id, connection_id, url=f"{provider.url}/api")
    assert await oauth.keeper.after_refusal(oauth.organization_id, connection_id, refused) is None
    assert renewals(provider) == []


async def test_an_answer_that_comes_late_does_not_replace_newer_tokens(oauth, provider):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    gate = Gate(provider, after=True)
    slow = asyncio.create_task(oauth.token(connection_id))
    await gate.begun.wait()
    provider.faults.clear()
    # The first one's lease ends while it is paused; a person has agreed anew meanwhile.
    answer = await oauth.browser().agree(await oauth.ticket(connection_id))
    assert answer.status == 200
    newest = provider.issued[-1].access
    gate.may_go.set()
    assert await slow == newest
    assert await oauth.token(connection_id) == newest


async def test_a_refusal_that_comes_late_does_not_undo_a_consent(oauth, provider):
    connection_id = await oauth.connected()
    provider.end_family(provider.issued[0].family)
    await oauth.make_due(connection_id, is_over=True)
    gate = Gate(provider, after=True)
    slow = asyncio.create_task(oauth.token(connection_id))
    await gate.begun.wait()
    provider.faults.clear()
    assert (await oauth.browser().agree(await oauth.ticket(connection_id))).status == 200
    gate.may_go.set()
    assert await slow == provider.issued[-1].access
    assert (await oauth.shown(connection_id)).state == "active"


async def start(oauth, postgres, connection_id, runs=5, call_seconds=3.0):
    [database] = await oauth.place.all("SELECT current_database() AS name")
    wanted = {
        "dsn": postgres.serving_dsn(database["name"]),
        "shard": oauth.place.shard.number,
        "organization": oauth.organization_id,
        "connection": connection_id,
        "url": f"{oauth.provider.url}/api",
        "runs": runs,
        "call_seconds": call_seconds,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "renewing_process.py"), json.dumps(wanted),
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert (await process.stdout.readline()).strip() == b"ready"
    return process


async def go(process):
    process.stdin.write(b"\n")
    await process.stdin.drain()


async def tokens_of(process):
    told, _ = await process.communicate()
    return set(json.loads(told))


async def test_two_processes_that_renew_at_once_make_one_call(oauth, provider, postgres):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    processes = [await start(oauth, postgres, connection_id) for _ in range(2)]
    await asyncio.gather(*map(go, processes))
    first, second = [await tokens_of(process) for process in processes]
    assert first == second
    assert len(first) == 1
    assert (len(renewals(provider)), provider.reused) == (1, 0)


async def test_a_process_killed_before_the_provider_has_acted_costs_nobody_the_connection(oauth, provider, postgres):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    gate = Gate(provider)
    killed, other = [await start(oauth, postgres, connection_id, call_seconds=3.0) for _ in range(2)]
    await go(killed)
    await gate.begun.wait()
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    provider.faults.clear()
    # The other waits for the lease of the killed one to end, then asks with the refresh token that still stands.
    await go(other)
    [token] = await tokens_of(other)
    assert provider.holder(token) is not None
    row = await oauth.row(connection_id)
    assert (row["fence"], row["version"], provider.reused) == (3, 3, 0)
    assert (await oauth.shown(connection_id)).state == "active"


async def test_a_process_killed_with_the_answer_on_its_way_leads_to_consent_when_the_provider_says_so(
    oauth, provider, postgres
):
    connection_id = await oauth.connected()
    await oauth.make_due(connection_id, is_over=True)
    gate = Gate(provider, after=True)
    killed = await start(oauth, postgres, connection_id, runs=1, call_seconds=10.0)
    await go(killed)
    await gate.begun.wait()
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    provider.faults.clear()
    assert (await oauth.shown(connection_id)).state == "active"
    await oauth.place.execute("UPDATE shard.oauth_grants SET leased_until = now()")
    with pytest.raises(TokenLost):
        await oauth.token(connection_id)
    assert provider.reused == 1
    assert (await oauth.shown(connection_id)).state == "needs_consent"


async def test_the_lease_keeps_others_away_for_longer_than_a_call_can_last(oauth):
    assert oauth.limits.lease_seconds >= oauth.limits.call_seconds + 5
    connection_id = await oauth.connected()
    async with oauth.place.shard.write(oauth.organization_id) as tx:
        fence = await grants_store.take(tx, oauth.organization_id, connection_id, 1, 60)
        assert fence is not None
        assert await grants_store.take(tx, oauth.organization_id, connection_id, 1, 60) is None


async def test_a_token_goes_to_the_hosts_of_its_application_only(oauth, provider):
    connection_id = await oauth.connected()
    for url in ("https://evil.example/", f"http://127.0.0.1:{provider.port + 1}/", "http://127.0.0.1/", "ftp://x/"):
        with pytest.raises(TokenNotForHost):
            await oauth.keeper.token(oauth.organization_id, connection_id, url=url)
        with pytest.raises(CredentialUnavailable, match="is not sent to this address"):
            await oauth.components().credential(connection_id, url=url)
    application_id = (await oauth.shown(connection_id)).application_id
    facts = oauth.facts(hosts=("api.example.com",))
    await oauth.do(UpdateOAuthApplication(application_id=application_id, facts=facts))
    with pytest.raises(TokenNotForHost):
        await oauth.token(connection_id)


async def test_a_token_opens_for_runs_of_its_team_only(oauth):
    connection_id = await oauth.connected()
    credential = await oauth.components().credential(connection_id, url=f"{oauth.provider.url}/api")
    assert (credential.kind, credential.secret in repr(credential)) == ("bearer", False)
    other = await make_place(oauth.shards)
    with pytest.raises(NotFound):
        await oauth.keeper.token(other.organization_id, connection_id, url=f"{oauth.provider.url}/api")


async def test_a_connection_nobody_has_agreed_to_cannot_be_used(oauth):
    connection_id = await oauth.pending(await oauth.application())
    with pytest.raises(CredentialUnavailable, match="Nobody has agreed") as caught:
        await oauth.components().credential(connection_id, url=f"{oauth.provider.url}/api")
    assert not caught.value.passes


async def test_a_token_that_cannot_be_renewed_ends(oauth, provider):
    connection_id = await oauth.connected()
    await oauth.place.execute("UPDATE shard.oauth_grants SET refresh_sealed = NULL")
    first = await oauth.token(connection_id)
    await oauth.make_due(connection_id)
    assert await oauth.token(connection_id) == first
    await oauth.make_due(connection_id, is_over=True)
    with pytest.raises(TokenLost, match="cannot be renewed"):
        await oauth.token(connection_id)


async def test_tokens_and_secrets_are_sealed_anew_by_a_rotation(oauth, provider):
    connection_id = await oauth.connected()
    first = await oauth.token(connection_id)
    store = SealedGrants()
    ring = await oauth.keys.newest_ring(oauth.organization_id)
    newer = KeyRing(SealingKey.generate(f"o{oauth.organization_id}v99"), (ring.current, *ring.older))
    async with oauth.place.shard.write(oauth.organization_id) as tx:
        assert await store.left(tx, oauth.organization_id, newer.current.name) == 2
        assert await store.reseal(tx, oauth.organization_id, newer, 10) == 2
        assert await store.left(tx, oauth.organization_id, newer.current.name) == 0
        assert await store.reseal(tx, oauth.organization_id, newer, 10) == 0
    row = await oauth.row(connection_id)
    place = place_of(oauth.organization_id, sealed.token(connection_id, "access"))
    assert newer.open(place, Sealed(row["access_sealed"])).decode() == first


async def test_an_application_acts_for_itself_by_its_own_credentials(oauth, provider):
    connection_id = await oauth.pending(await oauth.application(), kind="client_credentials")
    assert (await oauth.shown(connection_id)).state == "active"
    assert provider.asked("client_credentials") == []
    tokens = await asyncio.gather(*[oauth.token(connection_id) for _ in range(5)])
    assert len(set(tokens)) == 1
    [asked] = provider.asked("client_credentials")
    assert asked["scope"] == "orders profile"
    await oauth.make_due(connection_id, is_over=True)
    assert await oauth.token(connection_id) != tokens[0]
    assert len(provider.asked("client_credentials")) == 2


@pytest.mark.parametrize("way", ["connection", "component"])
async def test_the_token_of_a_deleted_connection_is_revoked(oauth, provider, way):
    connection_id = await oauth.connected()
    token = await oauth.token(connection_id)
    kind = DeleteOAuthConnection(connection_id=connection_id)
    await oauth.do(kind if way == "connection" else DeleteComponent(component_id=ComponentId(connection_id)))
    with pytest.raises(NotFound):
        await oauth.token(connection_id)
    [job] = await oauth.place.all("SELECT payload FROM shard.jobs WHERE type = 'oauth.revoke'")
    assert provider.issued[0].refresh not in repr(bytes(job["payload"]))
    await oauth.scene.worker.start()

    async def is_revoked():
        return provider.holder(token) is None

    await until(is_revoked)
    assert [form["token_type_hint"] for path, form in provider.calls if path == "/revoke"] == ["refresh_token"]


async def test_a_revocation_is_tried_again_a_few_times(oauth, provider):
    connection_id = await oauth.connected()
    provider.faults["/revoke"] = refusing("server_error", 503)
    await oauth.do(DeleteOAuthConnection(connection_id=connection_id))
    await oauth.scene.worker.start()

    async def asked_five_times():
        await oauth.scene.hurry()
        return len([path for path, _ in provider.calls if path == "/revoke"]) >= 5

    await until(asked_five_times)

    async def is_given_up():
        [job] = await oauth.place.all("SELECT state FROM shard.jobs WHERE type = 'oauth.revoke'")
        return job["state"] == "failed"

    await until(is_given_up)
    assert len([path for path, _ in provider.calls if path == "/revoke"]) == 5
