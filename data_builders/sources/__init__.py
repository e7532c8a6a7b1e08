"""The data sets that can be read: name -> `read(root, **options)`, which yields FaceRecords and Drops."""

from collections.abc import Callable, Iterator

from data_builders.sources import synthetic, table
from facevlm.record import Drop, FaceRecord

Read = Callable[..., Iterator[FaceRecord | Drop]]

SOURCES: dict[str, Read] = {
    "synthetic": synthetic.read,
    "table": table.read,
}
