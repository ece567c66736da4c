"""Sending messages by the channels that MessageChannels describe: one module per kind of channel."""
