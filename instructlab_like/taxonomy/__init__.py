"""The first room of the line: leaves out of a tree of folders, and chunks out of the documents they name.

- a leaf, checked, with the position of every problem: tree -> yaml_lines -> qna, siblings -> read -> rules
- where a leaf comes from and what changed in it: repository -> origins, diff
- what a knowledge leaf is about: sources -> documents -> chunks
- a new leaf: scaffold
"""
