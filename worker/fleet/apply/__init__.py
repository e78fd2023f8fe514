"""Commands that change the account: apply, adopt, roll back and destroy."""
