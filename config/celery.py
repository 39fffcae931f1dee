"""The Celery application; tasks are found in each app's `tasks.py`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

from celery import Celery

app = Celery("parlor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
