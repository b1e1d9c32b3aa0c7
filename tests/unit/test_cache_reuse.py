"""What of a KV cache is used again, and that nothing stays that read what a person took back."""

import ctypes
import pickle
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easy_llama import cache_reuse, kv_cache
from easy_llama.cache_reuse import LEAST_SLID, Gap, Held, plan_reuse
from easy_llama.events import LeftOut
from easy_llama.kv_cache import KVCache
from easy_llama.left_out import TurnTokens, find_left_out

START, END, USER, BOT = range(4)
"""Control tokens, which all turns share."""


def turn(number, length=LEAST_SLID):
    """Return the text of a turn, of tokens that no other has."""
    return tuple(range(1000 * number, 1000 * number + length))


def plan(held, prompt, left_out=(), gaps=()):
    return plan_reuse(Held(tuple(held), tuple(gaps)), prompt, left_out)


class TestPlan:
    @pytest.mark.parametrize(
        ("held", "prompt", "length"),
        [([1, 2, 3, 4], (1, 2, 9), 2), ([], (1, 2, 9), 0), ([1, 2], (1, 2, 9), 2), ([1, 2], (3,), 0)],
    )
    def test_what_both_begin_with_is_held(self, held, prompt, length):
        found = plan(held, prompt)
        assert (found.length, found.held, found.drops, found.gaps) == (length, length, (), ())

    def test_what_follows_a_cut_slides(self):
        held = [7, *turn(1), *turn(2), *turn(3)]
        found = plan(held, (7, *turn(3), 5), [LeftOut(1, (turn(1), turn(2)))])
        assert (found.length, found.held) == (1 + LEAST_SLID, len(held))
        assert found.drops == ((1, 1 + 2 * LEAST_SLID),)
        assert found.gaps == (Gap(1, turn(1) + turn(2)),)

    def test_what_was_left_out_before_is_not_looked_for(self):
        cut = LeftOut(1, (turn(1), turn(2)))
        found = plan([7, *turn(2), *turn(3)], (7, *turn(3), 5), [cut])
        assert (found.length, found.drops) == (1 + LEAST_SLID, ((1, 1 + LEAST_SLID),))
        found = plan([7, *turn(3)], (7, *turn(3)), [cut])
        assert (found.length, found.drops) == (1 + LEAST_SLID, ())

    @pytest.mark.parametrize(
        "held",
        [
            pytest.param([7, *turn(4), *turn(2), *turn(3)], id="the first turn was edited"),
            pytest.param([7, *turn(1), *turn(4), *turn(3)], id="the second turn was edited"),
            pytest.param([7, *turn(1), *turn(2), *turn(4), *turn(3)], id="a turn was deleted"),
            pytest.param([8, *turn(1), *turn(2), *turn(3)], id="the system message was edited"),
            pytest.param([7, *turn(1)[:-1], *turn(2), *turn(3)], id="a turn was a token shorter"),
            pytest.param([7, *turn(1), *turn(3)], id="a turn was put in"),
        ],
    )
    def test_nothing_slides_that_read_something_else(self, held):
        found = plan(held, (7, *turn(3)), [LeftOut(1, (turn(1), turn(2)))])
        assert not found.drops and found.length == (held[0] == 7)

    def test_nothing_slides_where_nothing_is_said_to_be_left_out(self):
        assert plan([7, *turn(1), *turn(2)], (7, *turn(2))).length == 1

    def test_what_has_slid_stays_while_what_it_read_is_only_left_out(self):
        held, gaps = [7, *turn(3), *turn(4)], [Gap(1, turn(1) + turn(2))]
        more = (7, *turn(3), *turn(4), 5)
        found = plan(held, more, [LeftOut(1, (turn(9), turn(1), turn(2)))], gaps)
        assert (found.length, found.drops, found.gaps) == (len(held), (), tuple(gaps))
        further = plan(held, (7, *turn(4), 5), [LeftOut(1, (turn(1), turn(2), turn(3)))], gaps)
        assert (further.length, further.drops) == (1 + LEAST_SLID, ((1, 1 + LEAST_SLID),))
        assert further.gaps == (Gap(1, turn(1) + turn(2) + turn(3)),)

    @pytest.mark.parametrize(
        "left_out",
        [
            pytest.param([], id="all was deleted"),
            pytest.param([LeftOut(1, (turn(1),))], id="the second was deleted"),
            pytest.param([LeftOut(1, (turn(5), turn(2)))], id="the first was edited"),
        ],
    )
    def test_what_has_slid_goes_when_what_it_read_is_taken_back(self, left_out):
        found = plan([7, *turn(3)], (7, *turn(3)), left_out, [Gap(1, turn(1) + turn(2))])
        assert found.length == 1 and not found.gaps

    def test_several_cuts_slide_as_far_as_they_are_held(self):
        held = [7, *turn(1), *turn(2), *turn(3), *turn(4)]
        prompt = (7, *turn(2), *turn(4))
        cuts = [LeftOut(1, (turn(1),)), LeftOut(1 + LEAST_SLID, (turn(3),))]
        found = plan(held, prompt, cuts)
        assert (found.length, found.drops) == (1 + 2 * LEAST_SLID, ((1, 33), (65, 97)))
        held[70] = 0  # the third turn was edited
        found = plan(held, prompt, cuts)
        assert (found.length, found.drops) == (1 + LEAST_SLID, ((1, 33),))

    def test_a_few_tokens_are_not_worth_sliding(self):
        few = turn(2, LEAST_SLID - 1)
        assert plan([7, *turn(1), *few], (7, *few), [LeftOut(1, (turn(1),))]).length == 1

    def test_among_turns_that_are_alike_the_most_is_kept(self):
        held = [7, *turn(1), *turn(1), *turn(1), *turn(2)]
        found = plan(held, (7, *turn(1), *turn(2)), [LeftOut(1, (turn(1), turn(1)))])
        assert (found.length, found.held) == (1 + 2 * LEAST_SLID, len(held))


