"""Webhooks of one process: which ones requests may name, what became of them, and their delivery."""

from collections.abc import Sequence
from pathlib import Path

from app.durable.record import OVER, Caller, Record, Webhook
from app.durable.webhooks.backoff import AS_DOCUMENTED, Backoff
from app.durable.webhooks.deliverer import LOOK_SECONDS, Deliverer
from app.durable.webhooks.message import kept_seconds
from app.durable.webhooks.outbox import Delivery, Outbox
from app.durable.webhooks.secrets import Secrets
from app.durable.webhooks.sending import SECONDS, Sender
from app.egress.egress import Egress
from app.errors import Conflict, InvalidRequest
from app.settings import Settings
from app.state.store import Store
from app.tls import client_context


def build_webhooks(settings: Settings, store: Store, folder: Path) -> "Webhooks":
    """Signed with the secrets in `folder`, WEBHOOK_SECRETS_DIR. Raises ConfigurationError for those that cannot be
    read."""
    egress = Egress(settings.webhook_hosts, client_context(settings.tls_strict), seconds=SECONDS)
    outbox = Outbox(store, kept_seconds=kept_seconds(settings))
    return Webhooks(Secrets(folder), egress, outbox)


class Webhooks:
    """Built once a process."""

    def __init__(
        self,
        secrets: Secrets,
        egress: Egress,
        outbox: Outbox,
        backoff: Backoff = AS_DOCUMENTED,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`look_seconds`: longest time until a new delivery is seen."""
        self._secrets = secrets
        self._egress = egress
        self._outbox = outbox
        self.run = Deliverer(outbox, Sender(egress, secrets), backoff, look_seconds).run
        self.watch = secrets.watch

    async def check(self, webhook: Webhook, caller: Caller) -> None:
        """Raises InvalidRequest: the URL leads where nothing is sent to, or the secret is none of the caller's."""
        known = self._secrets.names_for(caller)
        if webhook.secret not in known:
            there_are = f"The secrets that you may name: {', '.join(known)}" if known else "There is none for you"
            raise _invalid("webhook.secret", f"There is no such secret. {there_are}")
        try:
            await self._egress.check(webhook.url)
        except ValueError as error:
            raise _invalid("webhook.url", str(error)) from None

    async def deliveries(self, record: Record) -> Sequence[Delivery]:
        """What became of a run's webhook; empty: it has none, or is not over."""
        if record.work.webhook is None:
            return ()
        found = await self._outbox.read(record.work.run_id)
        return () if found is None else (found,)

    async def redeliver(self, record: Record) -> None:
        """Send a run's webhook again, now. Raises Conflict for a run that has none, or is not over."""
        if record.work.webhook is None:
            raise Conflict("The run has no webhook: name one when you start a run.")
        if record.status not in OVER:
            raise Conflict("The run is not over: its webhook is sent when it is.")
        await self._outbox.again(record)

    async def aclose(self) -> None:
        await self._egress.aclose()


def _invalid(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {problem}", [{"field": field, "problem": problem}])
