"""Renders the Jinja source of a chat template within bounds.

Chat templates are code from strangers. They run in Jinja's immutable sandbox, with what Hugging Face's
`transformers` gives them (`apply_chat_template`) and little else. Bounded by counting are the length of the
source, the length of all output, the size of what `+`, `*` and `**` make, and the time, which is looked at on
each turn of a loop, each call and each output: a template that goes too far is told what was too much.

That is not enough. A single filter, comparison or string method can take hours and all memory, as
`'x'|center(10000000000)` does; Python can run out of stack while it compiles; sandboxes have had holes. To
forbid each such thing by name, one would have to know them all. So this runs in a process that can be
stopped at any moment: `template_host` is what runs there, `template_process` is who asks it.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from easy_llama.template_messages import MAX_SECONDS

__all__ = ["TooMuchError", "compile_template", "render_template"]

MAX_SOURCE = 1_000_000
"""The longest template, in characters."""
MAX_OUTPUT = 65_536
"""The longest output, in characters, beyond 16 times what goes in."""
MAX_VALUE = 16_000_000
"""The longest text or list, in characters or items, that an operator may make."""
MAX_BITS = 65_536
"""The largest number, in bits, that an operator may make."""

_BUDGET = "budget of this rendering"  # no Jinja identifier, so that no template can name it


class TooMuchError(Exception):
    """A template wants more time or memory than it is given."""


@dataclass(slots=True)
class _Budget:
    """What one rendering may still use."""

    deadline: float
    characters: int

    def spend(self, characters: int = 0) -> None:
        self.characters -= characters
        if self.characters < 0:
            raise TooMuchError("its output is too long")
        if time.monotonic() > self.deadline:
            raise TooMuchError(f"it takes longer than {MAX_SECONDS:g} seconds")


def _budget(context: Context) -> _Budget:
    budget = context.resolve(_BUDGET)
    assert isinstance(budget, _Budget)
    return budget


@jinja2.pass_context
def _counted(context: Context, value: object) -> str:
    """Return a value as the text to put out."""
    text = str(value)
    _budget(context).spend(len(text))
    return text


@jinja2.pass_context
def _timed(context: Context, items: Iterable[Any]) -> Iterator[Any]:
    """Go through `items` while there is time."""
    budget = _budget(context)
    for item in items:
        budget.spend()
        yield item


def _too_large(operator: str, left: object, right: object) -> bool:
    match operator, left, right:
        case "**", int(), int():
            return left.bit_length() * right > MAX_BITS
        case "*", int(), int():
            return left.bit_length() + right.bit_length() > MAX_BITS
        case ("*", int(count), (str() | list() | tuple()) as items):
            return len(items) * count > MAX_VALUE
        case ("*", (str() | list() | tuple()) as items, int(count)):
            return len(items) * count > MAX_VALUE
        case "+", (str() | list() | tuple()), (str() | list() | tuple()):
            return len(left) + len(right) > MAX_VALUE
    return False


class _GenerationTag(Extension):
    """Accepts `{% generation %}…{% endgeneration %}`, which marks the model's own text for training."""

    tags = {"generation"}  # noqa: RUF012 (declared so by Jinja)

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the body of the tag."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, with a budget for each rendering."""

    intercepted_binops = frozenset({"+", "*", "**"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, "timed loop", [], [], None, None, lineno=loop.lineno)
        for output in tree.find_all(nodes.Output):
            # Jinja puts literal text out uncounted, but constants like any value.
            output.nodes = [
                nodes.Const(node.data, lineno=node.lineno) if isinstance(node, nodes.TemplateData) else node
                for node in output.nodes
            ]
        tree.set_environment(self)
        return tree

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        _budget(context).spend()
        return super().call(context, function, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if _too_large(operator, left, right):
            raise TooMuchError(f"{operator!r} would make too large a value")
        return super().call_binop(context, operator, left, right)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _tojson(value: object, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def compile_template(source: str) -> jinja2.Template:
    """Compile a template, without running any of it.

    The settings, the names and the JSON filter are those of `transformers`' `chat_template_utils.py`.

    Raises:
        Exception: what Jinja or Python raise for a template that makes no sense.
        TooMuchError: the template is too long.
    """
    if len(source) > MAX_SOURCE:
        raise TooMuchError(f"it has {len(source):,} characters")
    sandbox = _Sandbox(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_GenerationTag, "jinja2.ext.loopcontrols"],
        finalize=_counted,
        optimized=False,  # constant expressions would be worked out now, outside any budget
    )
    sandbox.filters |= {"tojson": _tojson, "timed loop": _timed}
    sandbox.globals["raise_exception"] = _raise_exception
    del sandbox.globals["lipsum"]  # makes as much text as it is told to
    return sandbox.from_string(source)


def render_template(
    template: jinja2.Template, variables: Mapping[str, object], input_size: int, deadline: float
) -> str:
    """Return what a template makes of `variables`.

    Args:
        template: from `compile_template`.
        variables: what the template may read.
        input_size: the length of the template and of the text in `variables`, in characters.
        deadline: when to stop, by `time.monotonic()`.

    Raises:
        Exception: whatever the template raises.
        TooMuchError: it took too long or made too much.
    """
    budget = _Budget(deadline, MAX_OUTPUT + 16 * input_size)
    return template.render({**variables, _BUDGET: budget})
