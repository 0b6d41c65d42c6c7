"""What each command means: one module for each idea, each with a twin of the same name in Lua.

`services/state/library/<name>.lua` says the same in the same order with the same names; lay them side by side. A rule
reads and writes rows of `State` and nothing else.
"""
