"""The browser for the page's tests, and word of it where there is none."""

import pytest

from tests.integration.monitoring.browser import MISSING, chromium_path


@pytest.fixture
def chromium() -> str:
    """The browser's path; skips the test where there is none."""
    path = chromium_path()
    if path is None:
        pytest.skip(MISSING)
    return path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that the page was not tested: a run without a browser must not look like a complete one."""
    skipped = terminalreporter.getreports("skipped")
    left_out = sum(1 for report in skipped if isinstance(report.longrepr, tuple) and MISSING in report.longrepr[2])
    if left_out:
        terminalreporter.write_line(f"LEFT OUT: {left_out} dashboard test(s). {MISSING}", yellow=True, bold=True)
