"""`docker compose run --rm dev …`: the commands of `./dev` that need a running system, for that of docker-compose.yml.

`demo` plays the script through the gateway, as somebody outside would; `token`, `clock` and `bank` are as they are.
"""

import asyncio
import sys
from pathlib import Path

import httpx
from rich.console import Console

from deploy.local import cli
from deploy.local.demo import PLAIN_WIDTH, SCRIPT, live
from deploy.local.demo.script import read_script
from deploy.local.demo.summary import conclude
from deploy.local.running.issuer import Issuer
from deploy.local.running.mail import MailSink, Message
from deploy.local.running.state import Addresses, noted
from deploy.local.running.system import SERVICES, System
from shared.settings import load

STATE = Path("/state")
SECRETS = Path("/run/secrets")
GATEWAY = "http://gateway:8080"
BANK = "http://bank:8000"
MAIL = "http://mail:8000"
COMMANDS = ("token", "clock", "bank")


class FarSink(MailSink):
    """The mail sink of another container, read from its page."""

    @property
    def messages(self) -> tuple[Message, ...]:
        found = httpx.get(f"{MAIL}/messages.json", timeout=30).raise_for_status().json()
        return tuple(Message(**each) for each in found["messages"])


def around() -> System:
    """The system of the other containers, as somebody outside knows it; its databases only to look into."""
    databases = {name: url.get_secret_value() for name, url in load(SECRETS).database_url.items()}
    urls = dict.fromkeys(SERVICES, GATEWAY)
    return System(urls, databases, Issuer(STATE / "issuer"), BANK, FarSink(), STATE / "logs", environment={})


def demo(system: System) -> int:
    """Play the demo, and print what it came to; 1 where anything is wrong."""
    console = Console(width=PLAIN_WIDTH, no_color=not sys.stdout.isatty())
    script = read_script(SCRIPT)
    wrong = conclude(console, script, asyncio.run(live(console, script, system, STATE)))
    verdict = ["This must not be:", *wrong] if wrong else ["Every session and every cent is accounted for."]
    console.print("", *verdict, sep="\n", highlight=False, markup=False)
    return int(bool(wrong))


def main() -> None:
    asked = sys.argv[1:2]
    if asked == ["demo"]:
        sys.exit(demo(around()))
    if not asked or asked[0] not in COMMANDS:
        sys.exit(f"docker compose run --rm dev demo | {' | '.join(COMMANDS)}, with the options of ./dev")
    system = around()
    sys.argv += ["--state", str(STATE)]
    with noted(STATE, Addresses(system.urls, system.database_urls, BANK, MAIL)):
        cli.main()


if __name__ == "__main__":
    main()
