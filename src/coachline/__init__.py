"""Coachline: a self-hosted, multi-tenant conversational coaching gateway."""

__version__ = "0.1.0"
