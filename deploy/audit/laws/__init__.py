"""What must hold beside the rows: of the logs, of the sessions of packages, of the money of payers. Pure."""
