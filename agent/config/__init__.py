"""Chain file and agent file: text to frozen values, with every error at once."""

from agent.config.load import (
    Examined,
    examine,
    is_host_file,
    load_chain,
    load_chain_text,
    load_host,
    load_host_and_chain,
)
from agent.config.problem import ConfigError, Problem
from agent.config.registry import InstalledTypes, ProbeTypes

__all__ = [
    "ConfigError",
    "Examined",
    "InstalledTypes",
    "ProbeTypes",
    "Problem",
    "examine",
    "is_host_file",
    "load_chain",
    "load_chain_text",
    "load_host",
    "load_host_and_chain",
]
