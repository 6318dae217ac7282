"""Models with several ways out, and the policies that choose when to leave."""
