"""The conversation: one turn from the learner's words to a saved reply, and its memory."""

from coachline.conversation.command_desk import Commands, Desk
from coachline.conversation.erasure import ERASE_JOB, Erasure
from coachline.conversation.export import Export
from coachline.conversation.hearing import Ears, Hearing
from coachline.conversation.helping import Helping
from coachline.conversation.history import History, Window
from coachline.conversation.linking import Linking
from coachline.conversation.notices import Notices
from coachline.conversation.orchestrator import Orchestrator, Services
from coachline.conversation.pausing import Pausing
from coachline.conversation.prompt import PROMPT_VERSION, PromptDoesNotFit
from coachline.conversation.reach import Reach
from coachline.conversation.redaction import Redaction
from coachline.conversation.rights import Rights
from coachline.conversation.rules import ConversationRules
from coachline.conversation.sources import Sources
from coachline.conversation.summaries import SUMMARISE_JOB, Summaries

__all__ = [
    "ERASE_JOB",
    "PROMPT_VERSION",
    "SUMMARISE_JOB",
    "Commands",
    "ConversationRules",
    "Desk",
    "Ears",
    "Erasure",
    "Export",
    "Hearing",
    "Helping",
    "History",
    "Linking",
    "Notices",
    "Orchestrator",
    "Pausing",
    "PromptDoesNotFit",
    "Reach",
    "Redaction",
    "Rights",
    "Services",
    "Sources",
    "Summaries",
    "Window",
]