def rendered(turns):
    """Return the prompt of turns: role, tokens."""
    ids, places = [], []
    for number, (role, tokens) in enumerate(turns):
        ids += [START, role, *tokens, END]
        places += [None, None, *[number] * len(tokens), None]
    return TurnTokens((*ids, START, BOT), (*places, None, None))


class TestLeftOut:
    def test_the_cut_is_between_turns(self):
        turns = [(USER, turn(number)) for number in range(1, 6)]
        whole, kept = rendered(turns), rendered([turns[0], turns[3], turns[4]])
        (found,) = find_left_out(whole, kept, [0, 3, 4])
        dropped = tuple(token for one in found.turns for token in one)
        assert (*kept.ids[: found.at], *dropped, *kept.ids[found.at :]) == whole.ids
        assert [set(one) - set(range(4)) for one in found.turns] == [set(turn(2)), set(turn(3))]
        assert plan(whole.ids, kept.ids, [found]).length == len(kept.ids)

    def test_there_may_be_several_and_one_at_the_start(self):
        turns = [((USER, BOT)[number % 2], turn(number + 1)) for number in range(7)]
        kept = [2, 3, 6]
        one, other = rendered(turns), rendered([turns[number] for number in kept])
        found = find_left_out(one, other, kept)
        assert len(found) == 2
        assert plan(one.ids, other.ids, found).length == len(other.ids)

    def test_nothing_is_found_where_nothing_is_left_out(self):
        turns = rendered([(USER, turn(1)), (BOT, turn(2))])
        assert find_left_out(turns, turns, [0, 1]) == ()

    def test_nothing_is_found_where_the_format_writes_something_else_there(self):
        turns = [(USER, turn(number)) for number in range(1, 4)]
        whole, kept = rendered(turns), rendered([turns[0], turns[2]])
        other = TurnTokens(
            (*kept.ids[:-36], 99, *kept.ids[-36:]), (*kept.turns[:-36], None, *kept.turns[-36:])
        )
        assert find_left_out(whole, other, [0, 2]) == ()


