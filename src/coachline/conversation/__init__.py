"""The conversation: one turn from the learner's words to a saved reply, and its memory."""

from coachline.conversation.history import History, Window
from coachline.conversation.notices import Notices
from coachline.conversation.orchestrator import Orchestrator, Services
from coachline.conversation.prompt import PROMPT_VERSION, PromptDoesNotFit
from coachline.conversation.rules import ConversationRules
from coachline.conversation.summaries import SUMMARISE_JOB, Summaries

__all__ = [
    "PROMPT_VERSION",
    "SUMMARISE_JOB",
    "ConversationRules",
    "History",
    "Notices",
    "Orchestrator",
    "PromptDoesNotFit",
    "Services",
    "Summaries",
    "Window",
]
