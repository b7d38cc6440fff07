"""`python -m deploy.practice_bank --state DIR`: run the practice bank until SIGINT or SIGTERM."""

import argparse
from contextlib import suppress
from pathlib import Path

from deploy.practice_bank.serving import serve

arguments = argparse.ArgumentParser(prog="practice_bank", description="A small direct-debit provider to practise with.")
arguments.add_argument("--state", type=Path, required=True, help="the folder that holds the bank's books")
arguments.add_argument(
    "--port", type=int, default=0, help="0, the default, takes a free one; the first line says which"
)
arguments.add_argument("--host", default="127.0.0.1", help="the address to listen on")
given = arguments.parse_args()

with suppress(KeyboardInterrupt):
    serve(given.state, host=given.host, port=given.port)
