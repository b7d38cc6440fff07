"""The developer's command line: everything `./dev` does, and the servers it needs.

It is not part of the product: nothing in `services/` or `shared/` imports it, and the image does not carry it.
"""
