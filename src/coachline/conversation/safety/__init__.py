"""What a message or an answer may be dangerous for, who decides it, and what is done then."""
