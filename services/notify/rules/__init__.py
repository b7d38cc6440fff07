"""What notify says and how long it tries. Nothing here waits: an event and names in, a letter out."""


def retries(attempts: int) -> bool:
    """A message that the mail server did not take is handed over again, for about a day; then a person looks."""
    return attempts < 300
