raise ValueError("while it was imported")
