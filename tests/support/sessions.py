"""Saved chats as tests of the store and of the writer need them."""

from datetime import UTC, datetime, timedelta

from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.chats.session import ModelReference, SamplerChoice, Session

BEGUN = datetime(2026, 11, 22, 10, 15, 0, tzinfo=UTC)


def chat(session_id="20261122-101500-3f9c", content="woof", minutes=0, **more):
    """A chat of one message, which is its title too."""
    return Session(
        id=session_id,
        title=content,
        named=False,
        created=BEGUN,
        updated=BEGUN + timedelta(minutes=minutes),
        head="m1",
        model=ModelReference("models/small.gguf", "Small"),
        format="template",
        sampler=SamplerChoice("DefaultSampling", {"temp": 0.8}),
        messages=(Message("m1", None, "user", content, BEGUN),),
        **more,
    )
