"""S8: what the bank tells, signed: kept before it is answered."""

import hashlib
import hmac

import orjson

from shared.ids import new_id
from tests.bench.asking import Ask, Line, lines, paced, rate
from tests.bench.figures import Figure, Found, Goal, Pairs, percentile
from tests.bench.place import PATIENCE_SECONDS, Place
from tests.bench.plain import SECRET

PER_SECOND = 200


def told(path: str, secret: str) -> Ask:
    """One event about a payment that nobody knows: it is kept, and set aside when its turn comes."""

    async def ask(line: Line, _number: int, _nth: int) -> None:
        event = {
            "id": f"EV{new_id().hex}",
            "created_at": "2022-09-09T01:00:00.000Z",
            "resource_type": "payments",
            "action": "confirmed",
            "links": {"payment": f"PM{new_id().hex}"},
            "details": {"origin": "gocardless", "cause": "payment_confirmed", "description": "Confirmed"},
        }
        body = orjson.dumps({"events": [event]})
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        status, answer = await line.post(path, {"webhook-signature": signature}, body)
        if status != 204:
            raise RuntimeError(f"a callback was answered {status}: {answer[:300]!r}")

    return ask


async def measure(place: Place) -> list[Found]:
    sizes = place.sizes
    beside = place.plain
    async with place.studio() as studio:
        path = f"/directdebit/v1/providers/{studio.business_id}/callbacks"
        ours, theirs = told(path, studio.account["callback_secrets"][0]), told("/callbacks", SECRET)
        slowest: dict[str, list[float]] = {"ours": [], "limit": []}

        async def settle() -> None:
            """What was kept is folded after the answer; that is another row's time."""
            await studio.observer.until_quiet(studio.business_id, PATIENCE_SECONDS)

        async def take_ours() -> float:
            async with lines(place.system.urls["directdebit"], sizes.lines) as connected:
                _, done = await rate(connected, sizes.callbacks, ours)
                await settle()
                slowest["ours"].append(percentile(await paced(connected, sizes.paced, PER_SECOND, ours), 0.99))
            await settle()
            return done

        async def take_theirs() -> float:
            async with lines(beside.url, sizes.lines) as connected:
                _, done = await rate(connected, sizes.callbacks, theirs)
                slowest["limit"].append(percentile(await paced(connected, sizes.paced, PER_SECOND, theirs), 0.99))
            return done

        pairs = await Pairs().take(sizes.rounds, take_ours, take_theirs)
    same = "FastAPI, a constant answer after the check of the signature"
    return [
        Figure(
            "S8",
            f"signed callbacks kept and answered; {sizes.lines} at once, folded meanwhile in the same process",
            "/s",
            pairs.ours,
            Goal(0.4),
            pairs.limit,
            same,
        ),
        Figure(
            "S8",
            f"the same at {PER_SECOND} a second: the 99th of 100",
            "ms",
            slowest["ours"],
            Goal(50, at_most=True, of_ratio=False),
            slowest["limit"],
            same,
        ),
    ]
