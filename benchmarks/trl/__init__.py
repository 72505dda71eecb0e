"""One training run a process, of this project or of TRL, on the same model and the same chats."""
