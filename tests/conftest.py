"""What all tests share: how hard the property tests look, by profile."""

import os

import structlog
from hypothesis import HealthCheck, settings

# No deadline: these machines are shared and noisy, and no test here measures time.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("quick", max_examples=40, derandomize=True, database=None, **_COMMON)  # type: ignore[arg-type]
settings.register_profile("soak", max_examples=2000, **_COMMON)  # type: ignore[arg-type]
# A traceback with every local variable takes seconds where rich happens to be installed.
structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
