"""What a test reads of a box's samples."""

import hashlib

from edgenode.storage.samples_reader import BEGINNING, SampleReader
from edgenode.tasks.stream import SampleBlock


class SamplesRead:
    """What can be read of a box's samples: their number and digest, for each record in order."""

    def __init__(self, box):
        self.records = []
        self._path = box.directory / "state" / "samples" / "samples.db"
        self._cursor = BEGINNING

    def read(self):
        reader = SampleReader(self._path)
        try:
            while True:
                records, self._cursor = reader.read_after(self._cursor, 500)
                if not records:
                    return self.records
                for record in records:
                    samples = isinstance(record, SampleBlock)
                    content = record.values.tobytes() if samples else repr(record).encode()
                    digest = hashlib.sha256(content).digest()
                    self.records.append((len(record.values) if samples else 0, digest))
        finally:
            reader.close()
