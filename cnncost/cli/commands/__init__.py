"""One file a command, named as the command is; imported when it runs."""
