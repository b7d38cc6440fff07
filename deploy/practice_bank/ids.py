"""Names for what the bank makes."""

from secrets import token_hex


def new_id(kind: str) -> str:
    """A new name; its first two letters say what of: `PM` a payment, `MD` a mandate."""
    return kind + token_hex(7).upper()
