"""Chain file and agent file: text to frozen values, with every error at once."""
