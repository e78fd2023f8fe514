"""Small files of many kinds, written without any codec library: valid, honest, and no more than that."""
