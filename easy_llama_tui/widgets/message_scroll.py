"""Messages one below the other in a window that scrolls, the last of them while it is being written.

One widget draws all of it, line by line. Only messages that come into view are laid out (see
`message_column`), and while one is written only its last block is laid out again (see `markdown_lines`).
The first row that is visible, `_top`, is what everything else follows from; Textual's `scroll_y` and
`virtual_size` mirror it for the scrollbar.
"""

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from textual.color import Color
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from easy_llama_tui.text.markdown_lines import preload
from easy_llama_tui.widgets.chat_selection import clicked, selected_text
from easy_llama_tui.widgets.chat_styles import chat_style, chat_styles
from easy_llama_tui.widgets.message_column import MessageColumn, Place
from easy_llama_tui.widgets.message_view import ChatEntry, ChatStyles, Layout, MessageView
from easy_llama_tui.widgets.row_painter import RowPainter

if TYPE_CHECKING:
    from textual.timer import Timer

_FRAME = 0.025
"""Seconds between two layouts of text that is being written."""
_SCROLLBAR = 0.5
"""Seconds between two steps of the scrollbar meanwhile: it is drawn whole, and costs as much as the text."""
_SHARE = 6
"""A layout that took long is followed by a pause of as many times its length."""


class Anchor(NamedTuple):
    """What stays where it is."""

    place: Place
    window_row: int = 0
    """The row of the window that it is in; may be outside."""


