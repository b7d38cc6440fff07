"""What directdebit decides. Nothing here waits: a rule takes rows and values, and returns a fact or raises."""
