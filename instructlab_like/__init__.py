"""From a Git-versioned tree of skill and knowledge leaves to a fine-tuned model, measured leaf by leaf."""

__version__ = "0.1.0"
