"""How likely an answer is wrong for another question, learned from what turned out."""
