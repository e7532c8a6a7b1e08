"""The data sets that can be read: name -> `Source`."""

from data_builders.source import Source
from data_builders.sources import rafdb, synthetic, table

SOURCES: dict[str, Source] = {
    s.name: s
    for s in (
        synthetic.SOURCE,
        table.SOURCE,
        rafdb.SOURCE,
    )
}
