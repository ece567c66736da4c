"""The other way in: what is served over HTTP, upon starter's client."""
