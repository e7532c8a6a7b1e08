"""The command, see `facevlm.analyze`."""

from facevlm import analyze, config
from facevlm.analyze import Config, Summary, run


def main() -> None:
    given = config.load(Config, analyze.__doc__, inputs="inputs")
    try:
        summary = run(given)
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on from the last finished part") from None
    except (OSError, ValueError) as e:
        raise SystemExit(f"error: {e}") from None
    print(report(given, summary))


def report(given: Config, summary: Summary) -> str:
    """What a run did, for a person."""
    facts = summary.facts
    before = f" ({facts.pictures - summary.done} of them before)" if summary.done < facts.pictures else ""
    lines = [f"{facts.pictures} pictures{before}: {facts.faces} faces answered, {facts.odd} of them not quite in the "
             f"form; {facts.failed} could not be asked about"]  # fmt: skip
    lines += [f"  {example}" for example in facts.examples]
    if summary.missing:
        lines.append(f"{summary.missing} parts are other shares' and not there yet")
    lines.append(f"written to {given.out}" + (f" and {summary.tracks}" if summary.tracks else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
