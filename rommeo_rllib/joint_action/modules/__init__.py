"""RLModules of the policies: networks, critics, and their computation in stacks."""
