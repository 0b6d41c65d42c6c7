"""The public door: residents see what is on offer, book, follow their place in line, cancel, and show their pass.

A booking's way: `handlers` (HTTP in) → `reservations` (a wish becomes a command) → the log → `standing` (what became of
it) → `messages` (HTTP out). `pages` is the same for people without an app, in plain HTML.
"""
