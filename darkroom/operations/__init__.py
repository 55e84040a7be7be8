"""What a person does with a running environment."""
