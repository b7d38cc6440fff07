"""What the facts in the logs must have left behind in each service, a file per service whose rows they are. Pure."""
