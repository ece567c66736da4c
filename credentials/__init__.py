"""Secrets and ConfigMaps as they lie on disk, for those who may read them: the activities, and the web's receivers."""
