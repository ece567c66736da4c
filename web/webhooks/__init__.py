"""Receivers of webhooks: told instead of asking. One file per sender."""
