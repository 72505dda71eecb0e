"""Templates that a contributor wrote: Jinja with bounds (`sandbox`), in a process with limits (`process`, `worker`).

A `plain` one is rendered `here`, from a tree that the process tells.
"""
