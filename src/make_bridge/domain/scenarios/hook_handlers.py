"""Reading and changing what a hook asks of its callers. Secrets come in, are sealed, and never go out."""

from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import msgspec

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.scenarios import hook_store, store
from make_bridge.domain.scenarios.hook_messages import (
    DeleteHook,
    DescribeHook,
    EditHook,
    HookEdited,
    HookFacts,
    ListHooks,
)
from make_bridge.domain.scenarios.inbound import (
    Inbound,
    InboundLimits,
    checked_dedupe,
    checked_signature,
    decode_inbound,
    with_inbound,
)
from make_bridge.domain.scenarios.learning import decode_learned, shown
from make_bridge.domain.scenarios.model import checked_hook_name as checked_name
from make_bridge.domain.scenarios.signatures import MOST_SECRETS, SignatureRule, key_of
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import Conflict, InvalidInput
from make_bridge.kernel.ids import HookId, OrganizationId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.transactions import ReadTx, Row
from make_bridge.platform.security.sealing import Sealing

_SECRETS: Final = "signature.secrets"


class _Presented(msgspec.Struct, frozen=True):
    """How a hook presents a call, as far as it is shown, and whether it is to learn what calls look like."""

    headers: bool = False
    method: bool | str = False
    stringify: bool = False
    learning: bool = False


def secret_purpose(hook_id: HookId) -> tuple[str, int, str]:
    """Return what a hook's secrets are sealed for: they open for no other hook."""
    return ("hook", hook_id, "signature")


def _shown(rules: Inbound) -> dict[str, object]:
    """Return the rules as the audit shows them: without the secrets, however well these are sealed."""
    signature = rules.signature
    shown = None if signature is None else msgspec.structs.replace(signature, secrets=[])
    return {"signature": shown, "dedupe": rules.dedupe}


