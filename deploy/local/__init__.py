"""The developer's command line: everything `./dev` does, and the servers it needs.

It is not part of the product: nothing in `services/` or `shared/` imports it, nor does the services' image carry it.
"""
