"""What upper apps may want to know, sent in the transaction that caused it.

- `email_verified(user_id)`: an address of the user is proved to be theirs for the first time.
- `access_revoked(user_id)`: sessions of the user ended: suspended, password changed, logged out everywhere.
"""

from django.dispatch import Signal

email_verified = Signal()
access_revoked = Signal()
