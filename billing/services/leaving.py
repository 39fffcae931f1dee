"""What stores are told when somebody's account is erased."""

from uuid import UUID

from billing import database
from billing.models import TEST_STORES, Payment, Store, StoreCustomer, Subscription, SubscriptionEvent
from billing.services import subscriptions
from billing.stores import google_play
from billing.stores.base import Standing, StoreError, UnknownObject
from billing.stores.stripe import outgoing
from billing.stores.stripe.connection import ShopClosed, connect
from common import jobs


def leave_stores(*, user_id: UUID) -> None:
    """End what the user subscribed to, here at once and at its store by a promise, and forget who they are
    there. May be repeated.
    """
    database.atomically(lambda: _leave(user_id))


def forget_customer(*, store: Store, external_id: str) -> None:
    """Delete a customer at their store, which ends their subscriptions there, then our row. May be repeated.

    Raises StoreError, and ShopClosed while Stripe cannot be asked; a test shop that is closed is gone.
    """
    _delete_at_store(store, external_id)
    StoreCustomer.objects.filter(store=store, external_id=external_id).delete()


def _delete_at_store(store: Store, external_id: str) -> None:
    try:
        connection = connect()
    except ShopClosed:
        if store in TEST_STORES:
            return
        raise
    if connection.store != store:
        if store in TEST_STORES:
            return
        raise ShopClosed
    try:
        outgoing.delete_customer(connection, external_id)
    except UnknownObject:
        return


def end_at_google(*, product_id: str, purchase_token: str) -> None:
    """Stop a renewal at Google Play. May be repeated. Raises StoreError where trying again makes sense."""
    try:
        google_play.cancel_subscription(product_id=product_id, purchase_token=purchase_token)
    except StoreError as error:
        if error.is_passing:
            raise


def _open_store() -> Store | None:
    try:
        return connect().store
    except ShopClosed:
        return None


def _leave(user_id: UUID) -> None:
    open_store = _open_store()
    for customer in StoreCustomer.objects.filter(user_id=user_id):
        jobs.enqueue(
            "billing.forget_customer",
            key=f"{customer.store}:{customer.external_id}"[:200],
            store=customer.store,
            external_id=customer.external_id,
        )
        if customer.store != open_store:
            # Nobody can be asked now, and nobody may ever be: the promise alone remembers who it was.
            customer.delete()
    # Links to the store's papers, which whoever has them can open and which say names and addresses.
    Payment.objects.filter(user_id=user_id).exclude(document_url="").update(document_url="")
    running = Subscription.objects.filter(user_id=user_id).exclude(standing=Standing.ENDED)
    for row in running.order_by("id"):
        if row.store == Store.GOOGLE_PLAY and row.period_end is not None:
            jobs.enqueue(
                "billing.end_at_google",
                key=str(row.id),
                product_id=row.plan_id or "",
                purchase_token=row.external_id,
            )
        subscriptions.end_now(
            subscription_id=row.id, cause=SubscriptionEvent.Cause.USER, reason="the account was erased"
        )
