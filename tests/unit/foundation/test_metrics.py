"""Metrics can be read by Prometheus and name nobody."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from coachline.foundation.metrics import Metrics


def _names(metrics: Metrics) -> dict[str, set[str]]:
    text = metrics.render()[0].decode()
    return {
        family.name: {label for sample in family.samples for label in sample.labels}
        for family in text_string_to_metric_families(text)
    }


def test_what_is_counted_can_be_read() -> None:
    metrics = Metrics()
    metrics.inbound_events.labels(channel="webhook", outcome="accepted").inc()
    metrics.acknowledge_seconds.labels(channel="webhook").observe(0.004)
    metrics.queue_depth.labels(state="waiting").set(3)
    text, content_type = metrics.render()
    lines = text.decode().splitlines()
    assert 'coachline_inbound_events_total{channel="webhook",outcome="accepted"} 1.0' in lines
    assert 'coachline_acknowledge_seconds_bucket{channel="webhook",le="0.005"} 1.0' in lines
    assert 'coachline_queue_depth{state="waiting"} 3.0' in lines
    assert content_type.startswith("text/plain")


def test_two_processes_in_one_do_not_share_their_counts() -> None:
    first, second = Metrics(), Metrics()
    first.turns.labels(outcome="answered").inc()
    assert b'coachline_turns_total{outcome="answered"} 1.0' in first.render()[0]
    assert b'coachline_turns_total{outcome="answered"}' not in second.render()[0]


def test_no_label_names_a_tenant_a_person_or_a_row() -> None:
    metrics = Metrics()
    allowed = {"channel", "outcome", "state", "reason", "model", "kind", "direction", "health"}
    ours = [c for c in vars(metrics).values() if hasattr(c, "_labelnames")]
    assert len(ours) > 15
    for collector in ours:
        assert set(collector._labelnames) <= allowed


def test_every_name_is_ours_or_the_process_s() -> None:
    pattern = re.compile(r"^(coachline|process|python)_[a-z_]+$")
    assert all(pattern.match(name) for name in _names(Metrics()))


def test_the_memory_of_the_process_is_told() -> None:
    assert "process_resident_memory_bytes" in _names(Metrics())
