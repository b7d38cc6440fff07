"""The six services. They never import each other; `__main__` puts them together."""
