"""The command `demarc`: one file per subcommand, each exporting `command`."""
