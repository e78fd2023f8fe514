"""Plans: the steps from the account's present state to the state that the fleet file describes."""
