"""The commands of `robot-finetune`: a module each, with its options, its examples and `command`.

A command imports what does its job when it runs, so that help and shell completion are there at once.
"""
