"""A full-screen chat in the terminal with a GGUF model in this very process."""
