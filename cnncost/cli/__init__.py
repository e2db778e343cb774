"""The command line: arguments become one call and one printed thing. Only here is anything printed.

Exit codes: 0 done; 1 a check failed; 2 bad input, with one message; 130 interrupted; 70 a fault of cnncost.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Any, NoReturn

import click

from cnncost import __version__
from cnncost.errors import CnncostError, UsageError, did_you_mean

COMMANDS = {
    "report": "What a network costs, layer by layer and in total.",
    "compare": "Networks side by side, or two of them layer by layer.",
    "graph": "A network as a graph, folded by block: Mermaid, Graphviz, SVG.",
    "explain": "The formulas of a layer with its numbers in them.",
    "memory": "What a network holds in memory while it runs: the peak, where it is, and of what.",
    "fit": "The largest batch and the largest input that fit into a memory, and those in between.",
    "sweep": "A design space at once: every batch, input size and parameter, priced and chosen from.",
    "budget": "What networks use of their budgets, and what has grown since a baseline.",
    "check": "Every layer against PyTorch, its flop counter, fvcore and other tools.",
    "bench": "What layers and networks take on this machine, by the clock.",
    "roofline": "What bounds each layer on a device, memory or arithmetic, and its least time.",
    "machine": "What this machine can do at the most, measured, as a device sheet.",
    "predict": "What a network would take on a device, from its sheet and from layers that were measured.",
    "verify": "Published figures, re-derived.",
    "import": "A model as a spec: of PyTorch, an ONNX file, another spec at other sizes.",
    "list": "The bundled architectures.",
    "devices": "Data sheets of known devices: peak rates, memory, bandwidth, sources.",
    "ops": "The layers of the language, or one of them with its options.",
    "schema": "JSON Schema of the spec language, or of the JSON that a command writes.",
    "completion": "A script that completes commands, options and networks in your shell.",
}
"""Commands in the order of the help, with what they do; each is cnncost/cli/commands/NAME.py, read when used.

A name that is a word of Python has an underscore behind it there: import_.py.
"""

BAD_INPUT, FAULT, INTERRUPTED = 2, 70, 130


class Commands(click.Group):
    """Imports a command only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"cnncost.cli.commands.{module}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS:
            from cnncost.spec.files import bundled_names

            near = did_you_mean(args[0], COMMANDS)
            if os.path.isfile(args[0]) or args[0].endswith((".yaml", ".yml")) or args[0] in bundled_names():
                near = f"write cnncost report {args[0]}"
            raise UsageError(f"unknown command {args[0]}", hint=near)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n  cnncost report alexnet\n  cnncost report my_net.yaml --batch 32\n  cnncost list",
)
@click.version_option(__version__, prog_name="cnncost", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error. Works anywhere on the line.")
def cli(debug: bool) -> None:
    """What a convolutional network costs: shapes, parameters, MACs and other operations, memory.

    Networks are YAML files, or names of bundled architectures; no framework is needed.
    """


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # A command lives for a moment and makes no cycles worth collecting; looking for them costs a tenth of its time,
    # and more the larger the network is.
    gc.disable()
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        code = cli.main(arguments, prog_name="cnncost", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the pipe has seen enough. Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        code = INTERRUPTED
    except Exception as e:
        if debug:
            raise
        code = _complain(e, next((word for word in arguments[:1] if word in COMMANDS), ""))
    sys.exit(code if isinstance(code, int) else 0)


def _complain(error: Exception, command: str) -> int:
    """Print one message for an error of a command ("" for none); returns the exit code."""
    if isinstance(error, CnncostError):
        _say(f"error: {error}")
        return BAD_INPUT
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        _say(error.format_message())
        return BAD_INPUT
    if isinstance(error, click.UsageError):
        words = error.format_message().split()  # on one line, also where click lists choices below each other
        message = " ".join(words).removesuffix(".")
        hint = f"cnncost {command} --help" if command else "cnncost --help"
        if command == "report" and "extra argument" in message:
            hint = "cnncost compare takes several networks"
        _say(f"error: {message[:1].lower()}{message[1:]}\nhint: {hint}")
        return BAD_INPUT
    if isinstance(error, click.ClickException):
        _say(f"error: {error.format_message()}")
        return BAD_INPUT
    if isinstance(error, OSError):
        _say(f"error: {error.filename or 'standard output'}: {error.strerror or error}")
        return BAD_INPUT
    _say(
        f"error: cnncost failed on this input ({type(error).__name__}: {error})\n"
        "hint: this is a fault of cnncost; --debug shows where. Please report it with the input"
    )
    return FAULT


def _say(message: str) -> None:
    click.echo(_fitted(message), err=True)


def _fitted(message: str) -> str:
    """A message for a terminal, whose lines are broken at blanks; paths and names stay whole."""
    if sys.stderr is None or not sys.stderr.isatty():
        return message
    from shutil import get_terminal_size
    from textwrap import TextWrapper

    wrapper = TextWrapper(get_terminal_size().columns, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.fill(line) if len(line) > wrapper.width else line for line in message.split("\n"))