class MessageScroll(ScrollView, can_focus=True):
    """Shows messages, and follows the last one while the reader is at the bottom.

    When the reader has scrolled up, what they see stays where it is, whatever is added, changed or
    resized; `↓ new` in the corner says that there is more below.
    """

    ALLOW_SELECT = True

    class Following(Message, namespace="chat_log"):
        """The log begins or ceases to follow its end, or there is something below that was not seen."""

        def __init__(self, following: bool, unseen: bool) -> None:
            super().__init__()
            self.following = following
            """Whether new text moves into view by itself."""
            self.unseen = unseen
            """Whether something was added below what is visible."""

    def __init__(
        self,
        entries: Iterable[ChatEntry] = (),
        *,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        # There are no links to light up, and looking for them would redraw all for each move of the mouse.
        self.set_reactive(Widget.auto_links, False)
        self._column = MessageColumn()
        self._indices: dict[str, int] = {}
        self._layout = Layout(80, ChatStyles())
        self._window = Size(0, 0)
        self._top = 0
        self._following = True
        self._unseen = False
        self._placing = False
        self._styles_outdated = True
        self._backdrop = Color(0, 0, 0)
        self._rows = RowPainter()
        self._ruled: MessageView | None = None
        """The message with the rule below it."""
        self._waiting: dict[str, ChatEntry] = {}
        self._timer: Timer | None = None
        self._next_frame = 0.0
        self._next_scrollbar = 0.0
        self._scrollbar_shows = Size(0, 0), 0
        """The size of all rows, and the first that is visible, as the scrollbar was told."""
        self.set_entries(list(entries))

    # What is shown

    @property
    def entries(self) -> tuple[ChatEntry, ...]:
        """The messages, from the top."""
        return tuple(self._waiting.get(view.entry.id, view.entry) for view in self._column.views)

    @property
    def following(self) -> bool:
        """Whether new text moves into view by itself."""
        return self._following

    def set_entries(self, entries: Sequence[ChatEntry]) -> None:
        """Show other messages. The reader stays where they are if that message is still there."""
        self._waiting.clear()
        old = {view.entry.id: view for view in self._column.views}
        anchor = self._anchor()
        kept = self._column.views[anchor.place.message].entry.id if anchor else ""
        views = [old.get(entry.id) or MessageView(entry, self._layout) for entry in entries]
        for view, entry in zip(views, entries, strict=True):
            if view.entry != entry:
                view.update(entry)
        self._column.replace(views)
        self._indices = {entry.id: index for index, entry in enumerate(entries)}
        self._place_rule()
        self._clear_selection()
        if anchor and kept in self._indices:
            self._show(Anchor(Place(self._indices[kept], anchor.place.row)))
        else:
            self._show(None)

    def expect_text(self) -> None:
        """Load what is needed to show a reply, in a thread; it is not waited for."""
        preload()

    def append(self, entry: ChatEntry) -> None:
        """Add a message at the bottom."""
        if entry.streaming:
            self.expect_text()
        self._apply_waiting()
        anchor = self._anchor()
        dirty = self._column.height
        self._indices[entry.id] = len(self._column.views)
        self._column.append(MessageView(entry, self._layout))
        self._show(anchor, dirty=min(dirty, self._place_rule()))
        self._note_text_in(len(self._column.views) - 1)

    def update(self, entry: ChatEntry) -> None:
        """Show another state of the message with the same id.

        While it is streaming, text is shown some 40 times a second at most.

        Raises:
            KeyError: there is no such message.
        """
        old = self._column.views[self._indices[entry.id]].entry
        if entry.streaming and old.streaming and self._window:
            self._waiting[entry.id] = entry
            self._schedule()
        else:
            self._waiting.pop(entry.id, None)
            self._apply(entry)

    def remove_from(self, id: str) -> None:  # noqa: A002
        """Drop the message with this id and all below it.

        Raises:
            KeyError: there is no such message.
        """
        index = self._indices[id]
        self._apply_waiting()
        for view in self._column.views[index:]:
            del self._indices[view.entry.id]
        anchor = self._anchor()
        dirty = self._column.top(index)
        self._column.truncate(index)
        self._clear_selection()
        dirty = min(dirty, self._place_rule())
        self._show(anchor if anchor and anchor.place.message < index else None, dirty=dirty)

    def entry_at(self, line: int) -> ChatEntry | None:
        """Return the message that is drawn in this line of the widget, or `None` below the last one."""
        found = self._column.line(self._top + line)
        return self._column.views[found[0].message].entry if found else None

    def scroll_to_end_now(self) -> None:
        """Show the end, and follow it from now on, or from the end of the message mode on."""
        self._apply_waiting()
        self._show(None)
        self._scrolled()

    # What the message mode adds

    @property
    def _may_follow(self) -> bool:
        """Whether the end is followed once it is reached."""
        return True

    def _scrolled(self) -> None:
        """React to other rows being visible."""

    def _resized(self) -> None:
        """React to the window having another size."""

    def _message_clicked(self, message: int) -> None:
        """React to a click on a message."""

    # Text that is being written

    def _schedule(self) -> None:
        if self._timer is not None:
            return
        wait = self._next_frame - monotonic()
        if wait <= 0:
            self._apply_waiting()
        else:
            self._timer = self.set_timer(wait, self._apply_waiting)

    def _apply_waiting(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._waiting:
            began = monotonic()
            waiting, self._waiting = self._waiting, {}
            for entry in waiting.values():
                self._apply(entry)
            ended = monotonic()
            self._next_frame = ended + max(_FRAME, _SHARE * (ended - began))

    def _apply(self, entry: ChatEntry) -> None:
        index = self._indices[entry.id]
        view = self._column.views[index]
        longer = len(entry.text) > len(view.entry.text)
        crosses = entry.outside != view.entry.outside
        anchor, height = self._anchor(), view.height
        first = view.update(entry)
        if view.height != height:
            self._column.heights_changed(index)
        dirty = self._column.top(index) + first
        if crosses:
            dirty = min(dirty, self._place_rule())
        self._show(anchor, dirty=dirty, writing=entry.streaming)
        if longer:
            self._note_text_in(index)

    def _place_rule(self) -> int:
        """Have the rule where the model begins to read; return the first row that this may have changed.

        It is below the last message that is outside the context, as that is what the reader is told of.
        """
        views = self._column.views
        last = next((at for at in range(len(views) - 1, -1, -1) if views[at].entry.outside), len(views))
        ruled = views[last] if last + 1 < len(views) else None
        dirty = self._column.height
        if ruled is not self._ruled:
            for view, has_rule in ((self._ruled, False), (ruled, True)):
                if view is None:
                    continue
                view.set_rule(has_rule)
                if (at := self._indices.get(view.entry.id)) is not None:
                    self._column.heights_changed(at)
                    dirty = min(dirty, self._column.top(at))
            self._ruled = ruled
        return dirty

    # Where the reader is

    @property
    def _at_end(self) -> bool:
        return self._top + self._window.height >= self._column.height

    def _anchor(self) -> Anchor | None:
        """Return what is to stay where it is, or `None` if that is the end."""
        if self._following or not self._column.views:
            return None
        return Anchor(self._column.place(self._top))

    def _show(self, anchor: Anchor | None, *, dirty: int = 0, writing: bool = False) -> None:
        """Move the window to `anchor`, or to the end; rows from `dirty` on have changed.

        `writing` says that more will soon be written.
        """
        if not self._window:
            return
        place, window_row = anchor or Anchor(self._column.end, self._window.height - 1)
        top = self._column.show(place, window_row, self._window.height)
        moved = top != self._top
        self._top = top
        self._mirror(may_wait=writing)
        first = 0 if moved else max(0, dirty - top)
        if first < self._window.height:
            self._refresh_rows(first)
        self._set_following(self._at_end and self._may_follow, unseen=self._unseen and not self._at_end)

    def _refresh_rows(self, first: int) -> None:
        """Draw the rows of the window from `first` on again, but not the scrollbar beside them."""
        covered = self.styles.scrollbar_size_vertical if self.show_vertical_scrollbar else 0
        width = max(1, self._window.width - covered)
        self.refresh(Region(0, first, width, self._window.height - first))

    def _mirror(self, *, may_wait: bool) -> None:
        """Tell Textual's scrollbar where the window is, unless it was told just now and may wait.

        Setting `virtual_size` itself would lay out the whole screen for every new line.
        """
        size = Size(self._layout.width, self._column.height)
        self.set_reactive(Widget.virtual_size, size)
        self.set_reactive(Widget.scroll_y, self._top)
        self.set_reactive(Widget.scroll_target_y, self._top)
        if (size, self._top) == self._scrollbar_shows or (may_wait and monotonic() < self._next_scrollbar):
            return
        self._scrollbar_shows = size, self._top
        self._next_scrollbar = monotonic() + _SCROLLBAR
        self._placing = True
        self._scroll_update(size)
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self._top
        self._placing = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the wheel, the scrollbar and whoever else scrolls."""
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = new_value
        if not self._placing and round(new_value) != self._top:
            self._scroll_rows(round(new_value) - self._top)

    def _scroll_rows(self, rows: int) -> None:
        if not self._column.views:
            return
        target = self._top + rows
        if abs(rows) <= self._window.height:
            # What was visible moves by exactly so much, however high the messages above turn out to be.
            self._show(Anchor(self._column.place(self._top), -rows))
        elif target >= self.max_scroll_y:
            self._show(None)
        else:
            self._show(Anchor(self._column.place(target)))
        self._scrolled()

    def _note_text_in(self, message: int) -> None:
        """Remember that there is new text at the end of a message, if that is below the window."""
        end = self._column.top(message) + self._column.views[message].height
        below = end > self._top + self._window.height
        self._set_following(self._following, unseen=self._unseen or below)

    def _set_following(self, following: bool, *, unseen: bool) -> None:
        unseen = unseen and not following
        if (following, unseen) != (self._following, self._unseen):
            self._following, self._unseen = following, unseen
            self.refresh(Region(0, self._window.height - 1, self._window.width, 1))
            self.post_message(self.Following(following, unseen))

    def action_scroll_up(self) -> None:
        """Scroll up by a row."""
        self._scroll_rows(-1)

    def action_scroll_down(self) -> None:
        """Scroll down by a row."""
        self._scroll_rows(1)

    def action_page_up(self) -> None:
        """Scroll up by a page, less two rows that stay in view."""
        self._scroll_rows(min(-1, 2 - self._window.height))

    def action_page_down(self) -> None:
        """Scroll down by a page, less two rows that stay in view."""
        self._scroll_rows(max(1, self._window.height - 2))

    def action_scroll_home(self) -> None:
        """Show the first message."""
        self._show(Anchor(Place(0, 0)))
        self._scrolled()

    def action_scroll_end(self) -> None:
        """Show the end, and follow it."""
        self.scroll_to_end_now()

    # Size and styles

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        # Laid out here and not on a resize event: that comes after the first frame of the new size.
        self._placing = True
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        self._placing = False
        gutter = self.styles.gutter
        window = Size(max(0, size.width - gutter.width), max(0, size.height - gutter.height))
        if window != self._window:
            self._resize(window)
        return changed

    def _resize(self, window: Size) -> None:
        anchor = self._anchor()
        self._window = window
        self._rows.set_width(window.width, self.styles.scrollbar_size_vertical)
        width = max(0, window.width - self.styles.scrollbar_size_vertical)
        layout = self._layout._replace(width=width, styles=self._theme_styles())
        if layout == self._layout:
            self._show(anchor)
        else:
            self._set_layout(layout, anchor)
        self._resized()

    def _change_layout(self, layout: Layout) -> None:
        if layout != self._layout:
            self._apply_waiting()
            self._set_layout(layout, self._anchor())
            self._scrolled()

    def _theme_styles(self) -> ChatStyles:
        if not self._styles_outdated:
            return self._layout.styles
        self._styles_outdated = False
        self._backdrop = self.background_colors[1]
        self._rows.set_styles(
            base=self.rich_style,
            unseen=chat_style(self, "unseen"),
            mark=chat_style(self, "selected"),
            selection=self.screen.get_component_rich_style("screen--selection"),
        )
        return chat_styles(self)

    def _set_layout(self, layout: Layout, anchor: Anchor | None) -> None:
        """Lay everything out anew; the text at `anchor` stays in the first row."""
        same_rows = layout[:1] + layout[2:] == self._layout[:1] + self._layout[2:]
        self._layout = layout
        if anchor and not same_rows:
            message = anchor.place.message
            view = self._column.views[message]
            position = view.position_of(anchor.place.row)
            self._column.set_layout(layout)
            anchor = Anchor(Place(message, view.row_of(position)))
        else:
            self._column.set_layout(layout)
        if not same_rows:
            self._clear_selection()
        self._show(anchor)

    def notify_style_update(self) -> None:
        """Look at the theme again before the next frame."""
        super().notify_style_update()
        self._styles_outdated = True

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows of `crop`, in the theme's present styles."""
        if self._styles_outdated:
            styles = self._theme_styles()
            if styles != self._layout.styles:
                self._set_layout(self._layout._replace(styles=styles), self._anchor())
        gutter = self.styles.gutter
        if gutter.width:
            return super().render_lines(crop)
        # Rows scroll as they are, with all that Textual has cached for them: its own way to style lines
        # makes each row anew wherever it moves, which is what writing text costs most.
        strips = self._window_rows(range(crop.y - gutter.top, crop.bottom - gutter.top))
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, self._backdrop) for strip in strips]
        if crop.column_span == (0, self._window.width):
            return strips
        return [strip.crop(*crop.column_span) for strip in strips]

    # Selection

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text as it was written: not wrapped, without indent and borders."""
        return selected_text(self._column, selection), "\n"

    def on_click(self, event: Click) -> None:
        """Select a word with two clicks and a message with three; go to what is new."""
        # Textual's own answer to several clicks is to select the whole widget.
        event.prevent_default()
        if self._unseen and event.y == self._window.height - 1 and self._rows.is_unseen_mark(event.x):
            self.scroll_to_end_now()
            return
        found = self._column.line(self._top + event.y)
        if found:
            self._message_clicked(found[0].message)
        selection = clicked(self._column, *found, event.x, event.chain) if found else None
        if selection is not None:
            self.screen.selections = {self: selection}

    def _clear_selection(self) -> None:
        if self.is_attached and self in self.screen.selections:
            self.screen.clear_selection()

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Return row `y` of the window."""
        return self._window_rows(range(y, y + 1))[0]

    def _window_rows(self, rows: range) -> list[Strip]:
        """Return rows of the window; above and below it there are blank ones."""
        last = self._window.height - 1
        inside = range(max(0, rows.start), min(rows.stop, last + 1))
        selection = self.text_selection
        strips = [self._rows.blank()] * len(range(rows.start, inside.start))
        for place, line in self._column.lines(self._top + inside.start, len(inside)):
            view = self._column.views[place.message]
            marked = view.selected and place.row < view.own_height
            strips.append(self._rows.strip(place, line, selection, marked=marked))
        strips += [self._rows.blank()] * (len(rows) - len(strips))
        if self._unseen and last in rows:
            strips[last - rows.start] = self._rows.with_unseen_mark(strips[last - rows.start])
        return strips