class FakeMemory:
    """The calls of llama.cpp that a `KVCache` makes, over cells that know what they read."""

    def __init__(self):
        self.cells = []  # (position, id, ids that came before it when it was read)
        self.shifts = True

    def llama_get_memory(self, context):
        return self

    def llama_model_is_recurrent(self, model):
        return False

    def llama_model_is_hybrid(self, model):
        return False

    def llama_memory_can_shift(self, memory):
        return self.shifts

    def llama_memory_seq_pos_max(self, memory, sequence):
        return max((position for position, _, _ in self.cells), default=-1)

    def llama_memory_clear(self, memory, data):
        self.cells.clear()

    def llama_memory_seq_rm(self, memory, sequence, start, end):
        end = 10**9 if end < 0 else end
        self.cells = [cell for cell in self.cells if not start <= cell[0] < end]
        return True

    def llama_memory_seq_add(self, memory, sequence, start, end, delta):
        assert end == -1 and self.shifts
        self.cells = [
            (position + (delta if position >= start else 0), token, before)
            for position, token, before in self.cells
        ]

    def llama_state_seq_get_size(self, context, sequence):
        return len(pickle.dumps(self.cells))

    def llama_state_seq_get_data(self, context, buffer, size, sequence):
        data = pickle.dumps(self.cells)
        ctypes.memmove(buffer, data, len(data))
        return len(data)

    def llama_state_seq_set_data(self, context, buffer, size, sequence):
        self.cells = pickle.loads(ctypes.string_at(buffer, size))
        return size

    def decode(self, tokens):
        for token in tokens:
            _, last, seen = max(self.cells, default=(0, START, frozenset()))
            self.cells.append((len(self.cells), token, seen | {last}))


@st.composite
def steps(draw):
    """Return what a person does between two prompts, and which turns are left out of the next one."""
    kind = draw(st.sampled_from(["say", "say", "look", "edit", "delete", "back"]))
    return kind, draw(st.integers(0, 9)), draw(st.sets(st.integers(1, 9), max_size=4))


@given(st.lists(steps(), max_size=12), st.sampled_from([0, 10**9]), st.booleans())
def test_the_ids_are_those_in_the_cache_and_nothing_in_it_read_what_is_gone(taken, budget, shifts):
    memory = FakeMemory()
    memory.shifts = shifts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv_cache, "lib", memory)
        patch.setattr(kv_cache, "_WORTH_A_COPY", 8)
        patch.setattr(cache_reuse, "LEAST_SLID", 5)
        cache = KVCache(SimpleNamespace(ctx=object(), model=object(), n_tokens=0))
        cache.shelf.budget = budget
        chats = [[((USER, BOT)[number % 2], turn(number + 1, 6)) for number in range(6)]]
        for number, (kind, place, outside) in enumerate([("look", 0, set()), *taken], start=100):
            chat = list(chats[-1])
            if kind == "say":
                chat.append((BOT, turn(number, 1 + place)))
            elif kind == "edit":
                chat[place % len(chat)] = (USER, turn(number, 6))
            elif kind == "delete" and len(chat) > 1:
                del chat[place % len(chat)]
            elif kind == "back":
                chat = chats[place % len(chats)]
            chats.append(chat)
            kept = [one for one in range(len(chat)) if one not in outside or one == len(chat) - 1]
            whole, prompt = rendered(chat), rendered([chat[one] for one in kept])
            left_out = find_left_out(whole, prompt, kept)
            found = cache.keep_beginning(prompt.ids, len(prompt.ids) - 1, left_out)
            assert found.is_settled or found.slid
            assert not found.slid or shifts
            rest = prompt.ids[len(cache.ids) :]
            assert rest
            memory.decode(rest)
            cache.ids += rest

            cells = sorted(memory.cells)
            assert [position for position, _, _ in cells] == list(range(len(cells)))
            assert [token for _, token, _ in cells] == cache.ids == list(prompt.ids)
            assert set().union(*(seen for _, _, seen in cells)) <= set(whole.ids)
            foreign = [seen - set(prompt.ids) for _, _, seen in cells]
            gaps = cache.held().gaps
            assert not any(foreign[: gaps[0].at if gaps else None])
            assert bool(found.slid) == bool(gaps)
