"""The tests of the clients, with the URL of a proxy."""
