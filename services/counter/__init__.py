"""What a pharmacy's terminals talk to: pick-ups, undo, look-ups, own slots, the keys that passes are signed with."""
