"""The conformance suite that every source passes, those of Headgate and those of others.

A test module gives a class of its own a fixture `kit`, and pytest finds all tests of the suite in it:

    class TestMine(TableSuite):
        @pytest.fixture
        def kit(self, tmp_path):
            return MyKit(tmp_path)

A kit makes tables, or files, in the system that the source reads, and opens the source. Nothing here measures time; a
source that does not end what it is told to end makes its test fail after a minute.
"""

from headgate.testing.source_suite.files import FileKit, FileSuite
from headgate.testing.source_suite.reading import Landed, read
from headgate.testing.source_suite.tables import VALUES, TableKit, TableSuite

__all__ = ["VALUES", "FileKit", "FileSuite", "Landed", "TableKit", "TableSuite", "read"]
