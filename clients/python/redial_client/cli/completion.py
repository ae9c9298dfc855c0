"""Completion for bash, zsh and fish: each script asks `redial __complete WORDS…` for the candidates."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redial_client.cli.exits import CommandError
from redial_client.cli.parser import OUTCOMES, build

if TYPE_CHECKING:
    from redial_client.cli.context import Context

SCRIPTS = {
    "bash": """\
# To install: redial completion bash > ~/.local/share/bash-completion/completions/redial
_redial() {
  local IFS=$'\\n'
  COMPREPLY=($(redial __complete "${COMP_WORDS[@]:1:COMP_CWORD}"))
}
complete -o default -F _redial redial
""",
    "zsh": """\
#compdef redial
# To install: redial completion zsh > a folder of $fpath, as _redial
_redial() {
  local -a found
  found=(${(f)"$(redial __complete "${(@)words[2,CURRENT]}")"})
  if (( $#found )); then compadd -a found; else _files; fi
}
if [[ $funcstack[1] == _redial ]]; then _redial; else compdef _redial redial; fi
""",
    "fish": """\
# To install: redial completion fish > ~/.config/fish/completions/redial.fish
function __redial_complete
  set -l found (redial __complete (commandline -opc)[2..] (commandline -ct))
  if test -n "$found"
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c redial -f -a '(__redial_complete)'
""",
}


def script(context: "Context") -> None:
    """Print the completion script of a shell."""
    shell = context.args.shell
    context.out.data({"shell": shell, "script": SCRIPTS[shell]})
    if not context.out.as_json:
        print(SCRIPTS[shell], end="")


def candidates(words: Sequence[str]) -> list[str]:
    """The candidates that complete the last of `words`: commands, options, choices and profile names."""
    *before, last = words or [""]
    parser: argparse.ArgumentParser = build()
    expecting: Any = None
    for word in before:
        subparsers = _subparsers(parser)
        if expecting is None and subparsers and word in subparsers:
            parser = subparsers[word]
        expecting = None if expecting is not None else _takes_value(parser, word)
    if expecting is not None:
        found = _values(expecting)
    elif last.startswith("-"):
        found = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
    else:
        positional = next((one for one in parser._actions if not one.option_strings), None)
        found = _values(positional) if positional is not None else []
    return sorted(name for name in found if name.startswith(last))


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _takes_value(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    """The option whose value follows `word`; None if there is none."""
    return next((one for one in parser._actions if word in one.option_strings and one.nargs != 0), None)


def _values(action: argparse.Action) -> list[str]:
    """The values of an option or argument that are known without a request."""
    if action.dest == "profile" or (action.dest == "name" and action.help == "profile"):
        from redial_client.cli.profiles import Profiles

        try:
            return [one.name for one in Profiles().all()]
        except CommandError:
            return []
    if action.dest == "outcome":
        return list(OUTCOMES)
    return [str(choice) for choice in action.choices or ()]
