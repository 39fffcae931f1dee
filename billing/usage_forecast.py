"""When credits will run out, guessed from the days so far, and how far off such guesses have been.

The guess for a day is a mean of the last four weeks in which a day weighs half of one a week later, times
what is usual for its weekday once there are two weeks to learn that from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings

from billing import selectors, usage_reports

_LOOK_BACK = 56
_WINDOW = 28
_HALF_LIFE = 7
_LEAST_DAYS = 7
_LEAST_USED_DAYS = 3
_DAYS_FOR_WEEKDAYS = 14
# A weekday's own mean counts like this many days against the mean of all days.
_SHRINK = 2
_FURTHEST = 365
_LONGEST_TRIAL = 14
_LEAST_TRIALS = 3


class Outlook(StrEnum):
    RUNS_OUT = "runs_out"
    LASTS = "lasts"
    NOT_ENOUGH_DATA = "not_enough_data"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Mean absolute errors over the user's own past: of a day's spending, and of the guess in days."""

    credits_per_day: int
    days: float
    trials: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Amounts in microcredits. `days_left` and `runs_out_at` are there when the outlook is `runs_out`."""

    outlook: Outlook
    available: int
    daily_spending: int | None = None
    days_left: float | None = None
    runs_out_at: datetime | None = None
    accuracy: Accuracy | None = None
    based_on_days: int = 0

    @property
    def whole_days_left(self) -> int | None:
        return None if self.days_left is None else round(self.days_left)

    @property
    def whole_days_off(self) -> int | None:
        return None if self.accuracy is None else round(self.accuracy.days)


@dataclass(frozen=True, slots=True)
class Funds:
    """What can be spent. `today` is left of the allowance and lapses at midnight; `kept` does not."""

    today: int
    kept: int
    allowance: int


def get_forecast(user_id: UUID, *, now: datetime) -> Forecast:
    """In days of the operator's zone, since the allowance comes with them."""
    wallet = selectors.get_wallet(user_id, now=now)
    zone = settings.TIME_ZONE
    today = usage_reports.today_in(zone, now)
    spent = usage_reports.daily_credits(
        user_id, first=today - timedelta(days=_LOOK_BACK), last=today - timedelta(days=1), zone=zone
    )
    past = _since_first_use(spent)
    if len(past) < _LEAST_DAYS or sum(amount > 0 for amount in past) < _LEAST_USED_DAYS:
        return Forecast(Outlook.NOT_ENOUGH_DATA, wallet.available, based_on_days=len(past))
    funds = Funds(wallet.daily_remaining, wallet.bonus + wallet.purchased, wallet.tier.daily_credits)
    midnight = usage_reports.midnight_of(today + timedelta(days=1), zone)
    rest_of_today = min((midnight - now) / timedelta(days=1), 1.0)
    guesses = predict_days(past, today, _FURTHEST)
    days_left = days_until_empty(funds, guesses, rest_of_today)
    # Half of what is known leaves as many past days to try it on.
    longest = max(1, min(_LONGEST_TRIAL, (len(past) - _LEAST_DAYS) // 2))
    trial = longest if days_left is None else max(1, min(round(days_left), longest))
    accuracy = measure(past, today, trial)
    usual = round(sum(guesses[:7]) / 7)
    if days_left is None:
        return Forecast(Outlook.LASTS, wallet.available, usual, accuracy=accuracy, based_on_days=len(past))
    if accuracy is not None:
        # A guess that looks further than it was tried is taken to be off in proportion.
        stretch = max(days_left / trial, 1.0)
        accuracy = Accuracy(accuracy.credits_per_day, accuracy.days * stretch, accuracy.trials)
    return Forecast(
        Outlook.RUNS_OUT,
        wallet.available,
        usual,
        days_left,
        now + timedelta(days=days_left),
        accuracy,
        len(past),
    )


def predict_days(past: Sequence[int], first: date, count: int) -> list[float]:
    """Expected spending of `count` days from `first` on; `past` ends the day before."""
    recent = past[-_WINDOW:]
    ages = range(len(recent), 0, -1)
    weights = [0.5 ** (age / _HALF_LIFE) for age in ages]
    level = sum(weight * amount for weight, amount in zip(weights, recent, strict=True)) / sum(weights)
    factors = _weekday_factors(recent, first)
    return [level * factors[(first + timedelta(days=ahead)).weekday()] for ahead in range(count)]


def days_until_empty(funds: Funds, guesses: Sequence[float], rest_of_today: float) -> float | None:
    """Days from now, with a fraction; None when the credits outlast the guesses."""
    kept = float(funds.kept)
    passed = 0.0
    for number, guess in enumerate(guesses):
        length = rest_of_today if number == 0 else 1.0
        spending = guess * length
        free = funds.today if number == 0 else funds.allowance
        if spending > free + kept:
            return passed + length * (free + kept) / spending
        kept -= max(spending - free, 0.0)
        passed += length
    return None


def measure(past: Sequence[int], today: date, horizon: int) -> Accuracy | None:
    """The same guess made on each past day, with what was known then, against what followed."""
    daily: list[float] = []
    in_days: list[float] = []
    for known in range(_LEAST_DAYS, len(past)):
        day = today - timedelta(days=len(past) - known)
        guesses = predict_days(past[:known], day, horizon)
        daily.append(abs(guesses[0] - past[known]))
        followed = past[known : known + horizon]
        if len(followed) == horizon and sum(guesses) > 0:
            in_days.append(abs(sum(guesses) - sum(followed)) / (sum(guesses) / horizon))
    if len(in_days) < _LEAST_TRIALS:
        return None
    return Accuracy(round(sum(daily) / len(daily)), sum(in_days) / len(in_days), len(in_days))


def _since_first_use(spent: list[int]) -> list[int]:
    first = next((number for number, amount in enumerate(spent) if amount), len(spent))
    return spent[first:]


def _weekday_factors(recent: Sequence[int], first: date) -> list[float]:
    mean = sum(recent) / len(recent)
    if len(recent) < _DAYS_FOR_WEEKDAYS or not mean:
        return [1.0] * 7
    sums, counts = [0.0] * 7, [0] * 7
    for number, amount in enumerate(recent):
        weekday = (first - timedelta(days=len(recent) - number)).weekday()
        sums[weekday] += amount
        counts[weekday] += 1
    return [
        (total + _SHRINK * mean) / (count + _SHRINK) / mean for total, count in zip(sums, counts, strict=True)
    ]
