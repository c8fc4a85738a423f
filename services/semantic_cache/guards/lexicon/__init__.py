"""What is known of words: their stems, meanings and grammar."""
