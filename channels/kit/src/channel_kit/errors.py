"""What can go wrong between the gateway and a platform; each leaf names the gateway's next step."""

from __future__ import annotations


class ChannelError(Exception):
    """Base of every error that a channel may raise."""


class SignatureMismatch(ChannelError):
    """The request is not proven to come from the platform: answered 401, nothing stored."""


class PayloadUnreadable(ChannelError):
    """Proven bytes that are not what the platform sends: answered 400, nothing stored."""


class RateLimited(ChannelError):
    """The platform asks to wait ``retry_after`` seconds; the reply was surely not accepted."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ChannelUnavailable(ChannelError):
    """The reply was surely not accepted (refused connection, DNS, TLS): tried again later."""


class OutcomeUnknown(ChannelError):
    """The reply may or may not have been accepted (read time-out, reset, 5xx): reconciled."""


class ReplyRejected(ChannelError):
    """The platform understood and will never take this reply: dead, shown to the tenant."""


class ThreadMoved(ChannelError):
    """The thread has another address from now on; surely not accepted, sent there instead."""

    def __init__(self, message: str, *, thread: str) -> None:
        super().__init__(message)
        self.thread = thread


class RecipientUnreachable(ChannelError):
    """This person can no longer be written to here (blocked, gone): stop writing to them."""


class CredentialsRejected(ChannelError):
    """The platform refuses the tenant's credentials: the connection is disabled."""
