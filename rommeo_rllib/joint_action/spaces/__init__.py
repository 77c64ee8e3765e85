"""Who the agents are, and how their observations and actions are encoded."""
