"""Catalog's web door: shapes in, shapes out; one file for each thing of the book."""

from fastapi import APIRouter

from services.catalog.api import business, clients, services, staff, templates

router = APIRouter(tags=["catalog"])
for part in (business, clients, staff, services, templates):
    router.include_router(part.router)
