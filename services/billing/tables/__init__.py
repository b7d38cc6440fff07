"""The rows billing owns."""
