"""What is a URL."""

from urllib.parse import urlparse


def is_url(url):
    """Whether a text is an http or https address."""
    try:
        parts = urlparse(url)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.netloc)
