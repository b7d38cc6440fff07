"""What an operator wants to see of a process, for Prometheus; one registry per process."""

from datetime import UTC, datetime

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("punchcard_http_requests_total", "Requests answered", ["service", "method", "status"])
REQUEST_SECONDS = Histogram("punchcard_http_seconds", "Time to answer a request", ["service"])
HANDLED = Counter(
    "punchcard_inbox_handled_total", "Events handled, set aside or parked", ["service", "type", "outcome"]
)
EVENT_LAG = Histogram("punchcard_event_lag_seconds", "From a fact's commit to its handler's", ["service", "type"])
OUTBOX_PENDING = Gauge("punchcard_outbox_pending", "Facts not yet confirmed by the bus", ["service"])
OUTBOX_OLDEST = Gauge("punchcard_outbox_oldest_seconds", "Age of the oldest of them", ["service"])
INBOX_RETRYING = Gauge("punchcard_inbox_retrying", "Events that will be tried again", ["service"])
INBOX_PARKED = Gauge("punchcard_inbox_parked", "Events that wait for a person", ["service"])
WORK_LATE = Gauge("punchcard_work_late", "Pieces of work that failed or that nobody took in time", ["service", "kind"])
BUS_SESSIONS = Counter("punchcard_bus_sessions_total", "Sessions opened with the broker", ["service", "side"])
CONSUMER_ATTACHED = Gauge("punchcard_consumer_attached", "1 while the service's queues are consumed", ["service"])


def seconds_since(time: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()
