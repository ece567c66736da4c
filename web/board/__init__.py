"""What a Project looks like now, shared by all who read it."""
