"""All HTTP of the conversation room, one class per concern. Imported by the doors only."""

from coachline.conversation.routes.conversations import ConversationRoutes
from coachline.conversation.routes.notes import NoteRoutes
from coachline.conversation.routes.safety import SafetyRoutes

__all__ = ["ConversationRoutes", "NoteRoutes", "SafetyRoutes"]
