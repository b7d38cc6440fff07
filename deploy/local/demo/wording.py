"""Numbers as people read them."""


def money(amount_minor: int) -> str:
    """`1,234.56`, or `-1,234.56`."""
    whole, cents = divmod(abs(amount_minor), 100)
    return f"{'-' if amount_minor < 0 else ''}{whole:,}.{cents:02}"


def counted(number: int, thing: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
