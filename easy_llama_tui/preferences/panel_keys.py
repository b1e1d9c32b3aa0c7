"""The keys of the panels and of the screens that lie over the chat, as `keymap` has those of the chat.

Loads no Textual.
"""

from typing import Final

from easy_llama_tui.preferences.key import Key
from easy_llama_tui.preferences.key_names import shown


def _key(id_: str, keys: str, action: str, description: str) -> Key:
    return Key(id_, keys, shown(keys.partition(",")[0]), action, description)


ROW_KEYS = (
    _key("rows-up", "up,k", "move(-1)", "Go to the row above"),
    _key("rows-down", "down,j", "move(1)", "Go to the row below"),
    _key("rows-page-up", "pageup", "page(-1)", "Go up a page"),
    _key("rows-page-down", "pagedown", "page(1)", "Go down a page"),
    _key("rows-first", "home", "first", "Go to the first row"),
    _key("rows-last", "end", "last", "Go to the last row"),
    _key("rows-enter", "enter", "enter", "Take this row"),
)
"""What the lists of panels can do while they have the focus."""

FORMAT_KEYS = (
    _key("format-up", "up", "move(-1)", "Go to the format above"),
    _key("format-down", "down", "move(1)", "Go to the format below"),
    _key("format-page-up", "pageup", "page(-1)", "Go up a page of formats"),
    _key("format-page-down", "pagedown", "page(1)", "Go down a page of formats"),
)
"""What the panel of formats can do."""

PREVIEW_KEYS = (_key("preview-ids", "i", "ids", "Show the ids of the tokens, or hide them"),)
"""What the preview of the prompt can do while it has the focus."""

SAMPLER_KEYS = (
    _key("sampler-up", "up,k", "move_cursor(-1)", "Go to the setting above"),
    _key("sampler-down", "down,j", "move_cursor(1)", "Go to the setting below"),
    _key("sampler-page-up", "pageup", "move_cursor(-8)", "Go up several settings"),
    _key("sampler-page-down", "pagedown", "move_cursor(8)", "Go down several settings"),
    _key("sampler-first", "home,g", "move_cursor(-99)", "Go to the presets"),
    _key("sampler-last", "end,G", "move_cursor(99)", "Go to the last setting"),
    _key("sampler-less", "left,h,minus", "step_value(-1)", "One step less, or the preset before"),
    _key("sampler-more", "right,l,plus", "step_value(1)", "One step more, or the next preset"),
    _key("sampler-edit", "enter", "open_value", "Type the value, or list the presets"),
    _key("sampler-off", "o", "switch_off", "Switch the sampler off, or on again"),
    _key("sampler-reset", "backspace,delete", "reset_value", "Go back to the preset's value"),
    _key("sampler-save", "s", "save_preset", "Save as a preset of your own"),
    _key("sampler-undo", "u", "undo_change", "Undo the last change"),
    _key("sampler-seed", "f", "fix_seed", "Fix the last seed, or draw a new one each time"),
)
"""What the panel of the sampler can do while it has the focus."""

CANDIDATE_KEYS = (
    _key("candidates-more", "plus,equals_sign", "more(1)", "Show one candidate more"),
    _key("candidates-less", "minus,underscore", "more(-1)", "Show one candidate less"),
)
"""What the panel of candidates can do, beside going through its list."""

CONTEXT_KEYS = (
    _key("context-pin", "p", "pin", "Pin the message, or unpin it"),
    _key("context-policy", "o,right", "step(1)", "Choose what is done when the context is full"),
    _key("context-policy-before", "left", "step(-1)", "Choose the one before"),
)
"""What the panel of the context can do, beside going through its list."""

PICK_KEYS = (
    _key("pick-close", "escape,ctrl+c", "close", "Close"),
    _key("pick-up", "up", "move(-1)", "Go to the row above"),
    _key("pick-down", "down", "move(1)", "Go to the row below"),
    _key("pick-page-up", "pageup", "move_page(-1)", "Go up a page"),
    _key("pick-page-down", "pagedown", "move_page(1)", "Go down a page"),
    _key("pick-first", "ctrl+home", "move_end(-1)", "Go to the first row"),
    _key("pick-last", "ctrl+end", "move_end(1)", "Go to the last row"),
)
"""What the lists of models, chats and colours can do."""

MODELS_KEYS = (_key("models-close", "f3", "close", "Close the list of models"),)
"""What the list of models can do besides."""

CHATS_KEYS = (
    _key("chats-close", "ctrl+o", "close", "Close the list of chats"),
    _key("chats-rename", "f2", "rename", "Rename the chat"),
    _key("chats-duplicate", "f6", "duplicate", "Duplicate the chat"),
    _key("chats-export", "f7", "export", "Export the chat"),
    _key("chats-import", "f8", "import", "Import a chat"),
    _key("chats-delete", "f9", "delete", "Delete the chat"),
    _key("chats-undo", "ctrl+z", "undo_delete", "Bring back the chat deleted last"),
)
"""What the list of chats can do besides."""

CHAT_ROW_KEYS = (
    _key("chat-list-first", "home", "first", "Go to the first chat"),
    _key("chat-list-last", "end", "last", "Go to the last chat"),
    _key("chat-list-open", "enter", "enter", "Open the chat"),
    _key("chat-list-delete", "delete", "delete", "Delete the chat"),
)
"""What the chats can do while they have the focus, and not the field above."""

EDIT_KEYS = (
    _key("edit-keep", "ctrl+s", "keep_both", "Keep the new text beside the old"),
    _key("edit-replace", "ctrl+r", "replace", "Put the new text in place of the old"),
    _key("edit-editor", "ctrl+g", "editor", "Edit in your editor"),
    _key("edit-leave", "escape", "leave", "Leave without a change"),
)
"""What can be done while a message is edited."""

