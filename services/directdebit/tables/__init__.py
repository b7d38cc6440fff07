"""The rows directdebit owns."""
