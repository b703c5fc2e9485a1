"""All SQL of the conversation room, one class per concern. Imported by this room only."""

from coachline.conversation.repository.canned_replies import CannedReplyRepository
from coachline.conversation.repository.memory import ConversationMemory
from coachline.conversation.repository.notes import NoteRepository

__all__ = ["CannedReplyRepository", "ConversationMemory", "NoteRepository"]