EXPORT_KEYS = (
    _key("export-close", "escape,ctrl+c", "close", "Close"),
    _key("export-format-before", "up", "format(-1)", "Take the format before"),
    _key("export-format-next", "down", "format(1)", "Take the next format"),
)
"""What can be done where a chat is exported."""

NAME_KEYS = (_key("name-close", "escape,ctrl+c", "close", "Close"),)
"""What can be done where a name is asked for."""

TREE_KEYS = (
    _key("tree-close", "escape,ctrl+c", "back", "Leave the filter, or close"),
    _key("tree-name", "n", "name_branch", "Name the branch that begins here"),
    _key("tree-unname", "N", "unname_branch", "Take the branch's name away"),
    _key("tree-prune", "d,delete", "prune", "Delete the message, and all below it"),
    _key("tree-undo", "u", "undo", "Bring back what was deleted or changed"),
    _key("tree-unfold", "right,l,space", "unfold", "Show each of the messages in a line"),
    _key("tree-fold", "left,h", "fold", "Fold the messages in a line to one row"),
    _key("tree-fold-all", "a", "fold_all", "Unfold everything, or fold it again"),
    _key("tree-filter", "slash", "filter", "Find messages by their text"),
)
"""What the tree of a chat can do, beside going through its rows."""

MAKING_KEYS = (
    _key("making-close", "escape,ctrl+c,q,i,enter", "close", "Close"),
    _key("making-again", "a", "again", "Make the reply again with the same seed"),
    _key("making-copy-seed", "s", "copy_seed", "Copy the seed"),
    _key("making-copy", "y", "copy_all", "Copy all of it"),
)
"""What can be done where it is told how a reply was made."""

MEMORY_KEYS = (_key("memory-close", "escape,ctrl+c", "close", "Do not load the model"),)
"""What can be done where a model may not fit the memory, beside choosing a row."""

TOKEN_KEYS = (
    _key("tokens-left", "left,h", "step(-1)", "Go to the token before"),
    _key("tokens-right", "right,l", "step(1)", "Go to the token after"),
    _key("tokens-next-surprise", "n", "surprise(1)", "Go to the next of the least sure tokens"),
    _key("tokens-previous-surprise", "N", "surprise(-1)", "Go to the one before"),
    _key("tokens-switch", "c,tab,shift+tab", "switch", "Go to the candidates, or back to the text"),
    _key("tokens-colours", "v", "colours", "Colour by confidence, or no longer"),
    _key("tokens-keys", "f1", "keys", "Show the keys"),
    _key("tokens-back", "escape,ctrl+c", "back", "Stop computing; go back to the text; close"),
)
"""What can be done where tokens are inspected, beside asking for more candidates."""

TOKEN_TEXT_KEYS = (
    _key("tokens-up", "up,k", "line(-1)", "Go up a line"),
    _key("tokens-down", "down,j", "line(1)", "Go down a line"),
    _key("tokens-page-up", "pageup", "page(-1)", "Go up a page"),
    _key("tokens-page-down", "pagedown", "page(1)", "Go down a page"),
    _key("tokens-first", "home,g", "first", "Go to the first token"),
    _key("tokens-last", "end,G", "last", "Go to the last token"),
)
"""What the text of the tokens can do besides, while it has the focus."""

UNSAVED_KEYS = (
    _key("unsaved-again", "enter", "answer('again')", "Try to save again"),
    _key("unsaved-elsewhere", "s", "answer('elsewhere')", "Save in another folder, and leave"),
    _key("unsaved-leave", "x", "answer('leave')", "Leave, and lose what is not saved"),
    _key("unsaved-close", "escape,ctrl+c", "close", "Stay"),
)
"""What can be done with chats that cannot be saved, before the program ends."""

RECOVERY_KEYS = (
    _key("recovery-accept", "enter", "accept", "Open a copy of what can be read"),
    _key("recovery-close", "escape,ctrl+c,q", "close", "Close"),
)
"""What can be done with a damaged chat."""

HELP_KEYS = (_key("help-close", "escape,f1,q,enter,ctrl+c", "dismiss", "Close the help"),)
"""What the screen of the keys can do."""

PALETTE_KEYS = (_key("palette-close", "ctrl+c", "escape", "Close the list of commands"),)
"""What the list of commands can do."""

WHERE_ONE_TYPES: Final = (
    *("format", "pick", "models", "chats", "chat_rows", "edit", "export", "name", "palette"),
)
"""Which of these work while one types into a field."""

WAYS_OUT: Final = (
    "pick-close",
    "edit-leave",
    "export-close",
    "name-close",
    "help-close",
    "unsaved-close",
    "recovery-close",
    "tree-close",
    "making-close",
    "memory-close",
    "tokens-back",
)
"""What closes a screen, and so must have a key."""

BESIDE: Final = {
    **{"rows": (), "format": (), "sampler": ()},
    **{"preview": ("format",), "candidates": ("rows",), "context": ("rows",)},
}
"""The panels' lists and other parts, with those whose keys work at the same time, and the chat's."""

OVER: Final = {
    **{"models": ("pick",), "chats": ("pick",), "chat_rows": ("pick", "chats")},
    **{"tree": ("rows",), "making": (), "tokens": ("rows", "candidates"), "token_text": ("tokens",)},
    **{"memory": ("rows",), "pick": (), "edit": (), "export": (), "name": (), "help": (), "palette": ()},
    **{"unsaved": (), "recovery": ()},
}
"""The screens over the chat, in which its keys do nothing, with those whose keys work at the same time."""
