"""An issue made of articles: when it is due, what it holds, who gets it."""
