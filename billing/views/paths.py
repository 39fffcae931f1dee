from django.utils.http import url_has_allowed_host_and_scheme

_LONGEST = 300


def own_path(path: str) -> str:
    """A path of ours to lead somebody back to; an empty text for anything else."""
    is_ours = path.startswith("/") and url_has_allowed_host_and_scheme(path, allowed_hosts=None)
    return path if is_ours and len(path) <= _LONGEST else ""
