"""What stands behind the console's pages: people, providers, sessions, and what is read there."""

from __future__ import annotations

from dataclasses import dataclass

from coachline.console import (
    Cards,
    Entrance,
    Explaining,
    OpenId,
    People,
    Providers,
    Sessions,
    Talks,
    Tickets,
)
from coachline.foundation.clock import Clock
from coachline.foundation.database import Database
from coachline.foundation.outgoing import Outgoing
from coachline.foundation.seal import Seal
from coachline.knowledge import Retrieval
from coachline.learners import LearnerRights, Learners
from coachline.messaging import Connections, Takeovers, Transcripts
from coachline.tenancy import AuditLog, Keys, Staff, Tenants


@dataclass(frozen=True, slots=True)
class SignIn:
    """Who may enter, and how.

    Attributes:
        staff: who may sign in.
        providers: whom tenants trust to know their people.
        sessions: who is signed in.
        tickets: what is good once.
        entrance: every way in.
    """

    staff: Staff
    providers: Providers
    sessions: Sessions
    tickets: Tickets
    entrance: Entrance


@dataclass(frozen=True, slots=True)
class Reading:
    """What the pages about learners are made of.

    Attributes:
        people: names the actors of the audit log.
        talks: what was said.
        explaining: why it was answered as it was.
        cards: what is known of a learner beside that.
    """

    people: People
    talks: Talks
    explaining: Explaining
    cards: Cards


def wire_sign_in(
    database: Database,
    tenants: Tenants,
    keys: Keys,
    audit: AuditLog,
    seal: Seal,
    http: Outgoing,
    clock: Clock,
    *,
    public_url: str,
) -> SignIn:
    """Make the ways in; providers send browsers back to ``public_url``."""
    staff = Staff(database, audit, clock)
    providers = Providers(database, seal, audit)
    sessions = Sessions(database, tenants, staff, keys, audit, clock)
    tickets = Tickets(database, audit, clock)
    openid = OpenId(http, clock, redirect_url=f"{public_url}/console/sign-in/done")
    entrance = Entrance(sessions, tickets, keys, staff, tenants, providers, openid)
    return SignIn(staff, providers, sessions, tickets, entrance)


def wire_reading(
    database: Database,
    staff: Staff,
    keys: Keys,
    transcripts: Transcripts,
    takeovers: Takeovers,
    learners: Learners,
    connections: Connections,
    retrieval: Retrieval,
    rights: LearnerRights,
) -> Reading:
    """Make what the pages about learners read from."""
    people = People(database, staff, keys)
    return Reading(
        people=people,
        talks=Talks(transcripts, takeovers, learners, connections, people),
        explaining=Explaining(transcripts, retrieval),
        cards=Cards(database, rights),
    )
