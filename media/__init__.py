"""The media node: relays, captures and composes; knows rooms, participants and tracks by opaque ids only."""
