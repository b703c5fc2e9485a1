"""The conversation: one turn from the learner's words to a saved reply, and its memory."""

from coachline.conversation.canned_replies import (
    CannedReplies,
    CannedReply,
    CannedReplyInvalid,
    CannedReplyNotFound,
)
from coachline.conversation.command_desk import Commands, Desk
from coachline.conversation.erasure import ERASE_JOB, Erasure, ErasureNotFound
from coachline.conversation.erasure_traces import ErasureTraces
from coachline.conversation.export import Everything, Export
from coachline.conversation.hearing import Ears, Hearing
from coachline.conversation.helping import Helping
from coachline.conversation.history import History, Window
from coachline.conversation.holdings import FREE_OF_LEARNERS, HOLDINGS
from coachline.conversation.human_requests import HumanRequests
from coachline.conversation.linking import Linking
from coachline.conversation.local_time import zone_of
from coachline.conversation.notes import Note, NoteInvalid, NoteNotFound, Notes
from coachline.conversation.notices import Notices
from coachline.conversation.orchestrator import Orchestrator, Services
from coachline.conversation.overwriting import Overwriting
from coachline.conversation.pausing import Pausing
from coachline.conversation.previews import PromptPreviews
from coachline.conversation.prompt import PROMPT_VERSION, Prompt, PromptDoesNotFit
from coachline.conversation.reach import Reach
from coachline.conversation.redaction import Redaction
from coachline.conversation.rights import Rights
from coachline.conversation.rules import ConversationRules
from coachline.conversation.safety.judging import (
    USUAL,
    Direction,
    Judgement,
    SafetyCheck,
    Thresholds,
)
from coachline.conversation.safety.reviews import (
    Decision,
    ReviewDecided,
    ReviewNotFound,
    ReviewStatus,
    SafetyReview,
    SafetyReviews,
)
from coachline.conversation.safety.rule_check import RuleCheck
from coachline.conversation.safety.safeguard import Safeguard
from coachline.conversation.safety.safety_sentences import safety_in
from coachline.conversation.sources import Sources
from coachline.conversation.summaries import SUMMARISE_JOB, Summaries
from coachline.conversation.writing import Writing

__all__ = [
    "ERASE_JOB",
    "FREE_OF_LEARNERS",
    "HOLDINGS",
    "PROMPT_VERSION",
    "SUMMARISE_JOB",
    "USUAL",
    "CannedReplies",
    "CannedReply",
    "CannedReplyInvalid",
    "CannedReplyNotFound",
    "Commands",
    "ConversationRules",
    "Decision",
    "Desk",
    "Direction",
    "Ears",
    "Erasure",
    "ErasureNotFound",
    "ErasureTraces",
    "Everything",
    "Export",
    "Hearing",
    "Helping",
    "History",
    "HumanRequests",
    "Judgement",
    "Linking",
    "Note",
    "NoteInvalid",
    "NoteNotFound",
    "Notes",
    "Notices",
    "Orchestrator",
    "Overwriting",
    "Pausing",
    "Prompt",
    "PromptDoesNotFit",
    "PromptPreviews",
    "Reach",
    "Redaction",
    "ReviewDecided",
    "ReviewNotFound",
    "ReviewStatus",
    "Rights",
    "RuleCheck",
    "Safeguard",
    "SafetyCheck",
    "SafetyReview",
    "SafetyReviews",
    "Services",
    "Sources",
    "Summaries",
    "Thresholds",
    "Window",
    "Writing",
    "safety_in",
    "zone_of",
]
