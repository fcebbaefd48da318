"""`python -m bench [NAME] [flags]`: measure, print the tables, write bench/results/ and docs/benchmarks.md."""

import argparse
import importlib
import sys
from types import ModuleType

from bench import report

NAMES = ("step", "quality", "data", "sample", "scale")


def main(arguments: list[str]) -> None:
    """Run the benchmark that is named first, or all of them, each with its usual flags."""
    name = arguments[0] if arguments and not arguments[0].startswith("-") else None
    if name == "report":
        render_again()
    elif name is not None and name not in NAMES:
        sys.exit(
            f"bench: there is no benchmark {name!r}; there are {', '.join(NAMES)}, and report draws the page anew."
        )
    elif name is None and arguments:
        sys.exit(f"bench: flags follow a benchmark's name: {', '.join(NAMES)}.")
    else:
        for each in [name] if name else NAMES:
            run(each, arguments[1:])


def run(name: str, arguments: list[str]) -> None:
    """Measure and report; ``--trial`` leaves no trace."""
    module = load(name)
    parser = argparse.ArgumentParser(
        prog=f"python -m bench {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trial", action="store_true", help="print the tables, and write neither results nor page")
    parser.add_argument("--threads", type=int, help="processor threads; by default one for each core")
    parser.add_argument("--section", help="what to call the results, so that those of another machine stay")
    module.add_flags(parser)
    flags = parser.parse_args(arguments)
    result = report.measured(name, arguments, flags.threads, lambda: module.run(flags))
    result["name"] = flags.section or result["name"]
    print("\n" + report.section(result, module.tables(result["measured"])), flush=True)
    if not flags.trial:
        report.save(result)
        render_again()


def render_again() -> None:
    """Put every stored result into its section of the page."""
    for result in report.stored():
        report.write_section(result, load(result["benchmark"]).tables(result["measured"]))


def load(name: str) -> ModuleType:
    """A benchmark: a module with ``TITLE``, ``add_flags``, ``run`` and ``tables``."""
    return importlib.import_module(f"bench.{name}")


if __name__ == "__main__":
    main(sys.argv[1:])
