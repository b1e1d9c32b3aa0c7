"""How a turn goes, in figures. Light, since the first picture shows them."""

from easy_llama.record import Record


class Figures(Record):
    """How a turn went so far, in tokens and seconds."""

    prompt_tokens: int = 0
    reused_tokens: int = 0
    """How many of `prompt_tokens` were in the KV cache before."""

    slid_tokens: int = 0
    """How many of `reused_tokens` were read before something that is left out now, and were slid."""

    unslidable_tokens: int = 0
    """How many of `prompt_tokens` could have been reused, had the model's cache been able to slide them."""

    read_tokens: int = 0
    """How many of `prompt_tokens` have been read in this turn."""

    generated_tokens: int = 0
    tokens_per_second: float | None = None
    """The rate since the first token; None before the second."""

    first_token_seconds: float | None = None
    """From the request to the first token; None before it."""

    @property
    def context_used(self) -> int:
        """The tokens of the context that are taken."""
        return self.reused_tokens + self.read_tokens + self.generated_tokens
