"""What each command does, one module per noun. Imported when the command runs, never for help."""
