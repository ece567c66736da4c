"""The REST API: Kargo's v1beta1, and what Towpath has beyond it."""
