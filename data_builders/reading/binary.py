"""The 40 binary attributes that CelebA and LFWA share, as records write them: "5_o_Clock_Shadow" becomes
"5 o clock shadow", "yes" or "no"; "Male" becomes `gender`."""

from collections.abc import Sequence

from data_builders.reading.cells import BadRow


def words(names: Sequence[str]) -> list[str]:
    """The attributes' names in lower case, with blanks."""
    return [" ".join(name.replace("_", " ").split()).lower() for name in names]


def labelled(names: Sequence[str], flags: Sequence[str], no: str) -> dict[str, str]:
    """One face's attributes.

    Args:
        names: as `words` gives them.
        flags: "1" where the attribute is there.
        no: the flag where it is not.

    Raises:
        BadRow: another flag, or more or fewer than names.
    """
    if len(flags) != len(names):
        raise BadRow("bad row", f"{len(flags)} flags under {len(names)} attributes")
    meaning = {"1": "yes", no: "no"}
    try:
        found = dict(zip(names, map(meaning.__getitem__, flags), strict=True))
    except KeyError as e:
        raise BadRow("unknown label", f"{e.args[0]!r} is neither 1 nor {no}") from e
    if (male := found.pop("male", None)) is not None:
        found["gender"] = "male" if male == "yes" else "female"
    return found
