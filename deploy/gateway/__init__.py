"""The gateway before the services: Traefik, its routes, and who tells it where the replicas are.

`traefik.yml` is how it starts in a container, `routes.yml` what it does with a request, wherever it runs.
"""