@dataclass(frozen=True, slots=True, kw_only=True)
class HookHandlers:
    """The handler and the views."""

    sealing: Sealing
    limits: InboundLimits = field(default_factory=InboundLimits)

    async def edit(self, work: UnitOfWork, command: EditHook) -> HookFacts:
        """Change it; raises InvalidInput with a sentence per field, NotFound for another's hook."""
        organization_id = work.context.organization_id
        row = await hook_store.lock(work.tx, organization_id, command.hook_id)
        require_sight(work.context, row["team_id"])
        now = decode_inbound(bytes(row["settings"]))
        signature, dedupe = now.signature, now.dedupe
        if command.signature is not msgspec.UNSET:
            signature = await self._signature(organization_id, command.hook_id, command.signature, now.signature)
        if command.dedupe is not msgspec.UNSET:
            dedupe = None if command.dedupe is None else checked_dedupe(command.dedupe, self.limits)
        inbound = Inbound(signature=signature, dedupe=dedupe)
        settings = with_inbound(bytes(row["settings"]), inbound, command.data)
        name = row["name"] if command.name is msgspec.UNSET else checked_name(command.name)
        enabled = row["enabled"] if command.enabled is msgspec.UNSET else command.enabled
        await hook_store.edit(work.tx, organization_id, command.hook_id, settings=settings, name=name, enabled=enabled)
        begins = command.data.get("learning", False)
        if begins:
            await hook_store.forget_learned(work.tx, organization_id, command.hook_id)
        subject = f"hook/{command.hook_id}"
        work.touch(subject, scheme=None if signature is None else signature.scheme, dedupe=dedupe is not None)
        work.change(before=_shown(now), after=_shown(inbound))
        work.emit(HookEdited(hook_id=command.hook_id, scenario_id=row["scenario_id"]), subject=subject)
        learned = None if begins else row["learned"]
        changed = row | {"settings": settings, "name": name, "enabled": enabled, "learned": learned}
        return await self._facts(changed, work.context)

    async def delete(self, work: UnitOfWork, command: DeleteHook) -> None:
        """Remove a hook; raises NotFound, and Conflict while a scenario has it."""
        organization_id, hook_id = work.context.organization_id, command.hook_id
        row = await hook_store.lock(work.tx, organization_id, hook_id)
        require_sight(work.context, row["team_id"])
        if not await hook_store.delete(work.tx, organization_id, hook_id):
            message = f"The scenario {row['scenario_id']} has this webhook: delete the scenario, and it goes with it."
            raise Conflict(message)
        work.touch(f"hook/{hook_id}", name=row["name"])

    async def _signature(
        self,
        organization_id: OrganizationId,
        hook_id: HookId,
        asked: SignatureRule | None,
        before: SignatureRule | None,
    ) -> SignatureRule | None:
        """Return the rule as it is stored: its secrets sealed, or those of before when none were given."""
        if asked is None:
            return None
        rule = checked_signature(asked, self.limits)
        if not rule.secrets:
            if before is None or before.scheme != rule.scheme or not before.secrets:
                _refuse("A signed webhook needs a secret: give one, or two while one takes the other's place.")
            return msgspec.structs.replace(rule, secrets=before.secrets)
        if len(rule.secrets) > MOST_SECRETS:
            _refuse(f"A webhook has at most {MOST_SECRETS} secrets at a time.")
        for secret in rule.secrets:
            try:
                key_of(rule.scheme, secret)
            except ValueError as error:
                _refuse(str(error))
        purpose = secret_purpose(hook_id)
        sealed = [await self.sealing.seal(organization_id, purpose, secret.encode()) for secret in rule.secrets]
        return msgspec.structs.replace(rule, secrets=sealed)

    async def list_hooks(self, tx: ReadTx, context: Context, query: ListHooks) -> list[HookFacts]:
        """Answer ListHooks; raises NotFound for a team out of sight."""
        require_sight(context, query.team_id)
        await store.require_team(tx, context.organization_id, query.team_id)
        rows = await hook_store.list_hooks(tx, context.organization_id, query.team_id)
        return [await self._facts(row, context) for row in rows]

    async def describe(self, tx: ReadTx, context: Context, query: DescribeHook) -> HookFacts:
        """Answer DescribeHook; raises NotFound."""
        found = await self._facts(await hook_store.get(tx, context.organization_id, query.hook_id), context)
        require_sight(context, found.team_id)
        return found

    async def _facts(self, row: Row, context: Context) -> HookFacts:
        token = ""
        if context.allows("scenarios:write"):
            purpose = ("hook", row["id"], "token")
            token = (await self.sealing.open(context.organization_id, purpose, row["token_sealed"])).decode()
        return _plain_facts(row, token)

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        return [
            CommandRegistration(
                command=EditHook,
                handler=self.edit,
                result=HookFacts,
                permission="scenarios:write",
                action="hook.edit",
                audited=frozenset({"signature", "dedupe"}),
            ),
            CommandRegistration(
                command=DeleteHook,
                handler=self.delete,
                result=None,
                permission="scenarios:write",
                action="hook.delete",
            ),
        ]

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the queries for the composition root."""
        read = "scenarios:read"
        return [
            QueryRegistration(query=ListHooks, view=self.list_hooks, permission=read, may_lag=True),
            QueryRegistration(query=DescribeHook, view=self.describe, permission=read),
        ]


def _refuse(sentence: str) -> NoReturn:
    raise InvalidInput(sentence, fields={_SECRETS: sentence})


def _plain_facts(row: Row, token: str) -> HookFacts:
    settings = bytes(row["settings"])
    inbound, presented = decode_inbound(settings), msgspec.json.decode(settings, type=_Presented)
    signature = inbound.signature
    return HookFacts(
        id=row["id"],
        team_id=row["team_id"],
        name=row["name"],
        type_name=row["type_name"],
        scenario_id=row["scenario_id"],
        enabled=row["enabled"],
        headers=presented.headers,
        method=presented.method,
        stringify=presented.stringify,
        signature=None if signature is None else msgspec.structs.replace(signature, secrets=[]),
        secrets=0 if signature is None else len(signature.secrets),
        dedupe=inbound.dedupe,
        is_learning=presented.learning,
        token=token,
        interface=shown(decode_learned(row.get("learned"))),
    )
