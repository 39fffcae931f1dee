"""The App Store for tests: a real HTTP server of its Server API, signing with a chain of its own."""

import base64
import json
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Document = dict[str, Any]
BUNDLE_ID = "app.parlor"
APP_ID = 1234567890
KEY_ID = "2X9R4HXF34"
ISSUER_ID = "57246542-96fe-1a63-e053-0824d011072a"
_PAGE_SIZE = 20
_PERIODS = {"month": timedelta(days=30), "year": timedelta(days=365)}
# What Apple marks the certificates with that sign for the App Store.
_LEAF, _INTERMEDIATE = "1.2.840.113635.100.6.11.1", "1.2.840.113635.100.6.2.1"
_ACTIVE, _EXPIRED, _RETRY, _GRACE, _REVOKED = 1, 2, 3, 4, 5


class Chain:
    """A root, what it vouches for, and the key that signs."""

    def __init__(self) -> None:
        root_key, middle_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        root = _certificate("Root", root_key, "Root", root_key, None)
        middle = _certificate("Middle", middle_key, "Root", root_key, _INTERMEDIATE)
        leaf = _certificate("Leaf", self.key, "Middle", middle_key, _LEAF)
        self.root = root.public_bytes(serialization.Encoding.DER)
        self._x5c = [
            base64.b64encode(each.public_bytes(serialization.Encoding.DER)).decode()
            for each in (leaf, middle, root)
        ]

    def sign(self, payload: Document) -> str:
        return jwt.encode(payload, self.key, algorithm="ES256", headers={"x5c": self._x5c})


@cache
def chain() -> Chain:
    return Chain()


@dataclass
class Transaction:
    transaction_id: str
    original_id: str
    product_id: str
    account: UUID | str | None
    price: int
    currency: str
    bought_at: datetime
    kind: str = "Consumable"
    expires_at: datetime | None = None
    is_trial: bool = False
    quantity: int = 1
    revoked_at: datetime | None = None
    revoked_part: int | None = None
    is_upgraded: bool = False


@dataclass
class Subscription:
    period: str
    status: int = _ACTIVE
    is_renewing: bool = True
    next_product: str = ""
    transactions: list[Transaction] = field(default_factory=list)


