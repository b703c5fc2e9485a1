"""What ``coachline up`` takes, and what one chat costs the client of the model server."""

from __future__ import annotations

import time
from uuid import UUID

from benchmarks import processes
from benchmarks.report import Aim, Report
from benchmarks.stand import Stand
from coachline.foundation.ids import TenantId
from coachline.inference import ChatMessage, ChatRequest, OllamaServer
from fixtures.gateway import Gateway, inherited
from fixtures.ports import free_port

_UP_MB = 400
_MODEL = "smollm2:135m"


async def measure_up(stand: Stand, report: Report) -> None:
    """Start ``coachline up`` on a fresh folder with another's model, and weigh its tree."""
    environment = {
        **inherited(),
        "COACHLINE_HOME": str(stand.gateway.logs / "up"),
        "COACHLINE_PORT": str(free_port()),
        "COACHLINE_OLLAMA_URL": stand.model_url,
    }
    gateway = Gateway(environment, stand.gateway.logs, "", stand.gateway.http)
    try:
        up = await gateway.start("up", "REST:")
        report.begin("Memory of `coachline up`, the model server apart")
        report.add(
            "all processes, shared memory counted once",
            "MB PSS",
            processes.proportional_mb(up.process.pid),
            aim=Aim("≤", _UP_MB),
        )
        report.add("its own process", "MB RSS", processes.resident_mb(up.process.pid))
        await up.stop()
    finally:
        await gateway.close()


async def measure_client(stand: Stand, report: Report, *, calls: int) -> None:
    """Ask the scripted model often; the processor time of this process, which does nothing else."""
    request = ChatRequest(
        tenant_id=TenantId(UUID(stand.targets[0].tenant_id)),
        models=(_MODEL,),
        messages=(ChatMessage("system", "You are a coach."), ChatMessage("user", "Hello?")),
        max_tokens=400,
    )
    server = OllamaServer(stand.model_url)
    try:
        await server.chat(_MODEL, request)
        before = time.process_time()
        for _ in range(calls):
            await server.chat(_MODEL, request)
        cost = (time.process_time() - before) / calls * 1000
    finally:
        await server.close()
    report.begin("Client of the model server (library `ollama`)")
    report.add("processor time a chat of eight streamed parts", "ms", cost)
