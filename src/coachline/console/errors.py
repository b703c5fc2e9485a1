"""What can go wrong between a browser and its session."""

from __future__ import annotations

from coachline.foundation.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
)


class SignedOut(Unauthenticated):
    """There is no session, or it has ended: idle, too old, signed out, or not allowed any more."""

    code = "signed_out"


class SignInRefused(Unauthenticated):
    """Whoever tried to sign in has not proved who they are; why exactly is not always told."""

    code = "sign_in_refused"


class ForeignForm(Forbidden):
    """A form or a script that this console did not give to this session."""

    code = "foreign_form"


class SignInInvalid(InvalidInput):
    """The settings of the provider of identities cannot be used; the message names the field."""

    code = "sign_in_invalid"


class SignInNotFound(NotFound):
    """The tenant has no provider of identities."""

    code = "sign_in_not_found"


class ProviderUnavailable(Unavailable):
    """The tenant's provider of identities cannot be asked now, or answers as no provider does."""

    code = "provider_unavailable"


class NotConfirmed(InvalidInput):
    """Something that cannot be undone was asked for without the word that confirms it."""

    code = "not_confirmed"


class WordsUnusable(InvalidInput):
    """What somebody asks for holds a character that nothing here can hold."""

    code = "words_unusable"
