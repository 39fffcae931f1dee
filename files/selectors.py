from django.core.files.storage import default_storage


def public_url(key: str) -> str:
    """The address of a public file: a path of ours, or the object store's own address."""
    return default_storage.url(key)
