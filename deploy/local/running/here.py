"""HTTP within this machine: past any proxy, and without the certificates of the world.

Every client that could speak TLS reads those anew, which takes longer than most answers.
"""

import ssl
from functools import partial

import httpx

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""It trusts nobody, since nothing here is https."""

client = partial(httpx.Client, verify=NO_TLS, trust_env=False)
async_client = partial(httpx.AsyncClient, verify=NO_TLS, trust_env=False)
request = partial(httpx.request, verify=NO_TLS, trust_env=False)
