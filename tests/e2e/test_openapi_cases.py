"""Random calls, as the OpenAPI document allows and as it forbids: no 5xx, answers as documented."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # here, for deep in a call its source cannot be parsed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fixtures.house import House

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    # The server runs in another thread and draws its own random numbers meanwhile.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

EXAMPLES = 12
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


def call_everything(document: dict[str, Any], url: str, key: str) -> Counter[int]:
    """Call every operation with valid and invalid data; how often each status came."""
    schema = schemathesis.openapi.from_dict(document)
    statuses: Counter[int] = Counter()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for mode in GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: schemathesis.Case[Any]) -> None:
                response = case.call(
                    base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=20
                )
                statuses[response.status_code] += 1
                case.validate_response(response, checks=list(CHECKS))

            try:
                check()
            except Unsatisfiable:
                # What takes nothing, or any text, cannot be called wrongly.
                assert mode is GenerationMode.NEGATIVE
                assert "requestBody" not in document["paths"][operation.path][operation.method]
    return statuses


async def test_no_call_is_answered_with_a_server_error_or_off_the_schema(house: House) -> None:
    to = await house.connect("random")
    await house.post(to, "m1", "Hello")
    await house.wait_answered(to, 1)
    statuses = await asyncio.to_thread(call_everything, house.app.openapi(), house.url, to.api_key)
    assert statuses.total() > 300
    assert {status // 100 for status in statuses} <= {2, 4}
    assert statuses[200] > 20
