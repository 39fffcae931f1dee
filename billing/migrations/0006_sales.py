import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import common.ids


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0005_usage"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Approval",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "action",
                    models.CharField(
                        choices=[("adjust", "adjust credits"), ("refund", "refund a payment")],
                        max_length=10,
                        verbose_name="what",
                    ),
                ),
                ("arguments", models.JSONField(verbose_name="details")),
                ("key", models.CharField(max_length=200, unique=True, verbose_name="key")),
                ("reason", models.CharField(max_length=1000, verbose_name="reason")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "waiting"), ("approved", "approved"), ("declined", "declined")],
                        default="waiting",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided at")),
            ],
            options={
                "verbose_name": "approval",
                "verbose_name_plural": "approvals",
                "permissions": [("decide_approval", "Can approve or decline what others ask for")],
            },
        ),
        migrations.CreateModel(
            name="CatalogueChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("changed_at", models.DateTimeField(verbose_name="changed at")),
                ("table", models.CharField(max_length=40, verbose_name="what")),
                ("slug", models.CharField(max_length=40, verbose_name="slug")),
                ("before", models.JSONField(null=True, verbose_name="before")),
                ("after", models.JSONField(null=True, verbose_name="after")),
            ],
            options={
                "verbose_name": "change of the catalogue",
                "verbose_name_plural": "changes of the catalogue",
            },
        ),
        migrations.CreateModel(
            name="Dispute",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("external_id", models.CharField(max_length=255, verbose_name="id at the store")),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "open"), ("won", "won"), ("lost", "lost")],
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                ("frozen_bonus", models.BigIntegerField(default=0, verbose_name="bonus credits frozen")),
                (
                    "frozen_purchased",
                    models.BigIntegerField(default=0, verbose_name="purchased credits frozen"),
                ),
                ("opened_at", models.DateTimeField(verbose_name="opened at")),
                ("closed_at", models.DateTimeField(blank=True, null=True, verbose_name="decided at")),
            ],
            options={
                "verbose_name": "dispute",
                "verbose_name_plural": "disputes",
            },
        ),
        migrations.CreateModel(
            name="MoneyLimit",
            fields=[
                (
                    "id",
                    models.SmallIntegerField(default=1, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "adjustment_credits",
                    models.BigIntegerField(
                        default=1000000000,
                        help_text="A larger one needs a second person.",
                        verbose_name="adjustments above",
                    ),
                ),
                (
                    "refund_amount",
                    models.BigIntegerField(
                        default=20000,
                        help_text="In the currency's smallest unit (cents).",
                        verbose_name="refunds above",
                    ),
                ),
            ],
            options={
                "verbose_name": "limit for staff",
                "verbose_name_plural": "limits for staff",
            },
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "store",
                    models.CharField(
                        choices=[
                            ("stripe", "Stripe"),
                            ("sandbox", "Test shop"),
                            ("google_play", "Google Play"),
                            ("app_store", "App Store"),
                            ("given", "Given by us"),
                        ],
                        max_length=20,
                        verbose_name="store",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("paid", "paid"),
                            ("failed", "failed"),
                            ("expired", "expired"),
                        ],
                        default="open",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("name", models.CharField(max_length=60, verbose_name="what")),
                ("credits", models.BigIntegerField(verbose_name="credits")),
                ("price", models.BigIntegerField(verbose_name="price")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("trial_days", models.PositiveSmallIntegerField(default=0, verbose_name="days of trial")),
                ("session_id", models.CharField(blank=True, max_length=255, verbose_name="checkout")),
                ("intent_id", models.CharField(blank=True, max_length=255, verbose_name="payment intent")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
            ],
            options={
                "verbose_name": "order",
                "verbose_name_plural": "orders",
            },
        ),
        migrations.CreateModel(
            name="Payment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "store",
                    models.CharField(
                        choices=[
                            ("stripe", "Stripe"),
                            ("sandbox", "Test shop"),
                            ("google_play", "Google Play"),
                            ("app_store", "App Store"),
                            ("given", "Given by us"),
                        ],
                        max_length=20,
                        verbose_name="store",
                    ),
                ),
                ("external_id", models.CharField(max_length=255, verbose_name="id at the store")),
                ("name", models.CharField(max_length=60, verbose_name="for")),
                (
                    "bucket",
                    models.CharField(
                        choices=[("daily", "Daily"), ("bonus", "Bonus"), ("purchased", "Purchased")],
                        max_length=10,
                        verbose_name="bucket",
                    ),
                ),
                ("credits", models.BigIntegerField(verbose_name="credits")),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                ("tax", models.BigIntegerField(default=0, verbose_name="tax in it")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("paid_at", models.DateTimeField(verbose_name="paid at")),
                ("period_start", models.DateTimeField(blank=True, null=True, verbose_name="from")),
                ("period_end", models.DateTimeField(blank=True, null=True, verbose_name="until")),
                ("document_url", models.TextField(blank=True, verbose_name="document of the store")),
                ("returned", models.BigIntegerField(default=0, verbose_name="returned")),
                ("credits_returned", models.BigIntegerField(default=0, verbose_name="credits taken back")),
            ],
            options={
                "verbose_name": "payment",
                "verbose_name_plural": "payments",
                "permissions": [("refund_payment", "Can refund payments")],
            },
        ),
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("finished_at", models.DateTimeField(null=True, verbose_name="finished at")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "running"),
                            ("clean", "all in order"),
                            ("different", "differences"),
                            ("incomplete", "could not be finished"),
                        ],
                        default="running",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("compared", models.JSONField(default=dict, verbose_name="compared")),
                ("differences", models.JSONField(default=list, verbose_name="differences")),
                ("difference", models.JSONField(default=dict, verbose_name="difference in money")),
                ("detail", models.TextField(blank=True, verbose_name="detail")),
            ],
            options={
                "verbose_name": "reconciliation",
                "verbose_name_plural": "reconciliations",
                "permissions": [("run_reconciliation", "Can reconcile with the stores")],
            },
        ),
        migrations.CreateModel(
            name="Redemption",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("credits", models.BigIntegerField(verbose_name="credits")),
            ],
            options={
                "verbose_name": "redemption",
                "verbose_name_plural": "redemptions",
            },
        ),
        migrations.CreateModel(
            name="RedemptionCode",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("code", models.CharField(max_length=40, unique=True, verbose_name="code")),
                ("credits", models.BigIntegerField(verbose_name="credits")),
                ("uses", models.PositiveIntegerField(default=1, verbose_name="people who may use it")),
                ("used", models.PositiveIntegerField(default=0, editable=False, verbose_name="used")),
                ("expires_at", models.DateTimeField(blank=True, null=True, verbose_name="good until")),
                ("note", models.CharField(blank=True, max_length=200, verbose_name="note")),
            ],
            options={
                "verbose_name": "code",
                "verbose_name_plural": "codes",
            },
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("external_id", models.CharField(max_length=255, verbose_name="id at the store")),
                (
                    "kind",
                    models.CharField(
                        choices=[("refund", "refund"), ("chargeback", "chargeback")],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                ("counted", models.BigIntegerField(verbose_name="counted")),
                ("credits", models.BigIntegerField(verbose_name="credits taken back")),
                ("debt", models.BigIntegerField(verbose_name="of it owed, since it was spent")),
                ("refunded_at", models.DateTimeField(verbose_name="refunded at")),
            ],
            options={
                "verbose_name": "refund",
                "verbose_name_plural": "refunds",
            },
        ),
        migrations.CreateModel(
            name="StoreCustomer",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "store",
                    models.CharField(
                        choices=[
                            ("stripe", "Stripe"),
                            ("sandbox", "Test shop"),
                            ("google_play", "Google Play"),
                            ("app_store", "App Store"),
                            ("given", "Given by us"),
                        ],
                        max_length=20,
                        verbose_name="store",
                    ),
                ),
                ("external_id", models.CharField(max_length=255, verbose_name="id at the store")),
            ],
            options={
                "verbose_name": "customer at a store",
                "verbose_name_plural": "customers at stores",
            },
        ),
        migrations.CreateModel(
            name="StoreEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "store",
                    models.CharField(
                        choices=[
                            ("stripe", "Stripe"),
                            ("sandbox", "Test shop"),
                            ("google_play", "Google Play"),
                            ("app_store", "App Store"),
                            ("given", "Given by us"),
                        ],
                        max_length=20,
                        verbose_name="store",
                    ),
                ),
                ("external_id", models.CharField(max_length=255, verbose_name="id at the store")),
                ("kind", models.CharField(max_length=100, verbose_name="kind")),
                ("object_id", models.CharField(blank=True, max_length=500, verbose_name="about")),
                ("payload", models.JSONField(verbose_name="as it came")),
                ("happened_at", models.DateTimeField(verbose_name="happened at")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "waiting"),
                            ("applied", "applied"),
                            ("ignored", "not ours"),
                            ("failed", "failed"),
                            ("quarantined", "needs a look"),
                        ],
                        default="pending",
                        max_length=12,
                        verbose_name="state",
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0, verbose_name="attempts")),
                ("detail", models.TextField(blank=True, verbose_name="detail")),
                ("applied_at", models.DateTimeField(blank=True, null=True, verbose_name="applied at")),
            ],
            options={
                "verbose_name": "event of a store",
                "verbose_name_plural": "events of stores",
                "permissions": [("replay_storeevent", "Can replay events of stores")],
            },
        ),
        migrations.CreateModel(
            name="StorePrice",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "store",
                    models.CharField(
                        choices=[
                            ("stripe", "Stripe"),
                            ("sandbox", "Test shop"),
                            ("google_play", "Google Play"),
                            ("app_store", "App Store"),
                            ("given", "Given by us"),
                        ],
                        max_length=20,
                        verbose_name="store",
                    ),
                ),
                ("slug", models.CharField(max_length=40, verbose_name="pack or plan")),
                ("period", models.CharField(blank=True, max_length=10, verbose_name="period")),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("external_id", models.CharField(max_length=255, verbose_name="id at the store")),
            ],
            options={
                "verbose_name": "price at a store",
                "verbose_name_plural": "prices at stores",
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "store",
                    models.CharField(
                        choices=[
                            ("stripe", "Stripe"),
                            ("sandbox", "Test shop"),
                            ("google_play", "Google Play"),
                            ("app_store", "App Store"),
                            ("given", "Given by us"),
                        ],
                        max_length=20,
                        verbose_name="store",
                    ),
                ),
                ("external_id", models.CharField(max_length=500, verbose_name="id at the store")),
                ("price", models.BigIntegerField(default=0, verbose_name="price")),
                ("currency", models.CharField(default="USD", max_length=3, verbose_name="currency")),
                ("bonus_credits", models.BigIntegerField(default=0, verbose_name="bonus credits")),
                ("standing", models.CharField(max_length=10, verbose_name="the store says")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "waiting for payment"),
                            ("trialing", "trial"),
                            ("active", "active"),
                            ("grace", "payment due"),
                            ("on_hold", "on hold"),
                            ("cancelled", "cancelled, runs until its end"),
                            ("expired", "ended"),
                        ],
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("started_at", models.DateTimeField(verbose_name="started at")),
                ("period_start", models.DateTimeField(blank=True, null=True, verbose_name="period from")),
                ("period_end", models.DateTimeField(blank=True, null=True, verbose_name="period until")),
                (
                    "ends_at_period_end",
                    models.BooleanField(default=False, verbose_name="ends with its period"),
                ),
                (
                    "past_due_since",
                    models.DateTimeField(blank=True, null=True, verbose_name="payment due since"),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
                (
                    "entitled_until",
                    models.DateTimeField(blank=True, null=True, verbose_name="gives its tier until"),
                ),
                ("due_at", models.DateTimeField(blank=True, null=True, verbose_name="looked at again")),
                ("synced_at", models.DateTimeField(verbose_name="asked at")),
            ],
            options={
                "verbose_name": "subscription",
                "verbose_name_plural": "subscriptions",
                "permissions": [
                    ("comp_subscription", "Can give tiers"),
                    ("extend_subscription", "Can extend and end subscriptions"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SubscriptionEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("number", models.PositiveIntegerField(verbose_name="number")),
                (
                    "cause",
                    models.CharField(
                        choices=[
                            ("store", "the store"),
                            ("time", "time"),
                            ("user", "the user"),
                            ("staff", "staff"),
                        ],
                        max_length=10,
                        verbose_name="cause",
                    ),
                ),
                ("from_state", models.CharField(blank=True, max_length=10, verbose_name="from")),
                (
                    "to_state",
                    models.CharField(
                        choices=[
                            ("pending", "waiting for payment"),
                            ("trialing", "trial"),
                            ("active", "active"),
                            ("grace", "payment due"),
                            ("on_hold", "on hold"),
                            ("cancelled", "cancelled, runs until its end"),
                            ("expired", "ended"),
                        ],
                        max_length=10,
                        verbose_name="to",
                    ),
                ),
                ("plan", models.CharField(blank=True, max_length=40, verbose_name="plan")),
                ("period_end", models.DateTimeField(null=True, verbose_name="period until")),
                ("changes", models.JSONField(default=dict, verbose_name="changes")),
                ("reason", models.CharField(blank=True, max_length=1000, verbose_name="reason")),
            ],
            options={
                "verbose_name": "change of a subscription",
                "verbose_name_plural": "changes of subscriptions",
            },
        ),
        migrations.RemoveConstraint(
            model_name="ledgeraccount",
            name="ledger_account_once",
        ),
        migrations.RemoveConstraint(
            model_name="ledgeraccount",
            name="ledger_account_bucket_has_owner",
        ),
        migrations.RemoveConstraint(
            model_name="ledgertransaction",
            name="ledger_adjustment_has_reason",
        ),
        migrations.AddField(
            model_name="plan",
            name="trial_days",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="For somebody's first subscription; 0: none.",
                verbose_name="days of trial",
            ),
        ),
        migrations.AddField(
            model_name="wallet",
            name="day_cap",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="most in a day"),
        ),
        migrations.AddField(
            model_name="wallet",
            name="day_spent",
            field=models.BigIntegerField(db_default=0, default=0, verbose_name="spent today"),
        ),
        migrations.AddField(
            model_name="wallet",
            name="debt",
            field=models.BigIntegerField(db_default=0, default=0, verbose_name="owed"),
        ),
        migrations.AddField(
            model_name="wallet",
            name="frozen",
            field=models.BigIntegerField(db_default=0, default=0, verbose_name="frozen"),
        ),
        migrations.AddField(
            model_name="wallet",
            name="low_balance",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="say when less is left"),
        ),
        migrations.AddField(
            model_name="wallet",
            name="message_cap",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="most for a message"),
        ),
        migrations.AddField(
            model_name="wallet",
            name="paused_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="paused by the owner at"),
        ),
        migrations.AddField(
            model_name="wallet",
            name="tier_until",
            field=models.DateTimeField(blank=True, null=True, verbose_name="tier until"),
        ),
        migrations.AlterField(
            model_name="ledgertransaction",
            name="kind",
            field=models.CharField(
                choices=[
                    ("allowance", "Daily allowance"),
                    ("upgrade", "More daily credits in the new tier"),
                    ("lapse", "Daily credits lapsed"),
                    ("charge", "Paid"),
                    ("write_off", "Not charged"),
                    ("sign_up_bonus", "Welcome gift"),
                    ("grant", "Credits given"),
                    ("adjustment", "Adjustment by support"),
                    ("purchase", "Credits bought"),
                    ("plan", "Payment for your plan"),
                    ("refund", "Refund"),
                    ("chargeback", "Payment taken back by your bank"),
                    ("freeze", "Set aside while your bank decides"),
                    ("unfreeze", "Given back after your bank decided"),
                    ("code", "Code redeemed"),
                    ("debt_paid", "Paid off what was owed"),
                    ("debt_waived", "What was owed was waived"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.UniqueConstraint(
                fields=("wallet", "name", "currency"), name="ledger_account_once", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("name__in", ["daily", "bonus", "purchased", "debt", "frozen"]),
                        ("wallet__isnull", False),
                    ),
                    models.Q(
                        ("wallet__isnull", True),
                        models.Q(
                            ("name__in", ["daily", "bonus", "purchased", "debt", "frozen"]), _negated=True
                        ),
                    ),
                    _connector="OR",
                ),
                name="ledger_account_bucket_has_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgertransaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind__in", ["adjustment", "debt_waived"]), _negated=True),
                    models.Q(("reason", ""), _negated=True),
                    _connector="OR",
                ),
                name="ledger_adjustment_has_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.CheckConstraint(
                condition=models.Q(("day_spent__gte", 0), ("debt__gte", 0), ("frozen__gte", 0)),
                name="wallet_owed_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("debt", 0),
                    models.Q(
                        ("bonus_balance", models.F("bonus_held")),
                        ("purchased_balance", models.F("purchased_held")),
                    ),
                    _connector="OR",
                ),
                name="wallet_debt_is_paid_first",
            ),
        ),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("message_cap__isnull", True), ("message_cap__gt", 0), _connector="OR"),
                    models.Q(("day_cap__isnull", True), ("day_cap__gt", 0), _connector="OR"),
                    models.Q(("low_balance__isnull", True), ("low_balance__gt", 0), _connector="OR"),
                ),
                name="wallet_own_limits_positive",
            ),
        ),
        migrations.AddField(
            model_name="approval",
            name="asked_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="asked by",
            ),
        ),
        migrations.AddField(
            model_name="approval",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="decided by",
            ),
        ),
        migrations.AddField(
            model_name="approval",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="for",
            ),
        ),
        migrations.AddIndex(
            model_name="cataloguechange",
            index=models.Index(fields=["table", "slug", "-id"], name="catalogue_change_of_row"),
        ),
        migrations.AddConstraint(
            model_name="moneylimit",
            constraint=models.CheckConstraint(condition=models.Q(("id", 1)), name="money_limit_one_row"),
        ),
        migrations.AddConstraint(
            model_name="moneylimit",
            constraint=models.CheckConstraint(
                condition=models.Q(("adjustment_credits__gte", 0), ("refund_amount__gte", 0)),
                name="money_limit_not_negative",
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="pack",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.pack",
                verbose_name="pack",
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="plan",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.plan",
                verbose_name="plan",
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="order",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payments",
                to="billing.order",
                verbose_name="order",
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        ),
        migrations.AddField(
            model_name="dispute",
            name="payment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="disputes", to="billing.payment"
            ),
        ),
        migrations.AddIndex(
            model_name="reconciliation",
            index=models.Index(fields=["-created_at"], name="reconciliation_newest"),
        ),
        migrations.AddField(
            model_name="redemption",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="redemptioncode",
            constraint=models.CheckConstraint(
                condition=models.Q(("used__lte", models.F("uses"))), name="redemption_code_not_overused"
            ),
        ),
        migrations.AddConstraint(
            model_name="redemptioncode",
            constraint=models.CheckConstraint(
                condition=models.Q(("credits__gt", 0), ("credits__lte", 1000000000000000)),
                name="redemption_code_credits_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="redemptioncode",
            constraint=models.CheckConstraint(
                condition=models.Q(("code__regex", "^[A-Z0-9]{4,40}$")), name="redemption_code_plain"
            ),
        ),
        migrations.AddField(
            model_name="redemption",
            name="code",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="redemptions",
                to="billing.redemptioncode",
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="payment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="refunds", to="billing.payment"
            ),
        ),
        migrations.AddField(
            model_name="storecustomer",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddIndex(
            model_name="storeevent",
            index=models.Index(fields=["-created_at", "-id"], name="store_event_newest"),
        ),
        migrations.AddIndex(
            model_name="storeevent",
            index=models.Index(
                condition=models.Q(("state__in", ["pending", "failed"])),
                fields=["created_at"],
                name="store_event_open",
            ),
        ),
        migrations.AddIndex(
            model_name="storeevent",
            index=models.Index(fields=["object_id"], name="store_event_object"),
        ),
        migrations.AddConstraint(
            model_name="storeevent",
            constraint=models.UniqueConstraint(fields=("store", "external_id"), name="store_event_once"),
        ),
        migrations.AddConstraint(
            model_name="storeevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("applied_at__isnull", False), ("state", "applied")),
                    models.Q(models.Q(("state", "applied"), _negated=True), ("applied_at__isnull", True)),
                    _connector="OR",
                ),
                name="store_event_applied_has_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="storeprice",
            constraint=models.UniqueConstraint(
                fields=("store", "slug", "period", "amount", "currency"), name="store_price_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="storeprice",
            constraint=models.UniqueConstraint(
                fields=("store", "external_id"), name="store_price_is_one_thing"
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="next_plan",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.plan",
                verbose_name="then",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="plan",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.plan",
                verbose_name="plan",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="replaced_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="replaced",
                to="billing.subscription",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="tier",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.tier",
                verbose_name="tier",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="subscription",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payments",
                to="billing.subscription",
                verbose_name="subscription",
            ),
        ),
        migrations.AddField(
            model_name="subscriptionevent",
            name="actor",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="by",
            ),
        ),
        migrations.AddField(
            model_name="subscriptionevent",
            name="subscription",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="events", to="billing.subscription"
            ),
        ),
        migrations.AddIndex(
            model_name="approval",
            index=models.Index(fields=["-created_at"], name="approval_newest"),
        ),
        migrations.AddConstraint(
            model_name="approval",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by__isnull", True),
                    models.Q(("decided_by", models.F("asked_by")), _negated=True),
                    _connector="OR",
                ),
                name="approval_takes_four_eyes",
            ),
        ),
        migrations.AddConstraint(
            model_name="approval",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", True), ("decided_by__isnull", True), ("state", "waiting")
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("state__in", ["approved", "declined"]),
                    ),
                    _connector="OR",
                ),
                name="approval_state_and_decision_agree",
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["user", "-id"], name="order_of_user"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                condition=models.Q(("state", "open")), fields=["created_at"], name="order_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("pack__isnull", True), ("plan__isnull", False)),
                    models.Q(("pack__isnull", False), ("plan__isnull", True)),
                    _connector="OR",
                ),
                name="order_is_for_one_thing",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("credits__gte", 0), ("credits__lte", 1000000000000000), ("price__gte", 0)
                ),
                name="order_amounts_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(
                condition=models.Q(("session_id", ""), _negated=True),
                fields=("store", "session_id"),
                name="order_session_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(
                condition=models.Q(("intent_id", ""), _negated=True),
                fields=("store", "intent_id"),
                name="order_intent_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(
                condition=models.Q(("plan__isnull", False), ("state", "open")),
                fields=("user",),
                name="order_one_open_plan",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.UniqueConstraint(fields=("payment", "external_id"), name="dispute_once"),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount__gte", 0), ("frozen_bonus__gte", 0), ("frozen_purchased__gte", 0)
                ),
                name="dispute_amounts_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("closed_at__isnull", True), ("state", "open")),
                    models.Q(("closed_at__isnull", False), ("state__in", ["won", "lost"])),
                    _connector="OR",
                ),
                name="dispute_state_and_end_agree",
            ),
        ),
        migrations.AddConstraint(
            model_name="redemption",
            constraint=models.UniqueConstraint(fields=("code", "user"), name="redemption_once_per_user"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.UniqueConstraint(fields=("payment", "external_id"), name="refund_once"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount__gte", 0),
                    ("counted__gte", 0),
                    ("counted__lte", models.F("amount")),
                    ("credits__gte", 0),
                    ("debt__gte", 0),
                    ("debt__lte", models.F("credits")),
                ),
                name="refund_amounts_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="storecustomer",
            constraint=models.UniqueConstraint(fields=("user", "store"), name="store_customer_once_per_user"),
        ),
        migrations.AddConstraint(
            model_name="storecustomer",
            constraint=models.UniqueConstraint(
                fields=("store", "external_id"), name="store_customer_is_one_user"
            ),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["user", "-id"], name="subscription_of_user"),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="subscription_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(fields=("store", "external_id"), name="subscription_once"),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("entitled_until__isnull", False),
                        ("state__in", ["trialing", "active", "grace", "cancelled"]),
                    ),
                    models.Q(
                        ("entitled_until__isnull", True), ("state__in", ["pending", "on_hold", "expired"])
                    ),
                    _connector="OR",
                ),
                name="subscription_state_and_right_agree",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "expired"), _negated=True),
                    ("ended_at__isnull", False),
                    _connector="OR",
                ),
                name="subscription_expired_has_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("bonus_credits__gte", 0), ("price__gte", 0)),
                name="subscription_amounts_not_negative",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["user", "-paid_at", "-id"], name="payment_of_user"),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["-paid_at", "-id"], name="payment_newest"),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(fields=("store", "external_id"), name="payment_once"),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gte", 0), ("tax__gte", 0), ("tax__lte", models.F("amount"))),
                name="payment_amounts_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("bucket__in", ["bonus", "purchased"]),
                    ("credits__gte", 0),
                    ("credits__lte", 1000000000000000),
                ),
                name="payment_credits_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("returned__gte", 0), ("returned__lte", models.F("amount"))),
                name="payment_returned_at_most_all",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("credits_returned__gte", 0), ("credits_returned__lte", models.F("credits"))
                ),
                name="payment_takes_back_at_most_all",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscriptionevent",
            constraint=models.UniqueConstraint(
                fields=("subscription", "number"), name="subscription_event_numbered"
            ),
        ),
    ]
