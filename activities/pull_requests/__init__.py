"""Pull requests on Git hosts: one module per host, all behind the protocol of `pull_request`."""
