"""How busy and how quick an endpoint is: one measure per module, apart from how endpoints are distributed."""
