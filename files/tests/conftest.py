import pytest
from django.core.files.storage import storages


@pytest.fixture(autouse=True)
def empty_stores() -> None:
    for alias in ("default", "private"):
        storage = storages[alias]
        for folder in storage.listdir("")[0]:
            for name in storage.listdir(folder)[1]:
                storage.delete(f"{folder}/{name}")
