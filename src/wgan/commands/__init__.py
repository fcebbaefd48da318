"""The commands: thin functions, whose work is done elsewhere and imported when it begins."""
