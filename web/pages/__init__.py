"""The page: what people see of their pipelines, and what they do there."""
