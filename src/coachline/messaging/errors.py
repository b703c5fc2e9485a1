"""What can go wrong with a connection, in the words of its owner."""

from __future__ import annotations

from coachline.foundation.errors import (
    BadRequest,
    Conflict,
    InvalidInput,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)


class ConnectionNotFound(NotFound):
    """No such connection, or not yours, or not open: the three are never told apart."""

    code = "connection_not_found"


class ConnectionNameTaken(Conflict):
    """The tenant has a connection of that name."""

    code = "connection_name_taken"


class ConnectionConfigInvalid(InvalidInput):
    """The channel cannot be connected with this configuration."""

    code = "connection_config_invalid"


class ConnectionClosed(Conflict):
    """The connection is disabled, and this needs an open one."""

    code = "connection_closed"


class IntakeCrowded(Unavailable):
    """Too many deliveries of this tenant wait to be stored; nothing of this one was."""

    code = "intake_crowded"


class ConnectionNotReady(Unavailable):
    """The connection is just being connected; the platform should deliver again."""

    code = "connection_not_ready"


class AccountTaken(Conflict):
    """The platform's account is connected already; by whom is told to nobody else."""

    code = "account_taken"


class CredentialsRefused(InvalidInput):
    """The platform says that the credentials are wrong."""

    code = "credentials_rejected"


class PlatformUnavailable(Unavailable):
    """The platform cannot be asked now; nothing was changed."""

    code = "platform_unavailable"


class NotInstallable(Conflict):
    """The channel is connected with credentials, not by a click in the platform."""

    code = "not_installable"


class InstallationRefused(BadRequest):
    """A link or return of an installation that is unknown, used, late or of another browser."""

    code = "installation_refused"


class TrialRefused(InvalidInput):
    """The platform will not take a message to this address."""

    code = "trial_refused"


class TrialUnclear(Unavailable):
    """The platform did not say whether it took the message; it may have arrived."""

    code = "trial_unclear"


class TrialsUsedUp(TooManyRequests):
    """The tenant sent as many test messages as a minute has."""

    code = "trials_used_up"


class DeliveryNotProven(Unauthenticated):
    """The delivery is not proven to come from the platform."""

    code = "signature_mismatch"


class DeliveryUnreadable(BadRequest):
    """The delivery is proven, but it is not what the platform sends."""

    code = "payload_unreadable"


class ReplyNotFound(NotFound):
    """No such reply, or not yours."""

    code = "reply_not_found"


class ReplyNotInTrouble(Conflict):
    """The reply was sent or dropped, or is on its way: there is nothing to decide."""

    code = "reply_not_in_trouble"


class TakenAlready(Conflict):
    """A coach has the conversation; the message says who."""

    code = "taken_already"


class TakeoverNotFound(NotFound):
    """No such takeover, or not yours."""

    code = "takeover_not_found"


class TakeoverEnded(Conflict):
    """Nobody has the conversation any more under this takeover."""

    code = "takeover_ended"


class ReplyEmpty(InvalidInput):
    """There are no words in the reply."""

    code = "reply_empty"


class ProposalNotFound(NotFound):
    """No such proposal, or not yours."""

    code = "proposal_not_found"


class ProposalDecided(Conflict):
    """The proposal was approved, dropped, superseded, or its time is over."""

    code = "proposal_decided"


class ReplyMayAppearTwice(Conflict):
    """The platform may have shown the reply, and nobody can tell."""

    code = "reply_may_appear_twice"
