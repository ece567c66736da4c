"""Reading OCI registries (OCI distribution spec v1.1, and what Docker's registries do besides)."""