class FakeAppStore:
    """`with FakeAppStore() as store:` serves on a port of its own until the end."""

    def __init__(self, environment: str = "Production") -> None:
        self.environment = environment
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.transactions: dict[str, Transaction] = {}
        self.subscriptions: dict[str, Subscription] = {}
        # Signed payloads, as Apple posts them.
        self.notifications: list[str] = []
        # How many of the next questions get no answer but 500.
        self.failures = 0
        self.requests: list[str] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def private_key(self) -> str:
        """The PEM text of a key, as App Store Connect hands it out."""
        encoding = (
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return chain().key.private_bytes(*encoding).decode()

    def buy(  # noqa: PLR0917
        self,
        product_id: str,
        price: int = 899,
        currency: str = "USD",
        account: UUID | str | None = None,
        quantity: int = 1,
        kind: str = "Consumable",
    ) -> str:
        """Its transaction id. The price is in cents."""
        bought = self._transaction(product_id, price, currency, account)
        bought.quantity, bought.kind = quantity, kind
        self._notify("ONE_TIME_CHARGE", bought)
        return bought.transaction_id

    def subscribe(  # noqa: PLR0917
        self,
        product_id: str,
        price: int = 999,
        currency: str = "USD",
        account: UUID | str | None = None,
        period: str = "month",
        is_trial: bool = False,
    ) -> str:
        """Its original transaction id."""
        bought = self._transaction(product_id, price, currency, account)
        bought.is_trial = is_trial
        self.subscriptions[bought.original_id] = Subscription(period, transactions=[bought])
        self._open_period(bought, period)
        self._notify("SUBSCRIBED", bought, "INITIAL_BUY")
        return bought.original_id

    def renew(self, original_id: str, event: str = "DID_RENEW", product_id: str = "") -> str:
        """The next period is paid now, for another product if one is told; answers its transaction id."""
        owned = self.subscriptions[original_id]
        last = owned.transactions[-1]
        bought = self._transaction(product_id or last.product_id, last.price, last.currency, last.account)
        bought.original_id = original_id
        owned.transactions.append(bought)
        owned.status, owned.is_renewing, owned.next_product = _ACTIVE, True, ""
        self._open_period(bought, owned.period)
        self._notify(event, bought)
        return bought.transaction_id

    def upgrade(self, original_id: str, product_id: str, price: int) -> str:
        """A better plan begins now, paid whole; the rest of the old period is given back."""
        owned = self.subscriptions[original_id]
        last = owned.transactions[-1]
        last.is_upgraded = True
        bought = self._transaction(product_id, price, last.currency, last.account)
        bought.original_id = original_id
        owned.transactions.append(bought)
        self._open_period(bought, owned.period)
        self._notify("DID_CHANGE_RENEWAL_PREF", bought, "UPGRADE")
        return bought.transaction_id

    def set_renewing(self, original_id: str, is_renewing: bool) -> None:
        owned = self.subscriptions[original_id]
        owned.is_renewing = is_renewing
        subtype = "AUTO_RENEW_ENABLED" if is_renewing else "AUTO_RENEW_DISABLED"
        self._notify("DID_CHANGE_RENEWAL_STATUS", owned.transactions[-1], subtype)

    def fail_renewal(self, original_id: str, *, has_grace: bool = True) -> None:
        """The period ends now and the card is declined."""
        self._end_period(original_id, _GRACE if has_grace else _RETRY)
        subtype = "GRACE_PERIOD" if has_grace else ""
        self._notify("DID_FAIL_TO_RENEW", self.subscriptions[original_id].transactions[-1], subtype)

    def expire(self, original_id: str) -> None:
        self._end_period(original_id, _EXPIRED)
        self._notify("EXPIRED", self.subscriptions[original_id].transactions[-1], "VOLUNTARY")

    def refund(self, transaction_id: str, percent: int | None = None) -> None:
        bought = self.transactions[transaction_id]
        bought.revoked_at = self.now
        bought.revoked_part = percent * 1000 if percent is not None else None
        owned = self.subscriptions.get(bought.original_id)
        if owned is not None and percent is None and owned.transactions[-1] is bought:
            owned.status = _REVOKED
        self._notify("REFUND", bought)

    def reverse_refund(self, transaction_id: str) -> None:
        """The customer disputed the refund, and Apple took the money again."""
        bought = self.transactions[transaction_id]
        bought.revoked_at = bought.revoked_part = None
        owned = self.subscriptions.get(bought.original_id)
        if owned is not None and owned.transactions[-1] is bought:
            owned.status = _ACTIVE
        self._notify("REFUND_REVERSED", bought)

    def signed(self, transaction_id: str, **changes: Any) -> str:
        """A transaction as the phone shows it."""
        return chain().sign({**self._document(self.transactions[transaction_id]), **changes})

    def notification(self, event: str, signed_transaction: str | None, subtype: str = "") -> Document:
        data: Document = {
            "bundleId": BUNDLE_ID,
            "appAppleId": APP_ID,
            "environment": self.environment,
            **({"signedTransactionInfo": signed_transaction} if signed_transaction else {}),
        }
        return {
            "notificationType": event,
            **({"subtype": subtype} if subtype else {}),
            "notificationUUID": str(uuid.uuid4()),
            "version": "2.0",
            "signedDate": _millis(self.now),
            "data": data,
        }

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Document]:
        self.requests.append(path)
        if self.failures:
            self.failures -= 1
            return 500, {"errorCode": 5000000, "errorMessage": "Internal"}
        *_, family, transaction_id = path.split("/")
        known = self.transactions.get(transaction_id)
        if known is None:
            return 404, {"errorCode": 4040010, "errorMessage": "Transaction id not found."}
        if family == "transactions":
            return 200, {"signedTransactionInfo": self.signed(transaction_id)}
        if family == "history":
            return 200, self._history(known, int(query.get("revision", ["0"])[0]))
        return 200, {"data": [{"lastTransactions": [self._status(each) for each in self._of(known)]}]}

    def _history(self, known: Transaction, first: int) -> Document:
        own = [each for each in self.transactions.values() if each.account == known.account][::-1]
        page = own[first : first + _PAGE_SIZE]
        return {
            "signedTransactions": [self.signed(each.transaction_id) for each in page],
            "revision": str(first + len(page)),
            "hasMore": first + len(page) < len(own),
        }

    def _of(self, known: Transaction) -> list[str]:
        return [
            original_id
            for original_id, owned in self.subscriptions.items()
            if owned.transactions[0].account == known.account
        ]

    def _status(self, original_id: str) -> Document:
        owned = self.subscriptions[original_id]
        last = owned.transactions[-1]
        renewal = {
            "originalTransactionId": original_id,
            "productId": last.product_id,
            "autoRenewProductId": owned.next_product or last.product_id,
            "autoRenewStatus": int(owned.is_renewing),
            "environment": self.environment,
            "signedDate": _millis(self.now),
            "currency": last.currency,
            "renewalPrice": last.price * 10,
        }
        return {
            "originalTransactionId": original_id,
            "status": owned.status,
            "signedTransactionInfo": self.signed(last.transaction_id),
            "signedRenewalInfo": chain().sign(renewal),
        }

    def _document(self, bought: Transaction) -> Document:
        optional = {
            "appAccountToken": str(bought.account) if bought.account else None,
            "expiresDate": _millis(bought.expires_at) if bought.expires_at else None,
            "offerDiscountType": "FREE_TRIAL" if bought.is_trial else None,
            "revocationDate": _millis(bought.revoked_at) if bought.revoked_at else None,
            "revocationPercentage": bought.revoked_part,
            "isUpgraded": bought.is_upgraded or None,
        }
        return {
            "transactionId": bought.transaction_id,
            "originalTransactionId": bought.original_id,
            "bundleId": BUNDLE_ID,
            "productId": bought.product_id,
            "purchaseDate": _millis(bought.bought_at),
            "originalPurchaseDate": _millis(self.transactions[bought.original_id].bought_at),
            "quantity": bought.quantity,
            "type": bought.kind,
            "inAppOwnershipType": "PURCHASED",
            "signedDate": _millis(self.now),
            "environment": self.environment,
            "currency": bought.currency,
            # Thousandths.
            "price": 0 if bought.is_trial else bought.price * 10,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def _transaction(
        self, product_id: str, price: int, currency: str, account: UUID | str | None
    ) -> Transaction:
        number = str(2000000000000000 + len(self.transactions))
        bought = Transaction(number, number, product_id, account, price, currency, self.now)
        self.transactions[number] = bought
        return bought

    def _open_period(self, bought: Transaction, period: str) -> None:
        bought.kind = "Auto-Renewable Subscription"
        bought.expires_at = self.now + _PERIODS[period]

    def _end_period(self, original_id: str, status: int) -> None:
        owned = self.subscriptions[original_id]
        last = owned.transactions[-1]
        last.expires_at = min(last.expires_at or self.now, self.now)
        owned.status = status

    def _notify(self, event: str, bought: Transaction, subtype: str = "") -> None:
        told = self.notification(event, self.signed(bought.transaction_id), subtype)
        self.notifications.append(chain().sign(told))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    mark: str | None,
) -> x509.Certificate:
    now, is_leaf = datetime.now(UTC), mark == _LEAF
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Fake {name}")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Fake {issuer}")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1000))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=not is_leaf, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=is_leaf, key_cert_sign=not is_leaf, crl_sign=not is_leaf, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if mark:
        # ASN.1's NULL.
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(mark), b"\x05\x00"), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, store: FakeAppStore) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = store


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        status: int = 401
        answer: Document = {}
        if self._is_signed_in():
            status, answer = self.server.store.answer(parts.path, parse_qs(parts.query))
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is in `requests`."""

    def _is_signed_in(self) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(
                token, chain().key.public_key(), algorithms=["ES256"], audience="appstoreconnect-v1"
            )
        except jwt.PyJWTError:
            return False
        return bool(claims["iss"] == ISSUER_ID and claims["bid"] == BUNDLE_ID)
