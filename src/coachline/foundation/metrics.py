"""What a process counts and times, in the Prometheus format.

No label names a tenant or a learner: one series each would grow without bound, and would tell
whoever reads ``/metrics`` who they are. Seconds and bytes are base units, as Prometheus asks.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

_FAST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SLOW_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 180, 300)


class Metrics:
    """The collectors of one process, on a registry of their own.

    Labels: ``channel`` is the name of a platform, ``model`` a model that answered; ``outcome``
    and ``state`` are words from short lists that the callers own.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._receiving()
        self._turns()
        self._models()
        self._knowledge()
        self._delivering()
        self._listening()
        self._monitoring()

    def _receiving(self) -> None:
        self.inbound_events = Counter(
            "coachline_inbound_events_total",
            "Events that platforms sent, by what became of them at the door.",
            ("channel", "outcome"),
            registry=self.registry,
        )
        self.acknowledge_seconds = Histogram(
            "coachline_acknowledge_seconds",
            "From a webhook's arrival to its answer, commit included.",
            ("channel",),
            buckets=_FAST_SECONDS,
            registry=self.registry,
        )
        self.refused_requests = Counter(
            "coachline_refused_requests_total",
            "Requests refused for a missing or wrong proof, or for a limit.",
            ("reason",),
            registry=self.registry,
        )

    def _turns(self) -> None:
        self.turns = Counter(
            "coachline_turns_total", "Turns that ended.", ("outcome",), registry=self.registry
        )
        self.turn_seconds = Histogram(
            "coachline_turn_seconds",
            "From the claim of a turn to its saved answer.",
            ("outcome",),
            buckets=_SLOW_SECONDS,
            registry=self.registry,
        )
        self.turn_wait_seconds = Histogram(
            "coachline_turn_wait_seconds",
            "From the time a turn was due to its claim.",
            buckets=_SLOW_SECONDS,
            registry=self.registry,
        )
        self.turns_running = Gauge(
            "coachline_turns_running", "Turns this process works on.", registry=self.registry
        )
        self.leases_lost = Counter(
            "coachline_leases_lost_total",
            "Turns that another worker took over before they ended.",
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "coachline_queue_depth",
            "Conversations with work, by state.",
            ("state",),
            registry=self.registry,
        )
        self.queue_oldest_seconds = Gauge(
            "coachline_queue_oldest_seconds",
            "Age of the longest due conversation that nobody works on.",
            registry=self.registry,
        )

    def _models(self) -> None:
        self.model_requests = Counter(
            "coachline_model_requests_total",
            "Calls of the model server.",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self.model_seconds = Histogram(
            "coachline_model_seconds",
            "Whole generations that succeeded.",
            ("model",),
            buckets=_SLOW_SECONDS,
            registry=self.registry,
        )
        self.model_first_token_seconds = Histogram(
            "coachline_model_first_token_seconds",
            "From the call to the first token.",
            ("model",),
            buckets=_SLOW_SECONDS,
            registry=self.registry,
        )
        self.model_tokens = Counter(
            "coachline_model_tokens_total",
            "Tokens read and written.",
            ("model", "direction"),
            registry=self.registry,
        )
        self.model_queue_depth = Gauge(
            "coachline_model_queue_depth",
            "Requests that wait for the model server.",
            registry=self.registry,
        )
        self.model_breakers_open = Gauge(
            "coachline_model_breakers_open",
            "Models that are not asked for now.",
            registry=self.registry,
        )

    def _knowledge(self) -> None:
        self.retrieval_seconds = Histogram(
            "coachline_retrieval_seconds",
            "Searches for passages.",
            ("outcome",),
            buckets=_FAST_SECONDS,
            registry=self.registry,
        )
        self.documents = Counter(
            "coachline_documents_ingested_total",
            "Documents taken in.",
            ("outcome",),
            registry=self.registry,
        )

    def _delivering(self) -> None:
        self.replies = Counter(
            "coachline_replies_total",
            "Replies that reached a state.",
            ("channel", "state"),
            registry=self.registry,
        )
        self.delivery_seconds = Histogram(
            "coachline_delivery_seconds",
            "One call of a platform that sends a reply.",
            ("channel",),
            buckets=_SLOW_SECONDS,
            registry=self.registry,
        )

        self.pace_waits = Counter(
            "coachline_pace_waits_total",
            "Replies that waited, so that a platform's rates were kept.",
            ("channel",),
            registry=self.registry,
        )
        self.reconciliations = Counter(
            "coachline_reconciliations_total",
            "Questions to a platform whether it took a reply, by its answer.",
            ("channel", "outcome"),
            registry=self.registry,
        )

    def _listening(self) -> None:
        self.listening = Gauge(
            "coachline_connections_listening",
            "Connections whose events this process fetches, by how well they hear.",
            ("channel", "health"),
            registry=self.registry,
        )
        self.listening_restarts = Counter(
            "coachline_connections_restarted_total",
            "Fetching begun again, by why.",
            ("channel", "reason"),
            registry=self.registry,
        )

    def _monitoring(self) -> None:
        self.feed_events = Counter(
            "coachline_feed_events_total",
            "Events of the feed that got their position here.",
            ("kind",),
            registry=self.registry,
        )
        self.monitor_deliveries = Counter(
            "coachline_monitor_deliveries_total",
            "Attempts to deliver an event to an endpoint, by how they ended.",
            ("outcome",),
            registry=self.registry,
        )
        self.monitor_delivery_seconds = Histogram(
            "coachline_monitor_delivery_seconds",
            "One attempt to deliver an event to an endpoint.",
            buckets=_SLOW_SECONDS,
            registry=self.registry,
        )
        self.feed_streams = Gauge(
            "coachline_feed_streams", "Streams of the feed that are open.", registry=self.registry
        )

    def render(self) -> tuple[bytes, str]:
        """Everything as text for Prometheus, and the content type of that text."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
