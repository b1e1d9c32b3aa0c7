"""Moments in words, as short as a list needs them."""

from datetime import datetime, timedelta
from typing import Final

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def when(moment: datetime, now: datetime) -> str:
    """Return when `moment` was, seen from `now` and in its time zone (both aware).

    That is "today 14:02", "yesterday", "12 Nov", or "12 Nov 2025" in another year.
    """
    try:
        there = moment.astimezone(now.tzinfo)
    except (OverflowError, ValueError, OSError):  # the first or the last day of all
        there = moment
    if there.date() == now.date():
        return f"today {there:%H:%M}"
    if there.date() == (now - timedelta(days=1)).date():
        return "yesterday"
    day = f"{there.day} {_MONTHS[there.month - 1]}"
    return day if there.year == now.year else f"{day} {there.year}"
