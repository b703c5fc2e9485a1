"""Reading a form whose fields a model decides."""

from __future__ import annotations

from fastapi import Request


async def typed_fields(request: Request) -> dict[str, str]:
    """Every text of the form, by name; of several of one name the last. Files are left out."""
    form = await request.form()
    return {name: value for name, value in form.multi_items() if isinstance(value, str)}


async def chosen(request: Request, name: str) -> list[str]:
    """Every value of one name, such as ticked boxes."""
    form = await request.form()
    return [value for value in form.getlist(name) if isinstance(value, str)]
