"""`python -m deploy.compose.healthy`: whether every service of this container is ready, for Docker to ask."""

import json
import sys
from urllib.request import urlopen

HERE = "http://127.0.0.1:8000"
SECONDS = 3


def _get(path: str) -> bytes:
    answer: bytes = urlopen(HERE + path, timeout=SECONDS).read()  # noqa: S310 - our own address
    return answer


def main() -> None:
    """Ask each service that the container says it has; an error ends this with a word about it and a failure."""
    try:
        for name in json.loads(_get("/")):
            _get(f"/{name}/health/ready")
    except OSError as trouble:
        sys.exit(str(trouble))


if __name__ == "__main__":
    main()
