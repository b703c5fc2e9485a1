"""What an organisation decides about its bot: a form from the profile's own schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, time, timedelta
from typing import Final, cast
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from coachline.console.schema_forms import Form, faults_of, form_of
from coachline.conversation import Prompt, PromptDoesNotFit, PromptPreviews
from coachline.foundation.errors import InvalidInput
from coachline.foundation.ids import TenantId
from coachline.tenancy import (
    ProfileChanges,
    ProfileInvalid,
    TenantChanges,
    TenantOut,
    TenantProfile,
    Tenants,
)

SAMPLE: Final = "I slept badly. What can I do today?"
"""A question to look at a prompt with."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a model would be told, or why it cannot be told anything."""

    question: str
    models: tuple[str, ...]
    prompt: Prompt | None
    problem: str = ""


class NotChanged(Exception):
    """What was typed is no profile; ``form`` says what is wrong, and where."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form


class ProfileDesk:
    """Shows, changes and tries the profile.

    Args:
        tenants: whose profiles they are.
        previews: what a model would be told.
        has_field: which of the profile's fields the form has.
    """

    def __init__(
        self, tenants: Tenants, previews: PromptPreviews, *, has_field: Callable[[str], bool]
    ) -> None:
        self._tenants = tenants
        self._previews = previews
        whole = form_of(TenantChanges, described_by=TenantOut)
        self._form = Form(tuple(field for field in whole.fields if has_field(field.name)))

    async def form(self, tenant_id: TenantId) -> Form:
        """The form as the profile is."""
        return self._form.show(asdict(await self._tenants.profile(tenant_id)))

    async def save(self, tenant_id: TenantId, typed: Mapping[str, str], *, actor: str) -> bool:
        """Change what differs from the profile as it is; whether anything did.

        Raises:
            NotChanged: what was typed cannot be used.
        """
        changes, _ = await self._read(tenant_id, typed)
        if not changes:
            return False
        try:
            await self._tenants.configure(tenant_id, changes, actor)
        except ProfileInvalid as error:
            raise NotChanged(self._blame(typed, error)) from None
        return True

    async def preview(
        self, tenant_id: TenantId, typed: Mapping[str, str], question: str
    ) -> tuple[Form, Preview]:
        """The prompt of a question with a profile that may not be saved yet.

        Raises:
            NotChanged: what was typed cannot be used.
        """
        _, profile = await self._read(tenant_id, typed)
        question = question.strip() or SAMPLE
        models = self._previews.models(profile)
        try:
            prompt = await self._previews.build(tenant_id, profile, question)
        except PromptDoesNotFit as error:
            shown = Preview(question, models, None, error.message)
        else:
            shown = Preview(question, models, prompt)
        return self._form.keep(typed), shown

    async def _read(
        self, tenant_id: TenantId, typed: Mapping[str, str]
    ) -> tuple[ProfileChanges, TenantProfile]:
        """What differs, and the profile as it would be with that."""
        profile = await self._tenants.profile(tenant_id)
        values, faults = self._form.read(typed, empty_is_default=False)
        try:
            given = TenantChanges.model_validate(values)
        except ValidationError as error:
            found, whole = faults_of(error)
            raise NotChanged(self._form.keep(typed, found | faults, whole)) from None
        if faults:
            raise NotChanged(self._form.keep(typed, faults))
        changes = {
            name: value
            for name, value in given.model_dump(exclude_unset=True).items()
            if value != getattr(profile, name)
        }
        return cast("ProfileChanges", changes), replace(profile, **changes)

    def _blame(self, typed: Mapping[str, str], error: InvalidInput) -> Form:
        """The form with the fault at the field that the message names first."""
        first = error.message.split(" ")[0]
        if any(field.name == first for field in self._form.fields):
            return self._form.keep(typed, {first: error.message})
        return self._form.keep(typed, fault=error.message)


def end_of_day(written: str, zone: ZoneInfo) -> datetime | None:
    """The end of a day as a date field writes it, in the organisation's zone; None when empty.

    Raises:
        InvalidInput: it is no date.
    """
    if not written.strip():
        return None
    try:
        day = datetime.strptime(written.strip(), "%Y-%m-%d").date()  # noqa: DTZ007 - a day only
        return datetime.combine(day + timedelta(days=1), time(), zone)
    except (ValueError, OverflowError):
        raise InvalidInput("Give a day such as 2027-01-31.") from None
