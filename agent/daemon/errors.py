"""What keeps the agent from starting, told with its remedy."""

# sysexits(3).
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_CANTCREAT = 73
EX_CONFIG = 78


class StartError(Exception):
    """The agent cannot start; `remedy` says what to do, `code` is the exit code (sysexits)."""

    def __init__(self, problem: str, remedy: str, code: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.code = code
