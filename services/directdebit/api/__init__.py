"""Directdebit's web door: one file for each thing, and one for what the provider tells."""

from fastapi import APIRouter

from services.directdebit.api import callbacks, collections, debits, mandates, provider, runs

router = APIRouter(tags=["directdebit"])
for part in (mandates, collections, runs, debits, provider, callbacks):
    router.include_router(part.router)
