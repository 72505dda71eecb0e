"""What training/lora.py is built from: encode, pack, keep apart, schedule, account for the loss, write checkpoints.

Most of it imports torch, so only stages that train or answer import this room, and only when they run; measures,
choice, estimate, machine, hub, progress, trackers and card do without.
"""
