"""What amounts of credits are, for every table: whole microcredits (1 credit = 1,000,000)."""

from django.db import models
from django.utils.translation import gettext_lazy as _

# A billion credits: no amount is larger, so sums of amounts stay far inside 64 bits.
MAX_AMOUNT = 10**15


class Bucket(models.TextChoices):
    """The three kinds of credits in a wallet, in the order they are spent."""

    DAILY = "daily", _("Daily")
    BONUS = "bonus", _("Bonus")
    PURCHASED = "purchased", _("Purchased")
