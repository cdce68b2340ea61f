"""The command line: one thin file per subcommand; only here are flags read."""
