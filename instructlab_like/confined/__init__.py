"""Templates that a contributor wrote: Jinja with bounds (`sandbox`), in a process with limits (`process`, `worker`)."""
