"""Keys that a person chose, wherever the app names one or hears one."""

import pytest
from support.running_app import RunApp
from support.whole_app import notices, rows, text, until_screen, until_seen, with_keys

from easy_llama_tui.replies.wording import ChatState


async def test_notices_name_the_keys_in_force(run_app: RunApp) -> None:
    async with run_app(config=with_keys(stop="f12", interrupt="f10", send="ctrl+s")) as running:
        await running.until_state(ChatState.IDLE)
        assert "Ctrl+S sends it" in text(running)
        await running.type("Hello")
        await running.pilot.press("ctrl+s")
        await running.until(lambda: running.engine.requests)
        await running.type("and")
        await running.pilot.press("ctrl+s")
        await running.until(lambda: "F12 stops it, then Ctrl+S sends" in notices(running))
        running.engine.reply_with("Hi")
        await running.until_state(ChatState.IDLE)
        running.screen.prompt.clear()
        await running.pilot.press("f10")
        await running.until(lambda: "Press F10 again to quit." in notices(running))


async def test_without_a_model_the_key_that_chooses_one_is_named(run_app: RunApp) -> None:
    async with run_app(config=with_keys(model="f12"), load_options=None) as running:
        await until_seen(running, "no model · F12 chooses one")
        await running.send("Hello")
        await running.until(lambda: "There is no model: F12 chooses one." in notices(running))


async def test_the_list_of_chats_names_and_hears_the_keys_in_force(run_app: RunApp) -> None:
    config = with_keys(chats_rename="f12", chats_delete="f4", pick_close="escape,f10", name_close="f9,escape")
    async with run_app(config=config) as running:
        await running.exchange("Hello", "Hi")
        await running.saved()
        await running.pilot.press("ctrl+o")
        await until_seen(running, "F12 rename", "F4 delete", "Esc back", "Hello")
        await running.pilot.press("f12")
        await until_screen(running, "NameScreen")
        await until_seen(running, "F9 back")
        await running.pilot.press("f9")
        await until_screen(running, "ChatsScreen")
        await running.pilot.press("f4")
        await running.until(lambda: "This chat is open" in notices(running))
        await running.pilot.press("f10")
        await running.until(lambda: running.app.screen is running.screen)


async def test_panels_name_and_hear_the_keys_in_force(run_app: RunApp) -> None:
    config = with_keys(sampler_off="x", sampler_undo="z", preview_ids="n", context_policy="P")
    async with run_app(config=config, size=(110, 40)) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f4")
        await until_seen(running, "x off", "z undo")
        before = running.screen.chat.sampler
        await running.pilot.press("x")
        await running.until(lambda: running.screen.chat.sampler != before)
        await running.pilot.press("z")
        await running.until(lambda: running.screen.chat.sampler == before)
        await running.pilot.press("o")
        assert running.screen.chat.sampler == before
        await running.pilot.press("f2")
        await until_seen(running, "n ids", "n shows the ids")
        await running.pilot.press("f9", "tab", "tab")
        policy = running.screen.chat.policy
        await running.pilot.press("P")
        await running.until(lambda: running.screen.chat.policy != policy)


async def test_an_edited_message_names_and_hears_the_keys_in_force(run_app: RunApp) -> None:
    async with run_app(config=with_keys(edit_keep="f12", edit_leave="f10,escape")) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("up", "e")
        await until_seen(running, "F12 keep both", "F10 back")
        await running.type(" there")
        await running.pilot.press("f10")
        await until_seen(running, "F10 again discards the change.")
        await running.pilot.press("f12")
        await running.until(lambda: running.said[-1] == ("bot", "Hi there"))


@pytest.mark.parametrize("size", [(110, 40), (40, 12)])
async def test_the_help_tells_of_the_panels_too(run_app: RunApp, size: tuple[int, int]) -> None:
    async with run_app(config=with_keys(context_pin="x"), size=size) as running:
        await running.pilot.press("f1")
        await until_screen(running, "HelpScreen")
        for _ in range(60):
            # In a narrow window what a key does stands below it.
            if any(row.strip(" │▁▂▃▄▅▆▇█").partition(" ")[0] == "x" for row in rows(running)):
                assert "Pin the message" in text(running)
                break
            await running.pilot.press("pagedown")
        else:
            raise AssertionError(text(running))
