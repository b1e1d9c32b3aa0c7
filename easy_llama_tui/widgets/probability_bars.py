"""How panels write what the samplers do: the same words, signs and bars in each. Pure."""

from textual.geometry import clamp

DROPPED = "dropped"
"""Stands for the probability of a candidate that the samplers took away."""

_EIGHTHS = " ▏▎▍▌▋▊▉"


def survivors_text(count: int) -> str:
    """Return how many candidates the samplers leave."""
    return f"{count:,} candidate{' survives' if count == 1 else 's survive'}"


def percent(probability: float) -> str:
    """Return a probability in at most 5 cells."""
    share = probability * 100
    if share <= 0:
        return "0%"
    if share < 0.1:
        return "<0.1%"
    return f"{share:.1f}%" if share < 99.95 else "100%"


def full_bar(probability: float, width: int) -> str:
    """Return the bar of what is left after the samplers, in eighths of a cell; anything has one."""
    eighths = max(round(clamp(probability, 0.0, 1.0) * width * 8), int(probability > 0))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def light_bar(probability: float, width: int) -> str:
    """Return the bar of what was there before, in whole cells, or a line where that is too much."""
    whole = round(clamp(probability, 0.0, 1.0) * width)
    return "░" * whole or ("▏" if probability > 0 else "")
