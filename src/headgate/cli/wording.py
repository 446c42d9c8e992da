"""What the service says, in the words of who typed a command."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import click

from headgate.cli.output import moment

__all__ = ["Filling", "did_you_mean", "in_words"]

_FILLED = "headgate.filled"  # of a context and those above it
_TIME = r"(?P<time>\s'?(?P<wire>-?[0-9]{9,15})'?)?"


class Filling(click.Option):
    """An option that fills a member of what is sent, so that who reads of the member is told of the option.

    `fills` are the paths by which the service may call it; one that ends in a dot is an object, whose members the
    option names in front of an equals sign.
    """

    def __init__(self, declared: Sequence[str], *, fills: Sequence[str], **attributes: Any) -> None:
        super().__init__(declared, **attributes)
        self.fills = fills

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Note what it fills, then as ever."""
        ctx.meta.setdefault(_FILLED, {}).update(dict.fromkeys(self.fills, self.opts[0]))
        return super().handle_parse_result(ctx, opts, args)


def in_words(text: str, ctx: click.Context) -> str:
    """`text` with the options of the command that was called in place of members, and times as people read them."""
    filled: Mapping[str, str] = ctx.meta.get(_FILLED, {})
    if not filled:
        return text
    members = "|".join(re.escape(member) + (r"\w+" if member.endswith(".") else r"(?!\w|\.\w)") for member in filled)
    pattern = re.compile(rf"(?P<within>\bin )?(?<![\w.])(?P<quote>[`']?)(?P<member>{members})(?P=quote){_TIME}")
    return pattern.sub(lambda found: _worded(found, filled), text)


def _worded(found: re.Match[str], filled: Mapping[str, str]) -> str:
    member = found["member"]
    option = filled.get(member)
    if option is None:
        within = next(each for each in filled if each.endswith(".") and member.startswith(each))
        option = f"{filled[within]} {member.removeprefix(within)}"
    return ("by " if found["within"] else "") + option + (f" {moment(found['wire'])}" if found["wire"] else "")


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`Did you mean …?`, where a name is near to `word`; else nothing."""
    known: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        known.setdefault(name.casefold(), []).append(name)
    near = [name for each in get_close_matches(word.casefold(), known) for name in known[each]]
    return f"Did you mean {' or '.join(near)}?" if near else ""
