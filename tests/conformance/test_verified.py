"""What the catalogue says of how far a source is tested is so."""

from collections import Counter

from headgate.sources import connection_specs
from headgate.testing.source_suite import FileSuite, TableSuite
from tests.conformance import test_files, test_tables
from tests.conformance.reference import PAGE, page

# The nine kinds of systems that Headgate is for.
CATEGORIES = (
    "advertising",
    "analytics",
    "consentAndPreferences",
    "crm",
    "customerSuccess",
    "database",
    "marketingAutomation",
    "payments",
    "protocols",
)
# What the suite asks for and a system does not have; its own tests read it from a real one.
_OTHERWISE = {"http-files": "a web server lists nothing"}


def test_a_source_is_verified_by_a_server_when_it_passes_the_suite_on_one() -> None:
    suites = [
        found for module in (test_files, test_tables) for found in vars(module).values() if isinstance(found, type)
    ]
    passing = {
        str(found.spec) for found in suites if issubclass(found, FileSuite | TableSuite) and hasattr(found, "spec")
    }
    assert {spec.name for spec in connection_specs() if spec.verified == "server"} == passing | _OTHERWISE.keys()


def test_a_source_that_can_be_read_says_how_far_that_is_tested() -> None:
    for spec in connection_specs():
        assert (spec.verified is not None) == (spec.runnable and spec.is_source), spec.name


def test_the_reference_says_what_the_catalogue_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.conformance.reference"


def test_each_category_has_two_sources_that_can_be_read() -> None:
    found = Counter(spec.category for spec in connection_specs() if spec.runnable and spec.is_source)
    few = {name: found[name] for name in CATEGORIES if found[name] < 2}
    assert not few, few
